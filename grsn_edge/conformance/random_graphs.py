"""Random step programs that are no networks: every operation, in shapes that no cell would use.

They find what random networks cannot: broadcasts of every operand, views of views, states that
swap or share their next values, outputs that are inputs, values at the ends of int32.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grsn_edge.errors import ProgramError
from grsn_edge.program import Builder, Program, Value

__all__ = ["random_graph"]

_LENGTHS = (1, 2, 3, 7, 16)
_RANGES = ((0, 1), (-128, 127), (-(2**15), 2**15 - 1), (-(10**6), 10**6), (-(2**31), 2**31 - 1))


def random_graph(seed: int) -> Program:
    """One random program; the same for the same seed."""
    rng = np.random.default_rng(seed)
    b = Builder()
    values = [_source(b.input, rng, f"x{i}") for i in range(rng.integers(1, 3))]
    states = [_source(b.state, rng, f"s{i}") for i in range(rng.integers(0, 5))]
    values += states
    for _ in range(rng.integers(5, 40)):
        try:
            values.append(_operation(b, rng, values))
        except ProgramError:  # an overflow that the proof found: try another
            continue
    for state in states:
        b.next(state, _next(rng, values, state))
    for i in range(rng.integers(1, 4)):
        b.output(f"y{i}", _pick(rng, values))
    return b.build()


def _source(declare: Callable[..., Value], rng: np.random.Generator, name: str) -> Value:
    lo, hi = _RANGES[rng.integers(len(_RANGES))]
    return declare(name, int(rng.choice(_LENGTHS)), lo=lo, hi=hi)


def _pick(rng: np.random.Generator, values: list[Value]) -> Value:
    return values[rng.integers(len(values))]


def _next(rng: np.random.Generator, values: list[Value], state: Value) -> Value:
    value = _pick(rng, [v for v in values if v.n == state.n])
    lo, hi = state.interval.low, state.interval.high
    return value if value.interval.within(lo, hi) else value.clip(lo, hi)


def _operation(b: Builder, rng: np.random.Generator, values: list[Value]) -> Value:
    x = _pick(rng, values)
    y = _pick(rng, [v for v in values if v.n in (1, x.n) or x.n == 1])
    makers: list[Callable[[], Value]] = [
        lambda: _product(b, rng, x),
        lambda: _product(b, rng, x),
        lambda: x + y,
        lambda: x - y,
        lambda: x * y,
        lambda: x >= y,
        lambda: x.shr(int(rng.integers(1, 12))),
        lambda: _clip(rng, x),
        lambda: b.lut(x.clip(-128, 127), rng.integers(-(2**15), 2**15, 256)),
        lambda: b.concat(*(_pick(rng, values) for _ in range(rng.integers(1, 4)))),
        lambda: _slice(rng, x),
        lambda: b.argmax(x),
    ]
    return makers[rng.integers(len(makers))]()


def _product(b: Builder, rng: np.random.Generator, x: Value) -> Value:
    rows = int(rng.integers(1, 20))
    return b.matvec(rng.integers(-128, 128, (rows, x.n)), x, rng.integers(-5000, 5000, rows))


def _clip(rng: np.random.Generator, x: Value) -> Value:
    lo = int(rng.choice((-(2**15), -128, -5, 0)))
    return x.clip(lo, lo + int(rng.choice((1, 255, 70000))))


def _slice(rng: np.random.Generator, x: Value) -> Value:
    start = int(rng.integers(0, x.n))
    return x[start : int(rng.integers(start + 1, x.n + 1))]
