"""What follows a threshold: for every neuron in the loop, or after it for those that fire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from test_c_lowering import assert_equal

from grsn_edge.backends import backend, c_backend
from grsn_edge.backends._c.emit import CSource, emit
from grsn_edge.backends._c.fires import find_fires
from grsn_edge.backends._c.schedule import Loop, schedule
from grsn_edge.program import Builder, Program, Value

pytestmark = pytest.mark.skipif(backend("c").unavailable() is not None, reason="no C compiler")

N = 18  # a whole number of pairs, and two more than two vectors of eight


def neurons(
    finish: Callable[[Builder, Value, Value, Value], None], theta: np.ndarray | int = 300
) -> Program:
    """A leaky integrator of ``N`` inputs; ``finish`` gets the old spikes, the new, and u after."""
    b = Builder()
    x = b.input("x", N, lo=-500, hi=500)
    u, o = b.state("u", N, lo=-(2**15), hi=2**15 - 1), b.state("o", N, lo=0, hi=1)
    before = ((u * 200).shr(8) + x).clip(-20000, 20000)
    level = b.const(np.broadcast_to(theta, N))
    spike = before >= level
    after = before - level * spike
    b.next(u, after)
    b.next(o, spike)
    finish(b, o, spike, after)
    return b.build()


def product(b: Builder, x: Value, rows: int = 3) -> Value:
    weight = np.random.default_rng(rows).integers(-128, 128, (rows, x.n))
    return b.matvec(weight, x, np.zeros(rows, np.int64))


def read_by_a_product(b: Builder, old: Value, spike: Value, after: Value) -> None:
    b.output("y", product(b, spike) + product(b, old))


def read_in_memory(b: Builder, old: Value, spike: Value, after: Value) -> None:
    b.output("y", b.concat(spike, old))


def membrane_read_on(b: Builder, old: Value, spike: Value, after: Value) -> None:
    b.output("y", after + old)


def spikes_read_on(b: Builder, old: Value, spike: Value, after: Value) -> None:
    b.output("y", spike * 3 - old)


VARIED = np.random.default_rng(0).integers(100, 400, N)
CASES = {
    "product": (neurons(read_by_a_product, VARIED), True),
    "one threshold": (neurons(read_by_a_product), True),
    "memory": (neurons(read_in_memory, VARIED), True),
    "zero and below": (neurons(read_by_a_product, np.arange(N) - 12), True),
    "membrane": (neurons(membrane_read_on, VARIED), False),
    "spikes": (neurons(spikes_read_on, VARIED), False),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_left_to_later_where_nobody_in_the_loop_reads_it(case: str) -> None:
    program, rare = CASES[case]
    plan = schedule(program)
    fires = [f for g in plan.groups if isinstance(g, Loop) for f in find_fires(plan, g)]
    assert [fire.rare for fire in fires] == [rare]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("lanes", [1, 2, 8])
def test_it_is_the_reference(case: str, lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def emit_for_a_board(program: Program, *, split_tables: bool) -> CSource:
        generated = emit(program)
        macro = f"#define GRSN_LANES {lanes}\n" if lanes > 1 else "#define GRSN_KERNELS_GENERIC\n"
        return replace(generated, source=macro + generated.source)

    monkeypatch.setattr(c_backend, "emit", emit_for_a_board)
    assert_equal(CASES[case][0], steps=60)


def test_spikes_that_only_a_product_reads_need_no_memory() -> None:
    b = Builder()
    x = b.input("x", N, lo=-500, hi=500)
    u = b.state("u", N, lo=-(2**15), hi=2**15 - 1)
    before = ((u * 200).shr(8) + x).clip(-20000, 20000)
    level = b.const(VARIED)
    spike = before >= level
    b.next(u, before - level * spike)
    b.output("y", product(b, spike))
    source = emit(b.build()).source
    assert "grsn_active(" not in source[source.rindex("#else") :]
    assert_equal(b.build())
