"""ONNX files from strangers: read nothing outside them, run nothing that is not expected."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping

import onnx
from onnx import AttributeProto, TensorProto

from grsn_edge.backends._files import read_capped
from grsn_edge.errors import FormatError

__all__ = ["ALLOWED", "MAX_ELEMENTS", "MAX_NODES", "MAX_TOTAL", "OPSETS", "read_onnx"]

MAX_NODES = 1 << 16
MAX_ELEMENTS = 1 << 22
"""Most elements of a tensor, for a batch of one."""
MAX_TOTAL = 1 << 26
"""Most elements of all tensors together, for a batch of one."""
OPSETS = (13, 21)
"""First and last opset whose operations mean what ours mean."""

_ARITHMETIC = (
    "Add",
    "Clip",
    "Div",
    "GreaterOrEqual",
    "MatMul",
    "MatMulInteger",
    "Mod",
    "Mul",
    "Sub",
)
_LAYOUT = ("ArgMax", "Cast", "Concat", "Gather", "Identity", "Slice")
_ENCODER = ("IsNaN", "Round", "Where")
ALLOWED = frozenset((*_ARITHMETIC, *_LAYOUT, *_ENCODER))
"""Operations that an export of ours can hold."""

_ITEM_BYTES: Mapping[int, int] = {
    TensorProto.BOOL: 1,
    TensorProto.INT8: 1,
    TensorProto.INT16: 2,
    TensorProto.INT32: 4,
    TensorProto.INT64: 8,
    TensorProto.FLOAT: 4,
}
"""Types that an export of ours can hold; float32 is the encoder's and decoder's."""
_ATTRIBUTES = (AttributeProto.INT, AttributeProto.INTS)


def read_onnx(source: str | os.PathLike[str] | bytes) -> onnx.ModelProto:
    """A checked model from a file's path or its bytes.

    Refused: files above 64 MiB; external data (which could name any path); sub-graphs, functions
    and foreign domains; operations outside :data:`ALLOWED` and attributes other than integers;
    opsets outside :data:`OPSETS`; types other than bool, int8, int16, int32, int64 and float32;
    tensors whose shape is not proven to be small for a batch of one.  Nothing is downloaded.

    Raises:
        FormatError: the text names the file and what is wrong with it.
    """
    where, data = read_capped(source)
    try:
        model = _guarded("not an ONNX model", lambda: onnx.load_model_from_string(data))
        _check(model)
        _guarded("not a valid ONNX model", lambda: onnx.checker.check_model(model))
        _check_shapes(_guarded("its shapes do not fit", lambda: _inferred(model)))
    except FormatError as error:
        raise FormatError(f"{where}: {error}") from None
    return model


def _guarded(what: str, call: Callable[[], onnx.ModelProto | None]) -> onnx.ModelProto:
    """The result of a call into onnx; its errors have no common base across versions."""
    try:
        return call() or onnx.ModelProto()
    except Exception as error:
        raise FormatError(f"{what}: {error}") from None


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    # What a file says about its inner shapes is not evidence: only inference is kept.
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True)


def _check(model: onnx.ModelProto) -> None:
    graph = model.graph
    if not graph.node:
        raise FormatError("holds no graph")
    if len(graph.node) > MAX_NODES:
        raise FormatError(f"more than {MAX_NODES} operations")
    if model.functions or model.training_info or graph.sparse_initializer:
        raise FormatError("functions, training graphs and sparse tensors are refused")
    for opset in model.opset_import:
        if opset.domain not in ("", "ai.onnx"):
            raise FormatError(f"operations of the domain '{opset.domain}' are refused")
        if not OPSETS[0] <= opset.version <= OPSETS[1]:
            raise FormatError(f"opset {opset.version} is not within {OPSETS[0]}..{OPSETS[1]}")
    for tensor in graph.initializer:
        _check_tensor(tensor)
    for node in graph.node:
        _check_node(node)


def _check_node(node: onnx.NodeProto) -> None:
    if node.domain not in ("", "ai.onnx") or node.op_type not in ALLOWED:
        raise FormatError(f"the operation '{node.domain}:{node.op_type}' is refused")
    for attribute in node.attribute:
        if attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS):
            raise FormatError(f"'{node.op_type}' holds a sub-graph, which is refused")
        fields = {field.name for field, _ in attribute.ListFields()}
        if attribute.type not in _ATTRIBUTES or not fields <= {"name", "type", "i", "ints"}:
            raise FormatError(f"'{node.op_type}': attribute '{attribute.name}' is not an integer")


def _check_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise FormatError(f"tensor '{tensor.name}' is outside the file, which is refused")
    if tensor.data_type not in _ITEM_BYTES:
        raise FormatError(f"tensor '{tensor.name}' has a refused type")
    _check_size(tensor.name, tensor.dims)
    held = len(tensor.int32_data) + len(tensor.int64_data) + len(tensor.float_data)
    if tensor.HasField("raw_data"):
        held = len(tensor.raw_data) // _ITEM_BYTES[tensor.data_type]
    if held != math.prod(tensor.dims):
        raise FormatError(f"tensor '{tensor.name}' does not hold as many elements as it says")


def _check_shapes(model: onnx.ModelProto) -> None:
    """Every tensor is small for a batch of one, and none has another unknown size."""
    graph = model.graph
    known = {tensor.name for tensor in graph.initializer}
    batches: set[str] = set()
    total = 0
    for info in (*graph.input, *graph.output, *graph.value_info):
        batch, size = _check_info(info)
        batches |= batch
        total += size
        known.add(info.name)
    if total > MAX_TOTAL:
        raise FormatError(f"its tensors have {total} elements, more than {MAX_TOTAL}")
    missing = sorted({name for node in graph.node for name in node.output} - known)
    if missing:
        raise FormatError(f"the shape of '{missing[0]}' is unknown")
    if len(batches) > 1:
        raise FormatError(f"more than one unknown size: {', '.join(sorted(batches))}")


def _check_info(info: onnx.ValueInfoProto) -> tuple[set[str], int]:
    """The name of the tensor's batch, if it has one, and its elements for a batch of one."""
    tensor = info.type.tensor_type
    if not info.type.HasField("tensor_type") or tensor.elem_type not in _ITEM_BYTES:
        raise FormatError(f"'{info.name}' has a refused type")
    if not tensor.HasField("shape"):
        raise FormatError(f"the shape of '{info.name}' is unknown")
    dims = list(tensor.shape.dim)
    if not all(dim.HasField("dim_value") for dim in dims[1:]):
        raise FormatError(f"'{info.name}' has an unknown size beyond its first")
    batched = bool(dims) and not dims[0].HasField("dim_value")
    if batched and not dims[0].dim_param:
        raise FormatError(f"the batch of '{info.name}' is unknown")
    size = _check_size(info.name, [1 if dim.dim_param else dim.dim_value for dim in dims])
    return ({dims[0].dim_param} if batched else set()), size


def _check_size(name: str, sizes: Iterable[int]) -> int:
    sides = list(sizes)
    if len(sides) > 2 or any(side < 1 for side in sides) or math.prod(sides) > MAX_ELEMENTS:
        raise FormatError(f"'{name}' is too large or has a refused shape: {sides}")
    return math.prod(sides)
