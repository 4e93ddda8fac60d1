"""What a meter's emulator is: the other end of its real protocol, fed by a current script.

An emulator is one file ``<name>_emulator.py`` in this folder with one dataclass that derives from
:class:`Emulator`; the registry finds it there.  Use it as a context manager::

    with emulator("ppk2", script=bursts(), speed=20) as device:
        with create("ppk2", **device.options()) as meter: ...

Time is the device's: ``speed`` times the host's for one that streams by itself, and stepped by the
meter's own waiting for one that is only polled, so that tests of minutes take milliseconds.
"""

from __future__ import annotations

import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from grsn_edge.errors import UsageError
from grsn_edge.profiling.emulators.script import Script, bursts
from grsn_edge.profiling.meters.base import HOST_CLOCK

__all__ = [
    "Emulator",
    "FolderEmulator",
    "PolledEmulator",
    "ScaledClock",
    "SteppedClock",
    "ThreadedEmulator",
]

_E = TypeVar("_E", bound="Emulator")


@dataclass
class Emulator(ABC):
    """One emulated meter.

    Args:
        script: what the measured device draws.
        fault: one of :attr:`faults`, or None.
        speed: device seconds per host second, for what streams by itself; ``inf``: as fast as it
            is read.
    """

    name: ClassVar[str]
    meter_kind: ClassVar[str]
    summary: ClassVar[str]
    faults: ClassVar[Mapping[str, str]]
    """What can go wrong with it, by name: a line each."""

    script: Script = field(default_factory=bursts, kw_only=True)
    fault: str | None = field(default=None, kw_only=True)
    speed: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        if self.fault is not None and self.fault not in self.faults:
            known = ", ".join(self.faults)
            raise UsageError(f"emulator '{self.name}' has no fault '{self.fault}'; it has: {known}")
        if not self.speed > 0:
            raise UsageError(f"the speed is above 0, not {self.speed}")

    @abstractmethod
    def start(self) -> None:
        """Be there, as a device that is plugged in."""

    @abstractmethod
    def stop(self) -> None:
        """Be gone; no error when not started."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Options of :func:`grsn_edge.profiling.meters.create` that open this device."""

    @abstractmethod
    def hint(self) -> str:
        """How another process reaches it, for people."""

    def exact_j(self, begin_s: float, end_s: float) -> float:
        """What the meter should say between two times: the truth."""
        return self.script.energy_j(begin_s, end_s)

    def __enter__(self: _E) -> _E:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class ScaledClock:
    """The host's clock, ``speed`` times as fast."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self.jitter_s = HOST_CLOCK.jitter_s * speed

    def now(self) -> float:
        """Seconds of the device."""
        return time.perf_counter() * self._speed

    def sleep(self, seconds: float) -> None:
        """Device seconds."""
        time.sleep(max(0.0, seconds / self._speed))


class SteppedClock:
    """A clock that only its user's waiting moves; the device is told of every step."""

    jitter_s = 1e-6

    def __init__(self, moved: Callable[[float], None], tick_s: float = 0.0) -> None:
        self._moved = moved
        self._tick_s = tick_s
        self._now = 0.0

    def now(self) -> float:
        """Seconds since it was made; looking at it takes ``tick_s``."""
        self._now += self._tick_s
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let the device live for so long."""
        self._now += max(0.0, seconds)
        self._moved(self._now)


@dataclass
class ThreadedEmulator(Emulator):
    """An emulator with a thread that works until ``_quit`` is set."""

    _thread: threading.Thread | None = field(default=None, init=False)
    _quit: threading.Event = field(default_factory=threading.Event, init=False)

    def work(self, task: Callable[[], None]) -> None:
        """Begin a task in the thread."""
        self._quit.clear()
        self._thread = threading.Thread(target=task, daemon=True)
        self._thread.start()

    def halt(self) -> None:
        """End the thread."""
        self._quit.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None


@dataclass
class PolledEmulator(ThreadedEmulator):
    """An emulator that shows a present value: files, registers, a command.

    Args:
        live: follow the host's clock in a thread; otherwise the meter's own waiting moves time.
    """

    live: bool = field(default=False, kw_only=True)
    update_s: ClassVar[float] = 0.01
    """How often a live one renews what it shows, in device seconds."""

    @abstractmethod
    def advance(self, now_s: float) -> None:
        """Show what holds at device time ``now_s``."""

    def clock(self) -> SteppedClock | ScaledClock:
        """The clock that a meter of this device must use."""
        return ScaledClock(self.speed) if self.live else SteppedClock(self.advance)

    def run(self) -> None:
        """Show the beginning; follow the host's clock where live."""
        self.advance(0.0)
        if self.live:
            self.work(self._follow)

    def _follow(self) -> None:
        began = time.perf_counter()
        while not self._quit.wait(self.update_s / self.speed):
            self.advance((time.perf_counter() - began) * self.speed)


@dataclass
class FolderEmulator(PolledEmulator):
    """An emulator that shows its values in files of a temporary folder."""

    _folder: tempfile.TemporaryDirectory[str] | None = field(default=None, init=False)

    @property
    def root(self) -> Path:
        """The folder."""
        return Path(self._folder.name) if self._folder else Path()

    def make_folder(self) -> None:
        """An empty one, with the emulator's name in its own."""
        self._folder = tempfile.TemporaryDirectory(prefix=f"grsn-edge-{self.name}-")

    def stop(self) -> None:
        """End the thread, and remove the folder."""
        self.halt()
        if self._folder:
            self._folder.cleanup()
            self._folder = None
