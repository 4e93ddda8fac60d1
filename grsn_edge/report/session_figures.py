"""The still pictures of a profiling session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from grsn_edge.report.theme import BLUE, GREEN, NEURONS, ORANGE, SOFT, SPIKE, lanes, picture, title

__all__ = ["cost_against_spikes", "energy_budget", "latency_histograms"]

_MOST_POINTS = 4000


def scale_of(unit: str, largest: float) -> tuple[float, str]:
    """A factor and the unit's name that suit values of this size."""
    if unit != "s":
        return 1.0, unit
    for factor, name in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if largest * factor >= 1:
            return factor, name
    return 1e9, "ns"


def latency_histograms(latencies: Sequence[Mapping[str, Any]]) -> str:
    """One panel per kind, each on its own scale; lines at the percentiles."""

    def draw(width: float) -> Any:
        figure, axes = lanes(width, [1.5] * len(latencies), shared=False)
        for i, (axis, one) in enumerate(zip(axes, latencies, strict=True)):
            _histogram(axis, one, NEURONS[i % len(NEURONS)])
        return figure

    return picture("latency", "Histograms of latency", draw)


def _histogram(axis: Any, one: Mapping[str, Any], colour: str) -> None:
    factor, unit = scale_of(one["unit"], one["max"])
    edges = np.array(one["histogram"]["edges"]) * factor
    counts = np.array(one["histogram"]["counts"])
    low, high = one["min"] * factor, one["max"] * factor
    # Outliers get their line and number; the picture shows where nearly all steps are.
    body = one["p99"] * factor if one["p99"] is not None else high
    top = min(high, max(2.5 * body - 1.5 * low, body * 1.02))
    bins = np.linspace(low, max(top, low * (1 + 1e-9) + 1e-12), 61)
    inside = np.repeat((edges[:-1] + edges[1:]) / 2, np.minimum(counts, 10_000))
    heights, _ = np.histogram(np.clip(inside, low, top), bins)
    axis.stairs(heights, bins, fill=True, color=colour, alpha=0.75)
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axis.set_ylim(0.6, max(10.0, 1.6 * float(heights.max(initial=1))))
    for name, key in (("p50", "p50"), ("p99", "p99"), ("p99.9", "p999")):
        if one[key] is not None and one[key] * factor <= top:
            axis.axvline(one[key] * factor, color=SOFT, lw=1.0, ls=(0, (4, 3)))
            axis.annotate(
                name, (one[key] * factor, 1.0), xycoords=("data", "axes fraction"),
                xytext=(3, -10), textcoords="offset points", fontsize=8.5, color=SOFT,
            )  # fmt: skip
    axis.set_xlabel(unit)
    axis.set_ylabel("steps")
    beyond = f", largest {high:,.4g} {unit}" if high > top else ""
    title(axis, one["kind"], f"n = {one['n']:,}{beyond}")


def cost_against_spikes(
    spikes: np.ndarray[Any, Any], cost: np.ndarray[Any, Any], unit: str, fit: Mapping[str, Any]
) -> str:
    """Every step as a point, and the fitted line.

    Args:
        spikes, cost: ``(n,)``; cost in ``unit`` (s, cycles or instructions).
        unit: of the cost.
        fit: ``base`` and ``per_spike`` in the same unit.
    """
    factor, name = scale_of(unit, float(np.median(cost)))
    every = max(1, len(spikes) // _MOST_POINTS)
    # Counts are whole: moved a little, equal points show how many they are.
    jitter = np.random.default_rng(0).uniform(-0.3, 0.3, len(spikes))

    def draw(width: float) -> Any:
        figure, (axis,) = lanes(width, [3.0])
        x = (spikes + jitter)[::every]
        axis.scatter(x, (cost * factor)[::every], s=5, color=BLUE, alpha=0.35, lw=0)
        ends = np.array([0, float(spikes.max())])
        line = factor * (fit["base"] + fit["per_spike"] * ends)
        axis.plot(ends, line, color=SPIKE, lw=1.8)
        top = float(np.percentile(cost, 99.5)) * factor
        axis.set_ylim(0, 1.15 * max(top, float(line.max())))
        axis.set_xlim(-0.6, float(spikes.max()) + 0.6)
        axis.set_xlabel("spikes in the step")
        axis.set_ylabel(f"cost, {name}")
        return figure

    return picture("cost", "Cost of each step against its spikes", draw)


def energy_budget(parts: Mapping[str, float]) -> str:
    """Where a period's energy goes, one bar; parts in J by name."""
    total = sum(parts.values())
    colours = {"rest": SOFT, "step": SPIKE, "link and host": ORANGE}

    def draw(width: float) -> Any:
        figure, (axis,) = lanes(width, [0.9])
        left = 0.0
        for name, joules in parts.items():
            value = joules * 1e6
            axis.barh(0, value, left=left, color=colours.get(name, GREEN), height=0.6)
            if joules > 0.06 * total:
                text = f"{name}\n{value:.3g} µJ"
                axis.annotate(text, (left + value / 2, 0), ha="center", va="center", fontsize=9.0)
            left += value
        axis.set_yticks([])
        axis.set_xlabel("µJ per period")
        return figure

    return picture("budget", "Energy of one period by what uses it", draw)
