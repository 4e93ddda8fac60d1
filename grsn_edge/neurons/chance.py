r"""Random integers as a step program: multiply-with-carry (Marsaglia 1994), base 2^16.

``z' = a (z mod 2^16) + floor(z / 2^16)`` with a = 32718; the random number is ``z mod 2^16``.
``p = a 2^16 - 1`` and ``(p - 1) / 2`` are prime, so that every z in [1, p - 1] lies on one of two
cycles of ``(p - 1) / 2`` = 1,072,103,423 steps.  ``z <= p`` gives ``z' <= p``: the range proof
closes by itself.  One number costs 1 multiplication, 2 shifts, 5 additions, 1 clip that cannot
act (the interval proof needs it), and 4 bytes of state.

The upper 8 bits of a million numbers pass a chi-squared test alone and in pairs, and their serial
correlations stay below 0.004 (``tests/neurons/test_chance.py``).  It is for exploring, and for
nothing that must not be guessed.

The state is ``z - seed``, so that it starts at 0 as every state does: a reset repeats the same
numbers, and a snapshot of the state goes on with the next one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from grsn_edge.neurons.base import Array, States
from grsn_edge.program import Builder, IntArray, Value

__all__ = ["MODULUS", "PERIOD", "draw", "float_draw", "seeds"]

_A = 32718
_BASE = 2**16
MODULUS = _A * _BASE - 1
"""p: z stays in [0, p]; 0 and p would stay what they are."""
PERIOD = (MODULUS - 1) // 2
"""Steps after which the numbers repeat."""


def seeds(seed: int, n: int) -> IntArray:
    """Where ``n`` streams start, int64 ``(n,)``, each in [1, p - 1]."""
    return np.random.default_rng(seed).integers(1, MODULUS, n, dtype=np.int64)


def draw(b: Builder, start: IntArray) -> Value:
    """Trace one number in [0, 2^16 - 1] of each stream and set the state ``chance``."""
    state = b.state("chance", start.size, lo=-start, hi=MODULUS - start)
    origin = b.const(start, name="seed")
    z = state + origin
    carry = (z - _BASE // 2).shr(16)
    number = (z - carry * _BASE).clip(0, _BASE - 1)
    b.next(state, number * _A + carry - origin)
    return number


def float_draw(state: Mapping[str, Array], start: IntArray) -> tuple[Array, States]:
    """The same number, int64, and the next states of a float step.

    Float states hold z's two halves ``digit`` and ``carry``, less those of the seed: float32 holds
    them exactly.
    """
    origin = {"digit": start % _BASE, "carry": start // _BASE}
    now = {
        name: state[name].detach().round().long() + state[name].new_tensor(value).long()
        for name, value in origin.items()
    }
    z = now["digit"] * _A + now["carry"]
    halves = {"digit": z % _BASE, "carry": z // _BASE}
    after = {
        name: (halves[name] - state[name].new_tensor(value).long()) + 0.0 * state[name]
        for name, value in origin.items()
    }
    return now["digit"], after
