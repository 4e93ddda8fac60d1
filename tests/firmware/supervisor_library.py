"""``grsn_supervisor`` through ctypes."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from pathlib import Path

from c_library import FIRMWARE, build

BOOT, SELFTEST, IDLE, ARMED, HOLD, SAFE = range(6)
STOP, ACT, KEEP, RETIRE = range(4)
(
    SELFTEST_FAILED,
    WRONG_MODEL,
    CORRUPT,
    UNTESTED,
    WAS_RESET,
    LINK_LOST,
    INPUT_LOST,
    OVERRUN,
    INVALID,
    DISARM,
    STALE,
    ARM,
) = (1 << bit for bit in range(12))
GOOD, CLAMPED, REFUSED = range(3)
NO_LIMIT = 2**32 - 1
INT32 = ctypes.c_int32

Limit = tuple[int, int, int, int, int]
"""Least, most, safe, slew, brake."""


class Config(ctypes.Structure):
    """``grsn_supervisor_config_t``."""

    _fields_ = (
        ("period_us", ctypes.c_uint32),
        ("deadline_us", ctypes.c_uint32),
        ("robot", ctypes.c_uint32),
        ("n", ctypes.c_uint32),
        ("limits", ctypes.c_void_p),
        ("is_discrete", ctypes.c_uint8),
        ("stale_periods", ctypes.c_uint8),
        ("lost_periods", ctypes.c_uint8),
        ("overrun_run", ctypes.c_uint8),
        ("invalid_run", ctypes.c_uint8),
        ("on_invalid", ctypes.c_uint8),
    )


class Status(ctypes.Structure):
    """``grsn_supervisor_t``."""

    _fields_ = (
        ("state", ctypes.c_uint8),
        ("reaction", ctypes.c_uint8),
        ("overrun_run", ctypes.c_uint8),
        ("invalid_run", ctypes.c_uint8),
        ("conditions", ctypes.c_uint16),
        ("reasons", ctypes.c_uint16),
        ("steps", ctypes.c_uint32),
        ("input_us", ctypes.c_uint32),
        ("overruns", ctypes.c_uint16),
        ("invalid", ctypes.c_uint16),
        ("holds", ctypes.c_uint16),
        ("safes", ctypes.c_uint16),
        ("clipped", ctypes.c_uint16),
        ("slewed", ctypes.c_uint16),
        ("longest_us", ctypes.c_uint32),
    )


class Transition(ctypes.Structure):
    """``grsn_transition_t``."""

    _fields_ = (
        ("state", ctypes.c_uint8),
        ("reaction", ctypes.c_uint8),
        ("condition", ctypes.c_uint16),
    )


def library(folder: Path, *more: Path) -> ctypes.CDLL:
    """The supervisor, compiled."""
    loaded = build(folder, "supervisor", FIRMWARE / "src" / "grsn_supervisor.c", *more)
    loaded.grsn_supervisor_next.restype = Transition
    loaded.grsn_supervisor_next.argtypes = (ctypes.c_uint8, ctypes.c_uint16)
    loaded.grsn_supervisor_config_read.argtypes = (
        ctypes.c_char_p,
        ctypes.c_uint32,
        ctypes.POINTER(Config),
    )
    for name in ("arm", "disarm", "update"):
        getattr(loaded, f"grsn_supervisor_{name}").restype = ctypes.c_uint8
    return loaded


def header(n: int, *, discrete: int = 0, period_us: int = 1000, **changed: int) -> bytes:
    """The first 24 bytes of a section."""
    fields = {
        "version": 1,
        "stale": 2,
        "lost": 5,
        "overrun": 3,
        "invalid": 5,
        "on_invalid": 0,
        "zero": 0,
        "deadline_us": period_us,
        "robot": 0,
    } | changed
    small = ("stale", "lost", "overrun", "invalid", "on_invalid", "zero")
    return struct.pack(
        "<8B4I",
        fields["version"],
        discrete,
        *(fields[name] for name in small),
        period_us,
        fields["deadline_us"],
        fields["robot"],
        n,
    )


def values(*limits: Limit, **changed: int) -> bytes:
    """A section for a continuous action."""
    body = b"".join(struct.pack("<iiiII", *limit) for limit in limits)
    return header(len(limits), **changed) + body


def choices(n: int, safe: int, allowed: Sequence[int], **changed: int) -> bytes:
    """A section for a discrete action."""
    words = [0] * -(-n // 32)
    for i in allowed:
        words[i // 32] |= 1 << i % 32
    return header(n, discrete=1, **changed) + struct.pack(f"<I{len(words)}I", safe, *words)


class Supervisor:
    """One supervisor with its configuration and its action."""

    def __init__(self, loaded: ctypes.CDLL, section: bytes, now: int = 0) -> None:
        self.c = loaded
        self.section = section  # borrowed by the configuration
        self.config, self.status = Config(), Status()
        assert loaded.grsn_supervisor_config_read(section, len(section), self.config) == 0
        loaded.grsn_supervisor_init(ctypes.byref(self.status), ctypes.c_uint32(now))
        self.action = (INT32 * (1 if self.config.is_discrete else self.config.n))()
        loaded.grsn_supervisor_safe(ctypes.byref(self.config), self.action)

    def _call(self, name: str, *values: object) -> int:
        function = getattr(self.c, f"grsn_supervisor_{name}")
        return int(function(ctypes.byref(self.status), ctypes.byref(self.config), *values))

    def report(self, conditions: int) -> None:
        self.c.grsn_supervisor_report(ctypes.byref(self.status), ctypes.c_uint16(conditions))

    def clear(self, conditions: int) -> None:
        self.c.grsn_supervisor_clear(ctypes.byref(self.status), ctypes.c_uint16(conditions))

    def update(self, now: int) -> int:
        return self._call("update", ctypes.c_uint32(now))

    def arm(self, now: int) -> int:
        return self._call("arm", ctypes.c_uint32(now))

    def disarm(self, now: int) -> int:
        return self._call("disarm", ctypes.c_uint32(now))

    def observe(self, now: int, quality: int = GOOD) -> None:
        self._call("observation", ctypes.c_uint32(now), quality)

    def step(self, took: int = 0) -> None:
        self._call("step", ctypes.c_uint32(took))

    def output(self, *wanted: int) -> list[int]:
        """The next action; without arguments no step ran."""
        given = (INT32 * len(wanted))(*wanted) if wanted else None
        self._call("output", given, self.action)
        return list(self.action)

    def ready(self, now: int) -> None:
        """Tested and armed."""
        self.update(now)
        self.clear(UNTESTED)
        assert self.update(now) == IDLE
        assert self.arm(now) == ARMED
