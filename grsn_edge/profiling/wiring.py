"""An emulated meter beside a target: every step of the target is a pulse that the meter sees."""

from __future__ import annotations

import time
from typing import Any

import numpy.typing as npt

from grsn_edge.profiling.emulators.wired import WiredScript
from grsn_edge.profiling.targets import Target

__all__ = ["Wiring"]

CLOCK_HZ = 16e6
"""Of the processor whose instructions or cycles are turned into time."""


class Wiring:
    """Wires a target to a script; the target's steps then draw the script's active current.

    A step lasts as long as the device counted, at ``clock_hz``; on a host, as long as it took.

    Args:
        target: whose ``step`` is wrapped.
        script: of the emulated meter.
        clock_hz: of the emulated processor.
    """

    def __init__(self, target: Target, script: WiredScript, clock_hz: float = CLOCK_HZ) -> None:
        self._target, self._script, self._clock_hz = target, script, clock_hz
        self._inner = target.step
        self.exact_j: list[float] = []
        """Exact energy of each step so far, warm-up included."""
        target.step = self._step

    def _step(self, observation: npt.ArrayLike) -> Any:
        began = time.perf_counter()
        action = self._inner(observation)
        took = time.perf_counter() - began
        cost = self._target.cost
        counts = cost is not None and self._target.unit != "s"
        duration = cost / self._clock_hz if counts and cost is not None else took
        self.exact_j.append(self._script.pulse(duration))
        return action
