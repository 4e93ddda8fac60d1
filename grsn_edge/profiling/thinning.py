"""A power trace of any length in bounded memory: least, mean and greatest power per bucket.

The buckets begin as fine as the samples; whenever they are used up, neighbours are joined and the
buckets become twice as wide.  So a trace of ten minutes takes the memory of one of ten seconds, no
peak is ever lost, and every mean is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import UsageError
from grsn_edge.profiling.meters import Block

__all__ = ["Thinned", "Thinner"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Thinned:
    """A thinned trace; arrays float64 ``(n,)``, one element per bucket that holds samples.

    Args:
        width_s: of a bucket.
        time_s: its beginning, on the meter's clock.
        low_w, mean_w, high_w: of the samples that begin in it.
    """

    width_s: float
    time_s: Floats
    low_w: Floats
    mean_w: Floats
    high_w: Floats


class Thinner:
    """Takes blocks, gives a :class:`Thinned` at any time.

    Args:
        capacity: most buckets, even.
        width_s: of a bucket at the start, in s; choose the sampling interval.
    """

    def __init__(self, capacity: int = 1 << 16, width_s: float = 1e-5) -> None:
        if capacity < 2 or capacity % 2 or not width_s > 0:
            raise UsageError("a thinner needs an even number of buckets and a positive width")
        self._width_s = width_s
        self._low = np.full(capacity, np.inf)
        self._high = np.full(capacity, -np.inf)
        self._energy = np.zeros(capacity)
        self._time = np.zeros(capacity)

    def add(self, block: Block) -> None:
        """Take the next samples."""
        if not len(block):
            return
        while self._bucket(float(block.time_s[-1])) >= self._low.size:
            self._join()
        index = np.floor(block.time_s / self._width_s).astype(np.int64)
        firsts = np.flatnonzero(np.diff(index, prepend=-1))
        target = index[firsts]
        power = block.power_w
        self._low[target] = np.minimum(self._low[target], np.minimum.reduceat(power, firsts))
        self._high[target] = np.maximum(self._high[target], np.maximum.reduceat(power, firsts))
        self._energy[target] += np.add.reduceat(power * block.duration_s, firsts)
        self._time[target] += np.add.reduceat(block.duration_s, firsts)

    def result(self) -> Thinned:
        """The trace so far."""
        used = np.flatnonzero(self._time > 0)
        mean: Floats = self._energy[used] / self._time[used]
        begins: Floats = np.asarray(used * self._width_s, np.float64)
        return Thinned(self._width_s, begins, self._low[used], mean, self._high[used])

    def _bucket(self, at_s: float) -> int:
        return int(np.floor(at_s / self._width_s))

    def _join(self) -> None:
        self._width_s *= 2
        half = self._low.size // 2
        for array, join, empty in (
            (self._low, np.minimum, np.inf),
            (self._high, np.maximum, -np.inf),
            (self._energy, np.add, 0.0),
            (self._time, np.add, 0.0),
        ):
            array[:half] = join(array[0::2], array[1::2])
            array[half:] = empty
