"""TFLite files from strangers: looked at before any interpreter sees them."""

from __future__ import annotations

import os
from typing import Any

from grsn_edge.backends._files import read_capped
from grsn_edge.backends._tflite.flatbuffer import schema
from grsn_edge.errors import FormatError

__all__ = ["ALLOWED", "read_tflite"]

_ARITHMETIC = ("ADD", "SUB", "MUL", "DIV", "FLOOR_DIV", "MAXIMUM", "MINIMUM", "ROUND")
_COMPARISONS = ("GREATER", "GREATER_EQUAL", "ARG_MAX")
_PRODUCTS = ("BATCH_MATMUL", "FULLY_CONNECTED")
_LAYOUT = ("CAST", "CONCATENATION", "GATHER", "RESHAPE", "SLICE")
_STATE = ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")
ALLOWED = frozenset((*_ARITHMETIC, *_COMPARISONS, *_PRODUCTS, *_LAYOUT, *_STATE))
"""Builtin operators that an export of ours can hold."""

_NAMES = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}


def read_tflite(source: str | os.PathLike[str] | bytes) -> bytes:
    """The bytes of a file whose operators are all expected; an interpreter may then verify it.

    Refused: files above 64 MiB, files without the identifier ``TFL3``, damaged tables, buffers
    outside the flatbuffer, custom operators, and operators outside :data:`ALLOWED`.

    Raises:
        FormatError: the text names the file and what is wrong with it.
    """
    where, data = read_capped(source)
    if len(data) < 16 or data[4:8] != b"TFL3":
        raise FormatError(f"{where}: not a TFLite file (no identifier TFL3)")
    try:
        model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    except Exception as error:  # the flatbuffers package reads wherever a damaged table points
        raise FormatError(f"{where}: damaged: {error}") from None
    _check(model, where)
    return data


def _check(model: Any, where: str) -> None:
    if not model.subgraphs or not model.operatorCodes:
        raise FormatError(f"{where}: holds no graph")
    for code in model.operatorCodes:
        name = _NAMES.get(max(code.builtinCode, code.deprecatedBuiltinCode), "?")
        if code.customCode or name not in ALLOWED:
            raise FormatError(f"{where}: the operator '{_custom(code) or name}' is refused")
    for buffer in model.buffers or ():
        if getattr(buffer, "offset", 0) or getattr(buffer, "size", 0):
            raise FormatError(f"{where}: a buffer outside the flatbuffer is refused")
    for graph in model.subgraphs:
        _check_graph(graph, len(model.operatorCodes), len(model.buffers or ()), where)


def _check_graph(graph: Any, codes: int, buffers: int, where: str) -> None:
    count = len(graph.tensors or ())
    for tensor in graph.tensors or ():
        if not 0 <= tensor.buffer < buffers:
            raise FormatError(f"{where}: a tensor's buffer {tensor.buffer} does not exist")
    for operator in graph.operators or ():
        if not 0 <= operator.opcodeIndex < codes:
            raise FormatError(f"{where}: an operator's code {operator.opcodeIndex} does not exist")
        used = [*_list(operator.inputs), *_list(operator.outputs)]
        if any(not -1 <= tensor < count for tensor in used):
            raise FormatError(f"{where}: an operator uses a tensor that does not exist")


def _list(values: Any) -> list[int]:
    return [] if values is None else [int(value) for value in values]


def _custom(code: Any) -> str:
    return code.customCode.decode(errors="replace") if code.customCode else ""
