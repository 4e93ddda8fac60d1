"""The two relational rules, exhaustively on small ranges: sound, and as tight as they claim."""

from __future__ import annotations

from itertools import product

import numpy as np

from grsn_edge.program import Builder, Interval, Value, evaluate

RANGES = [(lo, hi) for lo in range(-3, 4) for hi in range(lo, 4)]


def enclosed(found: set[int], interval: Interval) -> bool:
    return interval.low <= min(found) and max(found) <= interval.high


def test_a_convex_combination_stays_between_its_ends_for_every_small_case() -> None:
    for (a_lo, a_hi), (b_lo, b_hi), shift in product(RANGES, RANGES, (1, 2, 3)):
        t = Builder()
        a, b = t.input("a", 1, lo=a_lo, hi=a_hi), t.input("b", 1, lo=b_lo, hi=b_hi)
        f = t.input("f", 1, lo=0, hi=1 << shift)
        t.output("y", b + (f * (a - b)).shr(shift))
        program = t.build()
        grid = np.array(
            list(
                product(range(a_lo, a_hi + 1), range(b_lo, b_hi + 1), range((1 << shift) + 1)),
            )
        )
        given = {name: grid[:, i : i + 1] for i, name in enumerate("abf")}
        value = program.outputs["y"]
        reached = evaluate(program, given, {})[value]
        interval = program[value].interval
        assert (reached.min(), reached.max()) == (interval.low, interval.high)
        assert (interval.low, interval.high) == (min(a_lo, b_lo), max(a_hi, b_hi))


def test_a_soft_reset_lies_in_its_claimed_range_for_every_small_case() -> None:
    for (u_lo, u_hi), theta in product(RANGES, range(5)):
        t = Builder()
        u, level = t.input("u", 1, lo=u_lo, hi=u_hi), t.const([theta])
        t.output("y", u - level * (u >= level))
        program = t.build()
        value = program.outputs["y"]
        found = {int(evaluate(program, {"u": [k]}, {})[value][0]) for k in range(u_lo, u_hi + 1)}
        assert enclosed(found, program[value].interval)


def test_a_soft_reset_keeps_a_membrane_in_its_own_range() -> None:
    t = Builder()
    u, theta = t.input("u", 2, lo=-100, hi=100), t.const([30, 80])
    after = u - (u >= theta) * theta
    assert after.interval.lo.tolist() == [-100, -100]
    assert after.interval.hi.tolist() == [70, 79]


def wide(t: Builder) -> tuple[Value, Value]:
    return t.input("a", 1, lo=0, hi=10), t.input("b", 1, lo=0, hi=10)


def test_operands_of_a_sum_and_of_a_product_may_stand_in_either_order() -> None:
    t = Builder()
    a, b = wide(t)
    f = t.input("f", 1, lo=0, hi=8)
    for y in ((f * (a - b)).shr(3) + b, b + ((a - b) * f).shr(3)):
        assert (y.interval.low, y.interval.high) == (0, 10)


def test_what_only_looks_like_a_convex_combination_keeps_its_wide_range() -> None:
    t = Builder()
    a, b = wide(t)
    f, too_large = t.input("f", 1, lo=0, hi=8), t.input("g", 1, lo=0, hi=9)
    other = t.input("c", 1, lo=0, hi=10)
    for y in (
        b + (too_large * (a - b)).shr(3),
        b + (f * (b - a)).shr(3),
        other + (f * (a - b)).shr(3),
        b + (f * (a - b)).shr(2),
    ):
        assert y.interval.low < 0 or y.interval.high > 10


def test_what_only_looks_like_a_soft_reset_keeps_its_wide_range() -> None:
    t = Builder()
    u, other = t.input("u", 1, lo=-9, hi=9), t.input("v", 1, lo=-9, hi=9)
    level, negative = t.const([4]), t.const([-4])
    for y in (
        u - level * (other >= level),
        u - level * (level >= u),
        u - negative * (u >= negative),
        u - other * (u >= other),
    ):
        assert (y.interval.low, y.interval.high) != (-9, 5)
    plain = u - level * (other >= level)
    assert (plain.interval.low, plain.interval.high) == (-13, 9)
