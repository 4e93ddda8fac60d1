"""Texas Instruments INA219, INA226, INA228, INA260: by the kernel's hwmon files, or by I²C."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from grsn_edge.errors import MeterFault, MeterUnavailable, UsageError
from grsn_edge.profiling.meters.base import Accuracy, Found, MeterInfo, MeterWarning, option
from grsn_edge.profiling.meters.ina_chips import CHIPS, Chip
from grsn_edge.profiling.meters.ina_hwmon import InaOverHwmon, find_hwmon
from grsn_edge.profiling.meters.ina_i2c import Bus, InaOverI2c, smbus
from grsn_edge.profiling.meters.polled import PolledMeter, Reading

__all__ = ["InaMeter"]

_HWMON = "/sys/class/hwmon"


@dataclass
class InaMeter(PolledMeter):
    """One INA chip; ``shunt_ohm`` is never guessed."""

    kind: ClassVar[str] = "ina"
    summary: ClassVar[str] = "TI INA219, INA226, INA228, INA260 by hwmon or I²C"

    via: Literal["hwmon", "i2c"] = option("hwmon", "hwmon: the kernel's driver; i2c: registers")
    chip: str = option("", "ina219, ina226, ina228 or ina260; hwmon finds it by itself")
    shunt_ohm: float | None = option(None, "the shunt as fitted, in Ω; needed (INA260 has its own)")
    shunt_tolerance: float = option(0.01, "relative tolerance of that shunt, for the uncertainty")
    bus: int = option(1, "number of the I²C bus")
    address: int = option(0x40, "address on that bus")
    root: str = option(_HWMON, "where the hwmon folders are, or one of them")
    bus_object: Bus | None = field(default=None, kw_only=True)

    _source: InaOverHwmon | InaOverI2c | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.via not in ("hwmon", "i2c"):
            raise UsageError(f"INA: via is hwmon or i2c, not {self.via!a}")
        if self.chip and self.chip not in CHIPS:
            raise UsageError(f"INA: no chip {self.chip!a}; there are: {', '.join(CHIPS)}")
        if self.via == "i2c" and not self.chip:
            raise UsageError(f"INA: over I²C the chip must be named: {', '.join(CHIPS)}")
        if self.shunt_ohm is not None and not 1e-5 <= self.shunt_ohm <= 1e4:
            raise UsageError(f"INA: a shunt of {self.shunt_ohm} Ω; the unit is Ω (100 mΩ is 0.1)")

    @classmethod
    def discover(cls) -> tuple[Found, ...]:
        """Chips that the kernel's driver has."""
        return tuple(
            Found({"via": "hwmon", "chip": name}, f"{name} at {folder}; needs shunt_ohm")
            for name, folder in find_hwmon(Path(_HWMON))
        )

    def _open(self) -> MeterInfo:
        chip, place = self._connect()
        source = self._source
        if source is None:
            raise MeterFault("INA: it is not open")
        source.open()
        warnings: tuple[MeterWarning, ...] = ()
        if isinstance(source, InaOverHwmon):
            warnings = tuple(source.warnings)
        return MeterInfo(
            kind=self.kind,
            serial=place,
            quantity="power",
            sample_rate_hz=1.0 / self.period_s,
            channels=("supply",),
            digital_inputs=0,
            calibration="factory" if chip.has_shunt else "user",
            accuracy=None
            if chip.has_shunt
            else Accuracy(self.shunt_tolerance, source="the shunt's tolerance alone"),
            time_stamps="host clock in the middle of reading the registers",
            details={
                "chip": chip.name,
                "via": self.via,
                "shunt_ohm": "inside" if chip.has_shunt else str(self.shunt_ohm),
            },
            warnings=warnings,
        )

    def _connect(self) -> tuple[Chip, str]:
        if self.via == "hwmon":
            name, folder = self._folder()
            chip = CHIPS[name]
            self._source = InaOverHwmon(chip, folder, self._shunt(chip), self.period_s)
            return chip, str(folder)
        chip = CHIPS[self.chip]
        shunt = self._shunt(chip)
        bus = self.bus_object if self.bus_object is not None else smbus(self.bus)
        self._source = InaOverI2c(chip, bus, self.address, shunt, self.clock)
        return chip, f"i2c-{self.bus}:0x{self.address:02x}"

    def _shunt(self, chip: Chip) -> float:
        if chip.has_shunt:
            if self.shunt_ohm is not None:
                raise UsageError(f"INA: the {chip.name} has its shunt inside; leave out shunt_ohm")
            return 1.0
        if self.shunt_ohm is None:
            raise UsageError(
                f"INA: shunt_ohm is needed: the value printed on the resistor beside the "
                f"{chip.name} (R100 is 0.1 Ω); a wrong one makes every figure wrong"
            )
        return self.shunt_ohm

    def _folder(self) -> tuple[str, Path]:
        found = [f for f in find_hwmon(Path(self.root)) if not self.chip or f[0] == self.chip]
        if len(found) == 1:
            return found[0]
        what = ", ".join(f"{name} at {folder}" for name, folder in found) or "none"
        raise MeterUnavailable(
            f"INA: {len(found)} chips under {self.root} ({what}); "
            + (
                "choose one with 'chip', or give its folder as 'root'"
                if found
                else "load ina2xx and its device tree overlay"
            )
        )

    def _close(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None

    def ask(self) -> Reading:
        """Of the chip."""
        if self._source is None:
            raise MeterFault("INA: it is not open")
        return self._source.ask()
