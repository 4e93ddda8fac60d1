"""Proven intervals of vectors, and the storage types that hold them (``docs/SPEC.md`` §1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["INT32", "MAX_ELEMENTS", "STORAGE", "IntArray", "Interval", "narrowest"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """Inclusive bounds per element: ``lo[i] <= value[i] <= hi[i]``; int64 arrays ``(n,)``."""

    lo: IntArray
    hi: IntArray

    @property
    def n(self) -> int:
        """Number of elements."""
        return int(self.lo.size)

    @property
    def low(self) -> int:
        """The smallest bound over all elements."""
        return int(self.lo.min())

    @property
    def high(self) -> int:
        """The largest bound over all elements."""
        return int(self.hi.max())

    @property
    def is_binary(self) -> bool:
        """Whether every element is proven to be 0 or 1 (a spike)."""
        return self.low >= 0 and self.high <= 1

    def within(self, lo: int, hi: int) -> bool:
        """Whether every element is proven to lie in ``[lo, hi]``."""
        return self.low >= lo and self.high <= hi

    def hull(self, other: Interval) -> Interval:
        """The smallest interval that holds both (length-1 broadcasts)."""
        return Interval(np.minimum(self.lo, other.lo), np.maximum(self.hi, other.hi))


STORAGE: Mapping[str, tuple[int, int]] = {
    "int8": (-(2**7), 2**7 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
}
"""Storage types, narrowest first, with their inclusive ranges."""

INT32 = STORAGE["int32"]

MAX_ELEMENTS = 1 << 16
"""Longest vector, and most rows or columns of a matrix."""


def narrowest(interval: Interval) -> str | None:
    """Name of the narrowest storage type that holds ``interval``; None beyond int32."""
    return next((name for name, (lo, hi) in STORAGE.items() if interval.within(lo, hi)), None)
