"""Additions that move into a bias: the rounding of a shift, and the 128 of a table's index.

``shr(W·x + b, s)`` is ``(W·x + (b + 2^(s-1))) >> s``.  Where a product is read by one shift alone,
the half is therefore added to the bias once, when the policy is generated, instead of at every
step.  Where that shift is read by a table alone, 128·2^s goes the same way, and the shifted sum is
the table's index.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from grsn_edge.program import OPS, IntArray, Interval, Node, Program

__all__ = ["Folds", "find_folds", "readers"]

_LIMITS = ((-(2**15), 2**15 - 1), (-(2**31), 2**31 - 1))


@dataclass(frozen=True)
class Folds:
    """What was folded.

    Args:
        program: where.
        added: for a ``matvec``, what its bias is increased by.
        raised: values that are 128 more in memory and in registers than in the program.
    """

    program: Program
    added: Mapping[str, int]
    raised: frozenset[str]

    def bias(self, node: Node) -> IntArray:
        """The bias to start a product from."""
        return node.attrs["bias"] + self.added.get(node.name, 0)

    def accumulator(self, node: Node, operand: Interval) -> Interval:
        """Of every partial sum of the product with that bias."""
        return _accumulator(node, operand, self.added.get(node.name, 0))


def find_folds(
    program: Program, alias: Mapping[str, str], stored: frozenset[str], *, tables: bool
) -> Folds:
    """All folds that keep every sum in its storage type.

    Args:
        program: any.
        alias: values that are other values.
        stored: values that have memory of their own.
        tables: also raise indices of tables.
    """
    read = readers(program, alias)
    added: dict[str, int] = {}
    raised: set[str] = set()
    for node in program:
        shift = _only(read, node.name)
        if node.op != "matvec" or shift is None or shift.op != "shr":
            continue
        s = int(shift.attrs["shift"])
        chain = _to_table(read, shift) if tables else None
        rounding = 1 << (s - 1)
        if chain and not stored & chain and _fits(program, node, rounding + (128 << s)):
            added[node.name] = rounding + (128 << s)
            raised |= chain
        elif _fits(program, node, rounding):
            added[node.name] = rounding
    return Folds(program, added, frozenset(raised))


def readers(program: Program, alias: Mapping[str, str]) -> dict[str, list[Node]]:
    """The operations that read each value; the world outside counts as two of them."""
    found: dict[str, list[Node]] = {node.name: [] for node in program}
    for node in program:
        if node.name not in alias:
            for arg in dict.fromkeys(alias.get(a, a) for a in node.args):
                found[arg].append(node)
    for name in {*program.outputs.values(), *program.nexts.values()}:
        kept = alias.get(name, name)
        found[kept] += [program[kept]] * 2
    return found


def _only(read: Mapping[str, list[Node]], name: str) -> Node | None:
    return read[name][0] if len(read[name]) == 1 else None


def _to_table(read: Mapping[str, list[Node]], shift: Node) -> frozenset[str] | None:
    """The values between a shift and the one table that reads it, both included or not at all."""
    chain, reader = {shift.name}, _only(read, shift.name)
    if reader is not None and reader.op == "clip":
        if (int(reader.attrs["lo"]), int(reader.attrs["hi"])) != (-128, 127):
            return None
        chain.add(reader.name)
        reader = _only(read, reader.name)
    return frozenset(chain) if reader is not None and reader.op == "lut" else None


def _fits(program: Program, node: Node, extra: int) -> bool:
    """Whether the sums stay in the storage type that they have without the addition."""
    operand = program[node.args[0]].interval
    plain, more = _accumulator(node, operand, 0), _accumulator(node, operand, extra)
    lo, hi = next(limits for limits in _LIMITS if plain.within(*limits))
    return more.within(lo, hi) and bool(np.all(node.attrs["bias"] + extra <= hi))


def _accumulator(node: Node, operand: Interval, extra: int) -> Interval:
    attrs = {**node.attrs, "bias": node.attrs["bias"] + extra}
    return OPS["matvec"].accumulator(attrs, [operand])
