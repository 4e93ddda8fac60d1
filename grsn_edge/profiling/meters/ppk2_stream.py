"""Bytes of a PPK2 to sample words: keeps the four-byte alignment, and counts what is missing.

Each word carries a six-bit counter.  A run of words whose counters follow is taken as it is; where
one does not follow, the next words decide what happened: one damaged word, a gap, a word that came
twice, or a lost byte (then the byte phase whose counters advance is taken).  A gap of a multiple of
64 words leaves no trace in the counter; :class:`ClockWatch` sees it in time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import MeterFault
from grsn_edge.profiling.meters.base import WarningKind
from grsn_edge.profiling.meters.ppk2_protocol import (
    COUNTER_MASK,
    COUNTER_SHIFT,
    RANGE_SHIFT,
    RANGES,
    Words,
)

__all__ = ["Event", "Parsed", "StreamParser"]

_LOOK = 16
"""Words whose counters must follow before a place in the stream is believed."""

_HOPELESS = 4096
"""Words without such a place after which the port is not a PPK2's data port."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something wrong at a sample: how many samples it cost, and which kind of wrong it is."""

    kind: WarningKind
    at: int
    count: int


@dataclass
class Parsed:
    """Words with the number of the 10 µs slot that each was taken in.

    Args:
        words: uint32 ``(n,)``.
        slots: int64 ``(n,)``, rises; a hole is a loss.
        lost: slots without a word.
        events: what went wrong.
    """

    words: Words
    slots: npt.NDArray[np.int64]
    lost: int = 0
    events: list[Event] = field(default_factory=list)


class StreamParser:
    """Feed it bytes as they come."""

    def __init__(self) -> None:
        self._rest = b""
        self._slot = 0
        self._expected: int | None = None
        self._last = -1
        self._garbage = 0

    def feed(self, data: bytes) -> Parsed:
        """The words that ``data`` completes.

        Raises:
            MeterFault: nothing in the last 16 KiB looks like samples.
        """
        buffer = self._rest + data
        parts: list[Words] = []
        slots: list[npt.NDArray[np.int64]] = []
        parsed = Parsed(np.empty(0, np.uint32), np.empty(0, np.int64))
        at = 0
        while True:
            words = np.frombuffer(buffer, "<u4", (len(buffer) - at) // 4, at)
            run = self._run(words)
            if run:
                parts.append(words[:run])
                slots.append(self._slot + np.arange(run))
                self._accept(words[:run])
                at += 4 * run
            if run == len(words) or len(words) - run < 2 * _LOOK:
                break
            at += self._resolve(buffer, at, parsed)
        self._rest = buffer[at:]
        if parts:
            parsed.words, parsed.slots = np.concatenate(parts), np.concatenate(slots)
        return parsed

    def _run(self, words: Words) -> int:
        """How many words from the first follow each other."""
        if self._expected is None:
            return 0
        counters = (words >> COUNTER_SHIFT) & COUNTER_MASK
        follow = (self._expected + np.arange(len(words))) & COUNTER_MASK
        good = (counters == follow) & (((words >> RANGE_SHIFT) & 7) < RANGES)
        return len(words) if good.all() else int(np.argmin(good))

    def _accept(self, words: Words) -> None:
        self._slot += len(words)
        self._last = int(words[-1])
        self._expected = (_counter(self._last) + 1) & COUNTER_MASK
        self._garbage = 0

    def _resolve(self, buffer: bytes, at: int, parsed: Parsed) -> int:
        """Decide what the odd word at ``at`` is; returns how many bytes to pass over."""
        look = np.frombuffer(buffer, "<u4", _LOOK + 1, at)
        if self._expected is not None:
            if _follow(look[1:]) and _counter(int(look[1])) == (self._expected + 1) & COUNTER_MASK:
                return self._drop(parsed, "damaged")
            if _follow(look) and int(look[0]) == self._last:
                # The counter alone cannot tell a word that came twice from 63 lost ones.
                parsed.events.append(Event("duplicated", self._slot, 1))
                return 4
        for phase in range(4):
            if _follow(np.frombuffer(buffer, "<u4", _LOOK, at + phase)):
                return self._jump(buffer, at + phase, phase, parsed)
        return self._drop(parsed, "damaged", hopeless=True)

    def _jump(self, buffer: bytes, at: int, phase: int, parsed: Parsed) -> int:
        """Go on at ``at``, ``phase`` bytes further, where the counters advance."""
        counter = _counter(int.from_bytes(buffer[at : at + 4], "little"))
        known = self._expected is not None
        gap = (counter - (self._expected or 0)) & COUNTER_MASK if known else 0
        if phase:
            parsed.events.append(Event("misaligned", self._slot, max(gap, 1)))
        elif gap:
            parsed.events.append(Event("lost", self._slot, gap))
        self._slot += gap
        parsed.lost += gap
        self._expected = counter
        if known and not phase and not gap:
            return self._drop(parsed, "damaged")  # the counter fits, the range does not exist
        return phase

    def _drop(self, parsed: Parsed, kind: WarningKind, hopeless: bool = False) -> int:
        if self._expected is not None:
            parsed.events.append(Event(kind, self._slot, 1))
            self._expected = (self._expected + 1) & COUNTER_MASK
            self._slot += 1
            parsed.lost += 1
        self._garbage = self._garbage + 1 if hopeless else 0
        if self._garbage > _HOPELESS:
            raise MeterFault(
                "PPK2: what comes over the port are not samples; a PPK2 with new firmware has two "
                "ports, give the other one with 'port'"
            )
        return 4


def _counter(word: int) -> int:
    return (word >> COUNTER_SHIFT) & COUNTER_MASK


def _follow(words: Words) -> bool:
    """Whether all counters advance by one, and the first word's range exists."""
    counters = (words.astype(np.int64) >> COUNTER_SHIFT) & COUNTER_MASK
    return bool(np.all((np.diff(counters) & COUNTER_MASK) == 1))
