"""Each processor's kernels: alone beside C99, and in generated C on emulated processors."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from every_form import every_form

from grsn_edge.backends._c.compiler import headers
from grsn_edge.conformance import random_program
from grsn_edge.program import Program, memory

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from counting.measure import count
from counting.targets import TARGETS, why_not


def check(program: Program, name: str, steps: int, *defines: str) -> None:
    """Every action and the final state, ``==``; the counter itself compares."""
    target = TARGETS[name]
    reason = why_not(target)
    if reason:
        pytest.skip(reason)
    pytest.importorskip("elftools", reason="pyelftools is not installed")
    (source,) = program.inputs
    rng = np.random.default_rng(0)
    codes = rng.integers(source.interval.lo, source.interval.hi + 1, (steps, source.n))
    ends = rng.integers(0, 4, codes.shape)
    codes = np.where(ends == 0, source.interval.lo, codes)
    codes = np.where(ends == 1, source.interval.hi, codes)
    found = count(program, codes, target, defines=defines)
    assert len(found.steps) == steps
    assert found.steps.min() > 0


@pytest.mark.parametrize("name", ["m4", "m4-zig", "m55", "m0", "rv32"])
@pytest.mark.parametrize("n", [8, 17])
def test_each_operation_in_each_form(name: str, n: int) -> None:
    check(every_form(n), name, 24)


@pytest.mark.parametrize("name", ["m3", "m33", "avr"])
def test_other_processors_too(name: str) -> None:
    check(every_form(4), name, 12)


def test_plain_c_is_chosen_by_a_macro() -> None:
    check(every_form(8), "m4", 8, "-DGRSN_KERNELS_GENERIC")


ROOM = {"avr": (8_000, 600), "m0": (60_000, 4_000), "m0-zig": (60_000, 4_000)}
"""Bytes that a random program's constants, and its state and scratch memory, may take."""


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("kind", ["grsn", "lif", "dense", "first_spike"])
def test_cells_on_every_processor(name: str, kind: str) -> None:
    constants, variables = ROOM.get(name, (200_000, 8_000))
    tried = 0
    for program in (random_program(seed, kind).program for seed in itertools.count()):
        needed = memory(program)
        if needed.constants <= constants and needed.state + needed.scratch <= variables:
            check(program, name, 64)
            tried += 1
        if tried == 3:
            break


ZIG = [sys.executable, "-m", "ziglang", "cc"]
HOSTED = {
    "avx2": (["gcc", "-mavx2"], []),
    "neon": ([*ZIG, "-target", "aarch64-linux-musl"], ["qemu-aarch64"]),
}


@pytest.mark.parametrize(
    "name",
    ["avx2", pytest.param("neon", marks=pytest.mark.slow)],  # zig builds its C library once
)
def test_kernels_are_those_of_c99(name: str, tmp_path: Path) -> None:
    compiler, emulator = HOSTED[name]
    if compiler[0] == sys.executable:
        pytest.importorskip("ziglang", reason="ziglang is not installed")
    for tool in (*compiler[:1], *emulator):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    if name == "avx2" and "avx2" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        pytest.skip("this processor has no AVX2")

    def traced(*flags: str) -> str:
        target = tmp_path / f"trace{len(flags)}"
        source = Path(__file__).with_name("kernels_trace.c")
        line = [*compiler, "-std=gnu99", "-O2", "-static", "-Wall", "-Wextra", "-Werror", *flags]
        subprocess.run([*line, f"-I{headers()}", str(source), "-o", str(target)], check=True)
        done = subprocess.run([*emulator, str(target)], capture_output=True, text=True, check=True)
        return done.stdout

    own = traced()
    assert own.count("\n") > 1000
    assert own == traced("-DGRSN_KERNELS_GENERIC")
