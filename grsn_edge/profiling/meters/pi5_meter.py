"""Raspberry Pi 5: the twelve rails of its power management chip, through ``vcgencmd``.

The sum of the rails leaves out the converters' losses and what hangs on 5 V (USB, fan, HDMI).  A
community fit for the whole board is ``1.1451 * sum + 0.5879 W`` (``estimate=input``).  Every
reading is a call of a program, so that one policy step is invisible: measure 10⁴ steps in a loop,
against the same loop without them.

Source: raspberrypi/utils ``vcgencmd``; ml-energy/zeus #273; jfikar/RPi5-power for the fit.
"""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from grsn_edge.errors import MeterFault, MeterUnavailable, UsageError
from grsn_edge.profiling.meters.base import Found, MeterInfo, MeterWarning, option
from grsn_edge.profiling.meters.polled import PolledMeter, Reading

__all__ = ["RAILS", "Pi5Meter", "parse_rails"]

RAILS = (
    "3V7_WL_SW",
    "3V3_SYS",
    "1V8_SYS",
    "DDR_VDD2",
    "DDR_VDDQ",
    "1V1_SYS",
    "0V8_SW",
    "VDD_CORE",
    "3V3_DAC",
    "3V3_ADC",
    "0V8_AON",
    "HDMI",
)
"""Those with current and voltage."""

_LINE = re.compile(r"^\s*(\w+)_([AV]) (?:current|volt)\(\d+\)=(-?\d+\.?\d*|-?nan)([AV])$")
_THROTTLED = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
_FIT = (1.1451, 0.5879)

Runner = Callable[[list[str]], str]


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)
    return done.stdout + done.stderr


def parse_rails(text: str) -> dict[str, tuple[float, float]]:
    """Current in A and voltage in V of every rail that has both, in a listing of the chip.

    Raises:
        MeterFault: one of :data:`RAILS` is missing, or a line cannot be read; the text has it.
    """
    values: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None and line.strip():
            raise MeterFault(f"Pi 5: vcgencmd says {line.strip()[:60]!a}")
        if match is not None and not math.isnan(float(match[3])):
            values.setdefault(match[1], {})[match[2]] = float(match[3])
    if missing := [name for name in RAILS if set(values.get(name, ())) != {"A", "V"}]:
        raise MeterFault(f"Pi 5: no current or voltage of {', '.join(missing)}; is this a Pi 5?")
    return {name: (pair["A"], pair.get("V", 0.0)) for name, pair in values.items() if "A" in pair}


@dataclass
class Pi5Meter(PolledMeter):
    """The sum over :data:`RAILS`, or the estimate for the whole board."""

    kind: ClassVar[str] = "pi5"
    summary: ClassVar[str] = "Raspberry Pi 5's own power management chip, twelve rails, some 10 S/s"

    period_s: float = option(0.1, "time between two readings; each is a call of a program")
    estimate: Literal["rails", "input"] = option(
        "rails", "rails: their sum as measured; input: fitted estimate of the whole board"
    )
    command: str = option("vcgencmd", "the program")
    runner: Runner = field(default=_run, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.estimate not in ("rails", "input"):
            raise UsageError(f"Pi 5: estimate is rails or input, not {self.estimate!a}")

    @classmethod
    def discover(cls) -> tuple[Found, ...]:
        """By the board's name."""
        try:
            with open("/proc/device-tree/model", encoding="ascii") as file:
                model = file.read().rstrip("\0")
        except (OSError, UnicodeDecodeError):
            return ()
        is_five = any(name in model for name in ("Pi 5", "Pi 500", "Module 5"))
        return (Found({}, model),) if is_five else ()

    def _open(self) -> MeterInfo:
        try:
            rails = parse_rails(self._call("pmic_read_adc"))
        except MeterFault as error:
            raise MeterUnavailable(str(error)) from None
        warnings = []
        if unknown := sorted(set(rails) - set(RAILS)):
            text = f"rails that are not known here are not in the sum: {', '.join(unknown)}"
            warnings.append(MeterWarning("setup", text, voids=True))
        warnings += [
            MeterWarning(w.kind, f"at the beginning: {w.text}", None, 1, w.voids)
            for w in self._throttled()
        ]
        if self.estimate == "input":
            text = "the board's power is estimated from its rails by a community's fit"
            warnings.append(MeterWarning("calibration", text))
        return MeterInfo(
            kind=self.kind,
            serial="",
            quantity="power",
            sample_rate_hz=1.0 / self.period_s,
            channels=RAILS if self.estimate == "rails" else ("input (estimated)",),
            digital_inputs=0,
            calibration="unknown",
            accuracy=None,
            time_stamps="host clock in the middle of the call",
            details={name: f"{a:.6f} A, {v:.6f} V" for name, (a, v) in rails.items()},
            warnings=tuple(warnings),
        )

    def ask(self) -> Reading:
        """One listing, and whether the board was held back."""
        rails = parse_rails(self._call("pmic_read_adc"))
        power = sum(rails[name][0] * rails[name][1] for name in RAILS)
        if self.estimate == "input":
            power = _FIT[0] * power + _FIT[1]
        return Reading(power_w=power, warnings=tuple(self._throttled()))

    def _throttled(self) -> list[MeterWarning]:
        text = self._call("get_throttled").strip()
        match = re.fullmatch(r"throttled=0x([0-9a-fA-F]+)", text)
        if match is None:
            raise MeterFault(f"Pi 5: vcgencmd get_throttled says {text[:60]!a}")
        now = int(match[1], 16) & 0xF
        what = [name for bit, name in enumerate(_THROTTLED) if now >> bit & 1]
        note = f"the board was held back ({', '.join(what)}): better supply or cooling"
        return [MeterWarning("supply", note, voids=True)] if what else []

    def _call(self, argument: str) -> str:
        try:
            return self.runner([self.command, argument])
        except FileNotFoundError:
            raise MeterUnavailable(
                f"Pi 5: there is no program {self.command}; it comes with Raspberry Pi OS "
                "(apt install raspi-utils)"
            ) from None
        except PermissionError:
            raise MeterUnavailable(f"Pi 5: {self.command} may not be run") from None
        except subprocess.TimeoutExpired:
            raise MeterFault(f"Pi 5: {self.command} does not answer within 5 s") from None
