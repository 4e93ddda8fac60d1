"""Storage: which type each value has in memory, and the conversions where readers differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from grsn_edge.backends._image.instruction import FORMS, WIDTHS, Instruction, holds
from grsn_edge.backends._image.lower import Lowering
from grsn_edge.program import OPS, Interval, Node, Program

__all__ = ["Typed", "convert"]

_LENGTHS_OF_THEIR_OWN = frozenset({"event", "gate", "dense", "move", "append", "argmax"})


@dataclass(frozen=True)
class Typed:
    """A program in the machine's operations, with storage types.

    Args:
        program: what it was made from.
        instructions: sources (inputs, states, constants), then what is computed, in order.
        widths: storage type of every value.
        nexts: for each state, the value that it takes, of the state's own type.
        outputs: the values of the outputs.
        alias: values of the program that are other values.
        parts: values of the program that are parts of another: its name, and where they start.
    """

    program: Program
    instructions: tuple[Instruction, ...]
    widths: dict[str, int]
    nexts: dict[str, str]
    outputs: tuple[str, ...]
    alias: dict[str, str]
    parts: dict[str, tuple[str, int]]


def convert(lowering: Lowering) -> Typed:
    """Choose storage types and insert conversions, broadcasts and constants."""
    return _Converter(lowering).convert()


class _Converter:
    def __init__(self, lowering: Lowering) -> None:
        self.lowering = lowering
        self.program = lowering.program
        self.sources = [_source(node) for node in (*self.program.inputs, *self.program.states)]
        self.made: dict[str, Instruction] = {}
        self.constants: dict[str, Instruction] = {}
        self.widths: dict[str, int] = {}

    def convert(self) -> Typed:
        self._choose_widths()
        for instruction in self.lowering.instructions:
            args = tuple(self._operand(instruction, arg) for arg in instruction.args)
            self.made[instruction.name] = replace(instruction, args=args)
        nexts, outputs = self._results()
        instructions = (*self.sources, *self.constants.values(), *self.made.values())
        alias, parts = self.lowering.alias, self.lowering.parts
        return Typed(self.program, instructions, self.widths, nexts, outputs, alias, parts)

    # ---- types ---------------------------------------------------------------------------------

    def _choose_widths(self) -> None:
        """States first: what they hold next is made in their type where it can be."""
        computed = {i.name: i for i in self.lowering.instructions}
        wanted: dict[str, list[tuple[int, ...]]] = {}
        for instruction in computed.values():
            for arg in instruction.args:
                wanted.setdefault(arg, []).append(FORMS[instruction.op].reads)
        for given in (*self.program.inputs, *self.program.states):
            fitting = [w for w in FORMS[given.op].writes if w in holds(given.interval)]
            self.widths[given.name] = _best(fitting, wanted.get(given.name, []))
        for state_name, name in self.lowering.nexts().items():
            wanted.setdefault(name, []).append((self.widths[state_name],))
        for name, instruction in computed.items():
            possible = self._possible(instruction)
            self.widths[name] = _best(possible, wanted.get(name, []))

    def _possible(self, instruction: Instruction) -> tuple[int, ...]:
        writes = FORMS[instruction.op].writes
        if instruction.op in ("event", "gate"):
            reach = [_reach(node, self.program) for node in instruction.nodes]
            fours = instruction.n % 4 == 0  # of which 16 bits are in order
            return tuple(
                w for w in writes if (w != 1 or fours) and all(r.within(*WIDTHS[w]) for r in reach)
            )
        if instruction.op == "move":
            return tuple(w for w in writes if w in holds(self.program[instruction.name].interval))
        return writes

    # ---- operands ------------------------------------------------------------------------------

    def _operand(self, reader: Instruction, name: str) -> str:
        """``name`` in a length and a type that the reader takes."""
        reads = FORMS[reader.op].reads
        source = self.program[name] if name in self._names else None
        stretched = reader.n if reader.op not in _LENGTHS_OF_THEIR_OWN else 0
        short = source is not None and source.n == 1 and stretched > 1
        if source is not None and source.op == "const":
            return self._typed(self._constant(source, stretched if short else source.n), reads)
        if short:
            name = self._typed(name, FORMS["dense"].reads)
            return self._filled(name, stretched)
        return self._typed(name, reads)

    def _typed(self, name: str, reads: tuple[int, ...]) -> str:
        """``name`` in one of the types ``reads``."""
        if self.widths[name] in reads:
            return name
        width = max(reads)
        return self._made(f"{name}#int{8 << width}", "move", self._length(name), name, width)

    def _filled(self, source: str, n: int) -> str:
        """A number n times: a product with a column of ones."""
        name = f"{source}#fill{n}"
        if name not in self.made:
            arrays = {"weight": np.ones((n, 1), np.int64), "bias": np.zeros(n, np.int64)}
            self.made[name] = Instruction(name, "dense", n, (source,), arrays=arrays)
            self.widths[name] = 2
        return name

    @cached_property
    def _names(self) -> set[str]:
        return {node.name for node in self.program}

    def _length(self, name: str) -> int:
        made = self.made.get(name) or self.constants.get(name)
        return made.n if made else self.program[name].n

    def _constant(self, node: Node, n: int) -> str:
        name = f"{node.name}#{n}"
        if name not in self.constants:
            value = np.broadcast_to(node.attrs["value"], (n,))
            self.constants[name] = Instruction(
                name, "const", n, (), (node,), arrays={"value": value}
            )
            self.widths[name] = 2
        return name

    def _made(self, name: str, op: str, n: int, source: str, width: int) -> str:
        if name not in self.made:
            self.made[name] = Instruction(name, op, n, (source,))
            self.widths[name] = width
        return name

    # ---- after the step ------------------------------------------------------------------------

    def _results(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """Next states, of the states' own types, and outputs.

        States' old values are taken before any state changes.  A value that may be computed in a
        state's memory is given as it is; ``place`` decides.
        """
        given = self.lowering.nexts()
        nexts = {s: s if n == s else self._kept(n, self.widths[s]) for s, n in given.items()}
        outputs = tuple(
            name if given.get(name) == name else self._kept(name, self.widths.get(name, 0))
            for name in self.lowering.outputs()
        )
        return nexts, outputs

    def _kept(self, name: str, width: int) -> str:
        node = self.program[name]
        if node.op == "const":
            return self._constant(node, node.n)
        if node.op == "state":
            return self._made(f"{name}#old{8 << width}", "move", node.n, name, width)
        return name


def _source(node: Node) -> Instruction:
    init = {"value": node.attrs["init"]} if node.op == "state" else {}
    return Instruction(node.name, node.op, node.n, (), (node,), arrays=init)


def _reach(node: Node, program: Program) -> Interval:
    return OPS[node.op].accumulator(node.attrs, [program[arg].interval for arg in node.args])


def _best(possible: Sequence[int], wanted: list[tuple[int, ...]]) -> int:
    """The type that most readers take; the narrowest of those."""
    return max(possible, key=lambda width: (sum(width in reads for reads in wanted), -width))
