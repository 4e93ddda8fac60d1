"""A bad line: a proxy between a host and a device that damages what passes, from a seed.

Bytes are dropped, doubled and flipped; frames are lost, repeated, overtaken by the next, held back,
cut in pieces and joined.  What a line can do to bytes in both directions, again and again the same.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from grsn_edge.closing import Closing
from grsn_edge.device.transport import SocketTransport, Transport, open_transport
from grsn_edge.errors import DeviceLost

__all__ = ["Noise", "NoisyLine", "damaged"]

_SLICE_S, _HELD_S, _ACCEPT_S = 0.002, 0.005, 0.05


@dataclass(frozen=True, slots=True)
class Noise:
    """What happens, as probabilities.

    Args:
        flip: of a bit, per bit.
        drop_byte, double_byte: per byte.
        drop, double, swap, hold, split: per frame; ``swap`` lets the next one overtake it, ``hold``
            keeps it for up to ``held_s`` seconds, ``split`` hands it over in pieces.
        insert: of random bytes before a frame.
        held_s: longest delay in seconds.
    """

    flip: float = 0.0
    drop_byte: float = 0.0
    double_byte: float = 0.0
    drop: float = 0.0
    double: float = 0.0
    swap: float = 0.0
    hold: float = 0.0
    split: float = 0.0
    insert: float = 0.0
    held_s: float = _HELD_S


def damaged(data: bytes, noise: Noise, rng: random.Random) -> bytes:
    """``data`` after flips, drops and doublings of single bits and bytes."""
    if not (noise.flip or noise.drop_byte or noise.double_byte):
        return data
    out = bytearray()
    for byte in data:
        if noise.drop_byte and rng.random() < noise.drop_byte:
            continue
        if noise.flip and rng.random() < 8 * noise.flip:
            byte ^= 1 << rng.randrange(8)
        out.append(byte)
        if noise.double_byte and rng.random() < noise.double_byte:
            out.append(byte)
    return bytes(out)


class _Direction:
    """What passes one way: bytes in, frames out when it is their time."""

    def __init__(self, noise: Noise, seed: int, baud: int | None) -> None:
        self._noise, self._rng = noise, random.Random(seed)
        self._seconds_per_byte = 10 / baud if baud else 0.0
        self._free_at = 0.0
        self._pending = bytearray()
        self._queue: list[tuple[float, bytes]] = []

    def feed(self, data: bytes, now: float) -> None:
        """Take bytes; a frame begins and ends with a zero, and passes as a whole."""
        self._pending += data
        *frames, rest = self._pending.split(b"\0")
        self._pending = bytearray(rest)
        for frame in frames:
            if frame:
                self._pass(b"\0" + bytes(frame) + b"\0", now)

    def due(self, now: float) -> Iterator[bytes]:
        """What has arrived by now, in order."""
        ready = [piece for at, piece in self._queue if at <= now]
        self._queue = [(at, piece) for at, piece in self._queue if at > now]
        yield from ready

    def wait(self, now: float) -> float:
        """Seconds until the next piece is due, at most a slice."""
        return min([_SLICE_S, *(max(0.0, at - now) for at, _ in self._queue)])

    def _pass(self, frame: bytes, now: float) -> None:
        noise, rng = self._noise, self._rng
        if rng.random() < noise.insert:
            self._queue.append((now, rng.randbytes(rng.randrange(1, 20))))
        if rng.random() < noise.drop:
            return
        copies = 2 if rng.random() < noise.double else 1
        for _ in range(copies):
            held = rng.random() * noise.held_s if rng.random() < noise.hold else 0.0
            at = self._sent(len(frame), now) + held
            self._queue += [(at, piece) for piece in self._pieces(damaged(frame, noise, rng))]
        if rng.random() < noise.swap and len(self._queue) > 1:
            self._queue[-1], self._queue[-2] = self._queue[-2], self._queue[-1]

    def _sent(self, count: int, now: float) -> float:
        """When the last of ``count`` bytes has passed, at the line's speed."""
        self._free_at = max(now, self._free_at) + count * self._seconds_per_byte
        return self._free_at

    def _pieces(self, frame: bytes) -> list[bytes]:
        if len(frame) < 2 or self._rng.random() >= self._noise.split:
            return [frame]
        at = self._rng.randrange(1, len(frame))
        return [frame[:at], frame[at:]]


class NoisyLine(Closing):
    """A proxy with an address of its own, between a host and a device.

    Example::

        with NoisyLine("/dev/ttyACM0", Noise(flip=1e-4, drop=0.02), seed=1) as line:
            device = Device.open(line.address)

    Args:
        address: of the device.
        noise: what happens, both ways.
        seed: of what happens when.
        baud: bits a second that pass each way, ten for a byte; None: as many as come.
    """

    def __init__(
        self, address: str, noise: Noise | None = None, *, seed: int = 0, baud: int | None = None
    ) -> None:
        self._target = address
        self._device: Transport | None = open_transport(address)
        self._ways = [_Direction(noise or Noise(), 2 * seed + way, baud) for way in (0, 1)]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stop = threading.Event()
        self._cut = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """For the host."""
        return f"socket://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """Pull the cable: the host's connection closes; it may connect again."""
        self._cut.set()

    def close(self) -> None:
        """End; the device's line is closed, too."""
        self._stop.set()
        self._thread.join()
        self._listener.close()
        if self._device is not None:
            self._device.close()

    def _run(self) -> None:
        self._listener.settimeout(_ACCEPT_S)
        while not self._stop.is_set():
            with suppress(TimeoutError):
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with suppress(DeviceLost):
                    self._serve(SocketTransport("the host", connection))
                connection.close()

    def _serve(self, host: Transport) -> None:
        """Pass bytes until the host goes, the device goes, or the cable is pulled."""
        self._cut.clear()
        self._device = self._device or open_transport(self._target)
        device = self._device
        onward = threading.Thread(target=self._pump, args=(host, device, self._ways[0]))
        onward.start()
        self._pump(device, host, self._ways[1])
        onward.join()

    def _pump(self, source: Transport, target: Transport, way: _Direction) -> None:
        try:
            while not (self._stop.is_set() or self._cut.is_set()):
                data = source.read(way.wait(time.monotonic()))
                way.feed(data, time.monotonic())
                for piece in way.due(time.monotonic()):
                    target.write(piece)
        except DeviceLost as error:
            self._cut.set()
            if error.args[0].startswith(self._target):  # the device's end, not the host's
                self._device = None
