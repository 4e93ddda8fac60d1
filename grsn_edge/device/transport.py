"""Ways to a device: a serial port or pty, a TCP connection, a process's standard input and output.

All are byte streams that may lose anything; what they must never do is hang or end silently.
"""

from __future__ import annotations

import os
import select
import shlex
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any

from grsn_edge.errors import DeviceLost, LinkError

__all__ = ["PipeTransport", "SerialTransport", "SocketTransport", "Transport", "open_transport"]

_CHUNK = 65536
_CONNECT_S = 5.0
_OPEN_S = 2.0
_POLL_S = 0.001


class Transport(ABC):
    """An open byte stream to a device."""

    address: str

    @abstractmethod
    def read(self, timeout: float) -> bytes:
        """What has come; waits up to ``timeout`` seconds for the first byte, else ``b""``.

        Raises:
            DeviceLost: the stream has ended.
        """

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send everything.

        Raises:
            DeviceLost: the stream has ended, or takes nothing any more.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the port back; may be called again."""

    def _lost(self, why: object) -> DeviceLost:
        return DeviceLost(
            f"{self.address} has gone ({why}); plug it in or start it again, then call reopen()"
        )


def open_transport(address: str, baud: int = 115200) -> Transport:
    """Open an address.

    Args:
        address: ``socket://HOST:PORT``, ``exec:COMMAND`` (talks to its standard input and output),
            or anything that pyserial opens: ``/dev/ttyACM0``, ``COM3``, the path of a pty, an URL.
        baud: of a serial line, in bits a second.

    Raises:
        DeviceLost: it is not there.
        LinkError: pyserial is missing, or the address cannot be understood.
    """
    if address.startswith("socket://"):
        return SocketTransport(address)
    if address.startswith("exec:"):
        return PipeTransport(address)
    return SerialTransport(address, baud)


class SerialTransport(Transport):
    """A serial port, a USB serial device, or a pty, through pyserial."""

    def __init__(self, address: str, baud: int) -> None:
        self.address = address
        self._port: Any = _open_serial(address, baud)

    def read(self, timeout: float) -> bytes:
        try:
            if not self._is_readable(timeout):
                return b""
            data: bytes = self._port.read(self._port.in_waiting or 1)
        except (OSError, TypeError, ValueError) as error:  # of a port that was closed, any of them
            raise self._lost(error) from None
        return data

    def write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except (OSError, TypeError, ValueError) as error:
            raise self._lost(error) from None

    def close(self) -> None:
        with suppress(OSError):
            self._port.close()

    def _is_readable(self, timeout: float) -> bool:
        if os.name == "posix":
            return bool(select.select([self._port.fileno()], [], [], timeout)[0])
        deadline = time.monotonic() + timeout
        while not self._port.in_waiting:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        return True


def _open_serial(address: str, baud: int) -> Any:
    try:
        import serial
    except ImportError:
        raise LinkError("serial ports need pyserial; install grsn-edge[device]") from None
    try:
        return serial.serial_for_url(address, baudrate=baud, timeout=0, write_timeout=_OPEN_S)
    except (OSError, ValueError) as error:  # SerialException is an OSError
        raise DeviceLost(f"{address} cannot be opened: {error}") from None


class SocketTransport(Transport):
    """A TCP connection: an emulator, a process, or a serial server."""

    def __init__(self, address: str, connected: socket.socket | None = None) -> None:
        self.address = address
        self._socket = connected or _connect(address)
        self._socket.setblocking(False)

    def read(self, timeout: float) -> bytes:
        try:
            ready, _, _ = select.select([self._socket], [], [], timeout)
            if not ready:
                return b""
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return b""
        except (OSError, ValueError) as error:
            raise self._lost(error) from None
        if not data:
            raise self._lost("the other side closed")
        return data

    def write(self, data: bytes) -> None:
        left = memoryview(data)
        deadline = time.monotonic() + _OPEN_S
        while left:
            try:
                _, ready, _ = select.select([], [self._socket], [], deadline - time.monotonic())
                sent = self._socket.send(left) if ready else 0
            except BlockingIOError:
                sent = 0
            except (OSError, ValueError) as error:
                raise self._lost(error) from None
            left = left[sent:]
            if left and time.monotonic() >= deadline:
                raise self._lost(f"it took no byte for {_OPEN_S} s")

    def close(self) -> None:
        self._socket.close()


def _connect(address: str) -> socket.socket:
    host, colon, port = address.removeprefix("socket://").partition("?")[0].rpartition(":")
    if not colon or not port.isdigit():
        raise LinkError(f"'{address}' is not of the form socket://HOST:PORT")
    try:
        connected = socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise DeviceLost(f"{address} cannot be opened: {error}") from None
    return connected


class PipeTransport(SocketTransport):
    """A process that speaks the link on its standard input and output; closing ends it."""

    def __init__(self, address: str) -> None:
        ours, theirs = socket.socketpair()
        command = shlex.split(address.removeprefix("exec:"))
        try:
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno())
        except (OSError, IndexError) as error:
            ours.close()
            raise DeviceLost(f"{address} cannot be started: {error}") from None
        finally:
            theirs.close()
        super().__init__(address, ours)

    def close(self) -> None:
        super().close()
        try:
            self._process.wait(_OPEN_S)  # it ends by itself when its input does
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
