"""A hwmon tree with an INA chip, as Linux' ina2xx driver shows it, in a temporary folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from grsn_edge.profiling.emulators.base import FolderEmulator
from grsn_edge.profiling.emulators.ina_load import InaLoad
from grsn_edge.profiling.meters.ina_chips import CHIPS

__all__ = ["InaHwmonEmulator"]


@dataclass
class InaHwmonEmulator(FolderEmulator):
    """An INA219 or INA226 with 100 mΩ."""

    name: ClassVar[str] = "ina-hwmon"
    meter_kind: ClassVar[str] = "ina"
    summary: ClassVar[str] = "a hwmon tree with an INA chip in a temporary folder"
    faults: ClassVar[Mapping[str, str]] = {
        "driver-shunt": "the driver believes in 10 mΩ, as it does by default",
        "no-shunt-file": "the driver does not tell its shunt",
        "zero-shunt": "the driver says 0 Ω",
        "absent": "no INA chip in the tree",
        "two": "two chips of one kind",
        "removed": "the driver is unloaded in the middle",
        "garbage": "a file that holds no number",
        "empty": "a file becomes empty in the middle (short read)",
        "slow-chip": "the chip converts every 2 s",
        "small": "a current of a few steps",
        "saturated": "more current than the shunt's range",
        "negative": "the leads are reversed",
    }
    update_s: ClassVar[float] = 0.002

    chip: str = field(default="ina226", kw_only=True)
    shunt_ohm: float = field(default=0.1, kw_only=True)
    fault_s: float = field(default=0.2, kw_only=True)

    def start(self) -> None:
        """Write the tree: a sensor of another kind, and the chip."""
        self.make_folder()
        self._write("hwmon0/name", "coretemp")
        places = {"absent": [], "two": ["hwmon3", "hwmon4"]}.get(self.fault or "", ["hwmon3"])
        for place in places:
            self._write(f"{place}/name", self.chip)
            micro = {"driver-shunt": 10_000, "zero-shunt": 0}.get(self.fault or "", self._micro())
            if self.fault != "no-shunt-file":
                self._write(f"{place}/shunt_resistor", str(micro))
            interval = 2000 if self.fault == "slow-chip" else 2
            if self.chip != "ina219":
                self._write(f"{place}/update_interval", str(interval))
        self.run()

    def options(self) -> dict[str, Any]:
        """The tree's place, the shunt, and a clock."""
        return {
            "via": "hwmon",
            "root": str(self.root),
            "shunt_ohm": self.shunt_ohm,
            "clock": self.clock(),
        }

    def hint(self) -> str:
        """The tree's place."""
        return f"grsn-edge meter read ina --set root={self.root} shunt_ohm={self.shunt_ohm}"

    def advance(self, now_s: float) -> None:
        """Renew the values."""
        if self.fault == "absent" or self._folder is None:
            return
        after = now_s >= self.fault_s
        place = self.root / "hwmon3"
        if self.fault == "removed" and after:
            for file in place.glob("*1_input"):
                file.unlink()
            return
        load = InaLoad(CHIPS[self.chip], self.shunt_ohm, self.script)
        shunt, bus = load.steps(now_s)
        chip = load.chip
        amperes = shunt * chip.shunt[3] / (1.0 if chip.has_shunt else self.shunt_ohm)
        factor = {"driver-shunt": 10.0, "negative": -1.0, "small": 0.01}.get(self.fault or "", 1.0)
        if self.fault == "saturated":
            amperes = chip.shunt[3] * chip.full / self.shunt_ohm
        text = {"garbage": "n/a", "empty": "" if after else None}.get(self.fault or "")
        self._write(
            "hwmon3/curr1_input", text if text is not None else str(round(amperes * factor * 1e3))
        )
        self._write("hwmon3/in1_input", str(round(bus * chip.bus[3] * 1e3)))

    def _micro(self) -> int:
        return round(self.shunt_ohm * 1e6)

    def _write(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(exist_ok=True)
        new = file.with_suffix(".new")
        new.write_text(text + "\n" if text else "")
        os.replace(new, file)
