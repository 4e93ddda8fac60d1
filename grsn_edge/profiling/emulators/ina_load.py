"""What an INA chip sees of a script: steps of its shunt and bus registers."""

from __future__ import annotations

from dataclasses import dataclass

from grsn_edge.profiling.emulators.script import Script
from grsn_edge.profiling.meters.ina_chips import Chip

__all__ = ["InaLoad"]


@dataclass(frozen=True, slots=True)
class InaLoad:
    """A chip with a shunt in a script's supply."""

    chip: Chip
    shunt_ohm: float
    script: Script

    def steps(self, now_s: float) -> tuple[int, int]:
        """Shunt and bus registers at device time ``now_s``, clipped as the chip does."""
        current = float(self.script.current_a(now_s))
        across = current if self.chip.has_shunt else current * self.shunt_ohm
        shunt = round(across / self.chip.shunt[3])
        full = self.chip.full
        return max(-full, min(full, shunt)), round(self.script.voltage_v / self.chip.bus[3])
