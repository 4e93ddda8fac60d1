"""Nordic Power Profiler Kit II: 100 000 samples of current per second, eight digital lines.

Sources: NordicSemiconductor/pc-nrfconnect-ppk (``src/device/serialDevice.ts``), IRNAS ppk2-api.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np

from grsn_edge.errors import MeterFault, MeterUnavailable, UsageError
from grsn_edge.profiling.meters.base import (
    Accuracy,
    Block,
    Flag,
    Found,
    MeterInfo,
    MeterWarning,
    merge,
    option,
)
from grsn_edge.profiling.meters.clock import ClockWatch
from grsn_edge.profiling.meters.ppk2_protocol import (
    ADC_FULL,
    LOGIC_SHIFT,
    RANGE_SHIFT,
    SAMPLE_RATE_HZ,
    Calibration,
    Command,
    SpikeFilter,
    currents,
    parse_calibration,
)
from grsn_edge.profiling.meters.ppk2_stream import Parsed, StreamParser
from grsn_edge.profiling.meters.serial_port import SerialMeter, open_port, talking

__all__ = ["Ppk2Meter"]

_USB = (0x1915, 0xC00A)
_VOLTS = (0.8, 5.0)
_MAX_A = 1.0
_READ_BYTES = 1 << 14
_DT = 1.0 / SAMPLE_RATE_HZ

_ACCURACY = Accuracy(
    gain=0.10,
    offset_a=0.2e-6,
    source="Nordic's typical figures for ranges 0 to 3 (15 % in range 4); offset: resolution of "
    "range 0; typical, not guaranteed",
)

_TEXT = {
    "lost": "samples were lost between the meter and here: a hub, a cable, or a busy computer",
    "misaligned": "bytes were lost; the stream was found again by its counters, but a sample "
    "before that place may be wrong",
    "duplicated": "a sample came twice, or 63 were lost: time may be off by 0.63 ms",
    "damaged": "samples with an impossible counter or range were dropped",
}


@dataclass
class Ppk2Meter(SerialMeter):
    """A PPK2 as ampere meter, or as supply and meter (``mode``)."""

    kind: ClassVar[str] = "ppk2"
    summary: ClassVar[str] = "Nordic Power Profiler Kit II, 100 kS/s, 200 nA to 1 A, D0 to D7"

    port: str | None = option(None, "its data port; found by itself when there is one PPK2")
    voltage_v: float | None = option(None, "supply of the measured device in V, 0.8 to 5; needed")
    mode: Literal["ampere", "source"] = option(
        "ampere", "ampere: the device has its own supply; source: the PPK2 supplies it"
    )
    spike_filter: bool = option(True, "average three samples after a range switch, as Nordic does")
    silence_s: float = option(1.0, "without samples for so long (host time) is a fault")
    answer_s: float = option(3.0, "how long to wait for its calibration (host time)")

    _calibration: Calibration | None = field(default=None, init=False)
    _parser: StreamParser = field(default_factory=StreamParser, init=False)
    _filter: SpikeFilter = field(default_factory=SpikeFilter, init=False)
    _watch: ClockWatch | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.voltage_v is None or not _VOLTS[0] <= self.voltage_v <= _VOLTS[1]:
            raise UsageError(
                f"PPK2: voltage_v must be given, {_VOLTS[0]} to {_VOLTS[1]} V, not "
                f"{self.voltage_v}: it enters the calibration, in ampere mode as well"
            )
        if self.mode not in ("ampere", "source"):
            raise UsageError(f"PPK2: mode is ampere or source, not {self.mode!a}")

    @classmethod
    def discover(cls) -> tuple[Found, ...]:
        """By its USB numbers; of its two ports the one at location ``…1`` carries the data."""
        if cls.unavailable():
            return ()
        from serial.tools import list_ports

        ports = [p for p in list_ports.comports() if (p.vid, p.pid) == _USB]
        data = [p for p in ports if (p.location or "").endswith("1")] or ports
        return tuple(
            Found({"port": p.device}, f"PPK2 {str(p.serial_number)[:8]} on {p.device}")
            for p in data
        )

    # ---- open and close --------------------------------------------------------------------------

    def _open(self) -> MeterInfo:
        name = self.port or self._only_one()
        self._port = open_port(name, 115200, "PPK2")
        with talking("PPK2"):
            self._command(Command.AVERAGE_STOP)
            self._drain()
            self._calibration = parse_calibration(self._metadata())
            self._command(Command.SET_POWER_MODE, 2 if self.mode == "source" else 1)
            self._command(Command.REGULATOR_SET, *self._millivolts().to_bytes(2, "big"))
            self._command(Command.DEVICE_RUNNING_SET, 1)
        return self._describe(name, self._calibration)

    def _close(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None

    def _only_one(self) -> str:
        found = self.discover()
        if len(found) == 1:
            return str(found[0].options["port"])
        raise MeterUnavailable(
            f"PPK2: {len(found)} of them are plugged in"
            + ("; choose one with 'port'" * bool(found))
        )

    def _describe(self, name: str, calibration: Calibration) -> MeterInfo:
        other = calibration.other
        details = {"port": name, "mode": self.mode, "voltage_v": str(self.voltage_v)}
        details |= {f"metadata.{key}": value for key, value in other.items()}
        return MeterInfo(
            kind=self.kind,
            serial=other.get("HW", ""),
            quantity="current",
            sample_rate_hz=SAMPLE_RATE_HZ,
            channels=("supply",),
            digital_inputs=8,
            calibration="unknown" if calibration.warnings else "factory",
            accuracy=_ACCURACY,
            time_stamps="number of the sample on the meter's own 100 kHz clock",
            details=details,
            warnings=calibration.warnings,
        )

    def _millivolts(self) -> int:
        return round(float(self.voltage_v or 0.0) * 1000)

    # ---- the line --------------------------------------------------------------------------------

    def _command(self, *data: int) -> None:
        self._line().write(bytes(data))

    def _metadata(self) -> str:
        """The calibration's text; stale bytes before it and any cutting do no harm."""
        for _ in range(2):
            self._command(Command.GET_METADATA)
            got = b""
            for _ in range(max(1, round(self.answer_s / 0.04))):
                got += self._line().read(4096)
                text = got[-(1 << 16) :].decode("latin-1")
                begin = max(text.find("Calibrated:"), 0) or max(text.find("R0:"), 0)
                if (end := text.find("END", begin)) >= 0:
                    return text[begin:end]
        raise MeterFault(
            f"PPK2: no complete calibration within {self.answer_s} s ({len(got)} bytes came); "
            "is this its data port, and is no other program using it?"
        )

    # ---- samples ---------------------------------------------------------------------------------

    def _start(self) -> None:
        self._parser, self._filter = StreamParser(), SpikeFilter()
        self._watch = ClockWatch(self.clock)
        with talking("PPK2"):
            self._command(Command.AVERAGE_START)

    def _stop(self) -> None:
        try:
            self._command(Command.AVERAGE_STOP)
            self._drain()
        except (OSError, MeterFault, TypeError):
            pass  # unplugged: nothing to stop

    def _read(self) -> Block:
        data = self._bytes()
        host_s = self.clock.now()
        block = self._block(self._parser.feed(data), host_s)
        watch = self._watch.look(block) if self._watch else ()
        return replace(block, warnings=(*block.warnings, *watch)) if watch else block

    def _bytes(self) -> bytes:
        with talking("PPK2"):
            for _ in range(max(1, round(self.silence_s / 0.02))):
                if data := self._line().read(_READ_BYTES):
                    return data
        raise MeterFault(f"PPK2: no samples for {self.silence_s} s; it stopped by itself")

    def _block(self, parsed: Parsed, host_s: float) -> Block:
        words, n = parsed.words, len(parsed.words)
        ranges = ((words >> RANGE_SHIFT) & 7).astype(np.intp)
        raw = words & ADC_FULL
        if self._calibration is None:
            raise MeterFault("PPK2: it is not open")
        amperes = currents(self._calibration, words, self._millivolts())
        replaced = np.zeros(n, np.bool_)
        if self.spike_filter:
            amperes, replaced = self._filter.apply(amperes, ranges)
        saturated = (raw == ADC_FULL) | (raw == 0) | (amperes > _MAX_A)
        gaps = np.diff(parsed.slots, prepend=parsed.slots[:1] - 1) > 1
        flags = replaced * Flag.RANGE_SWITCH + saturated * Flag.SATURATED + gaps * Flag.GAP_BEFORE
        volts = np.full(n, float(self.voltage_v or 0.0))
        time_s = parsed.slots / SAMPLE_RATE_HZ
        warnings = [
            MeterWarning(e.kind, _TEXT[e.kind], e.at * _DT, e.count, voids=e.kind == "misaligned")
            for e in parsed.events
        ]
        warnings += _range_warnings(time_s, ranges, saturated, replaced)
        return Block(
            time_s=time_s,
            duration_s=np.full(n, _DT),
            power_w=amperes * volts,
            current_a=amperes,
            voltage_v=volts,
            digital=(words >> LOGIC_SHIFT).astype(np.uint8),
            flags=flags.astype(np.uint8),
            lost=parsed.lost,
            warnings=merge(warnings),
            host_s=host_s,
        )


def _range_warnings(
    time_s: np.ndarray, ranges: np.ndarray, saturated: np.ndarray, replaced: np.ndarray
) -> list[MeterWarning]:
    found = []
    if saturated.any():
        text = (
            "the current is at the end of what the meter can see (0 or 1 A, or a range that did "
            "not switch in time): the truth may be beyond"
        )
        at = float(time_s[int(np.argmax(saturated))])
        found.append(MeterWarning("saturated", text, at, int(saturated.sum()), voids=True))
    if len(replaced) and replaced.mean() > 0.02:
        text = (
            "more than 2 % of the samples follow a range switch and are averages: the load sits "
            "at a switching point; change the supply voltage or the load a little"
        )
        found.append(MeterWarning("range", text, float(time_s[0]), int(replaced.sum())))
    if (ranges == 4).any():
        text = "range 4 was used (above some 50 mA): typical accuracy is 15 % there"
        at = float(time_s[int(np.argmax(ranges == 4))])
        found.append(MeterWarning("range", text, at, int((ranges == 4).sum())))
    return found
