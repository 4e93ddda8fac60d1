"""What a step costs, counted by hand on small programs."""

from __future__ import annotations

import numpy as np
import pytest

from grsn_edge.conformance import random_program
from grsn_edge.errors import ProgramError, UsageError
from grsn_edge.program import Builder, Counts, Memory, Program, Value, memory, operations


def spiking() -> Program:
    """Ten inputs → four neurons that see their own last spikes; two actions."""
    b = Builder()
    x = b.input("x", 10, lo=-127, hi=127)
    o = b.state("o", 4, lo=0, hi=1)
    drive = b.matvec(np.ones((4, 10), np.int64), x, name="drive")
    recurrent = b.matvec(np.ones((4, 4), np.int64), o, name="recurrent")
    u = drive + recurrent
    spike = b.apply("ge", u, b.const([3], name="theta"), name="spike")
    b.next(o, spike)
    b.output("action", b.argmax(b.matvec(np.ones((2, 4), np.int64), spike, name="readout")))
    return b.build()


def test_every_kind_of_operation_is_counted() -> None:
    assert operations(spiking()).total == Counts(
        synaptic_additions=4 * 4 + 2 * 4,
        multiply_accumulates=4 * 10,
        additions=4,
        comparisons=4 + 1,
    )


def test_activity_scales_only_synaptic_additions_and_a_state_follows_its_next_value() -> None:
    found = operations(spiking(), {"spike": 0.25})
    assert found.nodes["recurrent"].synaptic_additions == 4 * 1
    assert found.nodes["readout"].synaptic_additions == 2 * 1
    assert found.total.multiply_accumulates == 40
    apart = operations(spiking(), {"spike": 0.25, "o": 0.5})
    assert apart.nodes["recurrent"].synaptic_additions == 4 * 2


def test_the_total_is_the_sum_of_the_values() -> None:
    program = random_program(3, "grsn").program
    found = operations(program)
    assert sum(count.total for count in found.nodes.values()) == found.total.total
    assert list(found.nodes) == [node.name for node in program]


@pytest.mark.parametrize("activity", [{"spike": 1.5}, {"spike": float("nan")}, {"x": 0.5}])
def test_an_activity_must_be_a_fraction_of_a_binary_value(activity: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="an activity is"):
        operations(spiking(), activity)


def test_an_activity_of_an_unknown_value_is_refused() -> None:
    with pytest.raises(ProgramError, match="'nobody'"):
        operations(spiking(), {"nobody": 0.5})


def counts(trace: object) -> Counts:
    b = Builder()
    x = b.input("x", 3, lo=-100, hi=100)
    s = b.input("s", 3, lo=0, hi=1)
    b.output("y", trace(b, x, s))  # type: ignore[operator]
    return operations(b.build()).total


def test_a_product_with_a_binary_value_is_a_selection() -> None:
    assert counts(lambda b, x, s: x * s) == Counts(selections=3)


def test_a_product_with_a_power_of_two_is_a_shift() -> None:
    assert counts(lambda b, x, s: x * 8) == Counts(shifts=3)
    assert counts(lambda b, x, s: x * 6) == Counts(multiplications=3)
    assert counts(lambda b, x, s: x * -8) == Counts(multiplications=3)


def test_a_clip_that_cannot_act_is_free() -> None:
    assert counts(lambda b, x, s: x.clip(-100, 100)) == Counts()
    assert counts(lambda b, x, s: x.clip(-100, 99)) == Counts(clips=3)


def test_look_ups_and_shifts_are_counted_by_element_and_layout_is_free() -> None:
    def trace(b: Builder, x: Value, s: Value) -> Value:
        return b.concat(b.lut(x.shr(1), [0] * 256), s)[1:]

    assert counts(trace) == Counts(shifts=3, lookups=3)


def test_elements_proven_silent_cost_nothing_and_proven_ones_always_count() -> None:
    b = Builder()
    s = b.input("s", 4, lo=[0, 0, 0, 1], hi=[0, 1, 1, 1])
    b.output("y", b.matvec(np.ones((5, 4), np.int64), s))
    program = b.build()
    assert operations(program).total.synaptic_additions == 5 * 3
    assert operations(program, {"s": 0.0}).total.synaptic_additions == 5 * 1


def test_memory_counts_constants_state_and_the_most_that_lives_at_once() -> None:
    # x and o are given; drive (int16 x 4) and recurrent (int8 x 4) make u (int16 x 4); then drive
    # and recurrent die, spike (int8 x 4) lives to the end; readout (int8 x 2), action (int8).
    found = memory(spiking())
    weights, biases, theta = 4 * 10 + 4 * 4 + 2 * 4, 4 * (4 + 4 + 2), 1
    assert found == Memory(constants=weights + biases + theta, state=4, scratch=8 + 4 + 8)


def test_scratch_is_at_least_what_the_step_hands_on() -> None:
    program = random_program(5, "grsn").program
    sizes = {"int8": 1, "int16": 2, "int32": 4}
    handed_on = {*program.nexts.values(), *program.outputs.values()}
    computed = [program[n] for n in handed_on if program[n].op not in ("input", "state", "const")]
    assert memory(program).scratch >= sum(n.n * sizes[n.dtype] for n in computed)
