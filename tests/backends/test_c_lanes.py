"""Generated C that takes several neurons at a time, in portable C on this machine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from every_form import every_form
from test_c_lowering import HAZARDS, assert_equal, two_states

from grsn_edge.backends import backend, c_backend
from grsn_edge.backends._c.emit import CSource, emit
from grsn_edge.conformance import random_graph, random_program
from grsn_edge.program import Program

pytestmark = pytest.mark.skipif(backend("c").unavailable() is not None, reason="no C compiler")


@pytest.fixture(params=[2, 8])
def lanes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The c backend runs what is exported, with this many neurons at a time."""

    def emit_for_a_board(program: Program, *, split_tables: bool) -> CSource:
        generated = emit(program)
        macro = f"#define GRSN_LANES {request.param}\n"
        return replace(generated, source=macro + generated.source)

    monkeypatch.setattr(c_backend, "emit", emit_for_a_board)
    return int(request.param)


@pytest.mark.parametrize("kind", ["grsn", "lif", "dense"])
def test_cells_are_the_reference(lanes: int, kind: str) -> None:
    assert_equal(random_program(0, kind).program, steps=40)


@pytest.mark.parametrize("seed", range(5))
def test_any_program_is_the_reference(lanes: int, seed: int) -> None:
    assert_equal(random_graph(seed), steps=40)


@pytest.mark.parametrize("case", ["late reader", "one for all", "shared", "chain"])
def test_old_states_are_read_before_they_are_overwritten(lanes: int, case: str) -> None:
    assert_equal(two_states(HAZARDS[case]))


@pytest.mark.parametrize("n", [1, 2, 7, 8, 12, 17])
def test_each_operation_in_each_form(lanes: int, n: int) -> None:
    assert_equal(every_form(n), steps=60)
