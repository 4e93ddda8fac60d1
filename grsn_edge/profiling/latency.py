"""Latency, jitter and deadlines from raw measurements; one definition for every tool.

Percentiles are nearest-rank on the raw data, never percentiles of means.  A percentile that the
number of steps cannot support is None rather than a guess: p99 needs 1,000 steps, p99.9 needs
10,000, and the maximum is the largest *seen in n steps*.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import UsageError

__all__ = ["CostFit", "Histogram", "Latency", "LatencyKind", "Pace", "cost_fit", "latency", "pace"]

Floats = npt.NDArray[np.float64]

LatencyKind = Literal[
    "host wall clock",  # around one step on the host
    "device cycles",  # the device's own cycle counter around one step
    "device clock",  # the clock of a process that acts as a device
    "instructions, emulated",  # exact, of an emulated processor: no time
    "GPIO window",  # the pin that is high during a step, seen by the meter
    "link round trip",  # request sent to reply received: the line is in it
]

_NEEDED = {50.0: 1, 90.0: 10, 99.0: 1_000, 99.9: 10_000}
_BUCKET = 1.01  # ratio of a histogram bucket's ends: values are known to one per cent


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of values in buckets whose ends differ by one per cent.

    Args:
        edges: float64 ``(k + 1,)``, rising, in the unit of the values.
        counts: int64 ``(k,)``.
    """

    edges: Floats
    counts: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Latency:
    """What a step takes.

    Args:
        kind: what was measured, and by what.
        unit: ``s``, ``cycles`` or ``instructions``, of every figure here.
        n: steps measured, without the warm-up.
        warm_up: steps left out before them.
        mean, std, min, max: of all n; std is the sample's.
        p50, p90, p99, p999: nearest rank; None where n is too small to say.
        histogram: of all n.
    """

    kind: LatencyKind
    unit: Literal["s", "cycles", "instructions"]
    n: int
    warm_up: int
    mean: float
    std: float
    min: float
    max: float
    p50: float | None
    p90: float | None
    p99: float | None
    p999: float | None
    histogram: Histogram

    @property
    def jitter(self) -> float | None:
        """p99 − p50."""
        return None if self.p99 is None or self.p50 is None else self.p99 - self.p50


def latency(
    values: npt.ArrayLike,
    kind: LatencyKind,
    unit: Literal["s", "cycles", "instructions"],
    warm_up: int = 0,
) -> Latency:
    """Summary of ``values`` ``(n,)``, of which the first ``warm_up`` are left out.

    Raises:
        UsageError: nothing is left, or a value is negative or not finite.
    """
    measured = np.asarray(values, np.float64)[warm_up:]
    if measured.ndim != 1 or not measured.size:
        raise UsageError(f"no step is left to measure after {warm_up} of warm-up")
    if not np.isfinite(measured).all() or measured.min() < 0:
        raise UsageError(f"a {kind} that is negative or not finite cannot be summarised")
    ranked = np.sort(measured)
    found = {p: _nearest_rank(ranked, p) for p in _NEEDED}
    return Latency(
        kind,
        unit,
        int(ranked.size),
        warm_up,
        float(ranked.mean()),
        float(ranked.std(ddof=1)) if ranked.size > 1 else 0.0,
        float(ranked[0]),
        float(ranked[-1]),
        found[50.0],
        found[90.0],
        found[99.0],
        found[99.9],
        _histogram(ranked),
    )


def _nearest_rank(ranked: Floats, percentile: float) -> float | None:
    if ranked.size < _NEEDED[percentile]:
        return None
    # Rounded first: 99.9 / 100 · 10,000 is a little above 9,990 in binary.
    rank = math.ceil(round(percentile / 100 * ranked.size, 6))
    return float(ranked[max(rank, 1) - 1])


def _histogram(ranked: Floats) -> Histogram:
    low = max(float(ranked[0]), float(ranked[-1]) * 1e-9, 1e-12)
    buckets = max(1, math.ceil(math.log(max(float(ranked[-1]) / low, 1.0)) / math.log(_BUCKET)) + 1)
    edges: Floats = np.asarray(low * _BUCKET ** np.arange(buckets + 1), np.float64)
    edges[0] = min(edges[0], float(ranked[0]))
    edges[-1] = max(edges[-1], float(ranked[-1]))
    return Histogram(edges, np.histogram(ranked, edges)[0].astype(np.int64))


@dataclass(frozen=True, slots=True)
class Pace:
    """How a run kept its sampling period.

    Args:
        period_s: wanted.
        n: steps.
        interval_mean_s, interval_std_s: of the time between the beginnings of two steps.
        interval_worst_s: largest deviation of such an interval from the period.
        lateness_worst_s: longest time between a step's release and its beginning.
        duty_cycle: share of the time in which a step runs.
        misses: steps that ended after the next period had begun.
        longest_run: most misses one after the other.
        skipped: whole periods without a step, because the one before took too long.
    """

    period_s: float
    n: int
    interval_mean_s: float
    interval_std_s: float
    interval_worst_s: float
    lateness_worst_s: float
    duty_cycle: float
    misses: int
    longest_run: int
    skipped: int


def pace(
    release_s: npt.ArrayLike, begin_s: npt.ArrayLike, end_s: npt.ArrayLike, period_s: float
) -> Pace:
    """From releases, beginnings and ends ``(n,)`` of steps, in s on one clock.

    A step's release is the beginning of its period; its deadline is one period later.

    Raises:
        UsageError: fewer than two steps, arrays that do not match, or a period not positive.
    """
    release, begin, end = (np.asarray(v, np.float64) for v in (release_s, begin_s, end_s))
    if begin.size < 2 or not (release.shape == begin.shape == end.shape) or not period_s > 0:
        raise UsageError("the pace needs two steps or more, and a positive period")
    intervals = np.diff(begin)
    missed = end - release > period_s * (1 + 1e-9)
    periods = np.rint(np.diff(release) / period_s)
    return Pace(
        period_s,
        int(begin.size),
        float(intervals.mean()),
        float(intervals.std(ddof=1)) if intervals.size > 1 else 0.0,
        float(np.abs(intervals - period_s).max()),
        float((begin - release).max()),
        float((end - begin).sum() / (release[-1] - release[0] + period_s)),
        int(missed.sum()),
        _longest_run(missed),
        int(np.maximum(periods - 1, 0).sum()),
    )


def _longest_run(flags: npt.NDArray[np.bool_]) -> int:
    padded = np.concatenate(([0], flags.astype(np.int8), [0]))
    begins, ends = np.flatnonzero(np.diff(padded) == 1), np.flatnonzero(np.diff(padded) == -1)
    return int((ends - begins).max(initial=0))


@dataclass(frozen=True, slots=True)
class CostFit:
    """A step's cost as a line over its spikes: ``cost = base + per_spike · spikes``.

    Args:
        base: cost of a silent step, in the cost's unit.
        per_spike: the event-driven slope.
        per_spike_error: its standard error.
        r2: share of the cost's variance that the line explains.
        n: steps.
    """

    base: float
    per_spike: float
    per_spike_error: float
    r2: float
    n: int


def cost_fit(spikes: npt.ArrayLike, cost: npt.ArrayLike) -> CostFit | None:
    """Least squares of ``cost`` over ``spikes``, both ``(n,)``; None where spikes do not vary."""
    x, y = np.asarray(spikes, np.float64), np.asarray(cost, np.float64)
    if x.size < 3 or np.ptp(x) == 0:
        return None
    centred = x - x.mean()
    slope = float(centred @ y / (centred @ centred))
    base = float(y.mean() - slope * x.mean())
    residual = y - base - slope * x
    spread = float(((y - y.mean()) ** 2).sum())
    error = math.sqrt(float(residual @ residual) / (x.size - 2) / float(centred @ centred))
    r2 = 1.0 - float(residual @ residual) / spread if spread else 1.0
    return CostFit(base, slope, error, r2, int(x.size))
