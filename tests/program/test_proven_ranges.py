"""Random programs: every value stays in its proven range, and every partial sum in int32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grsn_edge.errors import ProgramError
from grsn_edge.program import (
    INT32,
    STORAGE,
    Builder,
    IntArray,
    Program,
    Value,
    evaluate,
    from_parts,
    text,
    to_parts,
)

Draw = st.DataObject
SIZES = (1, 1, 2, 3, 5)


def integer(draw: Draw, lo: int, hi: int) -> int:
    return draw.draw(st.integers(lo, hi))


def vector(draw: Draw, n: int, reach: int) -> IntArray:
    return np.array([integer(draw, -reach, reach) for _ in range(n)])


def bounds(draw: Draw, n: int) -> tuple[IntArray, IntArray]:
    reach = 2 ** integer(draw, 0, 16)
    ends = np.sort([vector(draw, n, reach), vector(draw, n, reach)], axis=0)
    return ends[0], ends[1]


def matvec(b: Builder, draw: Draw, x: Value) -> Value:
    rows = draw.draw(st.sampled_from(SIZES))
    weight = np.stack([vector(draw, x.n, 127) for _ in range(rows)])
    return b.matvec(weight, x, vector(draw, rows, 2**20))


def clipped_lookup(b: Builder, draw: Draw, x: Value) -> Value:
    rng = np.random.default_rng(integer(draw, 0, 99))
    return b.lut(x.clip(-128, 127), rng.integers(-(2**15), 2**15, 256))


def convex(b: Builder, draw: Draw, x: Value) -> Value:
    shift = integer(draw, 1, 15)
    lo = b.const([integer(draw, -300, 300)])
    return lo + (x.clip(0, 1 << shift) * (x.clip(-500, 900) - lo)).shr(shift)


def soft_reset(b: Builder, draw: Draw, x: Value) -> Value:
    theta = b.const(np.abs(vector(draw, x.n, 1000)))
    return x - theta * (x >= theta)


def part(b: Builder, draw: Draw, x: Value) -> Value:
    start = integer(draw, 0, x.n - 1)
    return x[start : integer(draw, start + 1, x.n)]


ONE: list[Callable[[Builder, Draw, Value], Value]] = [
    matvec,
    clipped_lookup,
    convex,
    soft_reset,
    part,
    lambda b, draw, x: x.shr(integer(draw, 1, 30)),
    lambda b, draw, x: x.clip(*sorted((integer(draw, -900, 900), integer(draw, -900, 900)))),
    lambda b, draw, x: b.argmax(x),
]
TWO = ("add", "sub", "mul", "ge", "concat")


def random_program(draw: Draw) -> Program:
    b = Builder()
    values = []
    for name in "xyz":
        n = draw.draw(st.sampled_from(SIZES))
        lo, hi = bounds(draw, n)
        values.append(b.input(name, n, lo=lo, hi=hi))
    state = b.state("s", 3, lo=-(2**15), hi=2**15 - 1)
    values.append(state)
    for _ in range(integer(draw, 1, 10)):
        x, y = draw.draw(st.sampled_from(values)), draw.draw(st.sampled_from(values))
        try:
            if draw.draw(st.booleans()):
                values.append(draw.draw(st.sampled_from(ONE))(b, draw, x))
            else:
                values.append(b.apply(draw.draw(st.sampled_from(TWO)), x, y))
        except ProgramError:
            continue  # a failed proof: nothing is added, which is its whole point
    b.next(state, next((v.clip(-(2**15), 2**15 - 1) for v in values[::-1] if v.n == 3), state))
    for i, value in enumerate(values):
        b.output(f"out{i}", value)
    return b.build()


def vectors(program: Program, seed: int) -> dict[str, IntArray]:
    """Ends of the ranges and random vectors between them, for every input and state."""
    rng = np.random.default_rng(seed)
    found = {}
    for node in (*program.inputs, *program.states):
        lo, hi = node.interval.lo, node.interval.hi
        corners = np.where(rng.random((32, node.n)) < 0.5, lo, hi)
        found[node.name] = np.concatenate(
            [corners, rng.integers(lo, hi, (32, node.n), endpoint=True)]
        )
    return found


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_values_stay_in_their_proven_ranges_and_storage(draw: Draw) -> None:
    program = random_program(draw)
    given_values = vectors(program, integer(draw, 0, 2**16))
    inputs = {node.name: given_values[node.name] for node in program.inputs}
    values = evaluate(program, inputs, {"s": given_values["s"]})
    for node in program:
        lo, hi = STORAGE[node.dtype]
        assert np.all(values[node.name] >= node.interval.lo), node.name
        assert np.all(values[node.name] <= node.interval.hi), node.name
        assert lo <= node.interval.low
        assert node.interval.high <= hi


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_program_survives_its_parts(draw: Draw) -> None:
    program = random_program(draw)
    parts, tensors = to_parts(program)
    again = from_parts(parts, tensors)
    assert text(again) == text(program)
    given_values = vectors(program, 0)
    inputs = {node.name: given_values[node.name] for node in program.inputs}
    first, second = (evaluate(p, inputs, {"s": given_values["s"]}) for p in (program, again))
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("seed", range(20))
def test_partial_sums_of_a_matvec_stay_in_int32_in_any_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    b = Builder()
    n = int(rng.integers(1, 30))
    lo, hi = np.sort(rng.integers(-(2**19), 2**19, (2, n)), axis=0)
    weight, bias = rng.integers(-128, 128, (1, n)), int(rng.integers(-(2**30), 2**30))
    try:
        b.matvec(weight, b.input("x", n, lo=lo, hi=hi), [bias])
    except ProgramError:
        return
    terms = weight[0] * np.where(rng.random((200, n)) < 0.5, lo, hi)
    terms = rng.permuted(np.concatenate([terms, np.full((200, 1), bias)], axis=1), axis=1)
    sums = terms.cumsum(axis=1)
    assert INT32[0] <= sums.min()
    assert sums.max() <= INT32[1]
