"""The figures behind a report's tables."""

from __future__ import annotations

import numpy as np
import pytest
from toy_policy import toy_policy, toy_program

from grsn_edge.conformance import Report
from grsn_edge.conformance.lockstep import Difference
from grsn_edge.program import Builder, operations
from grsn_edge.report import episode_trace, tables
from grsn_edge.report.episode import choose


def test_room_to_int32_of_a_known_program() -> None:
    b = Builder()
    x = b.input("x", 1, lo=-127, hi=127)
    b.output("y", b.apply("mul", x, b.const([2**23], name="k"), name="y"))
    rows = {row.name: row for row in tables.proven(b.build())}
    assert (rows["x"].dtype, rows["x"].bits, rows["x"].low) == ("int8", 7.0, -127)
    assert rows["y"].dtype == "int32"
    assert rows["y"].spare == pytest.approx((2**31 - 1) / (127 * 2**23))
    assert rows["y"].filled == pytest.approx(1 / rows["y"].spare)


def test_a_state_stays_inside_its_range() -> None:
    (state,) = tables.invariants(toy_program())
    assert state.name == "layer0.u"
    assert (state.low, state.high) == (-(2**15), 2**15 - 1)
    assert state.low <= state.next_low <= state.next_high <= state.high
    assert state.holds


def test_every_output_and_state_is_compared() -> None:
    assert tables.integers_per_step(toy_program()) == 1 + 4


def test_after_a_difference_the_backends_behind_it_are_not_called_equal() -> None:
    found = Difference("torch", 3, 1, "layer0.u", 2, 10, 11)
    rows = tables.agreements(Report(64, {"numpy": "a", "torch": "b", "c": "a"}, found))
    assert [(r.backend, r.reference, r.equal) for r in rows] == [
        ("numpy", True, True),
        ("torch", False, False),
        ("c", False, None),
    ]


def test_groups_of_operations_are_all_operations() -> None:
    counts = operations(toy_program(), {"layer0.spike": 0.25}).total
    assert sum(tables.grouped(counts).values()) == pytest.approx(counts.total)
    assert tables.count_rows(counts, counts)[-1] == ("all", counts.total, counts.total)


def test_returns_agree_within_two_standard_errors() -> None:
    rng = np.random.default_rng(0)
    a, b, far = (
        tables.compared("a", toy_policy(), {}, rng.normal(m, 10, 100)) for m in (50, 51, 80)
    )
    assert tables.returns_agree(a, b)
    assert not tables.returns_agree(a, far)


def test_a_trace_fires_where_the_membrane_reaches_its_threshold() -> None:
    policy = toy_policy()
    trace = episode_trace(policy, np.full((30, 2), 0.9, np.float32))
    spikes = trace.spikes["layer0"]
    assert spikes.shape == (30, 4)
    assert spikes.any()
    np.testing.assert_array_equal(spikes, trace.membranes["layer0"] >= 1)
    np.testing.assert_allclose(trace.resets["layer0"], trace.membranes["layer0"] - spikes)
    assert trace.time_s[-1] == pytest.approx(29 * policy.period_s)
    assert trace.rates == {"layer0.spike": spikes.mean()}
    assert trace.rate == spikes.mean()


def test_the_closer_look_is_taken_where_neurons_take_part() -> None:
    still = np.zeros((300, 2), np.float32)
    still[200:] = np.random.default_rng(0).normal(0, 3, (100, 2))
    trace = episode_trace(toy_policy(), still)
    closer = choose(trace)
    assert closer.end - closer.begin == 100
    assert trace.spikes["layer0"][closer.begin : closer.end].any()
    assert set(closer.neurons["layer0"]) <= {0, 1, 2, 3}
