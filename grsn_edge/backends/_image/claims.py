"""What an image claims of each value, so that a device can check it value by value.

A claim is one interval for all elements wherever that suffices, which costs no memory; where the
proof needs to tell elements apart it is an interval for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from grsn_edge.backends._image.convert import Typed
from grsn_edge.backends._image.instruction import WIDTHS, Instruction
from grsn_edge.backends._image.place import Placement
from grsn_edge.errors import ProgramError
from grsn_edge.program import INT32, OPS, Interval, Node
from grsn_edge.program.relations import refine

__all__ = ["claims"]


class _NotProven(Exception):
    """The claims of the operands do not suffice."""


def claims(typed: Typed, placement: Placement) -> Mapping[str, Interval]:
    """The claimed interval of every value, per element; equal bounds are one interval.

    Raises:
        ProgramError: never for a program that was traced, whose proof is repeated here.
    """
    return MappingProxyType(_Claims(typed, placement).solve())


class _Claims:
    """Tries with one interval per value, and takes apart the operands of what then fails."""

    def __init__(self, typed: Typed, placement: Placement) -> None:
        self.typed, self.placement = typed, placement
        self.by_name = {i.name: i for i in placement.instructions}
        self.apart: set[str] = set()
        self.spikes = {
            a for i in placement.instructions if i.op in ("event", "gate") for a in i.args
        }

    def solve(self) -> dict[str, Interval]:
        while True:
            known: dict[str, Interval] = {}
            failed = self._try(known)
            if failed is None:
                return known
            self._take_apart(failed)

    def _try(self, known: dict[str, Interval]) -> set[str] | None:
        """Fill ``known``; the values whose claims do not suffice, if any."""
        for instruction in self.placement.instructions:
            try:
                interval = self._derive(instruction, known)
                self._check_storage(instruction.name, interval)
            except _NotProven:
                return set(instruction.args)
            whole = instruction.name not in self.apart and instruction.op not in _GIVEN
            known[instruction.name] = _hull(interval) if whole else interval
        for state, name in self.placement.nexts.items():
            if not _inside(known[name], known[state]):
                return {name}
        return None

    def _take_apart(self, level: set[str]) -> None:
        """Of these values, or else of the nearest before them, those still claimed as one."""
        culprits = ", ".join(sorted(level))
        while level:
            fresh = {n for n in level if n not in self.apart and self.by_name[n].op not in _GIVEN}
            if fresh:
                self.apart |= fresh
                return
            level = {arg for n in level for arg in self.by_name[n].args}
        raise ProgramError(f"no claim suffices for the readers of {culprits}; report this program")

    def _check_storage(self, name: str, interval: Interval) -> None:
        lo, hi = (0, 1) if name in self.spikes else WIDTHS[self.placement.widths[name]]
        if not interval.within(lo, hi):
            raise _NotProven

    # ---- one value -----------------------------------------------------------------------------

    def _derive(self, instruction: Instruction, known: Mapping[str, Interval]) -> Interval:
        args = [known[arg] for arg in instruction.args]
        if instruction.op in _GIVEN:
            interval = instruction.nodes[-1].interval
            return _stretched(interval, instruction.n)
        if instruction.op == "move":
            return _part(args[0], instruction.start, instruction.n)
        if instruction.op == "append":
            return _joined(args)
        if instruction.op == "argmax":
            return Interval(np.array([0]), np.array([args[0].n - 1]))
        if instruction.op == "dense" and not instruction.nodes:  # a number several times
            return _stretched(args[0], instruction.n)
        if instruction.op in ("event", "gate", "dense"):
            return _joined(
                [self._product(node, instruction, args[0]) for node in instruction.nodes]
            )
        return self._chain(instruction, known)

    def _product(self, node: Node, instruction: Instruction, x: Interval) -> Interval:
        reach = OPS["matvec"].accumulator(node.attrs, [x])
        if not reach.within(*WIDTHS[self.placement.widths[instruction.name]]):
            raise _NotProven
        return OPS["matvec"].interval(node.attrs, [x])

    def _chain(self, instruction: Instruction, known: Mapping[str, Interval]) -> Interval:
        """The operations that the instruction stands for, one by one."""
        values = _Values(self.typed, known)
        for node in instruction.nodes:
            rule, args = OPS[node.op], [values[arg].interval for arg in node.args]
            try:
                rule.check(node.attrs, args)
            except ProgramError:
                raise _NotProven from None
            if not rule.accumulator(node.attrs, args).within(*INT32):
                raise _NotProven
            found = replace(node, interval=rule.interval(node.attrs, args))
            values.put(replace(found, interval=refine(found, values)))
        return _stretched(values[instruction.nodes[-1].name].interval, instruction.n)


class _Values(dict[str, Node]):
    """The program's values, with what is claimed of them."""

    def __init__(self, typed: Typed, known: Mapping[str, Interval]) -> None:
        super().__init__()
        self.typed, self.known = typed, known

    def put(self, node: Node) -> None:
        self[node.name] = node

    def __missing__(self, name: str) -> Node:
        node = self.typed.program[name]
        if node.op == "const":
            return node
        if name in self.known:
            return replace(node, interval=self.known[name])
        alias = self.typed.alias.get(name)
        if alias is not None:
            return replace(node, interval=self[alias].interval)
        if name in self.typed.parts:
            stack, start = self.typed.parts[name]
            return replace(node, interval=_part(self.known[stack], start, node.n))
        return node  # inside another instruction: its interval decides nothing here


_GIVEN = frozenset({"input", "state", "const"})


def _hull(interval: Interval) -> Interval:
    return Interval(np.full(interval.n, interval.low), np.full(interval.n, interval.high))


def _inside(inner: Interval, outer: Interval) -> bool:
    return bool(np.all(inner.lo >= outer.lo) and np.all(inner.hi <= outer.hi))


def _part(interval: Interval, start: int, n: int) -> Interval:
    return Interval(interval.lo[start : start + n], interval.hi[start : start + n])


def _stretched(interval: Interval, n: int) -> Interval:
    return Interval(np.broadcast_to(interval.lo, (n,)), np.broadcast_to(interval.hi, (n,)))


def _joined(intervals: list[Interval]) -> Interval:
    lo = np.concatenate([interval.lo for interval in intervals])
    return Interval(lo, np.concatenate([interval.hi for interval in intervals]))
