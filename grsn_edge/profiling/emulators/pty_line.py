"""A pseudo-terminal that an emulated device holds one end of, and emulators on one."""

from __future__ import annotations

import contextlib
import os
import select
import tty
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

from grsn_edge.profiling.emulators.base import ScaledClock, ThreadedEmulator

__all__ = ["PtyEmulator", "PtyLine"]


class PtyLine:
    """Opens a pty in raw mode; ``path`` is what a serial program opens."""

    def __init__(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        # Held open so that the line lives while no program has it open.
        self._slave: int | None = slave
        os.set_blocking(self._master, False)

    def read(self, wait_s: float) -> bytes:
        """What the program sent; empty after ``wait_s`` without anything."""
        try:
            ready, _, _ = select.select([self._master], [], [], wait_s)
            return os.read(self._master, 4096) if ready else b""
        except (OSError, ValueError):
            return b""

    def write(self, data: bytes, wait_s: float) -> int:
        """Send; returns how many bytes went into the line within ``wait_s``."""
        try:
            _, ready, _ = select.select([], [self._master], [], wait_s)
            return os.write(self._master, data) if ready else 0
        except BlockingIOError:
            return 0
        except (OSError, ValueError):
            return 0

    def close(self) -> None:
        """Pull the plug: the program's next read fails."""
        for end in (self._slave, self._master):
            if end is not None:
                with contextlib.suppress(OSError):
                    os.close(end)
        self._slave, self._master = None, -1


@dataclass
class PtyEmulator(ThreadedEmulator):
    """An emulator on a serial port; ``path`` is the port's, while it is started."""

    path: str = field(default="", init=False)
    _line: PtyLine | None = field(default=None, init=False)

    @abstractmethod
    def serve(self) -> None:
        """Answer on ``_line`` until ``_quit`` is set; runs in the thread."""

    def start(self) -> None:
        """Open the pseudo-terminal and answer on it."""
        self._line = PtyLine()
        self.path = self._line.path
        self.work(self.serve)

    def stop(self) -> None:
        """Close it."""
        self.halt()
        if self._line is not None:
            self._line.close()
            self._line = None

    def options(self) -> dict[str, Any]:
        """The port, the script's voltage, and a clock as fast as the device's."""
        clock = ScaledClock(self.speed)
        return {"port": self.path, "voltage_v": self.script.voltage_v, "clock": clock}

    def hint(self) -> str:
        """The port's name."""
        volts = self.script.voltage_v
        return f"grsn-edge meter read {self.meter_kind} --set port={self.path} voltage_v={volts}"
