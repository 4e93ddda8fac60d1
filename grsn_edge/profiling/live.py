"""What a live view shows, gathered while a policy streams: constant memory and time per step."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from grsn_edge.policy import OBSERVATION
from grsn_edge.profiling.replay import spiking_values
from grsn_edge.profiling.session import StepRow
from grsn_edge.profiling.targets import Target
from grsn_edge.program import IntArray, evaluate

__all__ = ["Live", "Snapshot"]

_LATEST = 2000  # steps that rates and percentiles are of


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The view at one moment; times in s.

    Args:
        steps, episode: so far.
        rate_hz: steps per second, lately.
        p50_s, p99_s, worst_s: of the host's time around a step, over the last 2,000.
        cost: what the device counted for the last step; None where it does not count.
        misses, longest_run: deadlines missed so far.
        spikes: of one recent step, 0 or 1, ``(neurons,)`` by value; None before there is one.
        action: the last one.
        last_return: of the last whole episode; None before there is one.
    """

    steps: int
    episode: int
    rate_hz: float
    p50_s: float
    p99_s: float
    worst_s: float
    cost: int | None
    misses: int
    longest_run: int
    spikes: Mapping[str, IntArray] | None
    action: tuple[float, ...]
    last_return: float | None


class Live:
    """Takes every step from the loop, and gives snapshots to a view in another thread.

    For the spikes the loop is asked, once per snapshot, for the policy's state before a step; the
    reference then computes that step in the view's thread.

    Args:
        target: what streams.
        period_s: its sampling period, for deadlines; None without one.
    """

    def __init__(self, target: Target, period_s: float | None) -> None:
        self._target, self._period_s = target, period_s
        self._names = spiking_values(target.policy.program)
        self._lock = threading.Lock()
        self._times: deque[tuple[float, float]] = deque(maxlen=_LATEST)
        self._row: StepRow | None = None
        self._steps = self._misses = self._run = self._longest = 0
        self._return: float | None = None
        self._last_return: float | None = None
        self._wanted = False
        self._before: tuple[int, Mapping[str, IntArray]] | None = None
        self._sample: tuple[Mapping[str, IntArray], StepRow] | None = None

    def step(self, _: int, row: StepRow) -> None:
        """Called by the loop after each step."""
        with self._lock:
            new_episode = self._row is not None and row.episode != self._row.episode
            if new_episode:
                self._last_return, self._return = self._return, None
            if row.reward is not None:
                self._return = (self._return or 0.0) + row.reward
            self._row, self._steps = row, self._steps + 1
            self._times.append((row.begin_s, row.end_s))
            self._count_misses(row)
            if self._before is not None:
                episode, state = self._before
                self._before = None
                if episode == row.episode:
                    self._sample, self._wanted = (state, row), False
            if self._wanted:
                self._before = (row.episode, self._target.running.state)

    def snapshot(self) -> Snapshot | None:
        """The view now; None before the first step."""
        with self._lock:
            row, times, sample = self._row, np.array(self._times), self._sample
            misses, longest, last_return = self._misses, self._longest, self._last_return
            steps, self._wanted = self._steps, bool(self._names)
        if row is None:
            return None
        took = np.sort(times[:, 1] - times[:, 0])
        span = float(times[-1, 0] - times[0, 0])
        return Snapshot(
            steps,
            row.episode,
            (len(times) - 1) / span if span > 0 else 0.0,
            float(took[(took.size - 1) // 2]),
            float(took[int(0.99 * (took.size - 1))]),
            float(took[-1]),
            row.cost,
            misses,
            longest,
            None if sample is None else self._spikes(*sample),
            row.action,
            last_return,
        )

    def _count_misses(self, row: StepRow) -> None:
        if self._period_s is None:
            return
        late = row.end_s - row.release_s > self._period_s
        self._misses += late
        self._run = self._run + 1 if late else 0
        self._longest = max(self._longest, self._run)

    def _spikes(self, state: Mapping[str, IntArray], row: StepRow) -> dict[str, IntArray]:
        policy = self._target.policy
        code = policy.encoder.encode(np.array(row.observation, np.float32))
        values = evaluate(policy.program, {OBSERVATION: code}, state)
        return {name: values[name] for name in self._names}
