"""A ``vcgencmd`` that answers as a Raspberry Pi 5 whose processor draws the script's current.

The script's power is that of the core rail; the others stand still at the values of an idle board.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from grsn_edge.profiling.emulators.base import FolderEmulator
from grsn_edge.profiling.meters.base import Clock

__all__ = ["Pi5Emulator", "listing"]

# The listing of an idle board, with the channels' numbers; current in A, voltage in V.
_IDLE: Mapping[str, tuple[int, float, int, float]] = {
    "3V7_WL_SW": (0, 0.00195186, 8, 3.7072),
    "3V3_SYS": (1, 0.125895, 9, 3.302609),
    "1V8_SYS": (2, 0.2312954, 10, 1.812941),
    "DDR_VDD2": (3, 0.0, 11, 1.107325),
    "DDR_VDDQ": (4, 0.0, 12, 0.6018309),
    "1V1_SYS": (5, 0.1883545, 13, 1.106226),
    "0V8_SW": (6, 0.306442, 14, 0.8014644),
    "VDD_CORE": (7, 0.82156, 15, 0.8120382),
    "3V3_DAC": (17, 0.0, 20, 3.30952),
    "3V3_ADC": (18, 0.0, 21, 3.312268),
    "0V8_AON": (16, 0.00311355, 19, 0.7991202),
    "HDMI": (22, 0.0003663, 23, 5.12416),
}
_OTHERS_W = sum(a * v for name, (_, a, _, v) in _IDLE.items() if name != "VDD_CORE")

_SH = """#!/bin/sh
case "$1" in
  pmic_read_adc)
    if [ -n "$2" ]; then grep -F "$2 " {folder}/pmic_read_adc; else cat {folder}/pmic_read_adc; fi;;
  get_throttled) cat {folder}/get_throttled;;
  *) echo "error=1 error_msg=\\"Command not registered\\""; exit 1;;
esac
"""


def listing(core_a: float = _IDLE["VDD_CORE"][1]) -> str:
    """What ``pmic_read_adc`` prints while the core draws ``core_a``; by default an idle board."""
    amps, volts = [], []
    for name, (amp_channel, idle_a, volt_channel, voltage) in _IDLE.items():
        current = core_a if name == "VDD_CORE" else idle_a
        amps.append(f"{name + '_A':>12} current({amp_channel})={current:.8f}A")
        volts.append(f"{name + '_V':>12} volt({volt_channel})={voltage:.8f}V")
    extra = ["     EXT5V_V volt(24)=5.13756000V", "      BATT_V volt(25)=0.00000000V"]
    return "\n".join([*amps, *volts, *extra]) + "\n"


@dataclass
class Pi5Emulator(FolderEmulator):
    """A shell script first in ``PATH``, or a runner in the same process."""

    name: ClassVar[str] = "pi5"
    meter_kind: ClassVar[str] = "pi5"
    summary: ClassVar[str] = "a vcgencmd program that answers as a Raspberry Pi 5"
    faults: ClassVar[Mapping[str, str]] = {
        "absent": "there is no vcgencmd",
        "forbidden": "vcgencmd may not be run",
        "vchi": "VCHI initialization failed: no permission for /dev/vcio",
        "pi4": "a Raspberry Pi 4: the command is not known",
        "truncated": "the listing ends in the middle of a line",
        "missing-rail": "the core rail is missing",
        "garbage": "a value that is not a number",
        "nan": "a current that is nan",
        "unknown-rail": "a rail that nobody knows",
        "under-voltage": "the supply is too weak in the middle",
        "throttled": "too hot from the beginning",
        "stops": "no more answers in the middle",
        "slow": "the host is too busy: answers come late",
    }

    fault_s: float = field(default=0.5, kw_only=True)
    _now_s: float = field(default=0.0, init=False)
    _clock: Clock | None = field(default=None, init=False)
    _answers: int = field(default=0, init=False)

    def start(self) -> None:
        """Write the program where live."""
        if self.live:
            self.make_folder()
            program = self.root / "vcgencmd"
            program.write_text(_SH.format(folder=self.root))
            program.chmod(0o755)
        self.run()

    def options(self) -> dict[str, Any]:
        """The program, or a runner; and a clock."""
        if self._folder:
            return {"command": str(self.root / "vcgencmd"), "clock": self.clock()}
        self._clock = self.clock()
        return {"runner": self.answer, "clock": self._clock}

    def exact_j(self, begin_s: float, end_s: float) -> float:
        """Of the core and the other rails."""
        return self.script.energy_j(begin_s, end_s) + _OTHERS_W * (end_s - begin_s)

    def hint(self) -> str:
        """How to put the program first."""
        place = self.root if self._folder else "FOLDER"
        return f"PATH={place}:$PATH grsn-edge meter read pi5"

    def advance(self, now_s: float) -> None:
        """Renew the answers."""
        self._now_s = now_s
        if self._folder is None:
            return
        for argument in ("pmic_read_adc", "get_throttled"):
            new = self.root / f"{argument}.new"
            new.write_text(self._text(argument))
            os.replace(new, self.root / argument)

    def answer(self, command: list[str]) -> str:
        """What the program prints."""
        if self.fault == "absent":
            raise FileNotFoundError(2, "No such file or directory", command[0])
        if self.fault == "forbidden":
            raise PermissionError(13, "Permission denied", command[0])
        if self.fault == "slow" and command[1] == "pmic_read_adc" and self._clock:
            self._answers += 1
            self._clock.sleep(0.8 if self._answers % 8 == 0 else 0.0)
        return self._text(command[1])

    def _text(self, argument: str) -> str:
        after = self._now_s >= self.fault_s
        if self.fault == "vchi":
            return "VCHI initialization failed\n"
        if argument == "get_throttled":
            low = self.fault == "under-voltage" and after
            hot = self.fault == "throttled"
            return f"throttled=0x{0x50001 if low else 0x40004 if hot else 0:x}\n"
        if self.fault == "pi4":
            return 'error=1 error_msg="Command not registered"\n'
        if self.fault == "stops" and after:
            return ""
        text = listing(self._core_a())
        spoil = _SPOIL.get(self.fault or "")
        return spoil(text) if spoil else text

    def _core_a(self) -> float:
        power = float(self.script.current_a(self._now_s)) * self.script.voltage_v
        return power / _IDLE["VDD_CORE"][3]


_SPOIL: Mapping[str, Callable[[str], str]] = {
    "truncated": lambda text: text[: len(text) * 2 // 3],
    "missing-rail": lambda text: "\n".join(
        ln for ln in text.splitlines() if "VDD_CORE_A" not in ln
    ),
    "garbage": lambda text: text.replace("current(7)=", "current(7)=x"),
    "nan": lambda text: re.sub(r"current\(7\)=[0-9.]+", "current(7)=nan", text),
    "unknown-rail": lambda text: text + "  9V9_NEW_A current(30)=0.50000000A\n",
}
