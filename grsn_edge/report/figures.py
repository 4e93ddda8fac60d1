"""The pictures of a report, as SVG text that follows the page's colours."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec

import numpy as np

from grsn_edge.policy import Channel
from grsn_edge.report.data import CurvePoint, EpisodeTrace, Floats

__all__ = ["cost_bars", "episode_figure", "learning_curve", "rate_bars", "return_histogram"]

BLUE, ORANGE, GREEN, RED, PURPLE, SKY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
)
"""Okabe and Ito's palette: told apart with any colour vision."""

_INK, _FAINT = "#010203", "#040506"  # stand-ins, replaced by the page's own colours
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "grsn-edge",
    "font.size": 10.0,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _FAINT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}
_PHASES = {"float": "learn in float", "quieten": "quieten", "tune": "tune in integers"}


_P = ParamSpec("_P")


def _styled(draw: Callable[_P, str]) -> Callable[_P, str]:
    """Draw in the page's style, whatever the user's own matplotlib settings are."""

    @wraps(draw)
    def styled(*args: _P.args, **kwargs: _P.kwargs) -> str:
        import matplotlib as mpl

        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(_STYLE)
            return draw(*args, **kwargs)

    return styled


@_styled
def learning_curve(curve: Sequence[CurvePoint]) -> str:
    """Return and firing rate against environment steps, one band per phase."""
    figure, (above, below) = _subplots(2, height=4.2, ratios=(3, 2))
    steps = np.array([p.env_steps for p in curve]) / 1e6
    above.plot(steps, [p.mean for p in curve], color=BLUE, marker="o", markersize=3)
    below.plot(steps, [100 * p.rate for p in curve], color=RED, marker="o", markersize=3)
    begin = 0.0
    for i, phase in enumerate(dict.fromkeys(p.phase for p in curve)):
        end = max(p.env_steps for p in curve if p.phase == phase) / 1e6
        for axis in (above, below):
            axis.axvspan(begin, end, color=(SKY, ORANGE, GREEN)[i % 3], alpha=0.10, lw=0)
        above.text(
            (begin + end) / 2, 1.02, _PHASES.get(phase, phase), transform=_above(above), ha="center"
        )
        begin = end
    above.set_ylabel("mean return")
    below.set_ylabel("spikes, % of neurons")
    below.set_ylim(bottom=0)
    below.set_xlabel("environment steps, millions")
    return _svg(figure, "Learning curve")


@_styled
def return_histogram(returns: Mapping[str, Floats]) -> str:
    """Returns of fresh episodes, one panel per stage, on one scale."""
    figure, axes = _subplots(1, columns=len(returns), height=2.6)
    everything = np.concatenate(list(returns.values()))
    low, high = float(everything.min()), float(everything.max())
    pad = max(0.05 * (high - low), 0.5 if high - low < 1 else 0.0, 0.02 * abs(high))
    bins = np.linspace(low - pad, high + pad, 24)
    for axis, colour, (stage, values) in zip(
        axes, (BLUE, ORANGE, GREEN, PURPLE), returns.items(), strict=False
    ):
        axis.hist(values, bins=bins, color=colour, alpha=0.85)
        error = values.std() / np.sqrt(len(values))
        axis.set_title(f"{stage}\n{values.mean():.1f} ± {error:.1f}", fontsize=10, color=_INK)
        axis.set_xlabel("return")
    axes[0].set_ylabel("episodes")
    return _svg(figure, "Histogram of returns")


@_styled
def episode_figure(
    trace: EpisodeTrace, observations: Sequence[Channel], actions: Sequence[Channel]
) -> str:
    """Observation, spikes, membranes, currents and action of one episode above each other."""
    panels = 2 + len(trace.spikes) + len(trace.membranes) + len(trace.currents)
    ratios = [1.3, *[2.4] * len(trace.spikes), *[1.5] * (panels - 2 - len(trace.spikes)), 0.8]
    figure, axes = _subplots(panels, height=1.15 * sum(ratios), ratios=ratios)
    remaining = iter(axes)
    _observation(next(remaining), trace, observations)
    for scope, spikes in trace.spikes.items():
        _raster(next(remaining), trace.time_s, spikes, scope)
    busiest = {s: np.argsort(-v.mean(axis=0))[:4] for s, v in trace.spikes.items()}
    for scope, membrane in trace.membranes.items():
        _lines(next(remaining), trace.time_s, membrane, busiest[scope], "membrane\n(÷ threshold)")
    for scope, current in trace.currents.items():
        _lines(next(remaining), trace.time_s, current, busiest[scope], "gated current\n(integer)")
    _action(next(remaining), trace, actions)
    axes[-1].set_xlabel("time, s")
    return _svg(figure, "One episode")


@_styled
def rate_bars(spikes: Mapping[str, Any]) -> str:
    """Share of steps in which each neuron fired, sorted within its layer."""
    figure, axes = _subplots(1, columns=len(spikes), height=2.2)
    for axis, (scope, fired) in zip(axes, spikes.items(), strict=True):
        rates = np.sort(100 * fired.mean(axis=0))[::-1]
        axis.bar(np.arange(len(rates)), rates, color=RED, width=0.8)
        axis.set_xlabel(f"neurons of {scope}, sorted")
    axes[0].set_ylabel("steps with a spike, %")
    return _svg(figure, "Firing rate per neuron")


@_styled
def cost_bars(costs: Mapping[str, Mapping[str, float]]) -> str:
    """Operations per step of each policy, stacked by kind."""
    figure, (axis,) = _subplots(1, height=0.62 * len(costs) + 1.3)
    kinds = list(next(iter(costs.values())))
    colours = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, "#999999", "#F0E442", "#777777")
    names = list(costs)
    left = np.zeros(len(names))
    for kind, colour in zip(kinds, colours, strict=False):
        width = np.array([costs[name][kind] for name in names])
        if width.any():
            axis.barh(names, width, left=left, color=colour, label=kind.replace("_", " "))
            left += width
    for y, total in enumerate(left):
        axis.text(total, y, f"  {total:,.0f}", va="center")
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    axis.set_xlim(0, 1.12 * left.max())
    axis.set_xlabel("integer operations per step")
    axis.legend(ncols=4, loc="upper left", bbox_to_anchor=(0, -0.45 / (0.3 * len(names) + 0.4)))
    return _svg(figure, "Operations per step")


def _observation(axis: Any, trace: EpisodeTrace, channels: Sequence[Channel]) -> None:
    colours = (BLUE, ORANGE, GREEN, PURPLE, RED, SKY)
    for i, channel in enumerate(channels):
        colour = colours[i % len(colours)]
        label = f"{channel.name} ({channel.unit})" if channel.unit else channel.name
        axis.plot(trace.time_s, trace.observation[:, i], color=colour, lw=1.2, label=_plain(label))
    axis.set_ylabel("observation")
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, borderaxespad=0.2)


def _raster(axis: Any, time_s: Floats, spikes: Any, scope: str) -> None:
    step, neuron = np.nonzero(spikes)
    axis.vlines(time_s[step], neuron - 0.42, neuron + 0.42, color=RED, lw=1.1)
    axis.set_ylim(-1, spikes.shape[1])
    axis.set_ylabel(f"spikes\n{scope}")
    axis.grid(visible=False)


def _lines(axis: Any, time_s: Floats, values: Any, chosen: Any, label: str) -> None:
    for neuron, colour in zip(chosen, (BLUE, ORANGE, GREEN, PURPLE), strict=False):
        axis.plot(time_s, values[:, neuron], color=colour, lw=0.9, label=f"neuron {neuron}")
    axis.set_ylabel(label)
    axis.legend(loc="lower left", bbox_to_anchor=(0, 0.96), ncols=4, borderaxespad=0.2, fontsize=8)


def _action(axis: Any, trace: EpisodeTrace, actions: Sequence[Channel]) -> None:
    values = trace.action if trace.action.ndim == 2 else trace.action[:, None]
    for i, colour in zip(range(values.shape[1]), (_INK, BLUE, ORANGE), strict=False):
        axis.step(trace.time_s, values[:, i], where="post", color=colour, lw=0.9)
    if trace.action.ndim == 1:
        axis.set_yticks(range(len(actions)), [_plain(a.name) for a in actions])
    axis.set_ylabel("action")


def _plain(text: str) -> str:
    """A label that matplotlib must not read as mathematics."""
    return text.replace("$", r"\$")


def _above(axis: Any) -> Any:
    """Data coordinates along x, axes coordinates along y."""
    return axis.get_xaxis_transform()


def _subplots(
    rows: int, *, columns: int = 1, height: float, ratios: Sequence[float] | None = None
) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, height), layout="constrained")
    axes = figure.subplots(
        rows, columns, sharex=rows > 1, sharey=columns > 1, height_ratios=ratios, squeeze=False
    )
    figure.patch.set_alpha(0.0)
    for axis in axes.flat:
        axis.patch.set_alpha(0.0)
        axis.set_axisbelow(True)
    return figure, list(axes.flat)


def _svg(figure: Any, title: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = text.replace(_INK, "currentColor").replace(_FAINT, "var(--line)")
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1 width="100%"', text, count=1)
    prefix = re.sub(r"\W+", "-", title.lower())
    text = re.sub(r'id="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)
