"""Every backend equals the NumPy reference on every output and state, with ``==``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grsn_edge.backends import backend, backend_names
from grsn_edge.conformance import compare, random_graph, random_program, random_programs
from grsn_edge.conformance.random_programs import HIDDEN, READOUTS, RandomProgram
from grsn_edge.errors import BackendUnavailable
from grsn_edge.program import Program

PROGRAMS, STEPS = 60, 2048  # 60 programs x 2048 steps: 122,880 steps
USABLE = ["numpy", *(n for n in backend_names() if n != "numpy" and not backend(n).unavailable())]


@pytest.mark.parametrize("drawn", [*random_programs(PROGRAMS)], ids=lambda d: f"{d.seed}:{d.label}")
def test_backends_equal_the_reference(drawn: RandomProgram) -> None:
    report = compare(drawn.program, USABLE, steps=STEPS, streams=64, seed=drawn.seed)
    assert report.equal, report.difference
    assert report.steps >= STEPS
    assert len(set(report.hashes.values())) == 1


@pytest.mark.parametrize("seed", range(40))
def test_backends_equal_the_reference_on_programs_that_are_no_networks(seed: int) -> None:
    report = compare(random_graph(seed), USABLE, steps=512, streams=32, seed=seed)
    assert report.equal, report.difference


def test_the_draws_hold_every_cell_the_extreme_weights_and_sizes_from_1_to_256() -> None:
    drawn = list(random_programs(PROGRAMS))
    weights = np.concatenate(
        [n.attrs["weight"].ravel() for d in drawn for n in d.program if n.op == "matvec"]
    )
    sizes = {n.n for d in drawn for n in d.program.states}
    assert all(any(kind in d.label for d in drawn) for kind in (*HIDDEN, *READOUTS))
    assert (weights.min(), weights.max()) == (-128, 127)
    assert min(sizes) == 1
    assert max(sizes) >= 256


def test_a_broken_lowering_is_named_by_step_value_and_element() -> None:
    drawn = random_program(3, "lif")

    def off_by_one(program: Program) -> Program:
        nodes = [
            replace(n, attrs={**n.attrs, "value": n.attrs["value"] + 1})
            if n.name == "layer0.theta"
            else n
            for n in program
        ]
        return Program(tuple(nodes), program.outputs, program.nexts)

    from grsn_edge.conformance.lockstep import _first_difference
    from grsn_edge.program import step

    state = {s.name: s.interval.hi for s in drawn.program.states}
    inputs = {i.name: i.interval.hi for i in drawn.program.inputs}
    want, got = (
        {k: v[None] for k, v in step(p, inputs, state)[1].items()}
        for p in (drawn.program, off_by_one(drawn.program))
    )
    difference = _first_difference("broken", 0, want, got)
    assert difference is not None
    assert "broken: step 0" in str(difference)
    assert difference.value == "layer0.u"


def test_an_unknown_backend_lists_those_there_are() -> None:
    with pytest.raises(BackendUnavailable, match="numpy"):
        backend("abacus")
