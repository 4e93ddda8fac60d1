"""An emulated meter wired to a policy that steps: each step is a pulse of current on line D0.

So a whole measuring place can be tried without hardware: the board is emulated, the meter is
emulated, and the joules are known exactly.
"""

from __future__ import annotations

import threading
from bisect import bisect_right

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import UsageError
from grsn_edge.profiling.emulators.script import Script, Segment

__all__ = ["WiredScript"]

_GAP_S = 2e-5
_GOLDEN = (5**0.5 - 1) / 2

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


class WiredScript(Script):
    """A script that grows: an idle current, and a pulse for every step.

    Args:
        idle_a, active_a: currents at rest and during a step.
        voltage_v: of the supply.
        gain: by which the emulated current is too large: what the meter's calibration misses.
    """

    def __init__(
        self,
        idle_a: float = 1e-3,
        active_a: float = 5e-3,
        voltage_v: float = 3.0,
        gain: float = 0.0,
    ) -> None:
        super().__init__([Segment(1.0, idle_a)], voltage_v)
        if not 0 <= idle_a <= active_a:
            raise UsageError("a step draws at least the idle current, and that is not negative")
        self._idle_a, self._active_a, self._gain = idle_a, active_a, gain
        self._lock = threading.Lock()
        self._begins: list[float] = []
        self._ends: list[float] = []
        self._sums: list[float] = [0.0]  # charge above idle up to each pulse's beginning
        self._levels: list[float] = []
        self._seen_s = 0.0

    def pulse(self, duration_s: float, factor: float = 1.0) -> float:
        """A step of so long, from now on; its exact energy in J, the idle current's included.

        Now is what the meter has not sampled yet.  ``factor``: of the active current.
        """
        with self._lock:
            free = max(self._seen_s, self._ends[-1] if self._ends else 0.0)
            # A device's clock knows nothing of the meter's: every phase between both comes up.
            begin = free + _GAP_S * (1.0 + len(self._begins) * _GOLDEN % 1.0)
            level = max(0.0, self._active_a * factor - self._idle_a)
            self._begins.append(begin)
            self._ends.append(begin + duration_s)
            self._levels.append(level)
            self._sums.append(self._sums[-1] + level * duration_s)
        return (level + self._idle_a) * self.voltage_v * duration_s

    def charge_c(self, t: npt.ArrayLike) -> Floats:
        """Charge in C from 0 to ``t``, with the gain."""
        times = np.asarray(t, np.float64)
        with self._lock:
            self._seen_s = max(self._seen_s, float(times.max(initial=0.0)))
            first = max(0, bisect_right(self._ends, float(times.min(initial=0.0))) - 1)
            begins, ends = (np.array(v[first:]) for v in (self._begins, self._ends))
            levels, sums = np.array(self._levels[first:]), np.array(self._sums[first:])
        charge = self._idle_a * times
        if begins.size:
            index = np.clip(np.searchsorted(begins, times, side="right") - 1, 0, None)
            inside = np.clip(times, begins[index], ends[index]) - begins[index]
            charge = (
                charge + sums[index] + levels[index] * np.where(times >= begins[0], inside, 0.0)
            )
        return np.asarray(charge * (1.0 + self._gain))

    def digital(self, t: npt.ArrayLike) -> Bytes:
        """D0 is high during a pulse."""
        times = np.asarray(t, np.float64)
        with self._lock:
            first = max(0, bisect_right(self._ends, float(times.min(initial=0.0))) - 1)
            begins, ends = (np.array(v[first:]) for v in (self._begins, self._ends))
        if not begins.size:
            return np.zeros(times.shape, np.uint8)
        index = np.searchsorted(begins, times, side="right") - 1
        high = (index >= 0) & (times < ends[np.clip(index, 0, None)])
        return np.asarray(high, dtype=np.uint8)

    def current_a(self, t: npt.ArrayLike) -> Floats:
        """Current in A at ``t``."""
        times = np.asarray(t, np.float64)
        step = 1e-9
        return np.asarray((self.charge_c(times + step) - self.charge_c(times)) / step)
