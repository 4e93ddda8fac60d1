"""How operations become ONNX nodes: names, shapes and numbers that no network would have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
from onnx import TensorProto

from grsn_edge.backends import backend
from grsn_edge.backends._onnx import lower
from grsn_edge.backends._onnx.lower import build
from grsn_edge.conformance import (
    compare,
    expose,
    random_graph,
    random_program,
    random_programs,
)
from grsn_edge.errors import BackendError
from grsn_edge.program import Builder, Program

LOWEST, HIGHEST = -(2**31), 2**31 - 1
FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}


def program_of(trace: Callable[[Builder], None]) -> Program:
    b = Builder()
    trace(b)
    return b.build()


def operations(program: Program) -> list[str]:
    return [node.op_type for node in build(program).graph.node]


def outputs(program: Program, **inputs: list[int]) -> dict[str, list[int]]:
    found = backend("onnx").load(program).step(inputs)
    return {name: value.tolist() for name, value in found.items()}


@pytest.mark.parametrize("shift", [1, 2, 15, 30])
@pytest.mark.parametrize("low", [LOWEST, -(2**30), -1, 0])
def test_shr_is_the_floor_at_the_ends_of_every_form(low: int, shift: int) -> None:
    high = HIGHEST - 2 ** (shift - 1)
    program = program_of(lambda b: b.output("y", b.input("x", 5, lo=low, hi=high).shr(shift)))
    x = [low, max(low, -(2 ** (shift - 1)) - 1), 0, 2 ** (shift - 1), high]
    wanted = [(value + 2 ** (shift - 1)) // 2**shift for value in x]
    assert outputs(program, x=x) == {"y": wanted}


def test_shr_costs_what_the_proven_range_needs() -> None:
    forms = {0: ["Add", "Div"], -1000: ["Add", "Div", "Sub"], LOWEST: ["Add", "Mod", "Sub", "Div"]}
    for low, wanted in forms.items():
        b = Builder()
        b.output("y", b.input("x", 1, lo=low, hi=1000).shr(8))
        assert [op for op in operations(b.build()) if op not in ("Cast", "Identity")] == wanted


def test_a_clip_that_the_proof_makes_idle_costs_nothing() -> None:
    program = program_of(
        lambda b: b.output("y", (b.input("x", 4, lo=-100, hi=100) + 1).clip(-200, 200))
    )
    assert "Clip" not in operations(program)
    assert outputs(program, x=[-100, 0, 5, 100]) == {"y": [-99, 1, 6, 101]}


def test_argmax_takes_the_lowest_index_on_ties() -> None:
    program = program_of(lambda b: b.output("y", b.argmax(b.input("x", 4, lo=LOWEST, hi=HIGHEST))))
    assert outputs(program, x=[3, 7, 7, 7]) == {"y": [1]}
    assert outputs(program, x=[LOWEST] * 4) == {"y": [0]}
    assert outputs(program, x=[HIGHEST - 1, HIGHEST, LOWEST, HIGHEST]) == {"y": [1]}


@pytest.mark.parametrize(
    ("bound", "product"), [((-128, 127), "MatMulInteger"), ((0, 255), "MatMul")]
)
def test_products_are_int8_by_int8_or_int32_and_never_unsigned(bound, product: str) -> None:
    weight = np.where(np.random.default_rng(0).random((3, 512)) < 0.5, -128, 127)
    weight[0], weight[1] = -128, 127

    def trace(b: Builder) -> None:
        b.output("y", b.matvec(weight, b.input("x", 512, lo=bound[0], hi=bound[1]), [7, -7, 0]))

    program = program_of(trace)
    assert product in operations(program)
    for x in (np.full(512, bound[0]), np.full(512, bound[1]), np.resize(bound, 512)):
        assert outputs(program, x=x.tolist()) == {"y": (weight @ x + [7, -7, 0]).tolist()}


def test_no_graph_holds_a_float_or_an_unsigned_integer() -> None:
    for seed in range(30):
        program = random_graph(seed) if seed % 2 else random_program(seed).program
        model = onnx.shape_inference.infer_shapes(build(program), strict_mode=True)
        onnx.checker.check_model(model, full_check=True)
        graph = model.graph
        types = {i.type.tensor_type.elem_type for i in (*graph.input, *graph.output)}
        types |= {i.type.tensor_type.elem_type for i in graph.value_info}
        types |= {tensor.data_type for tensor in graph.initializer}
        signed = {TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64}
        assert types <= signed | {TensorProto.BOOL}
        attributes = [a for node in graph.node for a in node.attribute]
        assert {a.type for a in attributes} <= {onnx.AttributeProto.INT}
        assert not FLOATS & {a.i for a in attributes if a.name == "to"}


def named_as_an_input(b: Builder) -> None:
    b.output("x", b.input("x", 3, lo=-5, hi=5) + 1)


def the_input_itself(b: Builder) -> None:
    b.output("x", b.input("x", 3, lo=LOWEST, hi=HIGHEST))


def named_as_a_next_state(b: Builder) -> None:
    x, s = b.input("x", 3, lo=-5, hi=5), b.state("s", 3, lo=-5, hi=5)
    b.next(s, x)
    b.output("s.next", s)
    b.output("s", x)


def states_named_as_next_states(b: Builder) -> None:
    x, s = b.input("x", 3, lo=-5, hi=5), b.state("s", 3, lo=-5, hi=5)
    t = b.state("s.next", 3, lo=-5, hi=5)
    b.next(s, x)
    b.next(t, s)
    b.output("y", t)


def values_named_as_next_states(b: Builder) -> None:
    x, s = b.input("x", 3, lo=-5, hi=5), b.state("s", 3, lo=-5, hi=5, init=[1, -1, 0])
    b.output("y", b.apply("add", x, s, name="s.next"))
    b.next(s, x)


def states_that_swap(b: Builder) -> None:
    s, t = b.state("s", 2, lo=-5, hi=5, init=[1, 2]), b.state("t", 2, lo=-5, hi=5)
    b.next(s, t)
    b.next(t, s)
    b.output("y", s)
    b.output("again", s)


def constants_alone(b: Builder) -> None:
    x, c = b.input("x", 3, lo=-5, hi=5), b.const([100, -128, 127])
    b.output("const", c)
    b.output("matvec", b.matvec([[1, -128, 127]], b.const([1000, 2, 3]), [5]))
    b.output("first", b.argmax(b.const([2, 9, 9])))
    b.output("joined", b.concat(c, x, c.shr(3), b.lut(c, np.arange(256) - 128)))
    b.output("compared", x >= c[1:2])
    b.output("clipped", c.clip(-1, 1) + x)


def lengths_of_one(b: Builder) -> None:
    x, y = b.input("x", 1, lo=-128, hi=127), b.input("y", 5, lo=-128, hi=127)
    b.output("product", x * y)
    b.output("compared", x >= y)
    b.output("difference", y - x)
    b.output("dot", b.matvec([[2]], x) + y)


def a_delay_line_of_int32(b: Builder) -> None:
    x = b.input("x", 1, lo=LOWEST, hi=HIGHEST)
    line = b.state("line", 4, lo=LOWEST, hi=HIGHEST, init=[LOWEST, HIGHEST, 0, -1])
    b.next(line, b.concat(line[1:4], x))
    b.output("largest", b.argmax(line))
    b.output("line", line)
    b.output("edge", line.clip(-1, 1) * HIGHEST)


ODD = (
    named_as_an_input,
    the_input_itself,
    named_as_a_next_state,
    states_named_as_next_states,
    values_named_as_next_states,
    states_that_swap,
    constants_alone,
    lengths_of_one,
    a_delay_line_of_int32,
)


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("trace", ODD, ids=lambda trace: trace.__name__)
def test_odd_programs_equal_the_reference(trace: Callable[[Builder], None], batch: int) -> None:
    report = compare(program_of(trace), ["numpy", "onnx"], steps=64 * batch, streams=batch)
    assert report.equal, report.difference


def test_a_program_of_constants_alone_is_refused() -> None:
    with pytest.raises(BackendError, match="neither input nor state"):
        build(program_of(lambda b: b.output("y", b.const([1, 2]))))


@pytest.mark.parametrize("seed", range(60))
def test_programs_that_are_no_networks_equal_the_reference(seed: int) -> None:
    for batch in (1, 32):
        report = compare(
            random_graph(seed + 1000), ["numpy", "onnx"], steps=16 * batch, streams=batch
        )
        assert report.equal, report.difference


@pytest.mark.parametrize("drawn", [*random_programs(24, seed=500)], ids=lambda d: d.label)
def test_networks_equal_the_reference_one_by_one_and_in_a_batch(drawn) -> None:
    for batch in (1, 32):
        report = compare(drawn.program, ["numpy", "onnx"], steps=64 * batch, streams=batch)
        assert report.equal, report.difference


def test_every_value_of_a_step_can_be_an_output_under_its_own_name() -> None:
    for seed in range(20):
        opened = expose(random_program(seed).program if seed % 2 else random_graph(seed))
        if not opened.outputs:  # it only hands its inputs on
            continue
        report = compare(opened, ["numpy", "onnx"], steps=16)
        assert report.equal, report.difference


def test_a_runtime_that_does_not_load_the_graph_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lower, "OPSET", 999)
    with pytest.raises(BackendError, match=r"onnxruntime .* does not load the graph"):
        backend("onnx").load(random_graph(1))
