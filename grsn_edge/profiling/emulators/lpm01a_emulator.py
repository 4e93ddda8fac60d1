"""An X-NUCLEO-LPM01A on a pseudo-terminal: its text commands, and ASCII energy samples."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from grsn_edge.profiling.emulators.pty_line import PtyEmulator

__all__ = ["Lpm01aEmulator", "number"]

_PROMPT = "PowerShield > "
_CHUNK = 100
_KNOWN = (
    *("htc", "hrc", "powershield", "version", "status", "temp", "calib", "pwr", "start", "stop"),
    *("volt", "freq", "acqtime", "acqmode", "trigsrc", "trigdelay", "output", "format", "eventsrc"),
)


def number(value: float) -> str:
    """A value as the board writes it: four digits and a power of ten; below 10⁻⁹⁹, zero."""
    if value <= 0:
        return "0000-00"
    exponent = int(np.floor(np.log10(value))) - 3
    mantissa = round(value / 10.0**exponent)
    if mantissa == 10_000:
        mantissa, exponent = 1000, exponent + 1
    return f"{mantissa:04d}{'+' if exponent >= 0 else '-'}{abs(exponent):02d}"


@dataclass
class Lpm01aEmulator(PtyEmulator):
    """The script's D0 falling is an event on D7."""

    name: ClassVar[str] = "lpm01a"
    meter_kind: ClassVar[str] = "lpm01a"
    summary: ClassVar[str] = "an X-NUCLEO-LPM01A on a pseudo-terminal"
    faults: ClassVar[Mapping[str, str]] = {
        "no-answer": "nothing answers",
        "self-test": "its self-test failed",
        "refuses-volt": "it refuses the voltage",
        "other-device": "a board with another menu",
        "lost": "up to 20 samples never come",
        "duplicated": "up to 20 samples come twice",
        "garbage": "a line of noise",
        "cut-line": "a sample lacks its beginning",
        "buffer": "its buffer is nearly full",
        "saturated": "more than 50 mA",
        "warm": "it warms up by 8 °C after calibration",
        "completed": "it ends the acquisition by itself",
        "silent": "it stops sending",
        "unplugged": "the cable is pulled in the middle",
        "never-stops": "it goes on sending whatever it is told",
        "slow-clock": "its clock is 5 % slow",
    }

    fault_s: float = field(default=0.5, kw_only=True)
    commands: list[str] = field(default_factory=list, init=False)

    _streaming: bool = field(default=False, init=False)
    _rate: int = field(default=100, init=False)
    _slot: int = field(default=0, init=False)
    _began: float = field(default=0.0, init=False)
    _faulted: bool = field(default=False, init=False)
    _temperatures: int = field(default=0, init=False)

    # ---- the line --------------------------------------------------------------------------------

    def serve(self) -> None:
        """Answer on the line."""
        rest = b""
        while not self._quit.is_set() and self._line is not None:
            line = self._line
            if self.fault == "unplugged" and self._slot > self.fault_s * self._rate:
                line.close()
                return
            *commands, rest = (rest + line.read(0.002)).replace(b"\r", b"\n").split(b"\n")
            for command in commands:
                if command.strip():
                    self._obey(command.decode("ascii", "replace").strip())
            if self._streaming:
                self._stream()

    def _say(self, text: str) -> None:
        data = text.encode("ascii")
        while data and self._line is not None and not self._quit.is_set():
            data = data[self._line.write(data, 0.05) :]

    def _obey(self, command: str) -> None:
        self.commands.append(command)
        word, *arguments = command.split()
        if self.fault == "no-answer":
            return
        if self.fault == "other-device":
            self._say(f"{command}: command not found\r\n$ ")
            return
        if word == "stop":
            self._end()
            return
        if word not in _KNOWN or (word == "volt" and self.fault == "refuses-volt"):
            self._say(f"error {command}\r\nError detail: value out of range\r\n{_PROMPT}")
            return
        if word == "freq":
            self._rate = int(arguments[0].replace("k", "000"))
        answer = self._answer(word)
        self._say(f"ack {command}\r\n" + (f"{answer}\r\n" if answer else "") + _PROMPT)
        if word == "start":
            self._streaming, self._slot, self._faulted = True, 0, False
            self._began = time.perf_counter()

    def _end(self) -> None:
        was, self._streaming = self._streaming, self.fault == "never-stops"
        if was and not self._streaming:
            self._say(f"\r\nAcquisition completed\r\n{_PROMPT}")
        elif not was:
            self._say(f"error stop\r\nError detail: no acquisition\r\n{_PROMPT}")

    def _answer(self, word: str) -> str:
        if word == "temp":
            self._temperatures += 1
            warm = self.fault == "warm" and self._temperatures > 1
            return "temp 31.5 degC" if warm else "temp 23.5 degC"
        status = "error: autotest failed" if self.fault == "self-test" else "ok"
        known = {
            "powershield": "PowerShield present: 0039002E5733500A20383454",
            "version": "1.0.6",
            "status": status,
        }
        return known.get(word, "")

    # ---- samples ---------------------------------------------------------------------------------

    def _stream(self) -> None:
        rate = 0.95 if self.fault == "slow-clock" else 1.0
        due = (time.perf_counter() - self._began) * self.speed * self._rate * rate
        count = int(min(_CHUNK, due - self._slot))
        past = self._slot >= self.fault_s * self._rate
        if count <= 0 or (self.fault == "silent" and past):
            return
        begin, self._slot = self._slot, self._slot + count
        lines = self._samples(begin, count)
        if past and not self._faulted:
            lines = self._spoil(lines)
        self._say("".join(f"{line}\r\n" for line in lines))

    def _samples(self, begin: int, count: int) -> list[str]:
        edges = (begin + np.arange(count + 1)) / self._rate
        amperes = self.script.mean_current_a(edges)
        if self.fault == "saturated" and begin >= self.fault_s * self._rate:
            amperes = np.full(count, 0.06)
        line = (self.script.digital(edges) & 1).astype(np.int8)
        falls = np.flatnonzero(np.diff(line) < 0) + 1
        lines: list[str] = []
        for k in range(count):
            if k in falls or (k == 0 and begin and self._fell(edges[0])):
                lines.append(f"event {len(lines) % 100:02d} ris")
            lines.append(number(amperes[k] * self.script.voltage_v / self._rate))
            if (slot := begin + k + 1) % 1000 == 0:
                lines.append(self._stamp(slot))
        return lines

    def _fell(self, at_s: float) -> bool:
        before, now = self.script.digital([at_s - 1 / self._rate, at_s])
        return bool(before & 1) and not now & 1

    def _stamp(self, slot: int) -> str:
        milliseconds = round(slot * 1000 / self._rate)
        fill = 92 if self.fault == "buffer" else 0
        return (
            f"TimeStamp: {milliseconds // 1000:03d}s {milliseconds % 1000:03d}ms, buff {fill:02d}%"
        )

    def _spoil(self, lines: list[str]) -> list[str]:
        if self.fault == "completed":
            self._streaming = False
            return [*lines, "Acquisition completed"]
        if len(lines) < 5 or self.fault not in ("lost", "duplicated", "garbage", "cut-line"):
            return lines
        self._faulted = True
        some = min(20, len(lines) - 2)
        if self.fault == "lost":
            return lines[some:]
        if self.fault == "duplicated":
            return lines[:some] + lines
        spoilt = "\x15\x7f#~" if self.fault == "garbage" else lines[2][3:]
        return [*lines[:2], spoilt, *lines[3:]]
