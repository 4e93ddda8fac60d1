"""Energy between two moments, from blocks of samples as they come, in bounded memory.

The ledger is the running integral of power over the meter's time.  Within a sample power is
constant, so the integral is a straight line there and a part of a sample counts by its share; in a
hole, where samples were lost, the integral stays level and the lost time is reported, never filled.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import UsageError
from grsn_edge.profiling.meters import Block, Flag

__all__ = ["Ledger", "MarkFinder", "Span"]

Floats = npt.NDArray[np.float64]

_DOUBTS = int(Flag.SATURATED | Flag.DOUBTFUL)


@dataclass(frozen=True, slots=True)
class Span:
    """What the meter saw between two moments of its clock.

    Args:
        begin_s, end_s: the moments.
        energy_j: of the samples between them, parts by their share.
        covered_s: time that samples cover; the rest was lost.
        charge_c: integral of the current in A·s; NaN where the meter has none.
        samples: whole or partial samples.
        doubtful_s: covered time whose samples are saturated or doubtful.
    """

    begin_s: float
    end_s: float
    energy_j: float
    covered_s: float
    charge_c: float
    samples: int
    doubtful_s: float

    @property
    def duration_s(self) -> float:
        """From the first moment to the second."""
        return self.end_s - self.begin_s

    @property
    def power_w(self) -> float:
        """Mean over the covered time; 0 where nothing is covered."""
        return self.energy_j / self.covered_s if self.covered_s > 0 else 0.0

    @property
    def lost(self) -> float:
        """Share of the time that no sample covers, 0…1."""
        if self.duration_s <= 0:
            return 0.0
        return min(1.0, max(0.0, 1.0 - self.covered_s / self.duration_s))


@dataclass(frozen=True, slots=True)
class _Page:
    """Samples without a hole between them: the integrals at every edge, ``n + 1`` of each."""

    edges: Floats
    integrals: Floats  # rows: energy, covered time, charge, doubtful time

    def at(self, moment: float) -> Floats:
        return np.array([np.interp(moment, self.edges, row) for row in self.integrals])

    def samples(self, begin_s: float, end_s: float) -> int:
        slack = 1e-9 * (1.0 + abs(end_s))  # edges are computed: equal ones may differ a little
        first = np.searchsorted(self.edges[1:], begin_s + slack, side="right")
        return max(0, int(np.searchsorted(self.edges[:-1], end_s - slack, side="left") - first))


class Ledger:
    """The running integral of a meter's blocks.

    Args:
        keep_s: how far back a span may begin, in s; older pages are forgotten.
    """

    def __init__(self, keep_s: float = 30.0) -> None:
        self._keep_s = keep_s
        self._pages: deque[_Page] = deque()
        self._totals = np.zeros(4)
        self._samples = 0
        self._began_s = 0.0
        self._forgotten_s = -np.inf

    @property
    def end_s(self) -> float:
        """Up to where the meter has been read; 0 before the first sample."""
        return float(self._pages[-1].edges[-1]) if self._pages else 0.0

    @property
    def whole(self) -> Span:
        """Everything since the first sample, forgotten pages included."""
        energy, covered, charge, doubtful = map(float, self._totals)
        return Span(self._began_s, self.end_s, energy, covered, charge, self._samples, doubtful)

    def add(self, block: Block) -> None:
        """Take the next block; blocks come in order of time, as a :class:`Meter` gives them."""
        if not len(block):
            return
        if not self._pages:
            self._began_s = float(block.time_s[0])
        self._samples += len(block)
        for page in _pages(block, self._totals):
            self._totals = page.integrals[:, -1].copy()
            self._pages.append(page)
        while self._pages[0].edges[-1] < self.end_s - self._keep_s:
            self._forgotten_s = float(self._pages.popleft().edges[-1])

    def span(self, begin_s: float, end_s: float) -> Span:
        """Between two moments of the meter's clock.

        Raises:
            UsageError: the moments are out of order, not read yet, or forgotten.
        """
        if not begin_s <= end_s or end_s > self.end_s or begin_s < self._forgotten_s:
            raise UsageError(
                f"no span from {begin_s:.6f} to {end_s:.6f} s: the meter has been read up to "
                f"{self.end_s:.6f} s, and kept since {max(self._forgotten_s, 0.0):.6f} s"
            )
        energy, covered, charge, doubtful = map(float, self._at(end_s) - self._at(begin_s))
        samples = sum(page.samples(begin_s, end_s) for page in self._between(begin_s, end_s))
        return Span(begin_s, end_s, energy, covered, charge, samples, doubtful)

    def _between(self, begin_s: float, end_s: float) -> Iterator[_Page]:
        for page in self._pages:
            if page.edges[-1] > begin_s and page.edges[0] < end_s:
                yield page

    def _at(self, moment: float) -> Floats:
        before: _Page | None = None
        for page in self._pages:
            if moment < page.edges[0]:
                break
            before = page
        if before is None:
            return self._pages[0].integrals[:, 0]
        return before.at(moment)


def _pages(block: Block, totals: Floats) -> Iterator[_Page]:
    """A block, cut where samples do not follow each other."""
    ends = block.time_s + block.duration_s
    apart = np.abs(block.time_s[1:] - ends[:-1]) > 1e-9 * (1.0 + np.abs(ends[:-1]))
    cuts = [0, *(np.flatnonzero(apart) + 1).tolist(), len(block)]
    duration = block.duration_s
    current = np.full(len(block), np.nan) if block.current_a is None else block.current_a
    doubtful = np.where(block.flags & _DOUBTS, duration, 0.0)
    pieces = np.stack([block.power_w * duration, duration, current * duration, doubtful])
    for begin, end in itertools.pairwise(cuts):
        integrals = np.empty((4, end - begin + 1))
        integrals[:, 0] = totals
        integrals[:, 1:] = totals[:, None] + np.cumsum(pieces[:, begin:end], axis=1)
        edges = np.append(block.time_s[begin:end], ends[end - 1])
        totals = integrals[:, -1]
        yield _Page(np.maximum.accumulate(edges), integrals)


class MarkFinder:
    """Pulses on one digital input: each is ``(begin, end)`` in s on the meter's clock.

    A pulse whose beginning was not seen (the input was high at the start) is left out; so is one
    across a hole in the samples, and :attr:`broken` counts it.

    Args:
        bit: the digital input, 0…7.
    """

    def __init__(self, bit: int) -> None:
        if not 0 <= bit <= 7:
            raise UsageError(f"a digital input is 0 to 7, not {bit}")
        self._bit = bit
        self._last: int | None = None
        self._since: float | None = None
        self.broken = 0

    def add(self, block: Block) -> list[tuple[float, float]]:
        """The pulses that end in this block."""
        if not len(block):
            return []
        level = (block.digital >> self._bit & 1).astype(np.int8)
        before = level[0] if self._last is None else self._last
        changes = np.diff(np.concatenate(([before], level)))
        gaps = (block.flags & int(Flag.GAP_BEFORE)) != 0
        found: list[tuple[float, float]] = []
        for i in np.flatnonzero((changes != 0) | gaps):
            self._event(int(changes[i]), bool(gaps[i]), float(block.time_s[i]), found)
        self._last = int(level[-1])
        return found

    def _event(self, change: int, gap: bool, at_s: float, found: list[tuple[float, float]]) -> None:
        if gap and self._since is not None:
            self.broken += 1
            self._since = None
        if change > 0:
            self._since = None if gap else at_s
            self.broken += gap
        elif change < 0:
            if self._since is not None:
                found.append((self._since, at_s))
            self._since = None
