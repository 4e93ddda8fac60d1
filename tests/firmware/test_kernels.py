"""Generated C with each processor's kernels, on emulated processors, against the reference."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from every_form import every_form

from grsn_edge.conformance import random_program
from grsn_edge.program import Program

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


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("kind", ["grsn", "lif", "dense", "readout"])
def test_cells_on_every_processor(name: str, kind: str) -> None:
    for seed in range(3):
        check(random_program(seed, kind).program, name, 64)
