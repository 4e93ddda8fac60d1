"""The pictures of training, returns, rates and costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from grsn_edge.report.data import CurvePoint, Floats, standard_error
from grsn_edge.report.theme import (
    BLUE,
    GREEN,
    INK,
    NEURONS,
    ORANGE,
    PURPLE,
    SOFT,
    SPIKE,
    WIDE,
    clipped,
    lanes,
    picture,
    signed,
    title,
)

__all__ = ["bars", "learning_curve", "rate_bars", "return_histogram"]

_MOST_BARS = 64  # in a layer; more neurons become one outline


def learning_curve(
    curve: Sequence[CurvePoint], goal: float | None, spike_rate: float | None
) -> str:
    """Return and firing rate against environment steps, a band per phase, lines to reach.

    Args:
        curve: at least one evaluation.
        goal: mean return that was asked for, or None.
        spike_rate: spikes per neuron and step that were asked for, or None.
    """

    def draw(width: float) -> Any:
        figure, (above, below) = lanes(width, (2.1, 1.5))
        steps = np.array([p.env_steps for p in curve]) / 1e6
        for axis, values, colour in (
            (above, [p.mean for p in curve], BLUE),
            (below, [100 * p.rate for p in curve], SPIKE),
        ):
            axis.plot(steps, values, color=colour, lw=1.8, marker="o", markersize=3.2)
            _phases(axis, curve)
        if goal is not None:
            _target(above, goal, signed(f"goal {goal:g}"), -3)
        if spike_rate is not None:
            _target(below, 100 * spike_rate, f"goal {100 * spike_rate:g} %", 3)
        _name_phases(above, curve)
        above.set_ylabel("mean return")
        below.set_ylabel("firing, %")
        below.set_ylim(bottom=0)
        below.set_xlim(0, float(steps.max()) * 1.005)
        below.set_xlabel("environment steps, millions")
        return figure

    return picture("curve", "Return and firing rate while learning", draw)


def return_histogram(returns: Mapping[str, Floats]) -> str:
    """Returns of fresh episodes, one panel per stage on one scale, mean and its standard error."""
    everything = np.concatenate(list(returns.values()))
    low, high = float(everything.min()), float(everything.max())
    pad = 0.04 * (high - low) if high - low > 1e-9 else max(1.0, 0.02 * abs(high))
    bins = np.linspace(low - pad, high + pad, 26)
    counts = [np.histogram(values, bins)[0] for values in returns.values()]
    colours = [NEURONS[i % len(NEURONS)] for i in range(len(returns))]

    def draw(width: float) -> Any:
        columns = len(returns) if width >= WIDE else 1
        rows = -(-len(returns) // columns)
        figure, axes = lanes(width, [1.7 if columns > 1 else 1.0] * rows, columns=columns)
        panels = zip(axes, counts, colours, returns.items(), strict=False)
        for axis, count, colour, (stage, values) in panels:
            axis.stairs(count, bins, fill=True, color=colour, alpha=0.75)
            mean, error = float(values.mean()), standard_error(values)
            axis.axvline(mean, color=INK, lw=1.2)
            if np.isfinite(error):
                axis.axvspan(mean - error, mean + error, color=INK, alpha=0.16, lw=0)
            axis.xaxis.set_major_locator(_few(4))
            axis.set_ylim(0, 1.05 * max(c.max() for c in counts))
            summary = f"{mean:,.1f} ± {error:,.1f}" if np.isfinite(error) else f"{mean:,.1f}"
            title(axis, f"{clipped(stage)}\n{signed(summary)}")
        for axis in axes[-columns:]:
            axis.set_xlabel("return")
        axes[0].set_ylabel("episodes")
        return figure

    return picture("returns", "Histogram of returns", draw)


def rate_bars(spikes: Mapping[str, Any], colours: Mapping[tuple[str, int], str]) -> str:
    """Share of steps in which each neuron fired, busiest first.

    Args:
        spikes: 0 or 1, ``(steps, neurons)``, by layer; at least one layer.
        colours: of neurons to point out, by layer and index.
    """

    def draw(width: float) -> Any:
        figure, axes = lanes(width, [1.5] * len(spikes), shared=False)
        for axis, (scope, fired) in zip(axes, spikes.items(), strict=True):
            rates = 100 * fired.mean(axis=0)
            order = np.argsort(-rates, kind="stable")
            _sorted_bars(axis, rates[order], [colours.get((scope, int(i)), SOFT) for i in order])
            axis.axhline(rates.mean(), color=SPIKE, lw=1.2, ls=(0, (4, 3)))
            every = -(-len(order) // int(width * 4))
            axis.set_xticks(np.arange(len(order))[::every], [str(i) for i in order[::every]])
            axis.grid(visible=False, axis="x")
            axis.set_xlim(-0.7, len(order) - 0.3)
            axis.set_ylabel("steps fired in, %")
            title(axis, clipped(scope), f"mean {rates.mean():.1f} %")
        axes[-1].set_xlabel("neuron, busiest first")
        return figure

    return picture("rates", "Firing rate of each neuron", draw)


def bars(
    name: str, label: str, costs: Mapping[str, Mapping[str, float]], colours: Sequence[str]
) -> str:
    """A stacked bar per policy.

    Args:
        name: of the picture, unique on the page.
        label: what one unit is, such as ``operations per step``.
        costs: by policy, then by kind; every policy has the same kinds.
        colours: of the kinds.
    """
    kinds = list(next(iter(costs.values())))
    amounts = np.array([[cost[kind] for kind in kinds] for cost in costs.values()])
    ends = np.cumsum(amounts, axis=1)

    def draw(width: float) -> Any:
        figure, (axis,) = lanes(width, [0.5 * len(costs) + 0.35])
        for i, (kind, colour) in enumerate(zip(kinds, colours, strict=True)):
            left = ends[:, i] - amounts[:, i]
            axis.barh(np.arange(len(costs)), amounts[:, i], 0.52, left, color=colour, label=kind)
        most = float(ends.max())
        for y, total in enumerate(ends[:, -1]):
            axis.text(total + 0.012 * most, y, f"{total:,.0f}", va="center")
        axis.set_yticks(np.arange(len(costs)), _wrapped(costs, width), color=INK)
        axis.set_xlim(0, 1.14 * most)
        axis.invert_yaxis()
        axis.grid(visible=False, axis="y")
        axis.xaxis.set_major_locator(_few(5 if width >= WIDE else 3))
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.set_xlabel(label)
        columns = 4 if width >= WIDE else 2
        figure.legend(loc="outside upper left", ncols=columns, handlelength=0.9, labelcolor=INK)
        return figure

    return picture(name, label, draw)


def _sorted_bars(axis: Any, heights: Floats, colours: Sequence[str]) -> None:
    few = len(heights) <= _MOST_BARS
    if not few:
        axis.stairs(heights, np.arange(len(heights) + 1) - 0.5, fill=True, color=SOFT)
    shown = [i for i, colour in enumerate(colours) if few or colour != SOFT]
    axis.bar(shown, heights[shown], color=[colours[i] for i in shown], width=0.78)


def _wrapped(names: Mapping[str, Any], width: float) -> list[str]:
    return [n if width >= WIDE else n.replace(", ", ",\n") for n in (clipped(n, 36) for n in names)]


def _few(most: int) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(most)


def _spans(curve: Sequence[CurvePoint]) -> list[tuple[str, float, float]]:
    """Name, begin and end of each phase, in millions of steps."""
    spans, begin = [], 0.0
    for phase in dict.fromkeys(p.phase for p in curve):
        end = max(p.env_steps for p in curve if p.phase == phase) / 1e6
        spans.append((phase, begin, end))
        begin = end
    return spans


def _phases(axis: Any, curve: Sequence[CurvePoint]) -> None:
    for i, (_, begin, end) in enumerate(_spans(curve)):
        axis.axvspan(begin, end, color=(BLUE, ORANGE, GREEN, PURPLE)[i % 4], alpha=0.09, lw=0)


def _name_phases(axis: Any, curve: Sequence[CurvePoint]) -> None:
    for phase, begin, end in _spans(curve):
        place = axis.get_xaxis_transform()
        text = clipped(phase, 16)
        axis.text((begin + end) / 2, 1.03, text, transform=place, ha="center", color=SOFT)


def _target(axis: Any, value: float, label: str, above: float) -> None:
    """A dashed line, named at the left where no curve has arrived yet."""
    axis.axhline(value, color=INK, lw=1.0, ls=(0, (4, 3)))
    axis.annotate(
        label,
        (0, value),
        xycoords=axis.get_yaxis_transform(),
        xytext=(5, above),
        textcoords="offset points",
        va="top" if above < 0 else "bottom",
        color=SOFT,
        fontsize=9.0,
    )
