"""How the pictures look: the page's colours, one drawing for wide pages and one for telephones."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "BLUE",
    "GREEN",
    "INK",
    "LINE",
    "NEURONS",
    "ORANGE",
    "PURPLE",
    "SOFT",
    "SPIKE",
    "WIDE",
    "clipped",
    "lanes",
    "light",
    "picture",
    "signed",
    "still",
    "title",
]

WIDE, NARROW = 9.6, 4.4
"""Widths of the two drawings in inches; 10 points are the page's small text in both."""

_ROLES = ("ink", "soft", "line", "blue", "orange", "green", "purple", "spike")
_STANDS_FOR = {f"#0a0b{i:02x}": role for i, role in enumerate(_ROLES)}
INK, SOFT, LINE, BLUE, ORANGE, GREEN, PURPLE, SPIKE = _STANDS_FOR
"""Stand-ins that become CSS variables, so that a picture follows the page into the dark."""

NEURONS = (BLUE, ORANGE, GREEN, PURPLE)
"""The colours of chosen neurons and of stages, after Okabe and Ito: told apart by every eye."""

_LIGHT = dict(
    zip(
        _STANDS_FOR,
        ("#1b2230", "#616b7b", "#e1e4e8", "#0072b2", "#d08700", "#00926b", "#b4588f", "#d1520a"),
        strict=True,
    )
)
"""What each means on a light page (``style.css``), for pictures that are files of their own."""

_UNDATED: dict[str, Any] = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}
"""Without what would make the same picture another file."""

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "grsn-edge",
    "font.size": 10.0,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.labelsize": 9.5,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.titlepad": 6.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.formatter.useoffset": False,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "path.simplify": False,
}


def picture(name: str, label: str, draw: Callable[[float], Any], *, over_time: bool = False) -> str:
    """Two SVGs, of which the style sheet shows the one that fits the screen.

    Args:
        name: unique on the page; prefix of every id.
        label: what the picture shows, for readers who do not see it.
        draw: makes a matplotlib figure of a width in inches.
        over_time: whether x is time in seconds; the page's script then reads values under the
            pointer.
    """
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        texts = [
            f'<div class="{kind}">{_svg(draw(width), f"{name}-{kind}", label, over_time)}</div>'
            for kind, width in (("wide", WIDE), ("narrow", NARROW))
        ]
    return "\n".join(texts)


def still(draw: Callable[[float], Any], paths: Sequence[Path], *, dpi: int = 200) -> None:
    """The wide drawing as files (``.png``, ``.svg``) for a light page.

    Args:
        draw: as :func:`picture` takes it; what it colours itself goes through :func:`light`.
        paths: of the files; what was there is replaced.
        dpi: of a PNG.
    """
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({key: light(value) for key, value in _STYLE.items()})
        figure = draw(WIDE)
        for path in paths:
            figure.savefig(path, dpi=dpi, facecolor="white", metadata=_UNDATED[path.suffix])


def light(value: Any) -> Any:
    """The colour of a light page that a stand-in means; anything else as it is."""
    return _LIGHT.get(value, value)


def lanes(
    width: float, heights: Sequence[float], *, columns: int = 1, shared: bool = True
) -> tuple[Any, list[Any]]:
    """A figure of transparent panels, heights in inches; ``shared``: rows share x, columns y."""
    from matplotlib.figure import Figure

    height = sum(heights) + 0.34 * len(heights)
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_alpha(0.0)
    axes = figure.subplots(
        len(heights),
        columns,
        sharex=shared and len(heights) > 1,
        sharey=shared and columns > 1,
        height_ratios=heights,
        squeeze=False,
    )
    for axis in axes.flat:
        axis.patch.set_alpha(0.0)
        axis.set_axisbelow(True)
        axis.margins(x=0.0)
    return figure, list(axes.flat)


def title(axis: Any, text: str, remark: str = "") -> None:
    """A heading at the panel's left, and a softer remark at its right."""
    axis.set_title(text, color=INK)
    if remark:
        axis.set_title(remark, loc="right", color=SOFT, fontsize=9.0)


def signed(number: str) -> str:
    """A number's text with the sign that is as wide as a plus."""
    return number.replace("-", "−")


def clipped(text: str, most: int = 24) -> str:
    """A name from outside, on one line and short enough for a picture."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= most else line[: most - 1] + "…"


# ---- SVG text ------------------------------------------------------------------------------------


def _svg(figure: Any, name: str, label: str, over_time: bool) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = _small(text[text.index("<svg") :])
    for colour, role in _STANDS_FOR.items():
        text = text.replace(colour, f"var(--{role})")
    text = _renamed(text, name)
    extra = _time_axis(figure) if over_time else ""
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"{extra}', 1)


def _renamed(text: str, name: str) -> str:
    """Ids that something refers to, counted through; matplotlib's depend on the last digits."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    order = [i for i in re.findall(r'\bid="([^"]+)"', text) if i in used]
    new = {old: f"{name}-{i}" for i, old in enumerate(dict.fromkeys(order))}
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{new[m[1]]}"' if m[1] in new else "", text)
    return re.sub(r'(href="#|url\(#)([^")]+)', lambda m: m[1] + new.get(m[2], m[2]), text)


def _small(text: str) -> str:
    """Without what the page does not need: a size, licences of formats, digits beyond 0.01 pt."""
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    head, rest = text.split(">", 1)
    head = re.sub(r' (width|height|version|xmlns(:\w+)?)="[^"]*"', "", head)
    return f"{head}>" + re.sub(r' (?:d|x|y|transform)="[^"]*"', _rounded, rest)


def _rounded(attribute: re.Match[str]) -> str:
    """Not cut off: the layout's last digits may differ from run to run."""
    short = re.sub(r"\d+\.\d+", lambda number: _short(float(number.group())), attribute.group())
    return re.sub(r"\s+", " ", short)


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _time_axis(figure: Any) -> str:
    """Where the time axis lies, as fractions of the picture's width, and what it spans."""
    axis = figure.axes[0]
    box, (begin, end) = axis.get_position(), axis.get_xlim()
    return (
        f' data-x0="{box.x0:.5f}" data-x1="{box.x1:.5f}"'
        f' data-t0="{float(begin):.6g}" data-t1="{float(end):.6g}"'
    )
