"""The cable of an emulated board: a TCP port and, where the system has them, a pseudo-terminal."""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress

from grsn_edge.closing import Closing

__all__ = ["Wire"]

MOST = 65536  # bytes taken from one end at once


class Wire(Closing):
    """Both ends lead to the board; what it sends goes to the end that spoke last, as on a bus.

    Attributes:
        address: ``socket://127.0.0.1:PORT``, for pyserial and for :class:`Device`.
        terminal: path of the pseudo-terminal, or None.
    """

    def __init__(self, port: int = 0, terminal: bool = False) -> None:
        """Listen on ``port`` of this machine alone (0: any free one)."""
        self._listener = socket.create_server(("127.0.0.1", port))
        self._client: socket.socket | None = None
        self._wake, self._waker = socket.socketpair()
        self.address = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        self.terminal: str | None = None
        self._master = self._slave = -1
        self._to_terminal = False
        if terminal and hasattr(os, "openpty"):
            self._open_terminal()

    def _open_terminal(self) -> None:
        import tty

        self._master, self._slave = os.openpty()
        # The slave stays open here, or the master would fail between two readers.
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.terminal = os.ttyname(self._slave)

    def wait(
        self, seconds: float, also: socket.socket | None = None, most: int = MOST
    ) -> tuple[bytes, bool]:
        """What was said to the board, at once or within ``seconds``; empty where nothing was.

        Args:
            seconds: to wait at most.
            also: the board's own socket; the second value tells whether it can be read.
            most: bytes to take from either end.
        """
        ends: list[socket.socket | int] = [self._listener, self._wake]
        ends += [self._client] if self._client else []
        ends += [self._master] if self._master >= 0 else []
        ends += [also] if also else []
        ready, _, _ = select.select(ends, [], [], seconds)
        said = b""
        if self._listener in ready:
            self._accept()
        if self._client is not None and self._client in ready:
            said += self._hear_client(most)
        if self._master >= 0 and self._master in ready:
            said += self._hear_terminal(most)
        return said, also is not None and also in ready

    def send(self, data: bytes) -> None:
        """To whoever spoke last; dropped where nobody listens."""
        if self._to_terminal:
            with suppress(OSError):
                os.write(self._master, data)
        elif self._client is not None:
            try:
                self._client.sendall(data)
            except OSError:
                self._hang_up()

    def interrupt(self) -> None:
        """End a ``wait`` of another thread."""
        with suppress(OSError):
            self._waker.send(b"\0")

    def close(self) -> None:
        """Pull the cable: the client sees the end of its connection."""
        self._hang_up()
        for end in (self._listener, self._wake, self._waker):
            end.close()
        for descriptor in (self._master, self._slave):
            if descriptor >= 0:
                with suppress(OSError):
                    os.close(descriptor)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._hang_up()  # the newest caller has the line: an old one may be a dead process
        self._client = client
        self._to_terminal = False

    def _hear_client(self, most: int) -> bytes:
        assert self._client is not None
        try:
            data = self._client.recv(most)
        except OSError:
            data = b""
        if not data:
            self._hang_up()
        else:
            self._to_terminal = False
        return data

    def _hear_terminal(self, most: int) -> bytes:
        try:
            data = os.read(self._master, most)
        except OSError:
            return b""
        self._to_terminal = self._to_terminal or bool(data)
        return data

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
