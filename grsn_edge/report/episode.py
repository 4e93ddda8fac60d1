"""One episode in pictures: all of it, and a closer look at a few steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grsn_edge.policy import Channel
from grsn_edge.report.data import EpisodeTrace, Floats
from grsn_edge.report.theme import (
    BLUE,
    INK,
    LINE,
    NEURONS,
    SOFT,
    WIDE,
    clipped,
    lanes,
    picture,
    title,
)

__all__ = ["Closer", "choose", "closer_look", "readings", "strip", "whole_episode"]

_CHANNELS = 4  # observation and action channels drawn
_CHOICES = 16  # discrete actions named
_CLOSER_STEPS = 100
_TICKS = 8000  # an episode of more spikes is drawn in pixels, so that the page stays small
_PIXELS = "#d55e00"  # pixels cannot follow the page's colours; this one reads on light and dark


@dataclass(frozen=True)
class Closer:
    """What the closer look shows: steps ``begin`` to ``end``, and neurons by layer."""

    begin: int
    end: int
    neurons: Mapping[str, tuple[int, ...]]

    @property
    def colours(self) -> dict[tuple[str, int], str]:
        """Of each chosen neuron, the same in every picture."""
        pairs = [(scope, i) for scope, few in self.neurons.items() for i in few]
        return dict(zip(pairs, NEURONS, strict=False))

    def colours_of(self, scope: str) -> dict[int, str]:
        """Of the chosen neurons of one layer."""
        return {i: colour for (layer, i), colour in self.colours.items() if layer == scope}


def choose(trace: EpisodeTrace) -> Closer:
    """The window in which the most neurons take part, and four that start and stop most often."""
    steps = len(trace.time_s)
    length = min(_CLOSER_STEPS, steps)
    fired = np.concatenate([np.zeros((steps, 1), np.int64), *trace.spikes.values()], axis=1)
    begins = range(0, steps - length + 1, max(1, length // 4))
    begin = max(begins, key=lambda b: int(fired[b : b + length].any(axis=0).sum()))
    share = max(1, len(NEURONS) // max(1, len(trace.membranes)))
    neurons = {}
    for scope in list(trace.membranes)[: len(NEURONS)]:
        changes = np.abs(np.diff(trace.spikes[scope][begin : begin + length], axis=0)).sum(axis=0)
        neurons[scope] = tuple(int(i) for i in np.argsort(-changes, kind="stable")[:share])
    return Closer(begin, begin + length, neurons)


def whole_episode(
    trace: EpisodeTrace,
    observations: Sequence[Channel],
    actions: Sequence[Channel],
    closer: Closer,
) -> str:
    """Observation, every spike of every neuron, and action, aligned in time."""

    def draw(width: float) -> Any:
        few = len(observations[:_CHANNELS])
        rasters = [float(np.clip(0.075 * s.shape[1], 0.7, 3.6)) for s in trace.spikes.values()]
        figure, axes = lanes(width, [*[0.62] * few, *rasters, *_action_heights(trace, actions)])
        _observation(axes[:few], trace.time_s, trace.observation, observations)
        for axis, (scope, spikes) in zip(axes[few:], trace.spikes.items(), strict=False):
            _raster(axis, trace, scope, closer.colours_of(scope))
            title(axis, f"spikes of {clipped(scope)}", f"{int(spikes.sum()):,} spikes")
        _action(axes[few + len(rasters) :], trace.time_s, trace.action, actions)
        for axis in axes:
            _mark(axis, trace.time_s, closer)
        axes[-1].set_xlabel("time, s")
        return figure

    return picture("episode", "One episode: observation, spikes, action", draw, over_time=True)


def closer_look(
    trace: EpisodeTrace,
    observations: Sequence[Channel],
    actions: Sequence[Channel],
    closer: Closer,
) -> str:
    """Membrane, threshold, spikes and gated current of the chosen neurons, step by step."""
    steps = slice(closer.begin, closer.end)
    time_s = trace.time_s[steps]
    chosen = closer.colours

    def draw(width: float) -> Any:
        few = len(observations[:_CHANNELS])
        heights = [*[0.55] * few, *[0.95] * len(chosen), *_action_heights(trace, actions)]
        figure, axes = lanes(width, heights)
        _observation(axes[:few], time_s, trace.observation[steps], observations)
        for axis, ((scope, i), colour) in zip(axes[few:], chosen.items(), strict=False):
            _neuron(axis, trace, steps, scope, i, colour)
            name = f"neuron {i}" if len(trace.spikes) == 1 else f"{clipped(scope, 12)}, {i}"
            title(axis, name, _remark(trace, steps, scope, i, width))
        _action(axes[few + len(chosen) :], time_s, trace.action[steps], actions)
        axes[-1].set_xlabel("time, s")
        return figure

    return picture("closer", "Membranes and currents of a few neurons", draw, over_time=True)


def strip(trace: EpisodeTrace) -> str:
    """All neurons that fire as one small band without axes; empty for none, or far too many."""
    rows = [row for spikes in trace.spikes.values() for row in spikes.T if row.any()]
    if not rows or _crowded(trace):
        return ""
    marks = [
        f"M{begin:.0f} {y + 0.5:g}h{length:.0f}"
        for y, row in enumerate(rows)
        for begin, length in _runs(row > 0, np.arange(len(row), dtype=np.float64), 1.0)
    ]
    return (
        f'<svg viewBox="0 0 {len(trace.time_s)} {len(rows)}" preserveAspectRatio="none" '
        f'aria-hidden="true"><path d="{"".join(marks)}" fill="none" stroke="currentColor" '
        f'stroke-width="0.8"/></svg>'
    )


def readings(
    trace: EpisodeTrace,
    observations: Sequence[Channel],
    actions: Sequence[Channel],
    period_s: float,
) -> dict[str, Any] | None:
    """What the page's script says about a step, as JSON values; None where it would be too much."""
    if _crowded(trace):
        return None
    few = slice(None, _CHANNELS)
    discrete = trace.action.ndim == 1
    return {
        "period_s": period_s,
        "digits": int(np.clip(np.ceil(-np.log10(period_s)), 0, 6)),
        "observations": [f"{_named(c)}:" for c in observations[few]],
        "observation": [[_short(v) for v in row] for row in trace.observation[:, few]],
        "spikes": {
            clipped(scope): [np.flatnonzero(row).tolist() for row in spikes]
            for scope, spikes in trace.spikes.items()
        },
        "action": [
            clipped(actions[int(a)].name) if discrete else [_short(v) for v in a[few]]
            for a in trace.action
        ],
    }


def _crowded(trace: EpisodeTrace) -> bool:
    return sum(int(spikes.sum()) for spikes in trace.spikes.values()) > _TICKS


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None


# ---- panels --------------------------------------------------------------------------------------


def _observation(
    axes: Sequence[Any], time_s: Floats, values: Floats, channels: Sequence[Channel]
) -> None:
    for i, (axis, channel) in enumerate(zip(axes, channels, strict=False)):
        finite = np.where(np.isfinite(values[:, i]), values[:, i], np.nan)
        axis.plot(time_s, finite, color=INK, lw=1.2)
        axis.locator_params(axis="y", nbins=3)
        left_out = len(channels) - len(axes)
        more = i == len(axes) - 1 and left_out > 0
        title(axis, _named(channel), f"and {left_out} more" if more else "")


def _raster(axis: Any, trace: EpisodeTrace, scope: str, colours: Mapping[int, str]) -> None:
    """A tick per spike; the chosen neurons in their colours."""
    n = trace.spikes[scope].shape[1]
    step, neuron = np.nonzero(trace.spikes[scope])
    time_s = trace.time_s
    if _crowded(trace):
        size = 200 / n
        axis.plot(time_s[step], neuron, "|", ms=size, color=_PIXELS, rasterized=True)
    else:
        others = ~np.isin(neuron, list(colours))
        _ticks(axis, time_s[step[others]], neuron[others], SOFT)
        for i, colour in colours.items():
            _ticks(axis, time_s[step[neuron == i]], neuron[neuron == i], colour)
    axis.set_ylim(n - 0.3, -0.7)
    axis.locator_params(axis="y", nbins=5, integer=True)
    axis.set_ylabel("neuron")
    axis.grid(visible=False, axis="y")


def _ticks(axis: Any, time_s: Floats, neuron: Any, colour: str) -> None:
    """Vertical ticks as one path."""
    gap = np.full(len(neuron), np.nan)
    x = np.stack([time_s, time_s, gap], axis=1).ravel()
    y = np.stack([neuron - 0.4, neuron + 0.4, gap], axis=1).ravel()
    axis.plot(x, y, color=colour, lw=1.25, solid_capstyle="butt")


def _neuron(axis: Any, trace: EpisodeTrace, steps: slice, scope: str, i: int, colour: str) -> None:
    """The membrane as it charges and, after a spike, is reset; the current as a shade behind."""
    time_s, charged = trace.time_s[steps], trace.membranes[scope][steps, i]
    after = trace.resets[scope][steps, i] if scope in trace.resets else charged
    fired = trace.spikes[scope][steps, i] > 0
    axis.axhline(1.0, color=INK, lw=0.9, ls=(0, (4, 3)))
    axis.plot(np.repeat(time_s, 2), np.stack([charged, after], 1).ravel(), color=colour, lw=1.2)
    axis.plot(time_s[fired], charged[fired], ls="", marker="o", ms=4.0, color=colour)
    axis.locator_params(axis="y", nbins=4)
    if scope in trace.currents:
        current = trace.currents[scope][steps, i]
        behind = axis.twinx()
        behind.fill_between(time_s, current, step="mid", color=colour, alpha=0.15, lw=0)
        behind.set_ylim(0, 1.1 * max(1.0, float(current.max())))
        behind.set_axis_off()


def _remark(trace: EpisodeTrace, steps: slice, scope: str, i: int, width: float) -> str:
    """What line and shade are, in the words that fit."""
    line = "membrane ÷ threshold" if width >= WIDE else "membrane"
    if scope not in trace.currents:
        return line
    most = int(trace.currents[scope][steps, i].max())
    return (
        f"{line}; shade: gated current, up to {most:,}" if width >= WIDE else f"shade to {most:,}"
    )


def _action_heights(trace: EpisodeTrace, actions: Sequence[Channel]) -> list[float]:
    if trace.action.ndim == 1:
        return [0.22 * min(len(actions), _CHOICES) + 0.1]
    return [0.62] * min(trace.action.shape[1], _CHANNELS)


def _action(
    axes: Sequence[Any], time_s: Floats, values: Floats, channels: Sequence[Channel]
) -> None:
    if values.ndim == 2:
        for i, axis in enumerate(axes):
            axis.step(time_s, values[:, i], where="post", color=BLUE, lw=1.3)
            axis.locator_params(axis="y", nbins=3)
            title(axis, f"action: {_named(channels[i])}")
        return
    axis = axes[0]
    period = float(time_s[1] - time_s[0]) if len(time_s) > 1 else 1.0
    for choice in range(len(channels)):
        axis.broken_barh(_runs(values == choice, time_s, period), (choice - 0.34, 0.68), color=BLUE)
    names = [clipped(c.name, 14) for c in channels]
    if len(names) <= _CHOICES:
        axis.set_yticks(range(len(names)), names, color=INK)
    else:
        axis.locator_params(axis="y", nbins=8, integer=True)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.grid(visible=False, axis="y")
    title(axis, "action")


def _runs(held: Any, time_s: Floats, period: float) -> list[tuple[float, float]]:
    """Begin and duration of each stretch in which ``held`` is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], held.astype(np.int8), [0]])))
    return [(float(time_s[a]), float((b - a) * period)) for a, b in edges.reshape(-1, 2)]


def _mark(axis: Any, time_s: Floats, closer: Closer) -> None:
    if closer.neurons and closer.end - closer.begin < len(time_s):
        axis.axvspan(
            time_s[closer.begin], time_s[closer.end - 1], color=LINE, alpha=0.5, lw=0, zorder=0
        )


def _named(channel: Channel) -> str:
    name = clipped(channel.name)
    return f"{name}, {clipped(channel.unit, 12)}" if channel.unit.strip("1 ") else name
