"""A pseudo-terminal that an emulated device holds one end of."""

from __future__ import annotations

import contextlib
import os
import select
import tty

__all__ = ["PtyLine"]


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
