"""Tracing refuses what cannot be proven, and says what, where and why."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest

from grsn_edge.errors import ObservationError, ProgramError, RangeProofError, StateError
from grsn_edge.program import Builder, Program, Value, step, text


def counter(limit: int = 5) -> Program:
    b = Builder()
    x = b.input("x", 2, lo=-1, hi=1)
    s = b.state("s", 2, lo=-limit, hi=limit, init=[1, 2])
    b.next(s, (s + x).clip(-limit, limit))
    b.output("total", s)
    return b.build()


# ---- what a program does -------------------------------------------------------------------------


def test_an_output_sees_the_state_of_before_the_step() -> None:
    program = counter()
    outputs, after = step(program, {"x": [1, -1]}, program.initial_state())
    assert outputs["total"].tolist() == [1, 2]
    assert after["s"].tolist() == [2, 1]


def test_all_states_take_their_next_values_at_once() -> None:
    b = Builder()
    p, q = b.state("p", 1, lo=0, hi=9, init=1), b.state("q", 1, lo=0, hi=9, init=2)
    b.next(p, q)
    b.next(q, p)
    b.output("y", p)
    program = b.build()
    _, after = step(program, {}, program.initial_state())
    assert (after["p"].tolist(), after["q"].tolist()) == ([2], [1])


def test_a_batch_of_streams_steps_together() -> None:
    program = counter()
    _, after = step(program, {"x": [[1, 1], [0, 0], [-1, -1]]}, program.initial_state((3,)))
    assert after["s"].tolist() == [[2, 3], [1, 2], [0, 1]]


def test_python_operators_trace_operations_from_either_side() -> None:
    b = Builder()
    x = b.input("x", 2, lo=-4, hi=4)
    b.output("y", b.concat(10 - x, 3 * x + 1, x - 1, x >= 0, 2 + x, np.array([1, 2]) - x))
    outputs, _ = step(b.build(), {"x": [-2, 3]}, {})
    assert outputs["y"].tolist() == [12, 7, -5, 10, -3, 2, 0, 1, 0, 5, 3, -1]


def test_scaling_by_a_power_of_two_shifts_either_way() -> None:
    b = Builder()
    x = b.input("x", 1, lo=-9, hi=9)
    b.output("y", b.concat(*(x.scale_by_power_of_two(k) for k in (-1, 0, 3))))
    outputs, _ = step(b.build(), {"x": [5]}, {})
    assert outputs["y"].tolist() == [3, 5, 40]


def test_storage_is_the_narrowest_that_holds_the_proven_range() -> None:
    b = Builder()
    x = b.input("x", 1, lo=-128, hi=127)
    values = [x, x + 1, x * 256, x * 257, x * 2**24]
    assert [v.node.dtype for v in values] == ["int8", "int16", "int16", "int32", "int32"]


def test_values_that_nothing_reads_are_left_out() -> None:
    b = Builder()
    x = b.input("x", 1, lo=0, hi=1)
    b.apply("add", x, 1, name="idle")
    b.output("y", x)
    assert [node.name for node in b.build()] == ["x"]


def test_a_program_survives_pickling() -> None:
    program = counter()
    assert text(pickle.loads(pickle.dumps(program))) == text(program)


def test_programs_can_be_compared_and_hashed_by_identity() -> None:
    program = counter()
    assert program == program
    assert program != counter()
    assert len({program, counter()}) == 2


# ---- proofs --------------------------------------------------------------------------------------


def test_a_product_beyond_int32_is_refused_by_name_and_element() -> None:
    b = Builder()
    x = b.input("x", 2, lo=[0, 0], hi=[1, 2**16])
    with pytest.raises(RangeProofError, match=r"mul 'square'\[1\].*4294967296.*clip an operand"):
        b.apply("mul", x, x, name="square")


def test_a_partial_sum_beyond_int32_is_refused_even_if_the_result_fits() -> None:
    b = Builder()
    x = b.input("x", 2, lo=2**24, hi=2**24)
    assert b.matvec([[100, -100]], x).interval.high == 0
    with pytest.raises(RangeProofError):
        b.matvec([[127, -127]], x, [2**29])


def test_the_rounding_addend_of_a_shift_must_fit() -> None:
    b = Builder()
    x = b.input("x", 1, lo=0, hi=2**31 - 2)
    assert x.shr(1).interval.high == 2**30 - 1
    with pytest.raises(RangeProofError):
        x.shr(2)


def test_a_state_that_could_leave_its_range_is_refused_with_both_ranges() -> None:
    b = Builder()
    s = b.state("s", 2, lo=0, hi=[9, 10])
    with pytest.raises(RangeProofError, match=r"'s'\[1\] is declared in \[0, 10\].*\[1, 11\]"):
        b.next(s, (s + 1).clip(0, 99) - b.const([1, 0]))


# ---- refusals ------------------------------------------------------------------------------------

Trace = Callable[[Builder, Value], object]

REFUSED: dict[str, tuple[Trace, str]] = {
    "unknown operation": (lambda b, x: b.apply("pow", x), "unknown operation 'pow'"),
    "arity": (lambda b, x: b.apply("add", x), "add takes 2 operands, not 1"),
    "no operand": (lambda b, x: b.concat(), "one or more operands, not 0"),
    "lengths": (lambda b, x: b.apply("add", x, [1, 2]), r"lengths \[2, 3\] do not match"),
    "float constant": (lambda b, x: x + 0.5, "must hold integers, not float64"),
    "bool constant": (lambda b, x: x + True, "must hold integers, not bool"),
    "huge constant": (lambda b, x: x + 2**31, "outside"),
    "beyond int64": (lambda b, x: x + 2**70, "must hold integers, not object"),
    "empty constant": (lambda b, x: b.const([]), "must hold integers|shape"),
    "ragged matrix": (lambda b, x: b.matvec([[1, 2, 3], [4]], x), "a vector or a matrix"),
    "weight beyond int8": (lambda b, x: b.matvec([[1, 2, 128]], x), r"outside \[-128, 127\]"),
    "matrix of wrong width": (lambda b, x: b.matvec([[1, 2]], x), "weight 1x2 does not fit"),
    "bias of wrong length": (lambda b, x: b.matvec([[1, 2, 3]], x, [1, 2]), "does not fit"),
    "missing constant": (lambda b, x: b.apply("shr", x), r"\['shift'\], not \[\]"),
    "extra constant": (lambda b, x: b.apply("add", x, x, k=1), r"\[\], not \['k'\]"),
    "shift of zero": (lambda b, x: b.apply("shr", x, shift=0), r"outside \[1, 30\]"),
    "clip upside down": (lambda b, x: x.clip(2, 1), "lo 2 is above hi 1"),
    "table of wrong size": (lambda b, x: b.lut(x, [0] * 255), "256 entries, not 255"),
    "table index": (lambda b, x: b.lut(x * 50, [0] * 256), r"-200\.\.200; clip it"),
    "slice beyond the end": (lambda b, x: b.apply("slice", x, start=1, stop=4), "not a part of 3"),
    "slice with a stride": (lambda b, x: x[::2], "step must be 1"),
    "single element": (lambda b, x: x[0], "value\\[i : i \\+ 1\\]"),
    "concat without end": (lambda b, x: b.concat(*[x] * 2**15), "more than 65536"),
    "too long": (lambda b, x: b.input("z", 2**16 + 1, lo=0, hi=1), "1 to 65536"),
    "length of zero": (lambda b, x: b.input("z", 0, lo=0, hi=1), "1 to 65536"),
    "range upside down": (lambda b, x: b.input("z", 1, lo=1, hi=0), "lo <= hi"),
    "init outside": (lambda b, x: b.state("z", 1, lo=0, hi=1, init=2), "must lie in its range"),
    "name taken": (lambda b, x: b.input("x", 1, lo=0, hi=1), "already a value named 'x'"),
    "name with a space": (lambda b, x: b.input("a b", 1, lo=0, hi=1), "'a b' is not a name"),
    "name with a newline": (lambda b, x: b.input("a\n", 1, lo=0, hi=1), "is not a name"),
    "name without end": (lambda b, x: b.input("a" * 97, 1, lo=0, hi=1), "is not a name"),
    "unknown value": (lambda b, x: b.value("y"), "no value named 'y'"),
    "other builder": (lambda b, x: Builder().argmax(x), "belongs to another builder"),
    "output twice": (lambda b, x: [b.output("y", x) for _ in "ab"], "already an output named 'y'"),
    "next of no state": (lambda b, x: b.next(x, x), "'x' is not a state"),
    "branch on a value": (lambda b, x: 1 if x >= 0 else 2, "no branches"),
    "no output": (lambda b, x: b.build(), "at least one output"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_tracing_refuses(case: str) -> None:
    b = Builder()
    trace, message = REFUSED[case]
    with pytest.raises(ProgramError, match=message):
        trace(b, b.input("x", 3, lo=-4, hi=4))


def test_a_state_needs_exactly_one_next_value_of_its_length() -> None:
    b = Builder()
    s, longer = b.state("s", 1, lo=0, hi=1), b.input("x", 2, lo=0, hi=1)
    b.output("y", s)
    with pytest.raises(ProgramError, match="'s' has no next value"):
        b.build()
    with pytest.raises(ProgramError, match="has 1 elements, its next value 2"):
        b.next(s, longer)
    b.next(s, s)
    with pytest.raises(ProgramError, match="not a state still waiting"):
        b.next(s, s)


BAD_VECTORS = {
    "too long": [0, 0, 0],
    "a number": 0,
    "floats": [0.0, 0.0],
    "below": [-2, 0],
    "above": [0, 2],
    "an unsigned number that would wrap": np.array([0, 2**64 - 1], np.uint64),
}


@pytest.mark.parametrize("case", BAD_VECTORS)
def test_a_step_refuses_an_input_outside_its_declaration(case: str) -> None:
    program = counter()
    with pytest.raises(ObservationError, match="input 'x'"):
        step(program, {"x": BAD_VECTORS[case]}, program.initial_state())


def test_a_step_refuses_missing_and_unknown_names() -> None:
    program = counter()
    with pytest.raises(ObservationError, match=r"inputs are \['x'\], not \[\]"):
        step(program, {}, program.initial_state())
    with pytest.raises(StateError, match=r"states are \['s'\], not \['s', 't'\]"):
        step(program, {"x": [0, 0]}, {"s": [0, 0], "t": [0]})


def test_a_step_refuses_a_state_outside_its_range() -> None:
    with pytest.raises(StateError, match=r"'s' holds 0\.\.6, outside its range \[-5, 5\]"):
        step(counter(), {"x": [0, 0]}, {"s": [0, 6]})
