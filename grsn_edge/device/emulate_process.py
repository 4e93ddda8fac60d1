"""An emulator that is a process of its own: its serial line is a socket that joins the wire."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from grsn_edge.device.emulate_wire import Wire
from grsn_edge.errors import DeviceError

__all__ = ["Process"]

_START = 20.0  # s until an emulator has connected


class Process:
    """Starts ``command``, whose serial line connects to a Unix socket, and joins it to a wire."""

    def __init__(
        self,
        command: Callable[[Path], Sequence[str]],
        sockets: Sequence[str],
        wire: Wire,
    ) -> None:
        """Start.

        Args:
            command: makes the command line, given the folder of the sockets.
            sockets: names that the emulator connects to; the first is the serial line.
            wire: what it is joined to.

        Raises:
            DeviceError: it ended or did not connect; the text holds what it said.
        """
        self._wire = wire
        self._folder = tempfile.TemporaryDirectory(prefix="grsn-edge-")
        folder = Path(self._folder.name)
        listeners = [_listen(folder / name) for name in sockets]
        self._log = (folder / "log").open("w+", encoding="utf-8", errors="replace")
        line = list(command(folder))
        self._process = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        try:
            self.lines = [self._accept(listener) for listener in listeners]
        except DeviceError:
            self._end()
            raise
        finally:
            for listener in listeners:
                listener.close()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._join, daemon=True)
        self._thread.start()

    @property
    def folder(self) -> Path:
        """Where files of this emulator go; gone when it is closed."""
        return Path(self._folder.name)

    def failure(self) -> str | None:
        """Why it ended by itself, or None while it runs."""
        status = self._process.poll()
        return None if status is None else f"ended with status {status}: {self._said()}"

    def close(self) -> None:
        """End the process."""
        self._closing.set()
        self._wire.interrupt()
        self._thread.join(timeout=5)
        self._end()

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        for line in getattr(self, "lines", ()):
            line.close()
        self._folder.cleanup()

    def _said(self) -> str:
        self._log.flush()
        self._log.seek(0)
        return self._log.read().strip()[-2000:] or "it said nothing"

    def _accept(self, listener: socket.socket) -> socket.socket:
        listener.settimeout(0.1)
        for _ in range(int(_START / 0.1)):
            with suppress(TimeoutError):
                line, _address = listener.accept()
                line.settimeout(_START)
                return line
            reason = self.failure()
            if reason:
                raise DeviceError(f"the emulator {reason}")
        raise DeviceError(f"the emulator did not connect within {_START:.0f} s: {self._said()}")

    def _join(self) -> None:
        """Carry bytes both ways until closed, or until the emulator ends."""
        line = self.lines[0]
        with suppress(OSError):
            while not self._closing.is_set():
                said, answers = self._wire.wait(1.0, line)
                if said:
                    line.sendall(said)
                if answers:
                    data = line.recv(65536)
                    if not data:
                        break
                    self._wire.send(data)
        if not self._closing.is_set():
            self._wire.close()


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(1)
    return listener
