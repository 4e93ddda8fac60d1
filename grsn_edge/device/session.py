"""Requests that happen exactly once, in order, on a line that loses and repeats (SPEC §10.3).

The device does a request when its sequence is the next one, and keeps the replies to the last few:
so a request may be sent again at any time.  Here is when: when the device says that one is missing,
and when no reply came for as long as replies have been taking lately (RFC 6298).
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from grsn_edge.device.frames import MAX_PAYLOAD, Frame, FrameReader, encode
from grsn_edge.device.protocol import Command, Hello, Notice, Result
from grsn_edge.device.transport import Transport
from grsn_edge.errors import DeviceRefused, DeviceRestarted, LinkError, ModelMismatch, UsageError

__all__ = ["LinkCounters", "Session"]

_SEQUENCES = 1 << 16
_LEAST_WAIT, _FIRST_WAIT, _MOST_BACKED_OFF = 0.02, 0.2, 4
_SHORTEST = 0.001  # seconds between two notices that do not mean the same loss
_OVERHEAD = 20  # bytes of a frame on the line that are not payload, at most
_REFUSALS = {
    Result.UNKNOWN: "it does not know that command, or was built without it",
    Result.MALFORMED: "the request was malformed",
    Result.NO_MODEL: "it has no policy to run (status {}); load one",
    Result.SELF_TEST: "its policy fails the self-test at golden step {}, and is not run",
    Result.TOO_LARGE: "the reply would not fit in a frame",
    Result.STATE: "the state is not one of its policy (status {})",
    Result.STORE: "its model slots say {}",
    Result.ARMED: "not while it is armed; disarm it first",
    Result.ARM: "it cannot be armed: conditions {:#06x} stand against it",
}


@dataclass(slots=True)
class LinkCounters:
    """What the host's end has seen since the last hello."""

    requests: int = 0
    repeats: int = 0
    timeouts: int = 0
    missing: int = 0
    foreign: int = 0


@dataclass(slots=True)
class _Pending:
    """A request on its way: when it was sent last, how often, and its reply where that came.

    ``queued`` are the bytes that were under way when it was sent, its own included.
    """

    sequence: int
    command: int
    line: bytes
    for_model: bool
    sent: float = 0.0
    tries: int = 0
    queued: int = 0
    reply: bytes | None = None


@dataclass(slots=True)
class _Wait:
    """How long until a request is sent again: RFC 6298, beside the time that its bytes take.

    A long frame behind others needs longer than the short ones before it: each reply bounds the
    seconds that a byte can take, and what a reply takes beyond its bytes is smoothed.
    """

    first: float = _FIRST_WAIT
    per_byte: float | None = None
    mean: float = 0.0
    deviation: float = 0.0
    backed_off: int = 1

    def learn(self, took: float, count: int) -> None:
        """``count`` bytes went there and back in ``took`` seconds."""
        if self.per_byte is None:
            self.per_byte, self.deviation = took / count, took / 2
        self.per_byte = min(self.per_byte, took / count)
        beyond = took - count * self.per_byte
        self.deviation += (abs(beyond - self.mean) - self.deviation) / 4
        self.mean += (beyond - self.mean) / 8

    def usual(self, count: int) -> float:
        """Seconds that ``count`` bytes usually take there and back."""
        return self.mean + count * (self.per_byte or 0.0)

    def seconds(self, count: int) -> float:
        """After how long ``count`` bytes without an answer are sent again."""
        if self.per_byte is None:
            return self.first * self.backed_off
        return max(_LEAST_WAIT, self.usual(count) + 4 * self.deviation) * self.backed_off

    def back_off(self) -> None:
        """No answer came in time."""
        self.backed_off = min(2 * self.backed_off, _MOST_BACKED_OFF)


@dataclass(slots=True)
class Session:
    """A conversation with a device.

    Args:
        transport: the open line.
        patience: seconds without progress after which a request has failed.
        baud: of a serial line: how long the first replies may take.
    """

    transport: Transport
    patience: float = 2.0
    baud: int | None = None
    id: int = 0
    hello: Hello = field(default=Hello(0, 1, 64, 0, 0, bytes(4)))
    counters: LinkCounters = field(default_factory=LinkCounters)
    reader: FrameReader = field(default_factory=FrameReader)
    _sequence: int = 0
    _wait: _Wait = field(default_factory=_Wait)
    _pending: deque[_Pending] = field(default_factory=deque)

    def begin(self) -> Hello:
        """Say hello: learn the device's ways, and begin to count.

        Raises:
            LinkError: no answer, or a version of the link that this release does not speak.
        """
        self._sequence, nonce = secrets.randbelow(_SEQUENCES), 1 + secrets.randbelow(2**32 - 1)
        self.id, self._wait, self.counters = 0, _Wait(), LinkCounters()
        self._pending.clear()
        request = Frame(Command.HELLO, self._sequence, 0, nonce.to_bytes(4, "little"))
        self._sequence = (self._sequence + 1) % _SEQUENCES
        line, deadline = encode(request), time.monotonic() + self.patience
        while time.monotonic() < deadline:
            self.transport.write(line)
            for frame in self._receive(self._wait.first):
                if frame.type == Command.HELLO and frame.is_reply and len(frame.payload) > 16:
                    hello = Hello.unpack(frame.payload)
                    if hello.nonce == nonce:
                        return self._started(frame.session, hello)
        raise LinkError(
            f"{self.transport.address} does not answer a hello in {self.patience:g} s; check the "
            f"baud rate, and that the firmware of grsn-edge runs on it{self._seen()}"
        )

    def call(
        self,
        command: int,
        payload: bytes = b"",
        *,
        for_model: bool = False,
        patience: float | None = None,
    ) -> bytes:
        """One request; the whole payload of its reply, result byte included.

        Args:
            command: what to do.
            payload: its arguments.
            for_model: let the device take it only if it runs the model of :attr:`contract`.
            patience: seconds that it may take at most, for what takes longer than usual.

        Raises:
            DeviceRefused: the device answered with an error.
            ModelMismatch: it runs another model.
            DeviceRestarted: it started again in between.
            DeviceLost: the port has gone.
            LinkError: no answer in time.
        """
        (reply,) = self.stream(command, [payload], for_model=for_model, patience=patience)
        return reply

    def stream(
        self,
        command: int,
        payloads: Iterable[bytes],
        *,
        for_model: bool = False,
        patience: float | None = None,
    ) -> Iterator[bytes]:
        """Many requests of one kind, several on their way at once; their replies in order.

        The iterator is to be used up.  Errors are those of :meth:`call`; a request is done only
        after those before it, and none after one that failed to arrive.
        """
        if not self.id:
            raise LinkError(f"{self.transport.address}: the session has ended; call reopen()")
        more = iter(payloads)
        try:
            self._refill(command, more, for_model)
            progress = time.monotonic()
            while self._pending:
                self._collect(progress, patience or self.patience)
                while self._pending and self._pending[0].reply is not None:
                    yield _checked(command, self._pending.popleft())
                    progress = time.monotonic()
                self._refill(command, more, for_model)
        except (DeviceRefused, UsageError):
            self._drain(patience or self.patience)
            raise
        except ModelMismatch:
            self._pending.clear()
            raise
        except BaseException:
            self.id = 0  # what was under way may have happened or not
            raise

    @property
    def contract(self) -> bytes:
        """First 4 bytes of the model hash that frames ``for_model`` are meant for."""
        return self.reader.contract

    @contract.setter
    def contract(self, contract: bytes) -> None:
        self.reader.contract = contract

    def _started(self, session: int, hello: Hello) -> Hello:
        self.id, self.hello, self.contract = session, hello, hello.contract
        if self.baud:
            line = 2 * hello.window * (hello.payload + 20) * 10 / self.baud
            self._wait.first = max(_FIRST_WAIT, line)
        return hello

    def _refill(self, command: int, more: Iterator[bytes], for_model: bool) -> None:
        while len(self._pending) < self.hello.window:
            payload = next(more, None)
            if payload is None:
                return
            if len(payload) > min(self.hello.payload, MAX_PAYLOAD):
                raise UsageError(
                    f"{_name(command)} with {len(payload)} bytes is more than the device takes in "
                    f"a frame ({self.hello.payload})"
                )
            frame = Frame(command, self._sequence, self.id, payload, for_model=for_model)
            pending = _Pending(self._sequence, command, encode(frame, self.contract), for_model)
            self._sequence = (self._sequence + 1) % _SEQUENCES
            self.counters.requests += 1
            self._pending.append(pending)
            self._send([pending], sum(len(p.line) for p in self._pending if p.reply is None))

    def _send(self, requests: Sequence[_Pending], queued: int) -> None:
        now = time.monotonic()
        for request in requests:
            self.counters.repeats += request.tries > 0
            request.sent, request.tries, request.queued = now, request.tries + 1, queued
        self.transport.write(b"".join(request.line for request in requests))

    def _collect(self, progress: float, patience: float) -> None:
        """Wait for frames, or for the time to send again."""
        oldest = self._pending[0]
        due = oldest.sent + self._wait.seconds(oldest.queued + self.hello.payload + _OVERHEAD)
        for frame in self._receive(due - time.monotonic()):
            self._take(frame)
        now = time.monotonic()
        if oldest.reply is not None or now < due:
            return
        if now > progress + patience:
            raise LinkError(
                f"{self.transport.address}: no answer to {_name(oldest.command)} in {patience:g} s "
                f"({oldest.tries} tries); whether it was done is not known: call reopen(), then "
                f"reset or restore the state{self._seen()}"
            )
        self.counters.timeouts += 1
        self._wait.back_off()
        self._send([oldest], len(oldest.line))

    def _receive(self, timeout: float) -> list[Frame]:
        return self.reader.feed(self.transport.read(max(0.0, timeout)))

    def _take(self, frame: Frame) -> None:
        if not frame.is_reply:
            self.counters.foreign += 1
        elif frame.type == Command.NO_SESSION:
            self._lose(frame)
        elif frame.session != self.id:
            self.counters.foreign += 1
        elif frame.type == Command.MISSING:
            self._resend(frame)
        else:
            self._accept(frame)

    def _accept(self, frame: Frame) -> None:
        for request in self._pending:
            if request.sequence == frame.sequence and request.command == frame.type:
                if request.reply is None and request.tries == 1:  # else it is not known to which
                    bytes_under_way = request.queued + len(frame.payload) + _OVERHEAD
                    self._wait.learn(time.monotonic() - request.sent, bytes_under_way)
                request.reply, self._wait.backed_off = frame.payload, 1
                return

    def _resend(self, frame: Frame) -> None:
        """The device lacks this request: it has dropped those after it, too."""
        self.counters.missing += 1
        contract = Notice.unpack(frame.payload).contract
        if contract != self.contract and any(p.for_model for p in self._pending):
            self._sequence = frame.sequence  # from here on nothing was taken, nor will be
            raise ModelMismatch(
                f"{self.transport.address} runs the model {_spoken(contract)}, not "
                f"{_spoken(self.contract)}; load the policy onto it, or use its own"
            )
        missing = [p for p in self._pending if self._is_from(p, frame.sequence)]
        if missing and (missing[0].tries == 1 or self._is_due(missing[0])):
            self._send(missing, sum(len(p.line) for p in missing))

    def _is_from(self, request: _Pending, sequence: int) -> bool:
        return (request.sequence - sequence) % _SEQUENCES < _SEQUENCES // 2

    def _is_due(self, request: _Pending) -> bool:
        """Whether an answer to its last sending could be here: several ask for the same one."""
        usual = self._wait.usual(request.queued + _OVERHEAD)
        return time.monotonic() - request.sent > max(usual, _SHORTEST)

    def _lose(self, frame: Frame) -> None:
        if all(frame.sequence != p.sequence for p in self._pending):
            self.counters.foreign += 1
            return
        if Notice.unpack(frame.payload).boot != self.hello.boot:
            raise DeviceRestarted(
                f"{self.transport.address} has started again: its state is lost; call reopen(), "
                "then reset or restore the state"
            )
        raise LinkError(
            f"{self.transport.address}: another program has said hello to it; one at a time"
        )

    def _drain(self, patience: float) -> None:
        """See the requests behind it through, so that the session can go on."""
        progress = time.monotonic()
        while self._pending:
            self._collect(progress, patience)
            while self._pending and self._pending[0].reply is not None:
                self._pending.popleft()
                progress = time.monotonic()

    def _seen(self) -> str:
        damaged = self.reader.damage.total
        return f" ({damaged} damaged frames came)" if damaged else ""


def _checked(command: int, request: _Pending) -> bytes:
    payload = request.reply or b""
    if not payload:
        raise LinkError(f"an empty reply to {_name(command)}")
    if payload[0] == Result.DONE:
        return payload
    detail = int.from_bytes(payload[1:5], "little", signed=True)
    try:
        reason = _REFUSALS[Result(payload[0])].format(detail)
    except ValueError:
        reason = f"result {payload[0]}, detail {detail}"
    raise DeviceRefused(f"the device refused {_name(command)}: {reason}")


def _name(command: int) -> str:
    return Command(command).name if command in set(Command) else f"{command:#04x}"


def _spoken(contract: bytes) -> str:
    return f"{contract.hex()}…" if any(contract) else "none"
