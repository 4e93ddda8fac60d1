"""Where the values of a program are in C: states, parameters, arrays of a step, constant tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from grsn_edge.backends._c.files import Symbols
from grsn_edge.backends._c.schedule import Schedule
from grsn_edge.backends._c.spelling import C_TYPE, in_quads, numbers, short_literal
from grsn_edge.program import IntArray, Interval, Node, narrowest

__all__ = ["Memory", "Place", "Style", "copy"]

Style = Literal["vectors", "plain", "lanes"]
"""Loops for a compiler that vectorises, for one neuron after the other, or in grsn_lanes.h."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stored value is: a C expression of its first element, and its C type."""

    expression: str
    dtype: str


class Memory:
    """Gives every stored value its place, and collects the constant tables.

    Args:
        plan: the schedule; it says what is stored, and what is written into a state's memory.
        symbols: C names.

    ``lowered`` names the constants that are kept as one less.
    """

    def __init__(self, plan: Schedule, symbols: Symbols) -> None:
        self.plan, self.program, self.symbols = plan, plan.program, symbols
        self.lowered: set[str] = set()
        self.tables: dict[str, str] = {}
        self.places: dict[str, Place] = {}
        for node in self.program:
            if node.op == "input":
                self.places[node.name] = Place(f"in_{self.identifier(node.name)}", node.dtype)
            elif node.op == "state":
                self.places[node.name] = Place(f"state->{symbols.fields[node.name]}", node.dtype)

    def identifier(self, name: str) -> str:
        """The tail of every C name that stands for a value."""
        return self.symbols.values[name]

    # ---- places ------------------------------------------------------------------------------

    def store(self, node: Node) -> Place:
        """The place of a value that is made now."""
        state = self.plan.in_place.get(node.name)
        if state is not None:
            self.places[node.name] = self.places[state]
        elif node.name not in self.places:
            self.places[node.name] = Place(f"v_{self.identifier(node.name)}", node.dtype)
        return self.places[node.name]

    def is_temporary(self, name: str) -> bool:
        """Whether a value has an array of its own in the step."""
        return name in self.plan.stored and name not in self.plan.in_place

    def declare(self, node: Node) -> str:
        """The declaration of that array."""
        return f"    {C_TYPE[node.dtype]} v_{self.identifier(node.name)}[{node.n}];"

    def array(self, name: str) -> str:
        """The first element of a value's memory; a constant gets a table."""
        source = self.plan.source(name)
        if source not in self.places:
            values, label = self.values(self.program[source]), f"const_{self.identifier(source)}"
            dtype = narrowest(Interval(values, values)) or "int32"
            self.places[source] = Place(self.table(label, values, dtype), dtype)
        return self.places[source].expression

    def where(self, name: str) -> tuple[str, str]:
        """Expression and type of a stored value."""
        array = self.array(name)
        return array, self.places[self.plan.source(name)].dtype

    def in_ram(self, name: str) -> tuple[list[str], str]:
        """The first element of a value in RAM, where functions read it; lines that bring it there.

        A constant lies in flash, which is another address space on some processors.
        """
        array, dtype = self.where(name)
        if self.root(name).op != "const":
            return [], array
        node, target = self.program[name], f"copy_{self.identifier(name)}"
        self.places[self.plan.source(name)] = Place(target, dtype)
        declaration = f"    {C_TYPE[dtype]} {target}[{node.n}];"
        return [declaration, *copy(target, dtype, array, node.n)], target

    def root(self, name: str) -> Node:
        """The value whose memory ``name`` is, or is a view of."""
        node = self.program[self.plan.source(name)]
        return self.root(node.args[0]) if node.op == "slice" else node

    # ---- constants ---------------------------------------------------------------------------

    def values(self, node: Node) -> IntArray:
        """What a constant is kept as."""
        values: IntArray = node.attrs["value"] - (node.name in self.lowered)
        return values

    def uniform(self, node: Node) -> int | None:
        """The one number that a constant consists of, if it does."""
        if node.op != "const" or not np.all(node.attrs["value"] == node.attrs["value"][0]):
            return None
        return int(self.values(node)[0])

    def table(
        self, label: str, values: IntArray, dtype: str, *, quads: bool = False, only: str = ""
    ) -> str:
        """The name of a constant array; ``only`` where a macro says so."""
        name = f"{self.symbols.name}_{label}"
        text = in_quads(values) if quads else numbers(values, dtype)
        head = f"static const GRSN_FLASH {C_TYPE[dtype]} {name}[{values.size}] GRSN_ALIGNED = {{"
        definition = f"{head}\n{text}\n}};\n"
        self.tables[name] = f"#if {only}\n{definition}#endif\n" if only else definition
        return name

    def fill(self, target: str, values: IntArray, kind: str, node: Node) -> list[str]:
        """Set an array to constants; ``kind`` and ``node`` name their table."""
        head = f"    for (grsn_index i = 0; i < {values.size}; i++) {{"
        if np.all(values == values[0]):
            return [head, f"        {target}[i] = {short_literal(int(values[0]))};", "    }"]
        storage = narrowest(Interval(values, values)) or "int32"
        table = self.table(f"{kind}_{self.identifier(node.name)}", values, storage)
        return [head, f"        {target}[i] = {table}[i];", "    }"]


def copy(target: str, dtype: str, source: str, n: int) -> list[str]:
    """Copy ``n`` elements."""
    return [
        f"    for (grsn_index i = 0; i < {n}; i++) {{",
        f"        ({target})[i] = ({C_TYPE[dtype]})({source})[i];",
        "    }",
    ]
