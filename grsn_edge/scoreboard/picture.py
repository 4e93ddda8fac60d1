"""The picture: return against instructions and against modelled energy, with the Pareto fronts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grsn_edge.report.theme import (
    BLUE,
    GREEN,
    INK,
    LINE,
    ORANGE,
    PURPLE,
    SOFT,
    SPIKE,
    WIDE,
    lanes,
    light,
    picture,
    signed,
    still,
)
from grsn_edge.scoreboard.suites import OURS
from grsn_edge.scoreboard.table import Row, Scoreboard, pareto

__all__ = ["save_pictures", "svg", "window"]

_LABEL = "Return against instructions per step and modelled energy per period, by task"
_STYLES: Mapping[str, tuple[str, str]] = {
    OURS: (SPIKE, "o"),
    "gru": (BLUE, "s"),
    "lstm": (PURPLE, "D"),
    "mlp": (ORANGE, "^"),
    "lif": (GREEN, "v"),
}
_OTHERS = ("P", "X", "h", "p", "*", "<", ">", "d", "H", "8")
_Paint = Callable[[str], str]

_DOWN = 7  # matplotlib's caret that points down
_FAR = 2.5  # gaps between the best and the median beyond which a point leaves the picture


@dataclass(frozen=True)
class _Axis:
    """What a panel shows along x."""

    label: str
    cost: Callable[[Row], float | None]


_AXES = (
    _Axis(
        "instructions a step",
        lambda row: None if row.instructions is None else row.instructions.value,
    ),
    _Axis("modelled nJ a period", lambda row: row.period_nj),
)


def svg(board: Scoreboard) -> str:
    """For the page: two SVGs, wide and narrow.

    Raises:
        UsageError: matplotlib is not installed.
    """
    return picture("scoreboard", _LABEL, lambda width: _draw(board, width, str))


def save_pictures(board: Scoreboard, folder: Path, name: str) -> tuple[Path, ...]:
    """``NAME.png`` and ``NAME.svg`` in the colours of a light page."""
    paths = tuple(folder / f"{name}.{kind}" for kind in ("png", "svg"))
    still(lambda width: _draw(board, width, light), paths)
    return paths


def window(values: Sequence[float], errors: Sequence[float]) -> tuple[float, float]:
    """Limits of the returns' axis: around the good ones, however bad the worst is."""
    array, error = np.asarray(values), np.asarray(errors)
    best = float(array.max())
    gap = max(best - float(np.median(array)), 0.01 * abs(best), 2 * float(np.median(error)), 1e-6)
    near = array >= best - _FAR * gap
    low, high = float((array - error)[near].min()), float((array + error)[near].max())
    low = min(low, best - 0.02 * abs(best))  # a hundredth of a return is nothing to look at
    room = max(0.12 * (high - low), 0.05 * gap)
    return low - 2 * room, high + room


def _draw(board: Scoreboard, width: float, paint: _Paint) -> Any:
    """A block of two rows for every four tasks; blocks of two tasks on a narrow page."""
    most = 4 if width >= WIDE else 2
    columns = min(most, len(board.tasks))
    blocks = -(-len(board.tasks) // columns)
    height = 1.75 if width >= WIDE else 1.5
    figure, axes = lanes(width, [height] * 2 * blocks, columns=columns, shared=False)
    for axis in axes:
        axis.set_visible(False)
    for i, name in enumerate(board.tasks):
        block, column = divmod(i, columns)
        for k, along in enumerate(_AXES):
            axis = axes[(2 * block + k) * columns + column]
            axis.set_visible(True)
            _panel(axis, board.of(name), along, paint)
            if column == 0:
                axis.set_ylabel("return, int8")
            if k == 0:
                axis.set_title(name, color=paint(INK))
    _legend(figure, board, columns, paint)
    return figure


def _panel(axis: Any, rows: Sequence[Row], along: _Axis, paint: _Paint) -> None:
    priced = [(row, cost) for row in rows if (cost := along.cost(row)) is not None]
    axis.set_xlabel(along.label)
    if not priced:
        return
    costs, gains = [cost for _, cost in priced], [row.int8.value for row, _ in priced]
    low, high = window(gains, [row.int8.error for row, _ in priced])
    axis.set_xscale("log")
    axis.set_ylim(low, high)
    _front(axis, costs, gains, low, paint)
    for (row, cost), gain in zip(priced, gains, strict=True):
        _point(axis, row, cost, gain, low, paint)
    _decades(axis, costs, paint)


def _front(
    axis: Any, costs: Sequence[float], gains: Sequence[float], low: float, paint: _Paint
) -> None:
    """What is reached at each cost: a staircase through the points that none beats."""
    front = pareto(costs, gains)
    x = [costs[i] for i in front] + [3.0 * max(costs)]
    y = [gains[i] for i in front] + [gains[front[-1]]]
    axis.plot([x[0], *x], [low, *y], drawstyle="steps-post", color=paint(SOFT), lw=1.1, zorder=1)


def _point(axis: Any, row: Row, cost: float, gain: float, low: float, paint: _Paint) -> None:
    colour, marker = _style(row.network, paint)
    size = 7.5 if row.network == OURS else 6.0
    if gain < low:
        axis.plot([cost], [low], marker=_DOWN, color=colour, ms=9, clip_on=False, ls="")
        axis.annotate(
            signed(f"{gain:,.0f}"), (cost, low), xytext=(0, 8), textcoords="offset points",
            ha="center", fontsize=8.5, color=colour,
        )  # fmt: skip
        return
    axis.errorbar(
        [cost], [gain], yerr=[row.int8.error], color=colour, marker=marker, ms=size, lw=1.2,
        capsize=2.5, ls="", zorder=3 if row.network == OURS else 2, mec=colour, mew=0.8,
    )  # fmt: skip


def _decades(axis: Any, costs: Sequence[float], paint: _Paint) -> None:
    """Room at both ends, and few enough plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    low, high = min(costs) / 1.6, max(costs) * 1.6
    axis.set_xlim(low, high)
    wide = high / low > 30
    axis.xaxis.set_major_locator(LogLocator(10, (1.0,) if wide else (1.0, 2.0, 5.0)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
    axis.minorticks_off()
    axis.grid(visible=True, axis="x", color=paint(LINE))


def _plain(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def _legend(figure: Any, board: Scoreboard, columns: int, paint: _Paint) -> None:
    from matplotlib.lines import Line2D

    names = dict.fromkeys(row.network for row in board.rows)
    handles = [
        Line2D([], [], color=colour, marker=marker, ls="", ms=6.5, label=name)
        for name in names
        for colour, marker in [_style(name, paint)]
    ]
    handles.append(Line2D([], [], color=paint(SOFT), lw=1.1, label="Pareto front"))
    figure.legend(
        handles=handles, loc="outside upper left", ncols=7 if columns > 2 else 3,
        labelcolor=paint(INK), handletextpad=0.4, columnspacing=1.4,
    )  # fmt: skip


def _style(network: str, paint: _Paint) -> tuple[str, str]:
    """Colour and marker; a network of another size keeps its kind's colour."""
    kind, _, size = network.partition(":")
    colour, marker = _STYLES.get(kind, (SOFT, ""))
    if size or not marker:
        marker = _OTHERS[sum(network.encode()) % len(_OTHERS)]
    return paint(colour), marker
