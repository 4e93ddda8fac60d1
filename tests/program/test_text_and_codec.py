"""A program as text, and as parts of a file that are read with suspicion."""

from __future__ import annotations

import copy
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from grsn_edge.conformance import random_programs
from grsn_edge.conformance.random_programs import RandomProgram
from grsn_edge.errors import FormatError, IntegrityError, ProgramError, RangeProofError
from grsn_edge.program import Builder, Program, evaluate, from_parts, text, to_parts

Parts = dict[str, Any]
Tensors = dict[str, np.ndarray]


def small() -> Program:
    b = Builder()
    x = b.input("x", 2, lo=-100, hi=100)
    s = b.state("s", 5, lo=-5000, hi=5000)
    drive = b.matvec(np.arange(-5, 5).reshape(5, 2), x, [1, 2, 3, 4, 300], name="drive")
    now = b.apply("clip", drive.shr(2), name="now", lo=-5000, hi=5000)
    b.next(s, now)
    b.output("y", b.apply("add", s, b.const([7] * 5, name="seven"), name="y"))
    return b.build()


# ---- text ----------------------------------------------------------------------------------------


def test_the_text_shows_one_value_a_line_with_range_storage_operands_and_constants() -> None:
    weight, bias = (
        f"{zlib.crc32(struct.pack(f'<{len(v)}i', *v)):08x}"
        for v in (range(-5, 5), [1, 2, 3, 4, 300])
    )
    assert text(small()).splitlines() == [
        "x: int8[2] [-100, 100] = input",
        "s: int16[5] [-5000, 5000] = state init=[0 x5] next=now",
        f"drive: int16[5] [-899, 1000] = matvec(x, weight=int8[5x2]#{weight}, "
        f"bias=int16[5]#{bias})",
        "v3: int16[5] [-225, 250] = shr(drive, shift=2)",
        "now: int16[5] [-225, 250] = clip(v3, lo=-5000, hi=5000)",
        "seven: int8[5] [7, 7] = const(value=[7 x5])",
        "y: int16[5] [-4993, 5007] = add(s, seven)",
        "output y = y",
    ]


def test_a_changed_weight_changes_exactly_one_line_of_the_text() -> None:
    parts, tensors = to_parts(small())
    tensors["drive.weight"][1, 1] += 1  # the row's range stays inside that of other rows
    changed = text(from_parts(parts, tensors)).splitlines()
    different = [a for a, b in zip(text(small()).splitlines(), changed, strict=True) if a != b]
    assert [line.partition(":")[0] for line in different] == ["drive"]


# ---- round trips ---------------------------------------------------------------------------------


@pytest.mark.parametrize("drawn", [*random_programs(24, seed=900)], ids=lambda d: d.label)
def test_a_policy_program_survives_its_parts(drawn: RandomProgram) -> None:
    program = drawn.program
    again = from_parts(*to_parts(program))
    assert text(again) == text(program)
    assert list(again.nexts) == list(program.nexts)
    rng = np.random.default_rng(drawn.seed)
    sources = {
        n.name: rng.integers(n.interval.lo, n.interval.hi, (8, n.n), endpoint=True)
        for n in (*program.inputs, *program.states)
    }
    inputs = {n.name: sources.pop(n.name) for n in program.inputs}
    first, second = (evaluate(p, inputs, sources) for p in (program, again))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_tensors_are_stored_in_the_narrowest_type_and_scalars_in_json() -> None:
    parts, tensors = to_parts(small())
    assert {name: tensor.dtype.name for name, tensor in tensors.items()} == {
        "x.lo": "int8",
        "x.hi": "int8",
        "s.lo": "int16",
        "s.hi": "int16",
        "s.init": "int8",
        "drive.weight": "int8",
        "drive.bias": "int16",
        "seven.value": "int8",
    }
    assert parts["nodes"][3] == {
        "name": "v3",
        "op": "shr",
        "args": ["drive"],
        "scalars": {"shift": 2},
        "range": [-225, 250],
    }


# ---- refusals ------------------------------------------------------------------------------------

Change = Callable[[Parts, Tensors], object]


def node(parts: Parts, i: int, **changes: Any) -> None:
    parts["nodes"][i].update(changes)


REFUSED: dict[str, tuple[Change, type[Exception], str]] = {
    "unknown op": (
        lambda p, t: node(p, 3, op="exec"),
        ProgramError,
        r"nodes\[3\] 'v3': unknown operation 'exec'",
    ),
    "forward reference": (
        lambda p, t: node(p, 3, args=["now"]),
        ProgramError,
        r"nodes\[3\] 'v3': no value named 'now'",
    ),
    "reference to itself": (lambda p, t: node(p, 3, args=["v3"]), ProgramError, "no value named"),
    "duplicate name": (
        lambda p, t: node(p, 3, name="drive"),
        ProgramError,
        r"nodes\[3\] 'drive': there is already a value named 'drive'",
    ),
    "bad name": (lambda p, t: node(p, 3, name="a b"), ProgramError, "'a b' is not a name"),
    "name of a wrong type": (
        lambda p, t: node(p, 3, name=7),
        FormatError,
        r"nodes\[3\]\.name must be a string, not an integer",
    ),
    "name that would move the cursor": (
        lambda p, t: node(p, 3, name="\x1b[2J"),
        FormatError,
        "cannot be printed",
    ),
    "endless name": (lambda p, t: node(p, 3, name="a" * 999), FormatError, "999 characters"),
    "operands of a wrong type": (lambda p, t: node(p, 3, args="drive"), FormatError, "an array"),
    "operand of a wrong type": (lambda p, t: node(p, 3, args=[1]), FormatError, "a string"),
    "missing key": (lambda p, t: p["nodes"][3].pop("range"), FormatError, "lacks the key 'range'"),
    "unknown key": (lambda p, t: node(p, 3, run="rm"), FormatError, "unknown key 'run'"),
    "missing scalar": (lambda p, t: node(p, 3, scalars={}), FormatError, "lacks the key 'shift'"),
    "real scalar": (lambda p, t: node(p, 3, scalars={"shift": 2.0}), FormatError, "an integer"),
    "Boolean scalar": (lambda p, t: node(p, 3, scalars={"shift": True}), FormatError, "a Boolean"),
    "huge scalar": (lambda p, t: node(p, 3, scalars={"shift": 2**80}), FormatError, "must lie in"),
    "shift too far": (lambda p, t: node(p, 3, scalars={"shift": 31}), ProgramError, "1, 30"),
    "missing tensor": (
        lambda p, t: t.pop("drive.bias"),
        FormatError,
        "the tensor 'drive.bias' is missing",
    ),
    "extra tensor": (
        lambda p, t: t.update(payload=np.zeros(3, np.int8)),
        FormatError,
        "'payload' belongs to no value",
    ),
    "wide weights": (
        lambda p, t: t.update({"drive.weight": t["drive.weight"].astype(np.int16)}),
        FormatError,
        "'drive.weight' is int16; it must be the narrowest",
    ),
    "float weights": (
        lambda p, t: t.update({"drive.weight": t["drive.weight"].astype(np.float32)}),
        FormatError,
        "'drive.weight' is float32",
    ),
    "weights beyond int8": (
        lambda p, t: t.update({"drive.weight": np.full((5, 2), 300, np.int16)}),
        ProgramError,
        r"'drive': matvec: constant 'weight' holds values outside",
    ),
    "flat weights": (
        lambda p, t: t.update({"drive.weight": t["drive.weight"].ravel()}),
        FormatError,
        "must have 2 dimensions",
    ),
    "transposed weights": (
        lambda p, t: t.update({"drive.weight": t["drive.weight"].T}),
        ProgramError,
        "weight 2x5 does not fit",
    ),
    "empty tensor": (
        lambda p, t: t.update({"seven.value": np.zeros(0, np.int8)}),
        FormatError,
        "not be empty",
    ),
    "changed constant": (
        lambda p, t: t["seven.value"].fill(9),
        IntegrityError,
        r"'seven': the file claims the range \[7, 7\], the proof gives \[9, 9\]",
    ),
    "claimed range": (
        lambda p, t: node(p, 4, range=[-1, 1]),
        IntegrityError,
        r"'now': the file claims the range \[-1, 1\], the proof gives \[-225, 250\]",
    ),
    "range of one end": (lambda p, t: node(p, 4, range=[1]), IntegrityError, "claims"),
    "overflow": (
        lambda p, t: t.update({"drive.bias": np.full(5, 2**31 - 1, np.int32)}),
        RangeProofError,
        "matvec 'drive'.*int32 cannot hold",
    ),
    "narrowed state": (
        lambda p, t: t.update({"s.hi": np.full(5, 100, np.int8)}) or node(p, 1, range=[-5000, 100]),
        IntegrityError,
        r"'y'",
    ),
    "unread value": (
        lambda p, t: p["nodes"].append(
            {"name": "idle", "op": "argmax", "args": ["s"], "scalars": {}, "range": [0, 4]}
        ),
        FormatError,
        "'idle' is read by nothing",
    ),
    "no next value": (lambda p, t: p["nexts"].clear(), ProgramError, "'s' has no next value"),
    "two next values": (lambda p, t: p["nexts"].append(["s", "now"]), ProgramError, "nexts of 's'"),
    "next of no state": (lambda p, t: p["nexts"].append(["x", "x"]), ProgramError, "not a state"),
    "next of nothing": (lambda p, t: p["nexts"].append(["q", "x"]), ProgramError, "named 'q'"),
    "no pair": (lambda p, t: p["nexts"].append(["s"]), FormatError, "a pair of names"),
    "no output": (lambda p, t: p["outputs"].clear(), ProgramError, "at least one output"),
    "output twice": (lambda p, t: p["outputs"].append(["y", "y"]), ProgramError, "outputs of 'y'"),
    "output of nothing": (lambda p, t: p["outputs"].append(["z", "q"]), ProgramError, "named 'q'"),
    "values without end": (
        lambda p, t: p["nodes"].extend([p["nodes"][3]] * 5000),
        FormatError,
        "more than 4096",
    ),
    "not an object": (lambda p, t: p["nodes"].insert(0, None), FormatError, "an object, not null"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_reading_refuses_and_names_the_culprit(case: str) -> None:
    change, error, message = REFUSED[case]
    parts, tensors = copy.deepcopy(to_parts(small()))
    change(parts, tensors)
    with pytest.raises(error, match=message):
        from_parts(parts, tensors)


def test_a_few_lines_cannot_ask_for_much_memory() -> None:
    wide = np.zeros(2**15, np.int8)
    nodes = [{"name": "x", "op": "input", "args": [], "scalars": {}, "range": [0, 0]}]
    for i in range(60):
        previous = nodes[-1]["name"]
        nodes.append(
            {"name": f"v{i}", "op": "add", "args": [previous] * 2, "scalars": {}, "range": [0, 0]}
        )
    parts = {"nodes": nodes, "nexts": [], "outputs": [["y", nodes[-1]["name"]]]}
    with pytest.raises(FormatError, match="more than 1048576 elements"):
        from_parts(parts, {"x.lo": wide, "x.hi": wide})


def test_a_state_that_could_leave_its_range_is_refused_on_reading() -> None:
    parts, tensors = to_parts(small())
    tensors |= {"s.lo": np.full(5, -200, np.int16), "s.hi": np.full(5, 200, np.int16)}
    node(parts, 1, range=[-200, 200])
    node(parts, 6, range=[-193, 207])
    with pytest.raises(RangeProofError, match=r"nexts of 's': state 's'\[0\] is declared in"):
        from_parts(parts, tensors)
