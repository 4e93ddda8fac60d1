"""ST X-NUCLEO-LPM01A (PowerShield): supplies the device and integrates its energy per sample.

ASCII samples are energies of one period each (``6409-07`` is 6409·10⁻⁷ J), up to 5 000 per second;
``TimeStamp`` lines say which sample should have come by now, and so what was lost.

Source: the command list in mlcommons/tiny ``benchmark/runner/power_manager/power_manager_lpm.py``;
ST UM2243.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from grsn_edge.errors import MeterFault, MeterUnavailable, UsageError
from grsn_edge.profiling.meters.base import (
    Block,
    Flag,
    Found,
    MeterInfo,
    MeterWarning,
    merge,
    option,
)
from grsn_edge.profiling.meters.clock import ClockWatch
from grsn_edge.profiling.meters.serial_port import SerialMeter, open_port, talking

__all__ = ["Lpm01aMeter"]

_BAUD = 3_686_400
_PROMPT = "PowerShield > "
_RATES = {1: "1", 10: "10", 100: "100", 1000: "1k", 2000: "2k", 5000: "5k"}
_VOLTS = (1.8, 3.3)
_MAX_A = 0.05
_DRIFT_C = 5.0

_SAMPLE = re.compile(r"\d{4}[+-]\d{2}")
_STAMP = re.compile(r"TimeStamp: (\d+)s (\d+)ms, buff (\d+)%")
_EVENT = re.compile(r"event \d+ ris")


@dataclass
class Lpm01aMeter(SerialMeter):
    """A PowerShield; a falling edge on D7 sets digital bit 0 for the one sample it falls into."""

    kind: ClassVar[str] = "lpm01a"
    summary: ClassVar[str] = "ST X-NUCLEO-LPM01A, 1.8 to 3.3 V, up to 50 mA, up to 5 kS/s"

    port: str | None = option(None, "its serial port; found by itself when there is one")
    voltage_v: float | None = option(None, "supply of the device in V, 1.8 to 3.3; needed")
    rate_hz: int = option(1000, "samples per second: 1, 10, 100, 1000, 2000 or 5000")
    silence_s: float = option(2.0, "without samples for so long (host time) is a fault")
    answer_s: float = option(3.0, "how long to wait for an answer (host time)")

    _rest: str = field(default="", init=False)
    _slot: int = field(default=0, init=False)
    _marked: bool = field(default=False, init=False)
    _gap: bool = field(default=False, init=False)
    _calibrated_c: float | None = field(default=None, init=False)
    _watch: ClockWatch | None = field(default=None, init=False)
    _pending: list[MeterWarning] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        if self.voltage_v is None or not _VOLTS[0] <= self.voltage_v <= _VOLTS[1]:
            raise UsageError(f"LPM01A: voltage_v must be given, 1.8 to 3.3 V, not {self.voltage_v}")
        if self.rate_hz not in _RATES:
            known = ", ".join(map(str, _RATES))
            raise UsageError(f"LPM01A: rate_hz is one of {known}, not {self.rate_hz}")

    @classmethod
    def discover(cls) -> tuple[Found, ...]:
        """By the product's name."""
        if cls.unavailable():
            return ()
        from serial.tools import list_ports

        ports = [p for p in list_ports.comports() if "powershield" in str(p.product).lower()]
        return tuple(Found({"port": p.device}, f"LPM01A on {p.device}") for p in ports)

    # ---- open and close --------------------------------------------------------------------------

    def _open(self) -> MeterInfo:
        found = [str(f.options["port"]) for f in self.discover()] if self.port is None else []
        name = self.port or (found[0] if len(found) == 1 else None)
        if name is None:
            raise MeterUnavailable(f"LPM01A: {len(found)} of them are seen; choose with 'port'")
        self._port = open_port(name, _BAUD, "LPM01A")
        with talking("LPM01A"):
            self._send("stop")  # a run that an earlier program left behind
            self._drain()
            self._command("htc")
            present = self._command("powershield")
            version = self._command("version")
            status = self._command("status")
            if "ok" not in status:
                raise MeterFault(f"LPM01A: its self-test says: {status[:100]}")
            self._configure()
            temperature = self._temperature()
        self._calibrated_c = temperature
        return MeterInfo(
            kind=self.kind,
            serial=present.replace("PowerShield present", "").strip(" :"),
            quantity="energy",
            sample_rate_hz=self.rate_hz,
            channels=("supply",),
            digital_inputs=1,
            calibration="factory",
            accuracy=None,
            time_stamps="number of the sample, put right by the meter's own time stamps",
            details={
                "port": name,
                "firmware": version,
                "voltage_v": str(self.voltage_v),
                "temperature_c": str(temperature),
            },
        )

    def _configure(self) -> None:
        millivolts = round(float(self.voltage_v or 0.0) * 1000)
        for command in (
            f"volt {millivolts}m",
            f"freq {_RATES[self.rate_hz]}",
            "acqtime inf",
            "acqmode dyn",
            "trigsrc sw",
            "trigdelay 0",
            "output energy",
            "format ascii_dec",
            "eventsrc d7 fal",
            "pwr on",
        ):
            self._command(command)
        self._command("calib")

    def _close(self) -> None:
        if self._port is not None:
            with contextlib.suppress(OSError, TypeError):
                self._send("hrc")
            self._port.close()
            self._port = None

    # ---- the line --------------------------------------------------------------------------------

    def _send(self, command: str) -> None:
        self._line().write(command.encode("ascii") + b"\r\n")

    def _drain(self) -> None:
        super()._drain()
        self._rest = ""

    def _command(self, command: str) -> str:
        """Send, wait for ``ack`` and the prompt; what came between.

        Raises:
            MeterFault: an error, or no answer in time.
        """
        self._send(command)
        text = ""
        for _ in range(max(1, round(self.answer_s / 0.02))):
            text += self._line().read(4096).decode("ascii", "replace")
            if f"error {command}" in text:
                detail = text.split("Error detail:", 1)[-1].strip().splitlines()
                raise MeterFault(f"LPM01A: '{command}' is refused: {detail[0] if detail else ''}")
            if f"ack {command}" in text and text.rstrip(" ").endswith(_PROMPT.rstrip(" ")):
                answer = text.split(f"ack {command}", 1)[1].rsplit(_PROMPT.rstrip(" "), 1)[0]
                return " ".join(answer.split())
        raise MeterFault(
            f"LPM01A: no answer to '{command}' within {self.answer_s} s ({text.strip()[:40]!a}); "
            "is this its port, and is the board not held by its own menu?"
        )

    def _temperature(self) -> float:
        text = self._command("temp degc")
        match = re.search(r"-?\d+(\.\d+)?", text)
        if match is None:
            raise MeterFault(f"LPM01A: its temperature reads {text[:40]!a}")
        return float(match[0])

    # ---- samples ---------------------------------------------------------------------------------

    def _start(self) -> None:
        self._slot, self._rest, self._marked, self._gap = 0, "", False, False
        self._watch = ClockWatch(self.clock)
        self._pending = []
        with talking("LPM01A"):
            now = self._temperature()
            if abs(now - float(self._calibrated_c or 0.0)) > _DRIFT_C:
                text = f"{now} °C, calibrated at {self._calibrated_c} °C: open the meter again"
                self._pending.append(MeterWarning("calibration", text, 0.0, voids=True))
            self._send("start")

    def _stop(self) -> None:
        with contextlib.suppress(OSError, TypeError, MeterFault):
            self._send("stop")
            self._drain()

    def _read(self) -> Block:
        with talking("LPM01A"):
            for _ in range(max(1, round(self.silence_s / 0.02))):
                if data := self._line().read(1 << 14):
                    break
            else:
                raise MeterFault(f"LPM01A: no samples for {self.silence_s} s; it stopped by itself")
        host_s = self.clock.now()
        block = self._block(data.decode("ascii", "replace"), host_s)
        watch = self._watch.look(block) if self._watch else ()
        return replace(block, warnings=(*block.warnings, *watch))

    def _block(self, text: str, host_s: float) -> Block:
        *lines, self._rest = (self._rest + text).split("\n")
        before = self._slot
        warnings, self._pending = self._pending, []
        rows: list[tuple[int, float, int, int]] = []
        for line in lines:
            self._take(line.strip().removeprefix(_PROMPT).strip(), rows, warnings)
        slots = np.array([row[0] for row in rows], dtype=np.int64)
        joules = np.array([row[1] for row in rows], dtype=np.float64)
        power = joules * self.rate_hz
        volts = np.full(len(rows), float(self.voltage_v or 0.0))
        amperes = power / volts
        flags = np.array([row[3] for row in rows], dtype=np.uint8)
        if (over := amperes >= _MAX_A).any():
            flags |= (over * int(Flag.SATURATED)).astype(np.uint8)
            text = "more than 50 mA: beyond what the meter can see"
            at = float(slots[int(np.argmax(over))]) / self.rate_hz
            warnings.append(MeterWarning("saturated", text, at, int(over.sum()), voids=True))
        return Block(
            time_s=slots / self.rate_hz,
            duration_s=np.full(len(rows), 1.0 / self.rate_hz),
            power_w=power,
            current_a=amperes,
            voltage_v=volts,
            digital=np.array([row[2] for row in rows], dtype=np.uint8),
            flags=flags,
            lost=self._slot - before - len(rows),
            warnings=merge(warnings),
            host_s=host_s,
        )

    def _take(
        self, line: str, rows: list[tuple[int, float, int, int]], warnings: list[MeterWarning]
    ) -> None:
        """One line: a sample, an event, a time stamp, or something that should not be there."""
        at = self._slot / self.rate_hz
        if _SAMPLE.fullmatch(line):
            flag = int(Flag.GAP_BEFORE) if self._gap else 0
            joules = float(line.replace("+", "e+").replace("-", "e-"))
            rows.append((self._slot, joules, int(self._marked), flag))
            self._slot, self._marked, self._gap = self._slot + 1, False, False
        elif _EVENT.fullmatch(line):
            self._marked = True
        elif match := _STAMP.fullmatch(line):
            self._stamp(int(match[1]) + int(match[2]) / 1000, int(match[3]), warnings)
        elif "Acquisition completed" in line or "overrun" in line.lower():
            raise MeterFault(f"LPM01A: it ended the acquisition by itself: {line[:80]}")
        elif line and not line.startswith(("ack", _PROMPT.strip(), "info")):
            text = "lines that are no sample were dropped"
            warnings.append(MeterWarning("damaged", text, at))
            self._slot, self._gap = self._slot + 1, True

    def _stamp(self, seconds: float, buffer: int, warnings: list[MeterWarning]) -> None:
        """Put the sample's number right; a buffer that fills will lose samples soon."""
        at = self._slot / self.rate_hz
        missing = round(seconds * self.rate_hz) - self._slot
        if missing > 0:
            text = "samples were lost between the meter and here"
            warnings.append(MeterWarning("lost", text, at, missing))
            self._slot, self._gap = self._slot + missing, True
        elif missing < 0:
            text = "more samples than time: some came twice, or the line was disturbed"
            warnings.append(MeterWarning("duplicated", text, at, -missing, voids=True))
        if buffer >= 80:
            text = "the meter's buffer is nearly full: the host reads too slowly"
            warnings.append(MeterWarning("lost", text, at))
