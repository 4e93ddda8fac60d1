"""A step program as JSON values and integer tensors, and back (``docs/SPEC.md`` §6.4).

Nothing that is read is believed: a program is traced again through :class:`Builder`, which checks
every operation and proves every range anew; the ranges written beside the values must then agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import FormatError, IntegrityError, ProgramError
from grsn_edge.program import fields
from grsn_edge.program.interval import INT32, STORAGE, IntArray, Interval, narrowest
from grsn_edge.program.ir import Node, Program
from grsn_edge.program.ops import OPS, Op
from grsn_edge.program.packing import pack_weights, unpack_weights
from grsn_edge.program.trace import Builder

__all__ = ["MAX_CONSTANTS", "MAX_TOTAL", "MAX_VALUES", "Tensors", "from_parts", "to_parts"]

Tensors = Mapping[str, npt.NDArray[Any]]
"""Arrays by ``<value name>.<constant>``."""

MAX_VALUES = 4096
"""Most values of a program that is read."""
MAX_TOTAL = 1 << 20
"""Most elements of all its values together."""
MAX_CONSTANTS = 1 << 24
"""Most elements of all its tensors together."""


def to_parts(
    program: Program, weight_bits: int = 8
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """``(JSON values, tensors)``.

    Vectors and matrices become tensors named ``<value>.<constant>``, in the narrowest of int8,
    int16, int32 that holds them; scalars stay in JSON, and so does the proven range of each value.
    Weights of fewer than 8 bits are packed into bytes.

    Raises:
        ProgramError: a weight has more than ``weight_bits``.
    """
    parts = {
        "nodes": [_describe(node) for node in program],
        "nexts": [list(pair) for pair in program.nexts.items()],
        "outputs": [list(pair) for pair in program.outputs.items()],
    }
    tensors = {
        f"{node.name}.{key}": _stored(node, key, value, weight_bits)
        for node in program
        for key, value in node.attrs.items()
        if value.ndim
    }
    return parts, tensors


def _stored(node: Node, key: str, value: IntArray, weight_bits: int) -> npt.NDArray[Any]:
    if weight_bits == 8 or key != "weight":
        return value.astype(_storage(value))
    with _naming(f"the weights of '{node.name}'"):
        return pack_weights(value, weight_bits)


def from_parts(parts: Mapping[str, Any], tensors: Tensors, weight_bits: int = 8) -> Program:
    """The program of :func:`to_parts`, traced and proven again.

    Raises:
        FormatError: not the documented layout; the text names the culprit.
        ProgramError: an operation that is not well formed, or whose proof fails.
        IntegrityError: a proven range that differs from the one written beside the value.
    """
    top = fields.record(parts, "program", "nodes", "nexts", "outputs")
    size = sum(t.size for t in tensors.values())
    if size > MAX_CONSTANTS:
        raise FormatError(f"the tensors hold {size} elements, more than {MAX_CONSTANTS}")
    unread, b = dict(tensors), Builder()
    nodes = fields.array(top["nodes"], "program.nodes", MAX_VALUES)
    names = _read_nodes(b, nodes, unread, weight_bits)
    if unread:
        raise FormatError(f"the tensor '{min(unread)}' belongs to no value of the program")
    for state, value in fields.pairs(top["nexts"], "program.nexts", MAX_VALUES):
        with _naming(f"program.nexts of '{state}'"):
            b.next(b.value(state), b.value(value))
    for output, value in fields.pairs(top["outputs"], "program.outputs", MAX_VALUES):
        with _naming(f"program.outputs of '{output}'"):
            b.output(output, b.value(value))
    with _naming("program"):
        program = b.build()
    if len(program) != len(names):
        idle = next(name for name in names if name not in {node.name for node in program})
        raise FormatError(f"the value '{idle}' is read by nothing")
    return program


def _describe(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "op": node.op,
        "args": list(node.args),
        "scalars": {key: int(value) for key, value in node.attrs.items() if not value.ndim},
        "range": [node.interval.low, node.interval.high],
    }


def _storage(value: npt.NDArray[Any]) -> str:
    flat = value.ravel()
    return narrowest(Interval(flat, flat)) or "int32"


def _read_nodes(
    b: Builder, items: list[Any], unread: dict[str, npt.NDArray[Any]], weight_bits: int
) -> list[str]:
    names, total = [], 0
    for i, item in enumerate(items):
        where = f"program.nodes[{i}]"
        keys = ("name", "op", "args", "scalars", "range")
        entry = fields.record(item, where, *keys)
        name = fields.text(entry["name"], f"{where}.name")
        with _naming(f"{where} '{name}'"):
            node = _read_node(b, name, entry, where, unread, weight_bits)
        total += node.n
        if total > MAX_TOTAL:
            raise FormatError(f"the values up to '{name}' have more than {MAX_TOTAL} elements")
        names.append(name)
    return names


def _read_node(
    b: Builder,
    name: str,
    entry: Mapping[str, Any],
    where: str,
    unread: dict[str, npt.NDArray[Any]],
    weight_bits: int,
) -> Node:
    op = fields.text(entry["op"], f"{where}.op")
    if op not in OPS:
        raise ProgramError(f"unknown operation '{op}'; known: {', '.join(OPS)}")
    args = fields.array(entry["args"], f"{where}.args", MAX_VALUES)
    operands = [b.value(fields.text(arg, f"{where}.args")) for arg in args]
    if weight_bits < 8 and op == "matvec" and f"{name}.weight" in unread and len(operands) == 1:
        packed, columns = unread[f"{name}.weight"], operands[0].n
        matrix = unpack_weights(packed, columns, weight_bits, f"the tensor '{name}.weight'")
        unread[f"{name}.weight"] = matrix.astype(np.int8)
    attrs = _scalars(OPS[op], entry["scalars"], where) | _tensors(OPS[op], name, unread)
    node = b.apply(op, *operands, name=name, **attrs).node
    _compare_range(node, fields.array(entry["range"], f"{where}.range", 2), where)
    return node


def _scalars(rule: Op, given: object, where: str) -> dict[str, IntArray]:
    names = [key for key, form in rule.attrs.items() if form.ndim == 0]
    entry = fields.record(given, f"{where}.scalars", *names)
    return {
        key: np.asarray(fields.integer(entry[key], f"{where}.scalars.{key}", *INT32))
        for key in names
    }


def _tensors(rule: Op, name: str, unread: dict[str, npt.NDArray[Any]]) -> dict[str, IntArray]:
    found = {}
    for key, form in rule.attrs.items():
        if form.ndim == 0:
            continue
        tensor = unread.pop(f"{name}.{key}", None)
        if tensor is None:
            raise FormatError(f"the tensor '{name}.{key}' is missing")
        if tensor.ndim != form.ndim or not tensor.size:
            raise FormatError(
                f"the tensor '{name}.{key}' has the shape {tensor.shape}; "
                f"it must have {form.ndim} dimensions and not be empty"
            )
        if tensor.dtype.name not in STORAGE or tensor.dtype.name != _storage(tensor):
            raise FormatError(
                f"the tensor '{name}.{key}' is {tensor.dtype}; it must be the narrowest of "
                f"{', '.join(STORAGE)} that holds its values"
            )
        found[key] = tensor.astype(np.int64)
    return found


def _compare_range(node: Node, given: list[Any], where: str) -> None:
    found = [fields.integer(bound, f"{where}.range", *INT32) for bound in given]
    proven = [node.interval.low, node.interval.high]
    if found != proven:
        raise IntegrityError(f"the file claims the range {found}, the proof gives {proven}")


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Put ``where`` before the text of an error, whose type stays."""
    try:
        yield
    except (ProgramError, FormatError, IntegrityError) as error:
        text = str(error)
        raise type(error)(text if text.startswith(where) else f"{where}: {text}") from None
