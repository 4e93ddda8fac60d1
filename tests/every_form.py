"""A program with every operation that a C lowering writes in more than one way."""

from __future__ import annotations

import numpy as np

from grsn_edge.program import Builder, Program, Value

_INT16 = (-(2**15), 2**15 - 1)


def every_form(n: int) -> Program:
    """Narrow and wide operands, idle and acting clips, folded and plain shifts, vectors of ``n``.

    One input and one output.  What is computed with comes from states that hold the previous
    input, so that each operand lies in memory in its own storage type.
    """
    rng, b = np.random.default_rng(n), Builder()
    ranges = {
        "small": (n, -128, 127),
        "half": (n, *_INT16),
        "wide": (n, -(2**30), 2**30),
        "spike": (n, 0, 1),
        "one": (1, -300, 300),
        "few": (4, -128, 127),
        "many": (12, 0, 1),
        "codes": (12, -128, 127),
        "halves": (12, *_INT16),
    }
    x = b.input(
        "x",
        sum(size for size, _, _ in ranges.values()),
        lo=np.concatenate([np.full(size, lo) for size, lo, _ in ranges.values()]),
        hi=np.concatenate([np.full(size, hi) for size, _, hi in ranges.values()]),
    )
    given: dict[str, Value] = {}
    at = 0
    for name, (size, lo, hi) in ranges.items():
        given[name] = b.state(name, size, lo=lo, hi=hi, init=np.full(size, max(lo, 0)))
        b.next(given[name], x[at : at + size])
        at += size
    b.output("y", b.concat(*_values(b, rng, n, given)))
    return b.build()


def _values(b: Builder, rng: np.random.Generator, n: int, given: dict[str, Value]) -> list[Value]:
    small, half, wide, spike = (given[name] for name in ("small", "half", "wide", "spike"))
    level = b.const(rng.integers(1, 2**14, n))
    table = rng.integers(*_INT16, 256)

    def product(name: str, bias: int) -> Value:
        value = given[name]
        weight = rng.integers(-128, 128, (n, value.n))
        return b.matvec(weight, value, rng.integers(-bias, bias, n))

    drive = product("few", 9999)
    u = b.state("u", n, lo=_INT16[0], hi=_INT16[1])
    now = (u + small).clip(*_INT16)
    fired = b.apply("ge", now, level)
    b.next(u, now - level * fired)
    return [
        fired,
        (half + small).clip(*_INT16) - given["one"],
        (half.shr(1) + small.shr(3)) * spike,
        (half * level + small * half).shr(15) + drive.shr(3),
        (half * small).shr(7),
        wide.shr(4).clip(-5000, 70000) * spike,
        (wide - half).clip(-100, 2**15 - 1),
        (small * 16).clip(0, 1000) + small * 4,
        (half * 8).clip(0, 2**15 - 1),
        b.apply("ge", half, level),
        b.apply("ge", wide, level),
        b.apply("ge", small, small),
        b.lut(product("many", 500).shr(3).clip(-128, 127), table) * small,
        b.lut(small, table) - b.lut(half.shr(9), table // 2),
        b.lut(product("few", 99).shr(12).clip(-128, 127), table),
        half.clip(-77, 30000) - small.clip(-128, 5),
        b.const(rng.integers(-(2**30), 2**30, n)) - small,
        half * 3 - small * -7,
        (half * 3).shr(2) + half,
        product("codes", 9),
        product("halves", 9),
        product("many", 2**20),
    ]
