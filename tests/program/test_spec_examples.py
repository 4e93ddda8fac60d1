"""The examples of ``docs/SPEC.md`` are true of the reference."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from spec_examples import SPEC, Example, blocks, constants, operations

from grsn_edge.errors import ProgramError, RangeProofError
from grsn_edge.program import OPS, Builder, Value, step

GIVEN = {"input", "state"}  # not computed


def label(line: Any) -> str:
    return f"{line['op']}-{line['ranges']}"


@pytest.mark.parametrize("example", operations(), ids=str)
def test_an_operation_gives_the_result_in_the_specification(example: Example) -> None:
    outputs, _ = step(example.program(), example.inputs, {})
    assert outputs["y"].tolist() == example.result.tolist()


@pytest.mark.parametrize("line", blocks("range"), ids=label)
def test_an_operation_has_the_proven_range_in_the_specification(line: Any) -> None:
    result = traced(line).interval
    assert [result.lo.tolist(), result.hi.tolist()] == line["range"]


@pytest.mark.parametrize("line", blocks("refused"), ids=label)
def test_what_the_specification_refuses_is_refused(line: Any) -> None:
    with pytest.raises(ProgramError) as caught:
        traced(line)
    assert isinstance(caught.value, RangeProofError) == (line["error"] == "range")


def test_every_operation_has_an_example_and_a_section() -> None:
    assert {example.op for example in operations()} == set(OPS) - GIVEN
    headings = "\n".join(re.findall(r"^### 2\..*$", SPEC.read_text("utf-8"), re.M))
    assert all(re.search(rf"`(?:[^`]*, )?{op}\b", headings) for op in OPS)


def traced(line: Any) -> Value:
    b = Builder()
    values = [
        b.input(f"x{i}", len(lo), lo=np.asarray(lo), hi=np.asarray(hi))
        for i, (lo, hi) in enumerate(line["ranges"])
    ]
    return b.apply(line["op"], *values, **constants(line["attrs"]))
