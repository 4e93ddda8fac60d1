"""Qoitech Otii Arc and Ace, through the Otii application's TCP server."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import MeterFault, MeterUnavailable
from grsn_edge.profiling.meters.base import (
    Accuracy,
    Block,
    Flag,
    Meter,
    MeterInfo,
    MeterWarning,
    option,
)
from grsn_edge.profiling.meters.clock import ClockWatch
from grsn_edge.profiling.meters.otii_connection import OtiiConnection

__all__ = ["OtiiMeter"]

Floats = npt.NDArray[np.float64]

_CHUNK = 40_000
_DIGITAL = ("i1", "i2")


@dataclass
class _Analog:
    """What of an analog channel has been fetched and not yet used."""

    name: str
    index: int = 0
    interval_s: float = 0.0
    next_s: float | None = None
    time_s: Floats = field(default_factory=lambda: np.empty(0))
    values: Floats = field(default_factory=lambda: np.empty(0))


@dataclass
class OtiiMeter(Meter):
    """Main current and voltage, and the digital inputs GPI1 and GPI2 as bits 0 and 1.

    The recording is made by the Otii application; this meter reads it while it grows, so that what
    was measured is also in the application's project.
    """

    kind: ClassVar[str] = "otii"
    summary: ClassVar[str] = "Qoitech Otii Arc or Ace, through the Otii application's TCP server"

    host: str = option("127.0.0.1", "where the Otii application runs")
    port: int = option(1905, "its TCP port")
    device: str = option("", "name or identity of the device; found by itself when there is one")
    voltage_v: float | None = option(None, "set the main voltage; None: leave it as it is")
    timeout_s: float = option(3.0, "for an answer, and for new samples")

    _line: OtiiConnection | None = field(default=None, init=False)
    _device: str = field(default="", init=False)
    _project: int = field(default=-1, init=False)
    _recording: int = field(default=-1, init=False)
    _digital: tuple[str, ...] = field(default=(), init=False)
    _edges: dict[str, tuple[list[float], list[bool]]] = field(default_factory=dict, init=False)
    _current: _Analog = field(default_factory=lambda: _Analog("mc"), init=False)
    _voltage: _Analog = field(default_factory=lambda: _Analog("mv"), init=False)
    _zero_s: float | None = field(default=None, init=False)
    _watch: ClockWatch | None = field(default=None, init=False)

    def _open(self) -> MeterInfo:
        self._line = OtiiConnection(self.host, self.port, self.timeout_s)
        found = self._choose(self._line.request("otii_get_devices", timeout=1).get("devices", []))
        self._device = str(found["device_id"])
        ask = self._ask
        ask("arc_add_to_project")
        if self.voltage_v is not None:
            ask("arc_set_main_voltage", value=self.voltage_v)
        for channel in ("mc", "mv"):
            ask("arc_enable_channel", channel=channel, enable=True)
        self._digital = tuple(c for c in _DIGITAL if self._enable(c))
        self._project = int(self._line.request("otii_get_active_project").get("project_id", -1))
        if self._project < 0:
            self._project = int(self._line.request("otii_create_project")["project_id"])
        version = ask("arc_get_version")
        rate = float(ask("arc_get_channel_samplerate", channel="mc").get("value", 0)) or None
        return MeterInfo(
            kind=self.kind,
            serial=self._device,
            quantity="power",
            sample_rate_hz=rate,
            channels=("main",),
            digital_inputs=len(self._digital),
            calibration="factory",
            accuracy=_accuracy(str(found.get("type"))),
            time_stamps="the recording's own time, in steps of its sample interval",
            details={
                "device": f"{found.get('type')} {found.get('name')}",
                "otii": str(self._line.greeting.get("otii_version", "")),
                **{key: str(value) for key, value in version.items()},
            },
        )

    def _close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _choose(self, devices: Any) -> dict[str, Any]:
        usable = [d for d in devices if d.get("type") in ("Arc", "Ace", "Simulator")]
        if self.device:
            usable = [d for d in usable if self.device in (d.get("name"), d.get("device_id"))]
        if len(usable) != 1:
            names = ", ".join(str(d.get("name")) for d in usable) or "none"
            raise MeterUnavailable(f"Otii: {len(usable)} devices match ({names}); see 'device'")
        return dict(usable[0])

    def _enable(self, channel: str) -> bool:
        """Digital inputs are optional: an Arc whose pins are in use has none."""
        try:
            self._ask("arc_enable_channel", channel=channel, enable=True)
        except MeterFault:
            return False
        return True

    def _ask(self, command: str, **data: Any) -> dict[str, Any]:
        if self._line is None:
            raise MeterFault("Otii: it is not open")
        return self._line.request(command, device_id=self._device, **data)

    # ---- samples ---------------------------------------------------------------------------------

    def _start(self) -> None:
        self._current, self._voltage = _Analog("mc"), _Analog("mv")
        self._edges = {channel: ([], []) for channel in self._digital}
        self._zero_s, self._watch = None, ClockWatch(self.clock)
        self._ask("arc_set_main", enable=True)
        self._ask("project_start_recording", project_id=self._project)
        found = self._ask("project_get_last_recording", project_id=self._project)
        self._recording = int(found.get("recording_id", -1))
        if self._recording < 0:
            raise MeterFault("Otii: the recording did not begin")

    def _stop(self) -> None:
        with contextlib.suppress(MeterFault):  # where the connection has gone, so has it
            self._ask("project_stop_recording", project_id=self._project)

    def _read(self) -> Block:
        lost = 0
        warnings: list[MeterWarning] = []
        patience = self.clock.now() + self.timeout_s
        while True:
            for channel in (self._current, self._voltage):
                missing = self._fetch(channel)
                if missing:
                    lost += missing
                    at = float(channel.time_s[0]) if len(channel.time_s) else None
                    text = f"the recording of {channel.name} has a hole"
                    warnings.append(MeterWarning("lost", text, at, missing, voids=True))
            if (ready := self._ready()) > 0:
                break
            if self.clock.now() > patience:
                raise MeterFault(
                    f"Otii: no new samples for {self.timeout_s} s; was the recording stopped in "
                    "the application, or the main output switched off by its current limit?"
                )
            self.clock.sleep(0.02)
        host_s = self.clock.now()
        for name in self._digital:
            self._fetch_edges(name)
        block = self._block(ready, lost, warnings, host_s)
        watch = self._watch.look(block) if self._watch else ()
        return replace(block, warnings=(*block.warnings, *watch))

    def _fetch(self, channel: _Analog) -> int:
        """Append what is new; returns how many samples are missing before it."""
        where = {"recording_id": self._recording, "channel": channel.name}
        count = int(self._ask("recording_get_channel_data_count", **where).get("count", 0))
        new = min(count - channel.index, _CHUNK)
        if new <= 0:
            return 0
        data = self._ask("recording_get_channel_data", **where, index=channel.index, count=new)
        try:
            values = np.array(data["values"], dtype=np.float64)
            begin, step = float(data["timestamp"]), float(data["interval"])
        except (KeyError, TypeError, ValueError) as error:
            raise MeterFault(f"Otii: {channel.name} came without {error}") from None
        if not step > 0 or values.ndim != 1:
            raise MeterFault(f"Otii: {channel.name} came with an interval of {step} s")
        expected = begin if channel.next_s is None else channel.next_s
        channel.index += new
        gap = round((begin - expected) / step) + (new - len(values))
        times = begin + step * np.arange(len(values))
        channel.time_s = np.concatenate((channel.time_s, times))
        channel.values = np.concatenate((channel.values, values))
        channel.interval_s, channel.next_s = step, begin + step * new
        return max(gap, 0)

    def _ready(self) -> int:
        """How many current samples have a voltage, too."""
        current, voltage = self._current, self._voltage
        if not len(current.time_s) or not len(voltage.time_s):
            return 0
        end = voltage.time_s[-1] + voltage.interval_s
        return int(np.searchsorted(current.time_s + current.interval_s, end + 1e-9, side="right"))

    def _fetch_edges(self, name: str) -> None:
        times, values = self._edges[name]
        where = {"recording_id": self._recording, "channel": name}
        count = int(self._ask("recording_get_channel_data_count", **where).get("count", 0))
        if count > len(times):
            data = self._ask(
                "recording_get_channel_data", **where, index=len(times), count=count - len(times)
            )
            for edge in data.get("values", []):
                times.append(float(edge["timestamp"]))
                values.append(bool(edge["value"]))

    def _block(self, ready: int, lost: int, warnings: list[MeterWarning], host_s: float) -> Block:
        current, voltage = self._current, self._voltage
        times, amperes = current.time_s[:ready], current.values[:ready]
        held = np.searchsorted(voltage.time_s, times + 1e-9, side="right") - 1
        volts = voltage.values[np.clip(held, 0, None)]
        digital = np.zeros(ready, np.uint8)
        for bit, name in enumerate(self._digital):
            edges, states = self._edges[name]
            before = np.searchsorted(np.array(edges), times + 1e-9, side="right")
            digital |= (np.array([False, *states])[before] << bit).astype(np.uint8)
        gaps = np.diff(times, prepend=times[:1]) > 1.5 * current.interval_s
        if self._zero_s is None:
            self._zero_s = float(times[0])
        current.time_s, current.values = current.time_s[ready:], current.values[ready:]
        keep = max(int(held[-1]), 0)
        voltage.time_s, voltage.values = voltage.time_s[keep:], voltage.values[keep:]
        return Block(
            time_s=times - self._zero_s,
            duration_s=np.full(ready, current.interval_s),
            power_w=amperes * volts,
            current_a=amperes,
            voltage_v=volts,
            digital=digital,
            flags=(gaps * int(Flag.GAP_BEFORE)).astype(np.uint8),
            lost=lost,
            warnings=tuple(warnings),
            host_s=host_s,
        )


def _accuracy(model: str) -> Accuracy | None:
    if model != "Ace":
        return None
    return Accuracy(0.0005, offset_a=25e-9, source="Qoitech, Otii Ace, main channel, low currents")
