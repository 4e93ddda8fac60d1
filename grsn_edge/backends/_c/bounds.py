"""Clips in 16-bit lanes, by as few instructions as what is given allows."""

from __future__ import annotations

from grsn_edge.backends._c.spelling import literal
from grsn_edge.program import Interval

__all__ = ["bounded"]


def bounded(text: str, given: Interval, lo: int, hi: int) -> str:
    """``text`` in 16-bit lanes, clipped by as few instructions as its interval allows."""
    low, high = given.low < lo, given.high > hi
    if not low and not high:
        return text
    for bits in range(1, 17):
        if _same(given, lo, hi, -(1 << (bits - 1)), (1 << (bits - 1)) - 1):
            return f"grsn_sat_h({text}, {bits})"
        if bits < 16 and _same(given, lo, hi, 0, (1 << bits) - 1):
            return f"grsn_usat_h({text}, {bits})"
    text = f"grsn_max_h({text}, {literal(lo)})" if low else text
    return f"grsn_min_h({text}, {literal(hi)})" if high else text


def _same(given: Interval, lo: int, hi: int, other_lo: int, other_hi: int) -> bool:
    """Whether both pairs of bounds do the same to what is given."""
    lower = lo == other_lo or (given.low >= lo and given.low >= other_lo)
    upper = hi == other_hi or (given.high <= hi and given.high <= other_hi)
    return lower and upper
