"""A serial port that one process owns, with errors that say what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from grsn_edge.errors import MeterFault, MeterUnavailable
from grsn_edge.profiling.meters.base import Meter

__all__ = ["Port", "SerialMeter", "open_port", "serial_missing", "talking"]


class Port(Protocol):
    """What is used of ``serial.Serial``."""

    def read(self, size: int = 1) -> bytes:
        """Up to ``size`` bytes."""

    def write(self, data: bytes) -> Any:
        """Send."""

    def close(self) -> None:
        """Give the port back."""


def serial_missing() -> str | None:
    """What to install where pyserial is missing."""
    try:
        import serial  # noqa: F401
    except ImportError:
        return "the package pyserial is missing: pip install pyserial"
    return None


def open_port(name: str, baud: int, what: str) -> Port:
    """The port, locked against other programs that lock, with a read time-out of 20 ms.

    Raises:
        MeterUnavailable: not there, in use, not allowed, or pyserial is missing.
    """
    if reason := serial_missing():
        raise MeterUnavailable(f"{what}: {reason}")
    import serial

    try:
        port: Port = serial.Serial(name, baud, timeout=0.02, write_timeout=1.0, exclusive=True)
    except (serial.SerialException, OSError, ValueError) as error:
        raise MeterUnavailable(f"{what}: {_reason(name, error)}") from error
    return port


def _reason(name: str, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EACCES:
        return f"no permission for {name}: add yourself to the group that owns it (dialout)"
    if number in (errno.EAGAIN, errno.EBUSY) or "lock" in str(error):
        return f"{name} is in use by another program: close that one first"
    if number in (errno.ENOENT, errno.ENXIO):
        return f"there is no {name}: is it plugged in, and is that its port?"
    return f"{name} cannot be opened: {error}"


@contextmanager
def talking(what: str) -> Iterator[None]:
    """Turns the port's own errors into :class:`MeterFault`."""
    try:
        yield
    except MeterFault:
        raise
    except OSError as error:  # serial.SerialException is one
        raise MeterFault(f"{what}: the port has gone ({error}); is it still plugged in?") from error
    except TypeError as error:  # pyserial reads a closed descriptor so
        raise MeterFault(f"{what}: the port was closed while it was read") from error


@dataclass
class SerialMeter(Meter):
    """A meter on a serial port."""

    _port: Port | None = field(default=None, init=False)

    @classmethod
    def unavailable(cls) -> str | None:
        """pyserial is needed."""
        return serial_missing()

    def _line(self) -> Port:
        if self._port is None:
            raise MeterFault(f"{self.kind.upper()}: the port is closed")
        return self._port

    def _drain(self) -> None:
        """Throw away what was still in flight, until 100 ms are silent (or 2 s have passed)."""
        quiet = 0
        for _ in range(100):
            quiet = 0 if self._line().read(1 << 16) else quiet + 1
            if quiet >= 5:
                return
        raise MeterFault(
            f"{self.kind.upper()}: it does not stop sending; unplug it and plug it in again"
        )
