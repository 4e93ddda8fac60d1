"""Programs that a C lowering gets wrong: names, hazards of states, sizes; and the kernels alone."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from grsn_edge.backends import backend
from grsn_edge.backends._c import compiler
from grsn_edge.backends._c.emit import emit
from grsn_edge.conformance import random_graph
from grsn_edge.program import Builder, Program, Value, step

pytestmark = pytest.mark.skipif(backend("c").unavailable() is not None, reason="no C compiler")


def assert_equal(program: Program, steps: int = 12, batch: int | None = None) -> None:
    """The c backend against the reference, from random states, on inputs at and between ends."""
    runner, rng = backend("c").load(program, batch=batch), np.random.default_rng(0)
    shape = () if batch is None else (batch,)

    def draw(node) -> np.ndarray:
        value = rng.integers(node.interval.lo, node.interval.hi + 1, (*shape, node.n))
        ends = rng.integers(0, 4, value.shape)
        return np.where(ends == 0, node.interval.lo, np.where(ends == 1, node.interval.hi, value))

    state = {node.name: draw(node) for node in program.states}
    runner.set_state(state)
    for _ in range(steps):
        inputs = {node.name: draw(node) for node in program.inputs}
        want, state = step(program, inputs, state)
        got = runner.step(inputs)
        for name, value in want.items():
            assert np.array_equal(np.broadcast_to(value, got[name].shape), got[name]), name
        for name, value in runner.get_state().items():
            assert np.array_equal(np.broadcast_to(state[name], value.shape), value), name


# ---- names ---------------------------------------------------------------------------------------

NAMES = ["i", "int", "state", "in_x", "INT32_MAX", "int32_t", "grsn_shr", "__LINE__", "_Bool", "x1"]


@pytest.mark.parametrize("name", NAMES)
def test_a_value_may_have_any_name(name: str) -> None:
    b = Builder()
    x, s = b.input("x", 4, lo=-9, hi=9), b.state("s", 4, lo=-100, hi=100)
    total = b.apply("add", x, s, name=name)
    b.next(s, (total * 3).clip(-100, 100))
    b.output(name, total)
    assert_equal(b.build())


@pytest.mark.parametrize("name", [n for n in NAMES if n != "in_x"])
def test_states_and_inputs_may_have_any_name(name: str) -> None:
    b = Builder()
    x, s = b.input(f"a.{name}", 4, lo=-9, hi=9), b.state(name, 4, lo=-100, hi=100)
    b.next(s, (s + x).clip(-100, 100))
    b.output("y", s)
    assert_equal(b.build())


def test_names_that_differ_only_in_dots_stay_apart() -> None:
    b = Builder()
    x, y = b.input("a.b", 3, lo=-9, hi=9), b.input("a_b", 3, lo=-9, hi=9)
    b.output("c.d", x - y)
    b.output("c_d", y * 2)
    assert_equal(b.build())


def test_constants_may_be_called_as_functions_and_tables_are() -> None:
    b, rng = Builder(), np.random.default_rng(0)
    x = b.input("x", 16, lo=-9, hi=9)
    names = ("step", "reset", "columns_m", "bias_m", "m")
    total = b.matvec(rng.integers(-9, 9, (16, 16)), x, rng.integers(-9, 9, 16), name="m")
    for i, name in enumerate(n for n in names if n != "m"):
        total = total + b.const(np.arange(16) + i, name=name)
    b.output("y", total)
    assert_equal(b.build())


# ---- hazards -------------------------------------------------------------------------------------

LOW, HIGH = -1000, 1000


def two_states(after: Callable[[Builder, Value, Value, Value], tuple[Value, Value]]) -> Program:
    """States ``p`` and ``q``, input ``x``; outputs: the old states and what became of them."""
    b = Builder()
    x = b.input("x", 5, lo=LOW, hi=HIGH)
    p, q = b.state("p", 5, lo=LOW, hi=HIGH), b.state("q", 5, lo=LOW, hi=HIGH)
    for state, value in zip((p, q), after(b, x, p, q), strict=True):
        b.next(state, value)
    b.output("old_p", p)
    b.output("sum_of_old", p + q)
    return b.build()


def late_reader(b: Builder, x: Value, p: Value, q: Value) -> tuple[Value, Value]:
    now = (p + x).clip(LOW, HIGH)
    mixed = b.matvec(np.eye(5, dtype=np.int64)[::-1], now, np.zeros(5, np.int64))
    return now, (mixed - p).clip(LOW, HIGH)


def one_for_all(b: Builder, x: Value, p: Value, q: Value) -> tuple[Value, Value]:
    first = p[0:1]
    return (p + first).clip(LOW, HIGH), (q - first).clip(LOW, HIGH)


HAZARDS = {
    "swap": lambda b, x, p, q: (q, p),
    "keep": lambda b, x, p, q: (p, p),
    "input": lambda b, x, p, q: (x, x),
    "constant": lambda b, x, p, q: (b.const([1, 2, 3, 4, 5]), x),
    "shared": lambda b, x, p, q: ((p - q).clip(LOW, HIGH),) * 2,
    "chain": lambda b, x, p, q: ((p + x).clip(LOW, HIGH), p),
    "rotate": lambda b, x, p, q: (b.concat(p[1:5], q[0:1]), b.concat(q[1:5], p[0:1])),
    "views": lambda b, x, p, q: (b.concat(q, p)[2:7], b.concat(p, q)[3:8]),
    "idle clip": lambda b, x, p, q: (q.clip(-5000, 5000), p.clip(-5000, 5000)),
    "late reader": late_reader,
    "one for all": one_for_all,
}


@pytest.mark.parametrize("case", HAZARDS)
@pytest.mark.parametrize("batch", [None, 3])
def test_old_states_are_read_before_they_are_overwritten(case: str, batch: int | None) -> None:
    assert_equal(two_states(HAZARDS[case]), batch=batch)


# ---- sizes and ends ------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 3, 7, 8, 9, 63, 64, 65, 130, 256])
@pytest.mark.parametrize("rows", [2, 20])
def test_products_of_spikes_and_numbers_of_any_size(n: int, rows: int) -> None:
    b, rng = Builder(), np.random.default_rng(n)
    spikes, codes = b.input("s", n, lo=0, hi=1), b.input("c", n, lo=-128, hi=127)
    weight, bias = rng.integers(-128, 128, (rows, n)), rng.integers(-999, 999, rows)
    b.output("events", b.matvec(weight, spikes, bias))
    b.output("dense", b.matvec(weight, codes, bias))
    b.output("wide", b.matvec(weight, codes * 500, bias))
    assert_equal(b.build())


@pytest.mark.parametrize("n", [1, 8, 21])
@pytest.mark.parametrize("low", [-128, 0])
def test_tables_of_any_type_are_read_in_place_too(n: int, low: int) -> None:
    b, rng = Builder(), np.random.default_rng(n)
    small, large = rng.integers(-128, 128, 256), rng.integers(-(2**15), 2**15, 256)
    large[128:] //= 512  # from an index of 0 on, the entries fit in int8
    x, s = b.input("x", n, lo=low, hi=127), b.state("s", n, lo=-128, hi=127)
    far = b.input("far", n, lo=-(2**31), hi=2**31 - 1)
    b.output("small", b.lut(x, small))
    b.output("large", b.lut(x, large))
    b.output("far", b.lut(far.clip(-128, 127), large) + x)
    b.output("constant", b.lut(b.const(np.arange(n)), large))
    b.next(s, b.lut(s, small))
    assert_equal(b.build())


def test_sums_that_int16_cannot_hold_are_int32() -> None:
    b = Builder()
    spikes = b.input("s", 300, lo=0, hi=1)
    b.output("y", b.matvec(np.full((9, 300), 127), spikes, np.zeros(9, np.int64)))
    b.output("z", b.matvec(np.full((2, 300), -128), spikes, np.zeros(2, np.int64)))
    assert_equal(b.build())


def test_the_ends_of_int32_pass_through() -> None:
    b = Builder()
    x, bit = b.input("x", 3, lo=-(2**31), hi=2**31 - 1), b.input("bit", 1, lo=0, hi=1)
    least = b.const([-(2**31), 2**31 - 1, 0])
    s = b.state("s", 3, lo=-(2**31), hi=2**31 - 1, init=[-(2**31), 2**31 - 1, -1])
    b.next(s, x)
    b.output("gated", least * bit)
    b.output("old", s)
    b.output("same", x)
    assert_equal(b.build())


def test_a_program_needs_no_input() -> None:
    b = Builder()
    s = b.state("s", 3, lo=-5, hi=5, init=[1, 2, 3])
    b.next(s, s * -1)
    b.output("y", s)
    assert_equal(b.build())
    assert_equal(b.build(), batch=2)


# ---- kernels -------------------------------------------------------------------------------------


def kernel(prelude: str, function: str) -> ctypes.PyDLL:
    source = f'{prelude}\n#include "grsn_kernels.h"\n#include "grsn_primitives.h"\n{function}\n'
    return compiler.load({"kernel.c": source})


def test_shr_rounds_half_up_below_zero_too() -> None:
    library = kernel(
        "",
        "int32_t shr(int32_t x, unsigned s);\n"
        "int32_t shr(int32_t x, unsigned s) { return grsn_shr(x, s); }",
    )
    assert [library.shr(x, 1) for x in (-4, -3, -2, -1, 0, 1, 2, 3)] == [-2, -1, -1, 0, 0, 1, 1, 2]
    assert [library.shr(x, 8) for x in (-129, -128, -127, 127, 128)] == [-1, 0, 0, 0, 1]
    assert library.shr(-(2**31), 30) == -2
    assert library.shr(2**31 - 1 - 2**29, 30) == 1


@pytest.mark.parametrize("wide", [0, 1])
@pytest.mark.parametrize("n", [1, 4, 7, 8, 63, 64, 71, 200])
def test_active_neurons_are_found_in_order_in_both_ways(wide: int, n: int) -> None:
    library = kernel(
        f"#define GRSN_WIDE_SEARCH {wide}",
        "int32_t find(const int8_t *s, int32_t n, uint16_t *a);\n"
        "int32_t find(const int8_t *s, int32_t n, uint16_t *a) { return grsn_active(s, n, a); }",
    )
    rng = np.random.default_rng(n)
    for rate in (0.0, 0.1, 0.5, 1.0):
        spikes = (rng.random(n) < rate).astype(np.int8)
        found = np.zeros(n + 3, np.uint16)
        count = library.find(
            ctypes.c_void_p(spikes.ctypes.data), n, ctypes.c_void_p(found.ctypes.data)
        )
        assert found[:count].tolist() == np.flatnonzero(spikes).tolist()


# ---- other compilers -----------------------------------------------------------------------------

COMPILERS = {
    "gcc": ["gcc"],
    "clang": ["clang"],
    "ziglang": [sys.executable, "-m", "ziglang", "cc"],
    "ziglang, Cortex-M4": [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-target",
        "thumb-freestanding-eabihf",
        "-mcpu=cortex_m4",
        "-ffreestanding",
    ],
}


@pytest.mark.parametrize("name", COMPILERS)
@pytest.mark.parametrize("vectors", [False, True])
def test_sources_compile_cleanly_with(name: str, vectors: bool, tmp_path: Path) -> None:
    command = COMPILERS[name]
    if "ziglang" in name:
        pytest.importorskip("ziglang")
    elif shutil.which(command[0]) is None:
        pytest.skip(f"no {name}")
    generated = emit(random_graph(12), split_tables=vectors)
    (tmp_path / "policy.h").write_text(generated.header)
    (tmp_path / "policy.c").write_text(generated.source)
    strict = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion"]
    line = [*command, *strict, "-O2", "-Werror", f"-I{compiler.headers()}", "-c", "policy.c"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
