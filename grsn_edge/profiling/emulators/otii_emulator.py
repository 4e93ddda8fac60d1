"""An Otii application's TCP server with one Arc: 4000 samples of current per second.

Main voltage comes at 1000 samples per second, GPI1 and GPI2 as edges: lines D0 and D1 of the
script.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from grsn_edge.profiling.emulators.base import ScaledClock, ThreadedEmulator

__all__ = ["OtiiEmulator"]

_RATES = {"mc": 4000, "mv": 1000}
_BITS = {"i1": 1, "i2": 2}


@dataclass
class OtiiEmulator(ThreadedEmulator):
    """One client at a time, as many after each other as come."""

    name: ClassVar[str] = "otii"
    meter_kind: ClassVar[str] = "otii"
    summary: ClassVar[str] = "an Otii application's TCP server with one Arc"
    faults: ClassVar[Mapping[str, str]] = {
        "refused": "no server listens",
        "silent": "a server that does not greet",
        "not-otii": "a server that speaks something else",
        "no-license": "no licence for automation is reserved",
        "no-device": "no device is connected",
        "two-devices": "two devices are connected",
        "wrong-answer": "the answer belongs to another question",
        "no-answer": "no answer in the middle",
        "broken-json": "half an object in the middle",
        "disconnected": "the connection breaks in the middle",
        "split": "answers come in pieces, with progress between them",
        "stopped": "someone stops the recording in the application",
        "hole": "samples are missing in the recording",
        "short": "fewer values than were asked for",
        "nulls": "values that are null",
        "no-interval": "an answer without its sample interval",
        "no-voltage": "the voltage channel cannot be had",
        "slow-clock": "the meter's clock is 5 % slow",
    }

    fault_s: float = field(default=0.3, kw_only=True)
    devices: ClassVar[tuple[dict[str, str], ...]] = (
        {"device_id": "ARC0001", "name": "Arc one", "type": "Arc"},
        {"device_id": "ARC0002", "name": "Arc two", "type": "Arc"},
    )

    _socket: socket.socket | None = field(default=None, init=False)
    _port: int = field(default=0, init=False)
    _began: float | None = field(default=None, init=False)
    _stopped_s: float = field(default=math.inf, init=False)

    def start(self) -> None:
        """Listen on a free port."""
        server = socket.create_server(("127.0.0.1", 0))
        server.settimeout(0.05)
        self._port = server.getsockname()[1]
        if self.fault == "refused":
            server.close()
            return
        self._socket = server
        self.work(self._serve)

    def stop(self) -> None:
        """Hang up."""
        self.halt()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def options(self) -> dict[str, Any]:
        """The port, and a clock as fast as the device's."""
        return {"port": self._port, "clock": ScaledClock(self.speed)}

    def hint(self) -> str:
        """The port."""
        return f"grsn-edge meter read otii --set port={self._port}"

    # ---- the server ------------------------------------------------------------------------------

    def _serve(self) -> None:
        while not self._quit.is_set() and self._socket is not None:
            try:
                client, _ = self._socket.accept()
            except (TimeoutError, OSError):
                continue
            with client, contextlib.suppress(OSError):
                client.settimeout(0.05)
                self._talk(client)

    def _talk(self, client: socket.socket) -> None:
        if self.fault == "not-otii":
            client.sendall(b"220 mail.example ESMTP\r\n")
        elif self.fault != "silent":
            version = {"otii_version": "3.5.0", "protocol_version": "0.1"}
            self._send(client, {"type": "information", "info": "connected", "data": version})
        rest = b""
        while not self._quit.is_set():
            try:
                got = client.recv(1 << 16)
            except TimeoutError:
                continue
            if not got:
                return
            *lines, rest = (rest + got).split(b"\r\n")
            for line in lines:
                if not self._reply(client, json.loads(line)):
                    return

    def _reply(self, client: socket.socket, request: dict[str, Any]) -> bool:
        """Answer one request; False hangs up."""
        after = self._now() >= self.fault_s
        if self.fault == "disconnected" and after:
            return False
        if self.fault == "no-answer" and after:
            return True
        if self.fault == "broken-json" and after:
            client.sendall(b'{"type": "resp\r\n')
            return True
        answer: dict[str, Any] = {"trans_id": request["trans_id"], "cmd": request["cmd"]}
        if self.fault == "wrong-answer" and after:
            answer["trans_id"] = "999999"
        try:
            data = self._do(request["cmd"], request.get("data") or {})
            self._send(client, answer | {"type": "response", "data": data})
        except _RefusedError as error:
            payload = {"message": str(error)}
            self._send(client, answer | {"type": "error", "errorcode": "E", "payload": payload})
        return True

    def _send(self, client: socket.socket, message: dict[str, Any]) -> None:
        text = json.dumps(message).encode() + b"\r\n"
        if self.fault == "split" and message["type"] == "response":
            progress = {"type": "progress", "trans_id": message["trans_id"], "progress_value": 0.5}
            text = json.dumps(progress).encode() + b"\r\n" + text
            for part in (text[:37], text[37:50]):
                client.sendall(part)
                time.sleep(0.0005)
            text = text[50:]
        client.sendall(text)

    # ---- the application -------------------------------------------------------------------------

    def _do(self, command: str, data: dict[str, Any]) -> dict[str, Any]:
        if self.fault == "no-license" and command.startswith("arc_"):
            raise _RefusedError("No license reserved for Automation Toolbox")
        if self.fault == "no-voltage" and data.get("channel") == "mv":
            raise _RefusedError("Channel mv is not available")
        known = _COMMANDS.get(command)
        if known is None:
            raise _RefusedError(f"Unknown command {command}")
        return known(self, data)

    def _get_devices(self, data: dict[str, Any]) -> dict[str, Any]:
        count = {"no-device": 0, "two-devices": 2}.get(self.fault or "", 1)
        return {"devices": list(self.devices[:count])}

    def _start_recording(self, data: dict[str, Any]) -> dict[str, Any]:
        self._began, self._stopped_s = time.perf_counter(), math.inf
        if self.fault == "stopped":
            self._stopped_s = self.fault_s
        return {}

    def _stop_recording(self, data: dict[str, Any]) -> dict[str, Any]:
        self._stopped_s = min(self._stopped_s, self._now())
        return {}

    def _now(self) -> float:
        """Time of the recording."""
        if self._began is None:
            return -1.0
        rate = 0.95 if self.fault == "slow-clock" else 1.0
        elapsed = (time.perf_counter() - self._began) * rate
        return min(elapsed * self.speed, self._stopped_s)

    def _count(self, data: dict[str, Any]) -> dict[str, Any]:
        channel = str(data.get("channel"))
        if channel in _RATES:
            return {"count": max(0, int(self._now() * _RATES[channel]))}
        if channel in _BITS:
            return {"count": len(self._edges(channel))}
        raise _RefusedError(f"No channel {channel}")

    def _data(self, data: dict[str, Any]) -> dict[str, Any]:
        channel, index, count = str(data["channel"]), int(data["index"]), int(data["count"])
        if channel in _BITS:
            edges = self._edges(channel)[index : index + count]
            return {"data_type": "digital", "values": edges}
        rate = _RATES[channel]
        edges_s = (index + np.arange(count + 1)) / rate
        values: list[float | None]
        if channel == "mc":
            values = self.script.mean_current_a(edges_s).tolist()
        else:
            values = [self.script.voltage_v] * count
        begin, found = index / rate, {"data_type": "analog", "interval": 1 / rate}
        if begin + count / rate >= self.fault_s and channel == "mc":
            if self.fault == "hole":
                begin += 100 / rate
            if self.fault == "short":
                values = values[: count // 2]
            if self.fault == "nulls":
                values[: count // 2] = [None] * (count // 2)
            if self.fault == "no-interval":
                found.pop("interval")
        return {**found, "timestamp": begin, "values": values}

    def _edges(self, channel: str) -> list[dict[str, Any]]:
        """Changes of a line up to now, found on a grid of 0.25 ms."""
        times = np.arange(0, max(self._now(), 0.0), 1 / _RATES["mc"])
        state = (self.script.digital(times) & _BITS[channel]) != 0
        changed = np.flatnonzero(np.diff(state, prepend=False))
        return [{"timestamp": float(times[k]), "value": bool(state[k])} for k in changed]


class _RefusedError(Exception):
    """Becomes an error answer."""


def _nothing(device: OtiiEmulator, data: dict[str, Any]) -> dict[str, Any]:
    return {}


_COMMANDS: Mapping[str, Callable[[OtiiEmulator, dict[str, Any]], dict[str, Any]]] = {
    "otii_get_devices": OtiiEmulator._get_devices,
    "otii_get_active_project": lambda device, data: {"project_id": 1},
    "otii_create_project": lambda device, data: {"project_id": 1},
    "arc_add_to_project": _nothing,
    "arc_set_main_voltage": _nothing,
    "arc_set_exp_voltage": _nothing,
    "arc_set_max_current": _nothing,
    "arc_enable_channel": _nothing,
    "arc_set_main": _nothing,
    "arc_get_version": lambda device, data: {"hw_version": "1.2.0", "fw_version": "3.1.2"},
    "arc_get_channel_samplerate": lambda device, data: {"value": _RATES[data["channel"]]},
    "project_start_recording": OtiiEmulator._start_recording,
    "project_stop_recording": OtiiEmulator._stop_recording,
    "project_get_last_recording": lambda device, data: {"recording_id": 7, "name": "Recording 1"},
    "recording_get_channel_data_count": OtiiEmulator._count,
    "recording_get_channel_data": OtiiEmulator._data,
}
