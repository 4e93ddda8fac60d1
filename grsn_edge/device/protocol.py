"""What frames mean: commands, results, and their payloads (``docs/SPEC.md`` §10.3 to §10.8)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import LinkError
from grsn_edge.program import IntArray

__all__ = [
    "BoardInfo",
    "Command",
    "Counter",
    "DeviceCounters",
    "Event",
    "Format",
    "Hello",
    "InfoPage",
    "LoadStatus",
    "ModelInfo",
    "Notice",
    "ProfileReply",
    "Result",
    "StepReply",
    "SupervisorStatus",
]


class Command(IntEnum):
    """Types of frames."""

    HELLO = 0x01
    INFO = 0x02
    RESET = 0x03
    STEP = 0x04
    STATE_GET = 0x05
    STATE_SET = 0x06
    PROFILE = 0x07
    SELF_TEST = 0x08
    CONFIGURE = 0x09
    ARM = 0x0A
    DISARM = 0x0B
    STATUS = 0x0C
    LOAD_BEGIN = 0x10
    LOAD_WRITE = 0x11
    LOAD_STATUS = 0x12
    LOAD_ACTIVATE = 0x13
    LOAD_CONFIRM = 0x14
    LOAD_REVERT = 0x15
    MISSING = 0x7E
    """From the device: send again from this sequence on."""
    NO_SESSION = 0x7F
    """From the device: it does not know this session."""


class Result(IntEnum):
    """First byte of every reply; where it is not ``DONE``, an int32 of detail follows."""

    DONE = 0
    UNKNOWN = 1
    MALFORMED = 2
    NO_MODEL = 3
    SELF_TEST = 4
    TOO_LARGE = 5
    STATE = 6
    STORE = 7
    ARMED = 8
    ARM = 9


class InfoPage(IntEnum):
    """Pages of :attr:`Command.INFO`."""

    BOARD = 0
    MODEL = 1
    COUNTERS = 2
    TEXT = 3


class Counter(IntEnum):
    """What a device's counter counts."""

    NOTHING = 0
    CYCLES = 1
    INSTRUCTIONS = 2
    NANOSECONDS = 3


class Event(IntFlag):
    """What a step did to a policy on trial."""

    ON_TRIAL = 1
    CONFIRMED = 2
    REVERTED = 4


def _unpack(layout: str, payload: bytes, what: str) -> tuple[Any, ...]:
    """The numbers of a payload, after its result byte; :class:`LinkError` where it is too short."""
    size = struct.calcsize("<" + layout)
    if len(payload) < 1 + size:
        raise LinkError(f"the reply to {what} has {len(payload)} bytes, not {1 + size}")
    return struct.unpack_from("<" + layout, payload, 1)


@dataclass(frozen=True, slots=True)
class Hello:
    """How a device wants to be spoken to.

    ``boot`` is another number after every start; ``payload`` and ``window`` are the most bytes in
    a frame, and the most frames on their way at once; ``contract`` is the model hash's first 4
    bytes, 0 where there is no model.
    """

    version: int
    window: int
    payload: int
    boot: int
    nonce: int
    contract: bytes

    @classmethod
    def unpack(cls, payload: bytes) -> Hello:
        """From the reply to a hello."""
        return cls(*_unpack("BBHII4s", payload, "the hello"))


@dataclass(frozen=True, slots=True)
class Notice:
    """What ``MISSING`` and ``NO_SESSION`` tell; see :class:`Hello`."""

    boot: int
    contract: bytes

    @classmethod
    def unpack(cls, payload: bytes) -> Notice:
        """From such a frame; its first byte is no result."""
        return cls(*_unpack("I4s", b"\0" + payload, "a frame"))


@dataclass(frozen=True, slots=True)
class BoardInfo:
    """What a device is.

    Attributes:
        name: the board's.
        library: version of the firmware, such as ``0.1.0``.
        byte_order: ``little`` or ``big``.
        engine: ``vm`` (runs policy images) or ``generated`` (one policy, compiled in).
        counter: what cycle counts count.
        counter_hz: their rate; 0 where there is no fixed one.
        slots: model slots, 0 or 2; ``slot_size`` and ``write_size`` in bytes.
        has_supervisor: whether it can be armed.
        uptime_ms: milliseconds since it started.
    """

    name: str
    library: str
    byte_order: str
    engine: str
    counter: Counter
    counter_hz: int
    slots: int
    has_supervisor: bool
    slot_size: int
    write_size: int
    uptime_ms: int

    @classmethod
    def unpack(cls, payload: bytes) -> BoardInfo:
        """From the reply to INFO, page 0."""
        fields = _unpack("x16s3BBBBIBBIII", payload, "INFO")
        name, major, minor, patch, order, engine, kind, hz, slots, supervisor, *sizes = fields
        return cls(
            name.rstrip(b"\0").decode("ascii", "replace"),
            f"{major}.{minor}.{patch}",
            "little" if order == 1 else "big",
            "generated" if engine else "vm",
            Counter(kind) if kind <= Counter.NANOSECONDS else Counter.NOTHING,
            hz,
            slots,
            bool(supervisor),
            *sizes,
        )


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The policy that a device runs.

    Attributes:
        refusal: where there is none, the status of ``grsn.h`` that tells why; else 0.
        self_test: golden step that differed, or -1 where all were equal.
        hash: the model hash, 64 hexadecimal digits; empty where there is no policy.
        observation_n, action_n: integers of an observation and of an action.
        state_size: bytes of a saved state.
        period_us: sampling period in microseconds; 0 where it is not known.
        image_size: bytes of the image.
        golden_steps: steps that a self-test replays.
    """

    refusal: int
    self_test: int
    hash: str
    observation_n: int = 0
    action_n: int = 0
    state_size: int = 0
    period_us: int = 0
    image_size: int = 0
    golden_steps: int = 0

    @property
    def is_there(self) -> bool:
        """Whether there is a policy, be it one that fails its self-test."""
        return bool(self.hash)

    @classmethod
    def unpack(cls, payload: bytes) -> ModelInfo:
        """From the reply to INFO, page 1."""
        is_open, status = _unpack("xBi", payload, "INFO")
        if not is_open:
            return cls(status, -1, "")
        _, _, digest, *counts = _unpack("xBi32sHHIIIH", payload, "INFO")
        return cls(0, status, digest.hex(), *counts)


@dataclass(frozen=True, slots=True)
class DeviceCounters:
    """What a device has seen since it started, each modulo 2^32.

    ``good`` and the next five count frames (:class:`~grsn_edge.device.frames.Damage`); ``foreign``
    those of no or another session; ``duplicates`` requests answered from memory; ``stale`` those
    too old for that; ``missing`` those ahead of one that had not come; ``steps`` policy steps.
    """

    good: int
    cut: int
    too_long: int
    checksum: int
    malformed: int
    version: int
    foreign: int
    duplicates: int
    stale: int
    missing: int
    steps: int

    @classmethod
    def unpack(cls, payload: bytes) -> DeviceCounters:
        """From the reply to INFO, page 2."""
        return cls(*_unpack("x11I", payload, "INFO"))


_WIDTHS = {1: 0, 2: 1, 4: 2}


@dataclass(frozen=True, slots=True)
class Format:
    """How integers are packed: bytes of each, 1, 2 or 4, as two's complement, little-endian."""

    observation: int
    action: int

    def byte(self, *, with_state_crc: bool = False, quality: int = 0) -> int:
        """The format byte of STEP and PROFILE."""
        widths = _WIDTHS[self.observation] | _WIDTHS[self.action] << 2
        return widths | with_state_crc << 4 | quality << 5

    def pack(self, codes: npt.NDArray[np.int64]) -> bytes:
        """Observation codes, in order."""
        return codes.astype(f"<i{self.observation}").tobytes()

    def unpack(self, data: bytes) -> IntArray:
        """Actions, in order, as int64."""
        return np.frombuffer(data, f"<i{self.action}").astype(np.int64)


@dataclass(frozen=True, slots=True)
class StepReply:
    """What steps gave.

    Attributes:
        count: steps done.
        state, reaction: of the supervisor (``grsn_supervisor.h``).
        events: what they did to a policy on trial.
        counts: how far the device's counter moved in all steps together, modulo 2^32.
        longest: in the longest of them.
        state_crc: CRC-32C of the saved state after the last step, or 0 where it was not asked for.
        action: int64 ``(count, m)``.
    """

    count: int
    state: int
    reaction: int
    events: Event
    counts: int
    longest: int
    state_crc: int
    action: IntArray

    @classmethod
    def unpack(cls, payload: bytes, form: Format, m: int) -> StepReply:
        """From the reply to STEP, with ``m`` integers an action."""
        count, supervision, events, counts, longest, crc = _unpack("BBBIII", payload, "STEP")
        actions = payload[16:]
        if len(actions) != count * m * form.action:
            raise LinkError(f"the reply to STEP has {len(payload)} bytes for {count} actions")
        action = form.unpack(actions).reshape(count, m)
        return cls(
            count,
            supervision & 15,
            supervision >> 4,
            Event(events & 7),
            counts,
            longest,
            crc,
            action,
        )


@dataclass(frozen=True, slots=True)
class ProfileReply:
    """How far the device's counter moved in a step: least, most, and all together.

    ``empty`` is what two readings of the counter cost by themselves; it is part of the others.
    """

    steps: int
    least: int
    most: int
    total: int
    empty: int

    @classmethod
    def unpack(cls, payload: bytes) -> ProfileReply:
        """From the reply to PROFILE."""
        return cls(*_unpack("IIIQI", payload, "PROFILE"))


@dataclass(frozen=True, slots=True)
class SupervisorStatus:
    """The supervisor, field by field as in ``grsn_supervisor.h``; times in microseconds."""

    state: int
    reaction: int
    overrun_run: int
    invalid_run: int
    conditions: int
    reasons: int
    steps: int
    input_us: int
    overruns: int
    invalid: int
    holds: int
    safes: int
    clipped: int
    slewed: int
    longest_us: int

    @classmethod
    def unpack(cls, payload: bytes) -> SupervisorStatus:
        """From the reply to ARM, DISARM and STATUS."""
        return cls(*_unpack("4B2H2I6HI", payload, "STATUS"))


@dataclass(frozen=True, slots=True)
class LoadStatus:
    """Where model slots stand.

    Attributes:
        active, target: slot that runs, and slot that takes an image; None where there is none.
        on_trial: whether the active policy is not confirmed yet.
        size, received, crc: of the image that is being loaded: bytes, bytes there, CRC-32C.
        good_left: good steps until a policy on trial is confirmed; 0: by command.
        capacity: bytes of the largest image that a slot takes.
    """

    active: int | None
    target: int | None
    on_trial: bool
    size: int
    received: int
    crc: int
    good_left: int
    capacity: int

    @classmethod
    def unpack(cls, payload: bytes) -> LoadStatus:
        """From the reply to every LOAD command."""
        active, target, trial, *rest = _unpack("BBBIIIII", payload, "LOAD")
        return cls(
            active - 1 if active else None, target - 1 if target else None, bool(trial), *rest
        )
