"""What a step costs: bytes, and arithmetic operations per step, value by value.

Counted from the program alone, before any backend.  Loads, stores, copies (``concat``, ``slice``,
the hand-over of states) and loop overhead are not counted; ``shr`` is one shift, its rounding
addition included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType

import numpy as np

from grsn_edge.errors import UsageError
from grsn_edge.program.interval import IntArray
from grsn_edge.program.ir import Node, Program

__all__ = ["Counts", "Memory", "Operations", "memory", "operations"]

_BYTES = {"int8": 1, "int16": 2, "int32": 4}
_SOURCES = ("input", "state", "const")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes.

    Args:
        constants: weights (int8), biases (int32), tables (int16) and constant vectors (storage).
        state: every state once, in its storage type.
        scratch: the largest sum, over the program's order, of the values computed and still to be
            read, each in its storage type; outputs and next states count until the step's end.
            Inputs, states and constants are not scratch.  A backend that fuses needs less.
    """

    constants: int
    state: int
    scratch: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Arithmetic operations of one step.

    Args:
        synaptic_additions: of a ``matvec`` whose operand is proven binary: rows times active
            elements, one int8 addition each.  Zero weights count; the bias is the start.
        multiply_accumulates: of any other ``matvec``: rows times columns.
        additions: elements of ``add`` and ``sub``.
        multiplications: elements of ``mul`` that are neither a selection nor a shift.
        selections: elements of ``mul`` with an operand that is proven binary.
        shifts: elements of ``shr``, and of ``mul`` by a constant power of two above 1.
        clips: elements of a ``clip`` that can act; one that the proof makes idle costs nothing.
        comparisons: elements of ``ge``; for ``argmax`` one less than the elements of its operand.
        lookups: elements of ``lut``.
    """

    synaptic_additions: float = 0.0
    multiply_accumulates: int = 0
    additions: int = 0
    multiplications: int = 0
    selections: int = 0
    shifts: int = 0
    clips: int = 0
    comparisons: int = 0
    lookups: int = 0

    @property
    def total(self) -> float:
        """All of them, each counted as one."""
        return float(sum(getattr(self, field.name) for field in fields(self)))

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Operations:
    """Operation counts of one step: of each value by name, and of all of them."""

    nodes: Mapping[str, Counts]
    total: Counts


def memory(program: Program) -> Memory:
    """The bytes that the program needs; see :class:`Memory` for what is counted."""
    constants = sum(_constant_bytes(node) for node in program)
    state = sum(_bytes(node) for node in program.states)
    return Memory(constants, state, _scratch(program))


def operations(program: Program, activity: Mapping[str, float] | None = None) -> Operations:
    """The operations of one step.

    Args:
        program: what to count.
        activity: mean fraction of ones, in [0, 1], by the name of a binary value.  A binary state
            without an entry takes that of its next value; any other value counts as all ones, so
            that no activity at all gives the worst case.  Elements proven 0 or 1 always count so.

    Raises:
        UsageError: an activity outside [0, 1], or of a value that is not binary.
    """
    given = dict(activity or {})
    for name, fraction in given.items():
        if not program[name].interval.is_binary or not 0.0 <= fraction <= 1.0:
            raise UsageError(f"an activity is 0..1 for a binary value, not {fraction} for '{name}'")
    nodes = {node.name: _count(program, node, given) for node in program}
    return Operations(MappingProxyType(nodes), sum(nodes.values(), Counts()))


# ---- memory --------------------------------------------------------------------------------------


def _bytes(node: Node) -> int:
    return node.n * _BYTES[node.dtype]


def _constant_bytes(node: Node) -> int:
    if node.op == "const":
        return _bytes(node)
    widths = {"weight": 1, "bias": 4, "table": 2}
    return sum(widths[key] * value.size for key, value in node.attrs.items() if key in widths)


def _scratch(program: Program) -> int:
    kept = {*program.outputs.values(), *program.nexts.values()}
    position = {node.name: i for i, node in enumerate(program)}
    last = {
        name: len(program) if name in kept else max((position[r.name] for r in readers), default=0)
        for name, readers in program.uses.items()
    }
    live, peak = 0, 0
    ends: dict[int, int] = {}
    for i, node in enumerate(program):
        if node.op not in _SOURCES:
            live += _bytes(node)
            ends[last[node.name]] = ends.get(last[node.name], 0) + _bytes(node)
        peak = max(peak, live)
        live -= ends.pop(i, 0)
    return peak


# ---- operations ----------------------------------------------------------------------------------


def _count(program: Program, node: Node, activity: Mapping[str, float]) -> Counts:
    args = [program[name] for name in node.args]
    if node.op == "matvec":
        return _matvec(program, node, args[0], activity)
    count = _COUNTS.get(node.op)
    return count(node, args) if count else Counts()


def _matvec(program: Program, node: Node, x: Node, activity: Mapping[str, float]) -> Counts:
    if not x.interval.is_binary:
        return Counts(multiply_accumulates=node.attrs["weight"].size)
    always, possible = int(x.interval.lo.sum()), int(x.interval.hi.sum())
    active = always + (possible - always) * _activity(program, x, activity)
    return Counts(synaptic_additions=node.n * active)


def _activity(program: Program, node: Node, activity: Mapping[str, float]) -> float:
    before = program.nexts.get(node.name, node.name)
    return activity.get(node.name, activity.get(before, 1.0))


def _mul(node: Node, args: Sequence[Node]) -> Counts:
    if any(arg.interval.is_binary for arg in args):
        return Counts(selections=node.n)
    if any(arg.op == "const" and _is_power_of_two(arg.attrs["value"]) for arg in args):
        return Counts(shifts=node.n)
    return Counts(multiplications=node.n)


def _is_power_of_two(value: IntArray) -> bool:
    first = int(value[0])
    return first > 1 and first & (first - 1) == 0 and bool(np.all(value == first))


def _clip(node: Node, args: Sequence[Node]) -> Counts:
    idle = args[0].interval.within(int(node.attrs["lo"]), int(node.attrs["hi"]))
    return Counts(clips=0 if idle else node.n)


_COUNTS: Mapping[str, Callable[[Node, Sequence[Node]], Counts]] = {
    "add": lambda node, args: Counts(additions=node.n),
    "sub": lambda node, args: Counts(additions=node.n),
    "mul": _mul,
    "shr": lambda node, args: Counts(shifts=node.n),
    "clip": _clip,
    "ge": lambda node, args: Counts(comparisons=node.n),
    "lut": lambda node, args: Counts(lookups=node.n),
    "argmax": lambda node, args: Counts(comparisons=args[0].n - 1),
}
