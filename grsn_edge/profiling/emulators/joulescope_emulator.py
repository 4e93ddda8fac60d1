"""A driver object like ``pyjoulescope_driver.Driver`` with one JS220; a shim serves other programs.

USB is not emulated: everything above it is Jetperch's driver, whose topics and messages are.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from grsn_edge.profiling.emulators.base import Emulator, ScaledClock
from grsn_edge.profiling.emulators.shim import Shim

__all__ = ["FakeDriver", "JoulescopeEmulator"]

_NATIVE_HZ = 1_000_000
_CHUNK = 2000
_PATH = "u/js220/000123"
_RANGE_TOPS = np.array([18e-6, 180e-6, 1.8e-3, 18e-3, 180e-3])


class FakeDriver:
    """One device; a thread streams what was switched on."""

    def __init__(self, device: JoulescopeEmulator) -> None:
        self._device = device
        self._callbacks: dict[str, list[Callable[[str, Any], None]]] = {}
        self._settings: dict[str, Any] = {"h/fs": _NATIVE_HZ}
        self._thread: threading.Thread | None = None
        self._quit = threading.Event()

    def device_paths(self, timeout: float | None = None) -> list[str]:
        """As the driver."""
        count = {"absent": 0, "two": 2}.get(self._device.fault or "", 1)
        return [_PATH, "u/js220/000124"][:count]

    def open(
        self, device_prefix: str, mode: str | None = None, timeout: float | None = None
    ) -> None:
        """As the driver."""
        if self._device.fault == "in-use":
            raise RuntimeError("jsdrv_open failed: 8 IN_USE")
        self._quit.clear()

    def close(self, device_prefix: str, timeout: float | None = None) -> None:
        """As the driver."""
        self._quit.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def finalize(self) -> None:
        """As the driver."""
        self.close(_PATH)

    def publish(self, topic: str, value: Any, timeout: float | None = None) -> None:
        """As the driver."""
        name = topic.removeprefix(f"{_PATH}/")
        if self._device.fault == "publish-timeout" and name == "h/fs":
            raise TimeoutError(f"publish {topic}")
        self._settings[name] = value
        if name == "s/i/ctrl" and value and self._thread is None:
            self._thread = threading.Thread(target=self._stream, daemon=True)
            self._thread.start()

    def query(self, topic: str, timeout: float | None = None) -> Any:
        """As the driver."""
        return self._settings[topic.removeprefix(f"{_PATH}/")]

    def subscribe(
        self, topic: str, flags: Any, fn: Callable[[str, Any], None], timeout: float | None = None
    ) -> None:
        """As the driver."""
        self._callbacks.setdefault(topic, []).append(fn)

    def unsubscribe(
        self, topic: str, fn: Callable[[str, Any], None], timeout: float | None = None
    ) -> None:
        """As the driver."""
        self._callbacks[topic].remove(fn)

    def __enter__(self) -> FakeDriver:
        return self

    def __exit__(self, *_: object) -> None:
        self.finalize()

    # ---- the stream ------------------------------------------------------------------------------

    def _stream(self) -> None:
        device, fault = self._device, self._device.fault
        rate = int(self._settings["h/fs"])
        began, slot, done = time.perf_counter(), 0, False
        clock = 0.95 if fault == "slow-clock" else 1.0
        while not self._quit.is_set():
            due = (time.perf_counter() - began) * device.speed * rate * clock
            if due - slot < _CHUNK:
                time.sleep(0.001)
                continue
            after = slot >= device.fault_s * rate
            if fault == "unplugged" and after:
                self._emit("@/!remove", _PATH)
                return
            if fault == "silent" and after:
                return
            if not (fault == "missing-block" and after and not done):
                self._chunk(slot, rate, after and not done)
            done, slot = done or after, slot + _CHUNK

    def _chunk(self, slot: int, rate: int, faulty: bool) -> None:
        script, fault = self._device.script, self._device.fault
        edges = (slot + np.arange(_CHUNK + 1)) / rate
        amperes = script.mean_current_a(edges)
        volts = np.full(_CHUNK, script.voltage_v)
        ranges = np.searchsorted(_RANGE_TOPS, amperes, side="right").astype(np.uint8)
        if fault == "range-hunting":
            ranges = (np.arange(_CHUNK) // 10 % 2).astype(np.uint8)
        if fault == "saturated" and faulty:
            amperes[:50] = 10.5
        if fault == "nan" and faulty:
            amperes[100:130] = np.nan
        if fault == "reversed":
            amperes = -amperes
        bits = script.digital(edges[:-1])
        signals: dict[str, Any] = {"i": amperes, "v": volts, "p": amperes * volts}
        if fault == "missing-voltage" and faulty:
            signals.pop("v")
        for name, data in signals.items():
            self._data(name, slot, rate, data.astype(np.float32))
        self._data("i/range", slot, rate, ranges)
        for n in range(4):
            self._data(f"gpi/{n}", slot, rate, np.packbits(bits >> n & 1, bitorder="little"))

    def _data(self, name: str, slot: int, rate: int, data: Any) -> None:
        if not self._settings.get(f"s/{name}/ctrl"):
            return
        factor = _NATIVE_HZ // rate
        message = {
            "sample_id": slot * factor,
            "utc": 0,
            "field_id": 1,
            "index": 0,
            "sample_rate": _NATIVE_HZ,
            "decimate_factor": factor,
            "data": data,
        }
        after = slot >= self._device.fault_s * rate
        if self._device.fault == "no-sample-id" and after:
            message.pop("sample_id")
        if self._device.fault == "rate-change" and after:
            message["decimate_factor"] = factor * 2
        self._emit(f"{_PATH}/s/{name}/!data", message)

    def _emit(self, topic: str, value: Any) -> None:
        for callback in list(self._callbacks.get(topic, ())):
            callback(topic, value)


@dataclass
class JoulescopeEmulator(Emulator):
    """A JS220; ``live`` writes the shim."""

    name: ClassVar[str] = "joulescope"
    meter_kind: ClassVar[str] = "joulescope"
    summary: ClassVar[str] = "a JS220 behind a driver object; other programs get a shim"
    faults: ClassVar[Mapping[str, str]] = {
        "absent": "no device is plugged in",
        "two": "two devices are plugged in",
        "in-use": "another program has opened it",
        "publish-timeout": "a setting is not answered",
        "missing-block": "a block of all signals never comes",
        "missing-voltage": "a block of voltage alone never comes",
        "nan": "values that are not numbers, as for lost samples",
        "no-sample-id": "a block without its number",
        "rate-change": "the rate changes in the middle",
        "range-hunting": "the load sits at a switching point",
        "saturated": "more than 10 A",
        "reversed": "the leads are reversed",
        "silent": "it stops sending",
        "unplugged": "the cable is pulled in the middle",
        "slow-clock": "its clock is 5 % slow",
    }

    fault_s: float = field(default=0.2, kw_only=True)
    live: bool = field(default=False, kw_only=True)
    _shim: Shim | None = field(default=None, init=False)
    _drivers: list[FakeDriver] = field(default_factory=list, init=False)

    def start(self) -> None:
        """A live one writes its shim."""
        if self.live:
            source = _SHIM.format(script=self.script.to_json(), fault=self.fault, speed=self.speed)
            self._shim = Shim("pyjoulescope_driver", source)

    def stop(self) -> None:
        """End all streams."""
        for driver in self._drivers:
            driver.finalize()
        self._drivers.clear()
        if self._shim:
            self._shim.remove()
            self._shim = None

    def options(self) -> dict[str, Any]:
        """The driver object, and a clock as fast as the device's."""
        driver = FakeDriver(self)
        self._drivers.append(driver)
        return {"driver": driver, "clock": ScaledClock(self.speed)}

    def hint(self) -> str:
        """How to put the shim before the real driver."""
        place = self._shim.folder if self._shim else "FOLDER"
        return f"PYTHONPATH={place} grsn-edge meter read joulescope"


_SHIM = '''"""pyjoulescope_driver with an emulated JS220, by `grsn-edge meter emulate`."""
from grsn_edge.profiling.emulators import emulator, script_from_json
from grsn_edge.profiling.emulators.joulescope_emulator import FakeDriver

_DEVICE = emulator(
    "joulescope", script=script_from_json({script!r}), fault={fault!r}, speed={speed!r}
)


class Driver(FakeDriver):
    """The emulated driver."""

    def __init__(self):
        super().__init__(_DEVICE)
'''
