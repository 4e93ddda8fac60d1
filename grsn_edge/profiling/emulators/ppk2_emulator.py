"""A Nordic PPK2 on a pseudo-terminal: metadata, 100 kS/s, and all that goes wrong.

The script's current is turned into ADC counts by the inverse of the calibration, rounded up or
down so that the mean is the script's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from grsn_edge.profiling.emulators.pty_line import PtyEmulator, PtyLine
from grsn_edge.profiling.emulators.script import Script
from grsn_edge.profiling.meters.ppk2_protocol import (
    ADC_FULL,
    AMPERES_PER_COUNT_OHM,
    COUNTER_MASK,
    COUNTER_SHIFT,
    LOGIC_SHIFT,
    RANGE_SHIFT,
    SAMPLE_RATE_HZ,
    Calibration,
    Command,
    parse_calibration,
)

__all__ = ["METADATA", "Ppk2Emulator", "sample_words"]

Words = npt.NDArray[np.uint32]
_Spoil = Callable[[Words, int], bytes]

METADATA = """Calibrated: 0
R0: 1003.3506
R1: 101.5865
R2: 10.3027
R3: 0.9636
R4: 0.0564
GS0: 0.0000
GS1: 112.7890
GS2: 18.0115
GS3: 2.4217
GS4: 0.0729
GI0: 1.0000
GI1: 0.9695
GI2: 0.9609
GI3: 0.9519
GI4: 0.9582
O0: 112.9420
O1: 75.4627
O2: 64.6020
O3: 50.4983
O4: 87.2177
VDD: 3000
HW: 9173
mode: 2
S0: 0.000000048
S1: 0.000000596
S2: 0.000005281
S3: 0.000062577
S4: 0.002940743
I0: -0.000000104
I1: -0.000001443
I2: 0.000036439
I3: -0.000374119
I4: -0.009388455
UG0: 1.00
UG1: 1.00
UG2: 1.00
UG3: 1.00
UG4: 1.00
IA: 56
END
"""

_CALIBRATION = parse_calibration(METADATA)
_RANGE_TOPS = np.array([53e-6, 530e-6, 5.3e-3, 53e-3])
_CHUNK = 2048
_GOLDEN = (5**0.5 - 1) / 2


@dataclass
class Ppk2Emulator(PtyEmulator):
    """See the module; ``fault_s`` is when a fault of the stream happens."""

    name: ClassVar[str] = "ppk2"
    meter_kind: ClassVar[str] = "ppk2"
    summary: ClassVar[str] = "a PPK2 on a pseudo-terminal"
    faults: ClassVar[Mapping[str, str]] = {
        "lost": "7 samples never come",
        "lost-many": "30 samples are lost every 10 ms",
        "lost-64": "64 samples are lost every 10 ms: the counter does not show it",
        "duplicated": "one sample comes twice",
        "shifted": "one byte is lost: everything after it is shifted",
        "inserted": "one byte too much",
        "half-word": "two bytes are lost, as by a second reader",
        "counter-flip": "one sample's counter is wrong",
        "bad-range": "samples with a range that does not exist",
        "burst-garbage": "200 random bytes in the middle",
        "saturated": "the ADC stays at its end for 1 ms",
        "reversed": "current flows backwards: the ADC stays at 0",
        "range-hunting": "the load sits at a switching point",
        "slow-clock": "the meter's clock is 5 % slow",
        "fast-clock": "the meter's clock is 5 % fast",
        "unplugged": "the cable is pulled in the middle",
        "silent": "it stops sending in the middle",
        "never-starts": "no sample ever comes",
        "never-stops": "it goes on sending whatever it is told",
        "no-answer": "no metadata",
        "wrong-port": "a shell answers, not the data port",
        "metadata-split": "metadata comes in pieces with pauses",
        "metadata-stale": "old sample bytes come before the metadata",
        "metadata-half": "half the metadata, then silence",
        "metadata-missing": "the offsets are missing",
        "metadata-nan": "one constant is -nan",
        "metadata-r0": "one shunt is 0",
        "metadata-implausible": "an overwritten memory: a shunt of 3e27 Ω",
        "metadata-text": "a constant is not a number",
    }

    fault_s: float = field(default=0.1, kw_only=True)
    commands: bytearray = field(default_factory=bytearray, init=False)
    """Every byte the host has sent."""

    _calibration: Calibration = field(default=_CALIBRATION, init=False)
    _streaming: bool = field(default=False, init=False)
    _slot: int = field(default=0, init=False)
    _began: float = field(default=0.0, init=False)
    _pending: bytes = field(default=b"", init=False)
    _faulted: bool = field(default=False, init=False)

    # ---- the line --------------------------------------------------------------------------------

    def serve(self) -> None:
        """Answer on the line."""
        while not self._quit.is_set():
            line = self._line
            if line is None or self._unplugged():
                return
            if data := line.read(0.0 if self._streaming else 0.01):
                self.commands += data
                self._obey(line, data)
            if self._streaming:
                self._stream(line)

    def _unplugged(self) -> bool:
        if self.fault != "unplugged" or self._slot < self.fault_s * SAMPLE_RATE_HZ:
            return False
        if self._line is not None:
            self._line.close()
        return True

    def _obey(self, line: PtyLine, data: bytes) -> None:
        arguments = {Command.REGULATOR_SET: 2, Command.SET_POWER_MODE: 1}
        at = 0
        while at < len(data):
            code = data[at]
            if code == Command.GET_METADATA:
                self._answer(line)
            elif code == Command.AVERAGE_START and self.fault != "never-starts":
                self._streaming, self._slot, self._faulted = True, 0, False
                self._pending, self._began = b"", time.perf_counter()
            elif code == Command.AVERAGE_STOP:
                self._streaming = self.fault == "never-stops"
            at += 1 + arguments.get(code, int(code == Command.DEVICE_RUNNING_SET))

    def _answer(self, line: PtyLine) -> None:
        text = _metadata(self.fault).encode("ascii")
        if self.fault == "no-answer":
            return
        if self.fault == "wrong-port":
            text = b"uart:~$ \x1b[8D\x1b[J\r\nuart:~$ "
        if self.fault == "metadata-stale":
            text = sample_words(self.script, self._calibration, 0, 100).tobytes()[:399] + text
        pieces = [text]
        if self.fault in ("metadata-split", "metadata-stale"):
            pieces = [text[:431], text[431:440], text[440:]]
        if self.fault == "metadata-half":
            pieces = [text[:260]]
        for piece in pieces:
            line.write(piece, 1.0)
            time.sleep(0.03 if len(pieces) > 1 else 0.0)

    def _stream(self, line: PtyLine) -> None:
        if not self._pending:
            self._pending = self._next()
        if self._pending:
            sent = line.write(self._pending, 0.01)
            self._pending = self._pending[sent:]
        else:
            time.sleep(0.001)

    def _next(self) -> bytes:
        rate = {"slow-clock": 0.95, "fast-clock": 1.05}.get(self.fault or "", 1.0)
        due = (time.perf_counter() - self._began) * self.speed * SAMPLE_RATE_HZ * rate
        count = int(min(_CHUNK, due - self._slot))
        if count <= 0 or (self.fault == "silent" and self._slot > self.fault_s * SAMPLE_RATE_HZ):
            return b""
        begin, self._slot = self._slot, self._slot + count
        words = sample_words(self.script, self._calibration, begin, count)
        return self._spoil(words, begin)

    # ---- faults of the stream --------------------------------------------------------------------

    def _spoil(self, words: Words, begin: int) -> bytes:
        """The bytes of ``words``, with what the fault does to them."""
        first = round(self.fault_s * SAMPLE_RATE_HZ)
        slots = begin + np.arange(len(words))
        fault = self.fault or ""
        if missing := _EVERY.get(fault):
            return words[(slots < first) | (slots % 1000 >= missing)].tobytes()
        if fault == "range-hunting":
            return _hunt(words, slots, self._calibration).tobytes()
        once = _ONCE.get(fault)
        if once is None or self._faulted or slots[-1] < first or len(words) < 300:
            return words.tobytes()
        self._faulted = True
        return once(words.copy(), min(max(first - begin, 0), len(words) - 200))


def sample_words(script: Script, calibration: Calibration, begin: int, count: int) -> Words:
    """Sample words of ``count`` slots from slot ``begin``, as a faultless PPK2 sends them."""
    edges = (begin + np.arange(count + 1)) / SAMPLE_RATE_HZ
    amperes = script.mean_current_a(edges)
    which = np.searchsorted(_RANGE_TOPS, amperes, side="right").astype(np.uint32)
    raw = _counts(calibration, amperes, which, script.voltage_v) / 4
    # Rounding by a threshold that walks evenly through 0 to 1: the mean is kept, and a slot's word
    # does not depend on where a chunk begins.
    whole = np.floor(raw + (begin + np.arange(count)) * _GOLDEN % 1.0)
    adc = np.clip(whole, 0, ADC_FULL).astype(np.uint32)
    counter = ((begin + np.arange(count)) & COUNTER_MASK).astype(np.uint32)
    logic = script.digital(edges[:-1]).astype(np.uint32)
    words = adc | (which << RANGE_SHIFT) | (counter << COUNTER_SHIFT) | (logic << LOGIC_SHIFT)
    return np.asarray(words, dtype="<u4")


def _counts(
    cal: Calibration, amperes: npt.NDArray[np.float64], which: Words, volts: float
) -> npt.NDArray[np.float64]:
    """The inverse of :func:`currents`: ADC counts (times four), not rounded."""
    r, gs, gi, o, s, i, ug = (
        np.asarray(getattr(cal, name))[which] for name in ("r", "gs", "gi", "o", "s", "i", "ug")
    )
    c = amperes / ug - s * volts - i
    x = 2 * c / (gi + np.sqrt(gi * gi + 4 * gs * c))
    return np.asarray(x * r / AMPERES_PER_COUNT_OHM + o)


def _hunt(words: Words, slots: npt.NDArray[np.int64], cal: Calibration) -> Words:
    """Every 10 samples the range goes up or down."""
    amperes = np.full(len(words), 450e-6)
    which = (1 + (slots // 10) % 2).astype(np.uint32)
    raw = np.rint(_counts(cal, amperes, which, 3.0) / 4).astype(np.uint32)
    keep = words & np.uint32(~((1 << COUNTER_SHIFT) - 1) & 0xFFFFFFFF)
    return np.asarray(keep | raw | (which << RANGE_SHIFT), dtype="<u4")


def _metadata(fault: str | None) -> str:
    """The metadata with what the fault does to it."""
    all_edits: dict[str, list[tuple[str, str | None]]] = {
        "metadata-missing": [(f"O{n}:", None) for n in range(5)],
        "metadata-nan": [("O2:", "-nan")],
        "metadata-r0": [("R1:", "0.0000")],
        "metadata-implausible": [("R0:", "3095044895830869060112875520.0000")],
        "metadata-text": [("GI3:", "0.95x")],
    }
    lines = METADATA.splitlines()
    for key, value in all_edits.get(fault or "", []):
        lines = [f"{key} {value}" if ln.startswith(key) else ln for ln in lines]
        lines = [ln for ln in lines if value is not None or not ln.startswith(key)]
    return "\n".join(lines) + "\n"


def _remove(count: int) -> _Spoil:
    return lambda words, at: words.tobytes()[: 4 * at] + words.tobytes()[4 * at + count :]


def _insert(extra: bytes) -> _Spoil:
    return lambda words, at: words.tobytes()[: 4 * at] + extra + words.tobytes()[4 * at :]


def _twice(words: Words, at: int) -> bytes:
    return words[: at + 1].tobytes() + words[at:].tobytes()


def _set(count: int, keep: int, bits: int) -> _Spoil:
    def spoil(words: Words, at: int) -> bytes:
        words[at : at + count] = (words[at : at + count] & np.uint32(keep)) | np.uint32(bits)
        return words.tobytes()

    return spoil


_NOISE = np.random.default_rng(6).integers(0, 256, 200, dtype=np.uint8).tobytes()

_ONCE: Mapping[str, _Spoil] = {
    "lost": _remove(28),
    "duplicated": _twice,
    "shifted": _remove(1),
    "half-word": _remove(2),
    "inserted": _insert(b"\x5a"),
    "burst-garbage": _insert(_NOISE),
    "counter-flip": lambda words, at: _set(1, 0xFFFFFFFF, 0)(_flip(words, at), at),
    "bad-range": _set(3, 0xFFFFFFFF, 7 << RANGE_SHIFT),
    "saturated": _set(100, 0xFFFFFFFF, ADC_FULL),
    "reversed": _set(100, 0xFFFFFFFF & ~ADC_FULL, 0),
}
_EVERY: Mapping[str, int] = {"lost-many": 30, "lost-64": 64}


def _flip(words: Words, at: int) -> Words:
    words[at] ^= np.uint32(0x15 << COUNTER_SHIFT)
    return words
