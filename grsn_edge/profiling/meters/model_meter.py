"""No meter: a chip's data sheet figures played as a trace.  Everything it gives is modelled.

Each sampling period is three pieces of time: waking up and computing at the active current, with
digital bit 0 high while it computes, and sleep for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from grsn_edge.errors import UsageError
from grsn_edge.profiling.chips import Chip, chip
from grsn_edge.profiling.meters.base import Block, Meter, MeterInfo, MeterWarning, option
from grsn_edge.profiling.model import modelled_step

__all__ = ["ModelMeter"]

_MOST = 10_000
_TEXT = "modelled from data sheet figures and a number of cycles, not measured"


@dataclass
class ModelMeter(Meter):
    """A chip that takes ``cycles`` for a step, every ``period_s``."""

    kind: ClassVar[str] = "model"
    summary: ClassVar[str] = "no meter: data sheet figures times cycles; everything is modelled"

    chip: str = option("nRF52840", "one of the table in docs/modelled-energy.md")
    cycles: float = option(10_000.0, "clock cycles of one step")
    period_s: float = option(0.01, "sampling period")
    sleep_a: float | None = option(None, "current in sleep, where the table has none or another")
    end_s: float | None = option(None, "end after so long; None: go on with the host's clock")

    _chip: Chip | None = field(default=None, init=False)
    _zero_s: float = field(default=0.0, init=False)
    _periods: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if not self.period_s > 0:
            raise UsageError(f"model: period_s is above 0, not {self.period_s}")
        found = chip(self.chip)
        if self.sleep_a is not None:
            found = replace(found, sleep_a=self.sleep_a)
        modelled_step(found, self.cycles, self.period_s)
        self._chip = found

    def _open(self) -> MeterInfo:
        found = self._figures()
        return MeterInfo(
            kind=self.kind,
            serial=f"modelled {found.name}",
            quantity="power",
            sample_rate_hz=None,
            channels=("modelled supply",),
            digital_inputs=1,
            calibration="not applicable",
            accuracy=None,
            time_stamps="modelled periods, counted from the start",
            modelled=True,
            details={
                "chip": f"{found.name} ({found.core}), {found.clock_hz / 1e6:g} MHz",
                "source": found.source,
                "modelled_joules_per_cycle": f"{found.joules_per_cycle:.4g}",
                "cycles": f"{self.cycles:g}",
            },
            warnings=(MeterWarning("modelled", _TEXT),),
        )

    def _figures(self) -> Chip:
        if self._chip is None:
            raise UsageError("model: no chip")
        return self._chip

    def _start(self) -> None:
        self._zero_s = self.clock.now()
        self._periods = 0

    def _read(self) -> Block | None:
        if self.end_s is not None:
            due = round(self.end_s / self.period_s)
            if self._periods >= due:
                return None
        else:
            next_s = self._zero_s + (self._periods + 1) * self.period_s
            self.clock.sleep(next_s - self.clock.now())
            due = int((self.clock.now() - self._zero_s) / self.period_s + 1e-9)
        count = min(due - self._periods, _MOST)
        block = self._block(self._periods, count)
        self._periods += count
        return block

    def _block(self, first: int, count: int) -> Block:
        found = self._figures()
        step = modelled_step(found, self.cycles, self.period_s)
        wake_s = found.wake_s or 0.0
        pieces = [wake_s, step.active_s, self.period_s - wake_s - step.active_s]
        currents = [found.active_a, found.active_a, found.sleep_a or 0.0]
        keep = [k for k in range(3) if pieces[k] > 0]
        lasts = np.array([pieces[k] for k in keep])
        offsets = np.cumsum(lasts) - lasts
        starts = (first + np.arange(count)) * self.period_s
        amperes = np.tile([currents[k] for k in keep], count)
        return Block(
            time_s=(starts[:, None] + offsets).ravel(),
            duration_s=np.tile(lasts, count),
            power_w=amperes * found.voltage_v,
            current_a=amperes,
            voltage_v=np.full(len(amperes), found.voltage_v),
            digital=np.tile(np.array([k == 1 for k in keep], np.uint8), count),
            flags=np.zeros(len(amperes), np.uint8),
            host_s=self.clock.now(),
        )

    def _stop(self) -> None:
        """Nothing runs."""

    def _close(self) -> None:
        """Nothing is held."""
