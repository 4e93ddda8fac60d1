"""ONNX files from strangers: each kind of crafted file is refused, with its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper
from toy_policy import toy_policy

from grsn_edge.backends import ExportOptions, backend
from grsn_edge.backends._onnx.lower import build
from grsn_edge.backends._onnx.reader import read_onnx
from grsn_edge.conformance import random_graph, random_program
from grsn_edge.errors import FormatError

INT32 = TensorProto.INT32
Shape = Sequence[int | str | None]


def tensor(name: str, *shape: int | str | None, kind: int = INT32) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name: str, value: object, dtype: str = "int32") -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def model(
    nodes: list[onnx.NodeProto],
    *constants: onnx.TensorProto,
    y: Shape = ("batch", 4),
    x: onnx.ValueInfoProto | None = None,
    kind: int = INT32,
    opset: int = 17,
) -> onnx.ModelProto:
    inputs = [x if x is not None else tensor("x", "batch", 4, kind=kind)]
    outputs = [tensor("y", *y, kind=kind)]
    graph = helper.make_graph(nodes, "crafted", inputs, outputs, list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def identity(**options: object) -> onnx.ModelProto:
    return model([helper.make_node("Identity", ["x"], ["y"])], **options)  # type: ignore[arg-type]


def chain(axis: int) -> list[onnx.NodeProto]:
    """Doubles ``x`` forty times."""
    names = ["x", *(f"c{i}" for i in range(39)), "y"]
    return [helper.make_node("Concat", [a, a], [b], axis=axis) for a, b in pairwise(names)]


def external() -> onnx.ModelProto:
    found = model([helper.make_node("Add", ["x", "k"], ["y"])], constant("k", [1, 2, 3, 4]))
    outside = found.graph.initializer[0]
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="../../etc/passwd")
    return found


def attribute(change: Callable[[onnx.AttributeProto], None]) -> onnx.ModelProto:
    found = identity()
    extra = found.graph.node[0].attribute.add()
    extra.name = "extra"
    change(extra)
    return found


def sub_graph() -> onnx.ModelProto:
    return attribute(lambda a: a.CopyFrom(helper.make_attribute("then", identity().graph)))


def hidden_graph(a: onnx.AttributeProto) -> None:
    a.type, a.i, a.g.name = onnx.AttributeProto.INT, 1, "hidden"


def hidden_tensor(a: onnx.AttributeProto) -> None:
    a.type = onnx.AttributeProto.SPARSE_TENSOR
    a.sparse_tensor.values.external_data.add(key="location", value="/etc/passwd")


def function() -> onnx.ModelProto:
    found = identity()
    found.functions.add().name = "Identity"
    return found


def sequence() -> onnx.ModelProto:
    found = identity()
    for info in (found.graph.input[0], found.graph.output[0]):
        value = helper.make_tensor_sequence_value_info(info.name, INT32, ["batch", 4])
        info.CopyFrom(value)
    return found


def foreign_domain() -> onnx.ModelProto:
    found = identity()
    found.opset_import.append(helper.make_opsetid("com.example", 1))
    return found


def foreign_node() -> onnx.ModelProto:
    return model([helper.make_node("Identity", ["x"], ["y"], domain="com.example")])


def short_of_data() -> onnx.ModelProto:
    k = constant("k", [1, 2, 3, 4])
    k.dims[0] = 5
    return model([helper.make_node("Add", ["x", "k"], ["y"])], k)


def false_shape() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Concat", ["x", "x"], ["m"], axis=0),
        helper.make_node("Identity", ["m"], ["y"]),
    ]
    found = model(nodes)
    found.graph.value_info.append(tensor("m", "batch", 4))
    return found


def outer_sum(*lengths: int) -> onnx.ModelProto:
    rows, columns = constant("a", np.zeros((lengths[0], 1))), constant("b", np.zeros(lengths[1]))
    return model([helper.make_node("Add", ["a", "b"], ["y"])], rows, columns, y=lengths)


def many_rows() -> onnx.ModelProto:
    wide = constant("w", np.zeros((1, 1 << 16)))
    index = constant("i", np.zeros(64), "int64")
    nodes = [helper.make_node("Gather", ["w", "i"], [f"g{i}"], axis=0) for i in range(20)]
    return model([*nodes, helper.make_node("Identity", ["x"], ["y"])], wide, index)


def cast(kind: int) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Cast", ["x"], ["m"], to=kind),
        helper.make_node("Cast", ["m"], ["y"], to=INT32),
    ]
    return model(nodes)


HOSTILE: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "external data": (external, "outside the file"),
    "a sub-graph": (sub_graph, "holds a sub-graph"),
    "a sub-graph in a number": (lambda: attribute(hidden_graph), "is not an integer"),
    "external data in an attribute": (lambda: attribute(hidden_tensor), "is not an integer"),
    "a function": (function, "functions"),
    "a foreign domain": (foreign_domain, "'com.example' are refused"),
    "a foreign operation": (foreign_node, "'com.example:Identity' is refused"),
    "a loop": (lambda: model([helper.make_node("Loop", [], ["y"])]), "':Loop' is refused"),
    "an old opset": (lambda: identity(opset=9), "opset 9 is not within 13..21"),
    "a future opset": (lambda: identity(opset=99), "opset 99 is not within 13..21"),
    "strings": (lambda: identity(kind=TensorProto.STRING), "refused type"),
    "doubles": (lambda: identity(kind=TensorProto.DOUBLE), "refused type"),
    "sequences": (sequence, "refused type"),
    "float16 inside": (lambda: cast(TensorProto.FLOAT16), "'m' has a refused type"),
    "uint8 inside": (lambda: cast(TensorProto.UINT8), "'m' has a refused type"),
    "too little data": (short_of_data, "does not hold as many elements"),
    "an input that is missing": (
        lambda: model([helper.make_node("Add", ["x", "nowhere"], ["y"])]),
        "not a valid ONNX model",
    ),
    "a cube": (lambda: identity(x=tensor("x", 2, 2, 2), y=(2, 2, 2)), "refused shape"),
    "rows that double": (lambda: model(chain(0)), "more than one unknown size"),
    "columns that double": (lambda: model(chain(1), y=("batch", None)), "too large"),
    "a sum of row and column": (lambda: outer_sum(65536, 65536), "too large"),
    "two unknown sizes": (lambda: identity(x=tensor("x", "b", "n"), y=("b", "n")), "unknown size"),
    "a false inner shape": (false_shape, "more than one unknown size"),
    "much in all": (many_rows, "elements, more than"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_crafted_files_are_refused_with_the_reason(kind: str) -> None:
    crafted, reason = HOSTILE[kind]
    with pytest.raises(FormatError, match=f"<bytes>: .*{reason}"):
        read_onnx(crafted().SerializeToString())


@pytest.mark.parametrize("data", [b"", b"\xff" * 100, b"PK\x03\x04" + bytes(100)])
def test_what_is_no_model_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_onnx(data)


def test_a_damaged_file_is_refused_or_read_but_never_crashes() -> None:
    good = build(random_graph(3)).SerializeToString()
    rng = np.random.default_rng(0)
    for _ in range(200):
        bad = bytearray(good)
        for at in rng.integers(0, len(bad), rng.integers(1, 6)):
            bad[at] = rng.integers(256)
        try:
            read_onnx(bytes(bad[: rng.integers(1, len(bad) + 1)]))
        except FormatError:
            continue


def test_our_own_files_are_read(tmp_path: Path) -> None:
    for seed in range(30):
        program = random_graph(seed) if seed % 2 else random_program(seed).program
        read_onnx(build(program).SerializeToString())
    for with_encoder in (False, True):
        options = ExportOptions(with_encoder=with_encoder)
        (data,) = backend("onnx").export(toy_policy(), options).values()
        (tmp_path / "policy.onnx").write_bytes(data)
        assert read_onnx(tmp_path / "policy.onnx").SerializeToString() == data
