"""An INA chip through Linux' hwmon files: whole mA and mV, good for boards that draw much."""

from __future__ import annotations

from pathlib import Path

from grsn_edge.errors import MeterFault, MeterUnavailable
from grsn_edge.profiling.meters.base import MeterWarning
from grsn_edge.profiling.meters.ina_chips import CHIPS, Chip
from grsn_edge.profiling.meters.polled import Reading

__all__ = ["InaOverHwmon", "find_hwmon"]


def find_hwmon(root: Path) -> list[tuple[str, Path]]:
    """Chip name and folder of every INA under ``root``, or of ``root`` itself.

    The folders' numbers change per boot.
    """
    found = []
    for folder in [root, *sorted(root.glob("hwmon*"))]:
        try:
            name = (folder / "name").read_text().strip()
        except OSError:
            continue
        if name in CHIPS:
            found.append((name, folder))
    return found


class InaOverHwmon:
    """One folder.

    The driver divides by the shunt it was told (``shunt_resistor``, by default 10 mΩ, while common
    breakouts carry 100 mΩ); where that is not ``shunt_ohm``, the current is put right and a
    warning says so.
    """

    def __init__(self, chip: Chip, folder: Path, shunt_ohm: float, period_s: float) -> None:
        self._chip, self._folder, self._shunt_ohm = chip, folder, shunt_ohm
        self._period_s = period_s
        self._factor = 1.0
        self.warnings: list[MeterWarning] = []

    def open(self) -> None:
        """Check the driver's shunt and interval; raises :class:`MeterUnavailable`."""
        try:
            self._current_and_voltage()
        except MeterFault as error:
            raise MeterUnavailable(str(error)) from None
        if not self._chip.has_shunt:
            self._check_shunt()
        interval = self._optional("update_interval")
        if interval is not None and interval * 1e-3 > self._period_s:
            text = f"the chip converts every {interval} ms, slower than it is asked"
            self.warnings.append(MeterWarning("setup", text))

    def ask(self) -> Reading:
        """Current and voltage; raises :class:`MeterFault`."""
        milliamperes, millivolts = self._current_and_voltage()
        current, voltage = milliamperes * 1e-3 * self._factor, millivolts * 1e-3
        warnings = []
        if 0 < abs(milliamperes) < 20:
            text = "the current is less than 20 steps of the driver (1 mA each): use via=i2c"
            warnings.append(MeterWarning("resolution", text))
        if self._beyond(current):
            text = "the shunt's voltage is at the end of the range: use a smaller shunt"
            warnings.append(MeterWarning("saturated", text, voids=True))
        return Reading(
            power_w=current * voltage,
            current_a=current,
            voltage_v=voltage,
            warnings=tuple(warnings),
        )

    def close(self) -> None:
        """Nothing is held."""

    def _beyond(self, current: float) -> bool:
        step = self._chip.shunt[3]
        full_a = step * self._chip.full / (1.0 if self._chip.has_shunt else self._shunt_ohm)
        return abs(current) >= 0.999 * full_a

    def _check_shunt(self) -> None:
        micro = self._optional("shunt_resistor")
        if micro is None:
            text = f"the driver does not say its shunt; it is taken to be {self._shunt_ohm} Ω"
            self.warnings.append(MeterWarning("calibration", text))
            return
        if micro <= 0:
            raise MeterUnavailable(f"INA: {self._folder}/shunt_resistor says {micro}, impossible")
        self._factor = micro * 1e-6 / self._shunt_ohm
        if abs(self._factor - 1.0) > 1e-3:
            text = (
                f"the driver takes the shunt to be {micro * 1e-6:g} Ω, you say {self._shunt_ohm:g} "
                f"Ω: its currents are multiplied by {self._factor:g} (set it right: echo "
                f"{round(self._shunt_ohm * 1e6)} > {self._folder}/shunt_resistor)"
            )
            self.warnings.append(MeterWarning("calibration", text))

    def _current_and_voltage(self) -> tuple[int, int]:
        return self._number("curr1_input"), self._number("in1_input")

    def _number(self, name: str) -> int:
        path = self._folder / name
        try:
            return int(path.read_text())
        except OSError as error:
            raise MeterFault(f"INA: {path} cannot be read: {error.strerror}") from None
        except ValueError:
            raise MeterFault(f"INA: {path} does not hold a number") from None

    def _optional(self, name: str) -> int | None:
        return self._number(name) if (self._folder / name).exists() else None
