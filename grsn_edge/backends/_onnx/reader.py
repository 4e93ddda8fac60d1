"""ONNX files from strangers: read nothing outside them, run nothing that is not expected."""

from __future__ import annotations

import os

import onnx
from onnx import TensorProto

from grsn_edge.backends._files import read_capped
from grsn_edge.errors import FormatError

__all__ = ["ALLOWED", "read_onnx"]

_ARITHMETIC = ("Add", "Clip", "Div", "GreaterOrEqual", "Mod", "Mul", "Sub")
_PRODUCTS = ("MatMul", "MatMulInteger")
_LAYOUT = ("ArgMax", "Cast", "Concat", "Expand", "Gather", "Identity", "Shape", "Slice")
_ENCODER = ("IsNaN", "Round", "Where")
ALLOWED = frozenset((*_ARITHMETIC, *_PRODUCTS, *_LAYOUT, *_ENCODER))
"""Operations that an export of ours can hold."""


def read_onnx(source: str | os.PathLike[str] | bytes) -> onnx.ModelProto:
    """A checked model from a file's path or its bytes.

    Refused: files above 64 MiB, external data (which could name any path), sub-graphs and
    functions, foreign domains, and operations outside :data:`ALLOWED`.  Nothing is downloaded.

    Raises:
        FormatError: the text names the file and what is wrong with it.
    """
    where, data = read_capped(source)
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own errors have no common base across versions
        raise FormatError(f"{where}: not an ONNX model: {error}") from None
    _check(model, where)
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        raise FormatError(f"{where}: not a valid ONNX model: {error}") from None
    return model


def _check(model: onnx.ModelProto, where: str) -> None:
    graph = model.graph
    if not graph.node:
        raise FormatError(f"{where}: holds no graph")
    if model.functions or model.training_info or graph.sparse_initializer:
        raise FormatError(f"{where}: functions, training graphs and sparse tensors are refused")
    for opset in model.opset_import:
        if opset.domain not in ("", "ai.onnx"):
            raise FormatError(f"{where}: operations of the domain '{opset.domain}' are refused")
    for tensor in graph.initializer:
        _check_tensor(tensor, where)
    for node in graph.node:
        _check_node(node, where)


def _check_node(node: onnx.NodeProto, where: str) -> None:
    if node.domain not in ("", "ai.onnx") or node.op_type not in ALLOWED:
        raise FormatError(f"{where}: the operation '{node.domain}:{node.op_type}' is refused")
    for attribute in node.attribute:
        if attribute.HasField("g") or attribute.graphs:
            raise FormatError(f"{where}: '{node.op_type}' holds a sub-graph, which is refused")
        for tensor in (attribute.t, *attribute.tensors):
            _check_tensor(tensor, where)


def _check_tensor(tensor: onnx.TensorProto, where: str) -> None:
    external = tensor.data_location == TensorProto.EXTERNAL or tensor.external_data
    if external:
        raise FormatError(f"{where}: tensor '{tensor.name}' is outside the file, which is refused")
