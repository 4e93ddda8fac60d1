"""Meters that show a present value: asked again and again, one sample between two answers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np

from grsn_edge.errors import UsageError
from grsn_edge.profiling.meters.base import Block, Flag, Meter, MeterWarning, merge, option

__all__ = ["PolledMeter", "Reading"]

_LATE = 3.0
"""An answer that comes later than this many periods leaves a hole."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer.

    Args:
        power_w: now; of an energy counter None.
        energy_j: since some moment, growing; of a power reading None.
        current_a, voltage_v: now, where known.
        flags: bits of :class:`Flag`.
        warnings: what was wrong with this answer.
        valid: whether there is an answer at all; False leaves a hole.
    """

    power_w: float | None = None
    energy_j: float | None = None
    current_a: float | None = None
    voltage_v: float | None = None
    flags: int = 0
    warnings: tuple[MeterWarning, ...] = ()
    valid: bool = True


@dataclass
class PolledMeter(Meter):
    """Asks every ``period_s``.

    A power reading is a point in time: the sample between two of them has their mean (trapezoid).
    An energy counter gives the exact mean between two readings.  An answer that comes late by more
    than three periods leaves a hole instead of a straight line across the unknown; an energy
    counter has no hole: it counted on.
    """

    period_s: float = option(0.01, "time between two readings")
    block_s: float = option(0.1, "samples of so long come together")

    _before: tuple[float, Reading] | None = field(default=None, init=False)
    _zero_s: float = field(default=0.0, init=False)
    _due_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        if not self.period_s > 0:
            raise UsageError(f"meter '{self.kind}': period_s is above 0, not {self.period_s}")

    @abstractmethod
    def ask(self) -> Reading:
        """The present value; raises :class:`MeterFault` when the meter has gone."""

    def _start(self) -> None:
        self._zero_s = self._due_s = self.clock.now()
        self._before = None
        self._next()

    def _stop(self) -> None:
        self._before = None

    def _close(self) -> None:
        """Most have nothing to give back."""

    def _next(self) -> tuple[float, Reading]:
        """Wait until the next reading is due, and take it; the time is the middle of the answer."""
        self.clock.sleep(self._due_s - self.clock.now())
        begin = self.clock.now()
        reading = self.ask()
        end = self.clock.now()
        # No catching up: a reading missed stays missed.
        self._due_s = max(self._due_s + self.period_s, end)
        now = (begin + end) / 2 - self._zero_s
        if reading.valid and self._before is None:
            self._before = (now, reading)
        return now, reading

    def _read(self) -> Block:
        samples: list[tuple[float, float, float, Reading, int]] = []
        warnings: list[MeterWarning] = []
        lost, gap = 0, 0
        until = self.clock.now() + self.block_s
        while not samples or self.clock.now() < until:
            now, reading = self._next()
            warnings += (_at(w, now) for w in reading.warnings)
            if not reading.valid or self._before is None:
                self._before = None
                lost, gap = lost + 1, int(Flag.GAP_BEFORE)
                if lost >= 3 * max(1.0, self.block_s / self.period_s):
                    break
                continue
            then, before = self._before
            self._before = (now, reading)
            if now <= then:
                continue
            missed = round((now - then) / self.period_s) - 1
            if reading.energy_j is None and now - then > _LATE * self.period_s:
                lost, gap = lost + max(missed, 1), int(Flag.GAP_BEFORE)
                text = "readings came late (busy computer, slow bus): the time between is a hole"
                warnings.append(MeterWarning("lost", text, then, max(missed, 1)))
                continue
            flags = reading.flags | before.flags | gap
            samples.append(
                (then, now - then, _mean_power(before, reading, now - then), reading, flags)
            )
            gap = 0
        return self._block(samples, lost, warnings)

    def _block(
        self,
        samples: list[tuple[float, float, float, Reading, int]],
        lost: int,
        warnings: list[MeterWarning],
    ) -> Block:
        def column(values: list[float | None]) -> np.ndarray | None:
            known = [v for v in values if v is not None]
            return np.array(known) if len(known) == len(values) and known else None

        return Block(
            time_s=np.array([s[0] for s in samples], dtype=np.float64),
            duration_s=np.array([s[1] for s in samples], dtype=np.float64),
            power_w=np.array([s[2] for s in samples], dtype=np.float64),
            current_a=column([s[3].current_a for s in samples]),
            voltage_v=column([s[3].voltage_v for s in samples]),
            digital=np.zeros(len(samples), np.uint8),
            flags=np.array([s[4] for s in samples], dtype=np.uint8),
            lost=lost,
            warnings=merge(warnings),
            host_s=self.clock.now(),
        )


def _mean_power(before: Reading, after: Reading, duration_s: float) -> float:
    if after.energy_j is not None and before.energy_j is not None:
        return (after.energy_j - before.energy_j) / duration_s
    return ((before.power_w or 0.0) + (after.power_w or 0.0)) / 2


def _at(warning: MeterWarning, now: float) -> MeterWarning:
    return MeterWarning(warning.kind, warning.text, now, warning.count, warning.voids)
