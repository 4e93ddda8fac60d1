"""Joulescope JS110 and JS220, through Jetperch's ``pyjoulescope_driver``.

Current, voltage, power, the current range and four digital inputs come as blocks with a sample
number each; what is missing in the numbers, and every value that is not a number, was lost.

Source: jetperch/joulescope_driver ``doc/streaming_topics.md``.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import queue
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import MeterFault, MeterUnavailable, UsageError
from grsn_edge.profiling.meters.base import (
    Block,
    Flag,
    Found,
    Meter,
    MeterInfo,
    MeterWarning,
    merge,
    option,
)
from grsn_edge.profiling.meters.clock import ClockWatch

__all__ = ["Driver", "JoulescopeMeter"]

_INPUTS = 4
_SIGNALS = ("i", "v", "p", "i/range", *(f"gpi/{n}" for n in range(_INPUTS)))
_NEEDED = ("i", "v", "p")
_MAX_A = 10.0
_SETTLING = 4
_QUEUE = 4096
_AT_ONCE = 256

Callback = Callable[[str, Any], None]


class Driver(Protocol):
    """What is used of ``pyjoulescope_driver.Driver``."""

    def device_paths(self) -> list[str]:
        """Such as ``u/js220/000123``."""

    def open(self, device_prefix: str, mode: str | None = None) -> Any:
        """Connect."""

    def close(self, device_prefix: str) -> Any:
        """Disconnect."""

    def publish(self, topic: str, value: Any) -> Any:
        """Set or command."""

    def subscribe(self, topic: str, flags: Any, fn: Callback) -> Any:
        """Be called with every value."""

    def unsubscribe(self, topic: str, fn: Callback) -> Any:
        """No longer."""

    def finalize(self) -> None:
        """Give everything back."""


@dataclass
class _Signal:
    """What has come of one signal and is not used yet, by sample number."""

    ids: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    values: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def add(self, first: int, step: int, values: npt.NDArray[Any]) -> None:
        """One block."""
        ids = first + step * np.arange(len(values), dtype=np.int64)
        self.ids = np.concatenate((self.ids, ids))
        self.values = np.concatenate((self.values, values.astype(np.float64)))

    def at(self, ids: npt.NDArray[np.int64], missing: float) -> npt.NDArray[np.float64]:
        """Values at these numbers; ``missing`` where there is none."""
        if not len(self.ids):
            return np.full(len(ids), missing)
        where = np.clip(np.searchsorted(self.ids, ids), 0, len(self.ids) - 1)
        return np.where(self.ids[where] == ids, self.values[where], missing)

    def drop(self, below: int) -> None:
        """Forget what is older."""
        keep = int(np.searchsorted(self.ids, below))
        self.ids, self.values = self.ids[keep:], self.values[keep:]


@dataclass
class JoulescopeMeter(Meter):
    """A JS110 or JS220; digital bits 0 to 3 are its inputs IN0 to IN3."""

    kind: ClassVar[str] = "joulescope"
    summary: ClassVar[str] = "Joulescope JS110 or JS220, current and voltage, IN0 to IN3"

    device: str = option("", "such as u/js220/000123; found by itself when there is one")
    rate_hz: int = option(100_000, "samples per second; a divisor of the native rate")
    silence_s: float = option(2.0, "without samples for so long is a fault")
    driver: Driver | None = field(default=None, kw_only=True)

    _driver: Driver | None = field(default=None, init=False)
    _path: str = field(default="", init=False)
    _inbox: queue.Queue[tuple[str, Any]] = field(
        default_factory=lambda: queue.Queue(_QUEUE), init=False
    )
    _signals: dict[str, _Signal] = field(default_factory=dict, init=False)
    _period: tuple[int, int] | None = field(default=None, init=False)
    _first: int | None = field(default=None, init=False)
    _next: int = field(default=0, init=False)
    _range: float = field(default=-1.0, init=False)
    _settle: int = field(default=0, init=False)
    _watch: ClockWatch | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if not 1 <= self.rate_hz <= 2_000_000:
            raise UsageError(f"Joulescope: rate_hz is 1 to 2000000, not {self.rate_hz}")
        # Bound methods are made anew at each look; the driver wants the same object back.
        self._callback: Callback = self._take

    @classmethod
    def unavailable(cls) -> str | None:
        """pyjoulescope_driver is needed."""
        if importlib.util.find_spec("pyjoulescope_driver") is None:
            return "the package pyjoulescope_driver is missing: pip install pyjoulescope_driver"
        return None

    @classmethod
    def discover(cls) -> tuple[Found, ...]:
        """Asks the driver."""
        if cls.unavailable():
            return ()
        try:
            with importlib.import_module("pyjoulescope_driver").Driver() as driver:
                paths = list(driver.device_paths())
        except (RuntimeError, OSError, TimeoutError):
            return ()
        return tuple(Found({"device": path}, f"Joulescope {path}") for path in paths)

    # ---- open and close --------------------------------------------------------------------------

    def _open(self) -> MeterInfo:
        self._driver = self.driver if self.driver is not None else self._real()
        paths = [p for p in self._driver.device_paths() if not self.device or p == self.device]
        if len(paths) != 1:
            raise MeterUnavailable(
                f"Joulescope: {len(paths)} devices match ({', '.join(paths) or 'none'}); is it "
                "plugged in? choose with 'device'"
            )
        try:
            self._driver.open(paths[0], "defaults")
        except (RuntimeError, OSError, TimeoutError) as error:
            raise MeterUnavailable(
                f"Joulescope: {paths[0]} cannot be opened ({error}); close the Joulescope UI first"
            ) from None
        self._path = paths[0]
        mode = "s/i/range/select" if "js110" in self._path else "s/i/range/mode"
        for topic, value in ((mode, "auto"), ("h/fs", self.rate_hz)):
            self._publish(topic, value)
        model, serial = self._path.split("/")[-2:]
        return MeterInfo(
            kind=self.kind,
            serial=serial,
            quantity="power",
            sample_rate_hz=self.rate_hz,
            channels=("supply",),
            digital_inputs=_INPUTS,
            calibration="factory",
            accuracy=None,
            time_stamps="number of the sample on the meter's own clock",
            details={"model": model, "device": self._path},
        )

    def _real(self) -> Driver:
        if reason := self.unavailable():
            raise MeterUnavailable(f"Joulescope: {reason}")
        try:
            driver: Driver = importlib.import_module("pyjoulescope_driver").Driver()
        except (RuntimeError, OSError, TimeoutError) as error:
            raise MeterUnavailable(f"Joulescope: its driver does not start: {error}") from None
        return driver

    def _close(self) -> None:
        driver, self._driver = self._driver, None
        if driver is None:
            return
        with contextlib.suppress(RuntimeError, OSError, TimeoutError):
            if self._path:
                driver.close(self._path)
        if driver is not self.driver:
            driver.finalize()
        self._path = ""

    def _publish(self, topic: str, value: Any) -> None:
        if self._driver is None:
            raise MeterFault("Joulescope: it is not open")
        try:
            self._driver.publish(f"{self._path}/{topic}", value)
        except (RuntimeError, OSError, TimeoutError) as error:
            raise MeterFault(f"Joulescope: {topic} = {value!a} is refused: {error}") from None

    # ---- samples ---------------------------------------------------------------------------------

    def _take(self, topic: str, value: Any) -> None:
        """Called by the driver's thread; what does not fit shows as a hole in the numbers."""
        with contextlib.suppress(queue.Full):
            self._inbox.put_nowait((topic, value))

    def _start(self) -> None:
        self._inbox = queue.Queue(_QUEUE)
        self._signals = {name: _Signal() for name in _SIGNALS}
        self._period, self._first, self._next = None, None, 0
        self._range, self._settle = -1.0, 0
        self._watch = ClockWatch(self.clock)
        if self._driver is None:
            raise MeterFault("Joulescope: it is not open")
        self._driver.subscribe("@/!remove", "pub", self._callback)
        for name in _SIGNALS:
            self._driver.subscribe(f"{self._path}/s/{name}/!data", "pub", self._callback)
        for name in _SIGNALS:
            self._publish(f"s/{name}/ctrl", 1)

    def _stop(self) -> None:
        if self._driver is None:
            return
        with contextlib.suppress(MeterFault, RuntimeError, OSError, TimeoutError):
            for name in _SIGNALS:
                self._publish(f"s/{name}/ctrl", 0)
                self._driver.unsubscribe(f"{self._path}/s/{name}/!data", self._callback)
            self._driver.unsubscribe("@/!remove", self._callback)

    def _read(self) -> Block:
        try:
            message = self._inbox.get(timeout=self.silence_s)
        except queue.Empty:
            raise MeterFault(
                f"Joulescope: no samples for {self.silence_s} s; it stopped by itself"
            ) from None
        host_s = self.clock.now()
        self._keep(*message)
        # What waits now, and no more: a meter that is faster than this host must not hold us here.
        for _ in range(min(self._inbox.qsize(), _AT_ONCE)):
            self._keep(*self._inbox.get_nowait())
        block = self._block(host_s)
        watch = self._watch.look(block) if self._watch else ()
        return replace(block, warnings=(*block.warnings, *watch))

    def _keep(self, topic: str, value: Any) -> None:
        if topic == "@/!remove":
            if str(value) == self._path:
                raise MeterFault("Joulescope: it has gone; is it still plugged in?")
            return
        name = topic.removeprefix(f"{self._path}/s/").removesuffix("/!data")
        try:
            rate, step = int(value["sample_rate"]), int(value["decimate_factor"])
            first, data = int(value["sample_id"]), np.asarray(value["data"])
        except (KeyError, TypeError, ValueError) as error:
            raise MeterFault(f"Joulescope: a block of {name} without {error}") from None
        if rate <= 0 or step <= 0 or self._period not in (None, (rate, step)):
            raise MeterFault(f"Joulescope: {name} comes at {rate}/{step} Hz, not as before")
        self._period = (rate, step)
        if name.startswith("gpi"):
            data = np.unpackbits(data, bitorder="little")
        self._signals[name].add(first, step, data)

    def _block(self, host_s: float) -> Block:
        needed = [self._signals[name] for name in _NEEDED]
        if self._period is None or not all(len(s.ids) for s in needed):
            return _empty(host_s)
        rate, step = self._period
        if self._first is None:
            self._first = self._next = max(int(s.ids[0]) for s in needed)
        end = min(int(s.ids[-1]) + step for s in (*needed, *self._extra()))
        ids = np.arange(self._next, end, step, dtype=np.int64)
        amperes, volts, watts = (self._signals[n].at(ids, np.nan) for n in _NEEDED)
        digital = np.zeros(len(ids), np.uint8)
        for n in range(_INPUTS):
            digital |= (self._signals[f"gpi/{n}"].at(ids, 0.0).astype(np.uint8) << n).astype(
                np.uint8
            )
        flags, warnings = self._flags(ids, amperes, rate)
        for signal in self._signals.values():
            signal.drop(end)
        self._next = max(end, self._next)
        return Block(
            time_s=(ids - self._first) / rate,
            duration_s=np.full(len(ids), step / rate),
            power_w=watts,
            current_a=amperes,
            voltage_v=volts,
            digital=digital,
            flags=flags,
            warnings=merge(warnings),
            host_s=host_s,
        )

    def _extra(self) -> list[_Signal]:
        """Range and inputs, where the device has them: they must have come, too."""
        rest = (s for name, s in self._signals.items() if name not in _NEEDED)
        return [s for s in rest if len(s.ids)]

    def _flags(
        self, ids: npt.NDArray[np.int64], amperes: npt.NDArray[np.float64], rate: int
    ) -> tuple[npt.NDArray[np.uint8], list[MeterWarning]]:
        flags = np.zeros(len(ids), np.uint8)
        warnings = []
        ranges = self._signals["i/range"].at(ids, self._range)
        before = np.concatenate(([self._range if self._range >= 0 else -2.0], ranges[:-1]))
        changed = (ranges != before) & (before >= 0) if len(ids) else np.zeros(0, np.bool_)
        if len(ids):
            self._range = float(ranges[-1])
        for at in np.flatnonzero(changed):
            flags[at : at + _SETTLING] |= np.uint8(Flag.RANGE_SWITCH)
        over = np.abs(amperes) >= _MAX_A
        if over.any():
            flags |= (over * int(Flag.SATURATED)).astype(np.uint8)
            at_s = float(ids[int(np.argmax(over))] - (self._first or 0)) / rate
            text = "more than 10 A: beyond what the meter can see"
            warnings.append(MeterWarning("saturated", text, at_s, int(over.sum()), voids=True))
        if len(ids) and changed.mean() > 0.01:
            text = "the meter changes its range more than once in a hundred samples"
            at_s = float(ids[0] - (self._first or 0)) / rate
            warnings.append(MeterWarning("range", text, at_s, int(changed.sum())))
        return flags, warnings


def _empty(host_s: float) -> Block:
    none = np.empty(0)
    bits = np.empty(0, np.uint8)
    return Block(none, none, none, none, none, bits, bits, host_s=host_s)
