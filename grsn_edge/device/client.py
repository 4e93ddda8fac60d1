"""A device that runs a policy, over a serial port, a pty, a TCP connection or a process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from grsn_edge.closing import Closing
from grsn_edge.device.frames import crc32c
from grsn_edge.device.loading import image_for, pieces
from grsn_edge.device.protocol import (
    BoardInfo,
    Command,
    DeviceCounters,
    Format,
    InfoPage,
    LoadStatus,
    ModelInfo,
    ProfileReply,
    StepReply,
    SupervisorStatus,
)
from grsn_edge.device.reports import DeviceInfo, Profile, policy_name
from grsn_edge.device.session import Session
from grsn_edge.device.stepping import checked, profile_requests, profiled_rows, step_requests
from grsn_edge.device.transport import Transport, open_transport
from grsn_edge.errors import ModelMismatch, StateError, UsageError
from grsn_edge.policy import ACTION, Policy, model_hash
from grsn_edge.program import IntArray

__all__ = ["Device", "DeviceInfo", "Profile"]

Progress = Callable[[int, int], None]
"""``progress(done, total)``, in bytes."""

_SLOW = 60.0
"""Seconds that a device may take to replay golden vectors, or to erase a slot."""


class Device(Closing):
    """An open device.

    Example::

        with Device.open("/dev/ttyACM0") as device:
            print(device.info().board.name)
            device.use(policy)
            device.reset()
            action = device.step(policy.encoder.encode(observation))

    Every request is done exactly once, however often frames are lost or doubled on the way.  After
    :class:`DeviceLost`, :class:`DeviceRestarted` or another :class:`LinkError`, whether the last
    request was done is not known: call :meth:`reopen`, then :meth:`reset` or set :attr:`state`.

    Args:
        transport: an open line; :meth:`open` makes one.
        baud, timeout: as in :meth:`open`.
    """

    def __init__(self, transport: Transport, baud: int = 115200, timeout: float = 2.0) -> None:
        self._address, self._baud, self._timeout = transport.address, baud, timeout
        self._session = _session(transport, baud, timeout)
        self.format = Format(4, 4)
        self.model = ModelInfo(0, -1, "")
        self.last: StepReply | None = None
        try:
            self._greet()
        except BaseException:
            transport.close()
            raise

    @classmethod
    def open(cls, address: str, *, baud: int = 115200, timeout: float = 2.0) -> Device:
        """Open a device and ask what it is.

        Args:
            address: ``/dev/ttyACM0``, ``COM3``, the path of a pty, ``socket://HOST:PORT``, or
                ``exec:COMMAND``, a process that speaks the link on standard input and output.
            baud: bits a second of a serial line; USB and ptys do not mind.
            timeout: seconds without any progress after which a request has failed.

        Raises:
            DeviceLost: it is not there.
            LinkError: it does not answer, or a package is missing.
        """
        return cls(open_transport(address, baud), baud, timeout)

    def reopen(self) -> None:
        """Open the address again and say hello, after whatever happened.

        What the device runs, and its state, is then as it says itself: see :meth:`info`.  A policy
        given to :meth:`use` is to be given again.

        Raises:
            DeviceLost: it is still not there.
        """
        self._session.transport.close()
        transport = open_transport(self._address, self._baud)
        self._session = _session(transport, self._baud, self._timeout)
        try:
            self._greet()
        except BaseException:
            transport.close()
            raise

    def close(self) -> None:
        """Give the port back.  The device goes on, and keeps its state."""
        self._session.id = 0
        self._session.transport.close()

    # ---- what it is ----

    @property
    def address(self) -> str:
        """Where it was opened."""
        return self._address

    def info(self) -> DeviceInfo:
        """Board, model, counters, and how the link has been."""
        board = BoardInfo.unpack(self._info(InfoPage.BOARD))
        self._read_model()
        counters = DeviceCounters.unpack(self._info(InfoPage.COUNTERS))
        link = replace(self._session.counters)
        hello, name = self._session.hello, policy_name(self._session)
        return DeviceInfo(self._address, hello, board, self.model, name, counters, link)

    def use(self, policy: Policy) -> None:
        """From now on mean this policy: integers travel in its types, and another is refused.

        Raises:
            ModelMismatch: the device runs another one.
        """
        self._read_model()
        wanted = model_hash(policy)
        if self.model.hash != wanted:
            runs = f"the model {self.model.hash[:16]}…" if self.model.is_there else "no model"
            raise ModelMismatch(
                f"{self._address} runs {runs}, '{policy.name}' is {wanted[:16]}…; load it first"
            )
        program = policy.program
        self.format = Format(
            _width(policy.encoder.dtype),
            _width(program[program.outputs[ACTION]].dtype),
        )

    # ---- stepping ----

    def reset(self) -> None:
        """Begin an episode: every state takes its initial value."""
        self._session.call(Command.RESET)

    def step(self, codes: npt.ArrayLike, *, quality: int = 0) -> IntArray:
        """Advance one sampling period.

        Args:
            codes: observation codes ``(n,)``.
            quality: what the host's guard says of them (``grsn_supervisor.h``), for an armed
                device.

        Returns:
            The action, int64 ``(m,)``; :attr:`last` has what else the device said.

        Raises:
            ObservationError: wrong shape, or not integers of 32 bits; nothing was sent.
            ModelMismatch: the device's model is no longer the one it had; it did not step.
            DeviceRefused, DeviceLost, DeviceRestarted, LinkError: see there.
        """
        row = self._codes(codes, 1)
        (reply,) = self._steps(row[None], False, quality)
        action: IntArray = reply.action[0]
        return action

    def step_many(self, codes: npt.ArrayLike, *, check: bool = False) -> IntArray:
        """Advance once for every row, many in a frame and several frames on their way at once.

        Args:
            codes: observation codes ``(T, n)``.
            check: let :attr:`last` have the CRC-32C of the state after the last step.

        Returns:
            Actions, int64 ``(T, m)``.  Errors are those of :meth:`step`.
        """
        rows = self._codes(codes, 2)
        replies = list(self._steps(rows, check, 0))
        if not replies:
            return np.zeros((0, self.model.action_n), np.int64)
        return np.concatenate([reply.action for reply in replies])

    @property
    def state(self) -> bytes:
        """The state, ``model.state_size`` bytes: integers in order of declaration, in their storage
        types, little-endian; the same bytes on every device."""
        size, piece = self.model.state_size, self._session.hello.payload - 5
        requests = (
            at.to_bytes(4, "little") + min(piece, size - at).to_bytes(2, "little")
            for at in range(0, size, piece)
        )
        replies = self._session.stream(Command.STATE_GET, requests, for_model=True)
        return b"".join(reply[5:] for reply in replies)

    @state.setter
    def state(self, state: bytes) -> None:
        """Replace the state.

        Raises:
            StateError: not ``model.state_size`` bytes; nothing was sent.
            DeviceRefused: a value lies outside its range; the state is as before.
        """
        if len(state) != self.model.state_size:
            raise StateError(
                f"a state of this model has {self.model.state_size} bytes, not {len(state)}"
            )
        piece = self._session.hello.payload - 4
        requests = (
            at.to_bytes(4, "little") + state[at : at + piece]
            for at in range(0, max(1, len(state)), piece)
        )
        for _ in self._session.stream(Command.STATE_SET, requests, for_model=True):
            pass

    # ---- looking closely ----

    def self_test(self) -> int:
        """Replay the golden vectors on the device, and reset it.

        Returns:
            -1 where all are equal, else the first step that differs; a device with such a policy
            does not step any more.
        """
        reply = self._session.call(Command.SELF_TEST, patience=_SLOW)
        self._read_model()
        return int.from_bytes(reply[1:5], "little", signed=True)

    def profile(self, codes: npt.ArrayLike, steps: int) -> Profile:
        """Time steps on the device: counts of its own counter, without the link.

        Begins with a reset, goes through ``codes`` ``(T, n)`` again and again (as many of the first
        rows as fit in a frame), and ends with a reset.
        """
        if steps < 1:
            raise UsageError("profiling takes at least one step")
        rows = self._codes(codes, 2)
        rows = profiled_rows(rows, self.model, self.format, self._session.hello.payload)
        self.reset()
        pieces = list(self._profile_pieces(rows, steps))
        self.reset()
        return Profile(
            steps,
            min(p.least for p in pieces),
            sum(p.total for p in pieces) / steps,
            max(p.most for p in pieces),
            min(p.empty for p in pieces),
        )

    # ---- loading ----

    def load(
        self,
        image: bytes | Policy,
        *,
        digest: bytes | None = None,
        good_steps: int = 0,
        confirm: bool = True,
        progress: Progress | None = None,
    ) -> LoadStatus:
        """Put a policy onto the device: write, check, self-test, run.

        What was there before runs until the new one has passed, and again where it fails.  A load
        that was cut goes on where it stood when the same image is loaded again.

        Args:
            image: a policy, or the bytes of its image.
            digest: the model hash of an image, 32 bytes; of a policy it is known.
            good_steps: good steps after which the device confirms the policy by itself; until
                then a restart brings back the old one.
            confirm: confirm it at once; the self-test has passed.
            progress: called after each piece.

        Raises:
            DeviceRefused: the image does not fit, is damaged or fails its self-test, or the device
                has no room for images.
        """
        board = BoardInfo.unpack(self._info(InfoPage.BOARD))
        data, wanted = image_for(image, digest, board)
        request = len(data).to_bytes(4, "little") + crc32c(data).to_bytes(4, "little") + wanted
        begun = self._load(Command.LOAD_BEGIN, request)
        self._write(data, begun.received, max(1, board.write_size), progress)
        status = self._load(Command.LOAD_ACTIVATE, good_steps.to_bytes(4, "little"))
        if confirm:
            status = self._load(Command.LOAD_CONFIRM)
        self._read_model()
        if isinstance(image, Policy):
            self.use(image)
        return status

    def loading(self) -> LoadStatus:
        """How model slots stand, and how far a load has come."""
        return self._load(Command.LOAD_STATUS)

    def confirm(self) -> LoadStatus:
        """Let the policy on trial be the one that boots."""
        return self._load(Command.LOAD_CONFIRM)

    def revert(self) -> LoadStatus:
        """Give up the policy on trial; the one before runs again, from its reset."""
        status = self._load(Command.LOAD_REVERT)
        self._read_model()
        return status

    # ---- supervision ----

    def configure(self, section: bytes) -> None:
        """Set period, time-outs and limits: a supervisor section, ``docs/SPEC.md`` §11.2."""
        self._session.call(Command.CONFIGURE, section)

    def arm(self) -> SupervisorStatus:
        """Let the policy act; raises :class:`DeviceRefused` where a condition stands against it."""
        return SupervisorStatus.unpack(self._session.call(Command.ARM))

    def disarm(self) -> SupervisorStatus:
        """Let it stop."""
        return SupervisorStatus.unpack(self._session.call(Command.DISARM))

    def status(self) -> SupervisorStatus:
        """The supervisor's state, reasons and counters."""
        return SupervisorStatus.unpack(self._session.call(Command.STATUS))

    # ---- inside ----

    def _greet(self) -> None:
        self._session.begin()
        self.format = Format(4, 4)
        self._read_model()

    def _info(self, page: InfoPage) -> bytes:
        return self._session.call(Command.INFO, bytes([page]))

    def _read_model(self) -> None:
        self.model = ModelInfo.unpack(self._info(InfoPage.MODEL))
        self._session.contract = bytes.fromhex(self.model.hash[:8] or "00000000")

    def _codes(self, codes: npt.ArrayLike, ndim: int) -> IntArray:
        return checked(codes, ndim, self.model, self.format)

    def _steps(self, rows: IntArray, check: bool, quality: int) -> Iterator[StepReply]:
        form, model = self.format, self.model
        requests = step_requests(rows, model, form, self._session.hello.payload, check, quality)
        for reply in self._session.stream(Command.STEP, requests, for_model=True):
            self.last = StepReply.unpack(reply, form, model.action_n)
            yield self.last

    def _profile_pieces(self, rows: IntArray, steps: int) -> Iterator[ProfileReply]:
        requests = profile_requests(rows, steps, self.format)
        for reply in self._session.stream(
            Command.PROFILE, requests, for_model=True, patience=_SLOW
        ):
            yield ProfileReply.unpack(reply)

    def _load(self, command: Command, payload: bytes = b"") -> LoadStatus:
        return LoadStatus.unpack(self._session.call(command, payload, patience=_SLOW))

    def _write(self, data: bytes, start: int, unit: int, progress: Progress | None) -> None:
        requests = pieces(data, start, self._session.hello.payload, unit)
        replies = self._session.stream(Command.LOAD_WRITE, requests, patience=_SLOW)
        for reply in replies:
            if progress is not None:
                progress(LoadStatus.unpack(reply).received, len(data))


def _session(transport: Transport, baud: int, timeout: float) -> Session:
    is_serial = "://" not in transport.address and not transport.address.startswith("exec:")
    return Session(transport, timeout, baud if is_serial else None)


def _width(dtype: str) -> int:
    return int(np.dtype(dtype).itemsize)
