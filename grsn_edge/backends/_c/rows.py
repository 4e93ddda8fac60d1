"""The constants of a loop: a table of vectors, or a row for every neuron, or for every two.

Where a processor takes the products of few inputs inside a loop (GRSN_DOTS), everything constant
that two neurons need stands in one row, in the order in which it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from grsn_edge.backends._c.folds import Folds
from grsn_edge.backends._c.memory import Memory, Place
from grsn_edge.backends._c.schedule import Loop
from grsn_edge.program import IntArray, Node

__all__ = ["Constants", "Dots", "Interleaved", "interleave"]

Dots = Mapping[str, tuple[str, int]]
"""Products that may be taken inside a loop: the array of inputs in pairs, and their number."""


@dataclass(frozen=True, slots=True)
class Interleaved:
    """Constants of single neurons, side by side where GRSN_EACH is 1: one pointer serves all.

    Args:
        pointer: its name; it moves on by as many numbers as there are in ``inside``.
        table: what it points to.
        inside: for each constant, how it is read.
    """

    pointer: str
    table: str
    inside: Mapping[str, str]

    @property
    def declaration(self) -> str:
        """Before the loop."""
        return f"    GRSN_IF_EACH(const GRSN_FLASH int16_t *{self.pointer} = {self.table};)"

    @property
    def step(self) -> str:
        """The end of an iteration."""
        return f"        GRSN_IF_EACH({self.pointer} += {len(self.inside)};)"


def interleave(memory: Memory, loop: Loop) -> Interleaved | None:
    """A table of what a loop over single neurons reads, where that is several vectors."""
    vectors = _vectors(memory, loop)
    if len(vectors) < 2:
        return None
    label = f"each_{memory.identifier(vectors[0].name)}"
    values = np.stack([memory.values(node) for node in vectors], axis=1)
    table = memory.table(label, values, "int16", only="GRSN_EACH")
    inside: dict[str, str] = {}
    for i, node in enumerate(vectors):
        apart = f"const_{memory.identifier(node.name)}"
        name = memory.table(apart, memory.values(node), "int16", only="!GRSN_EACH")
        inside[node.name] = f"GRSN_EACH_OR({label}[{i}], {name}[i])"
    return Interleaved(label, table, inside)


class Constants:
    """What a loop in lanes reads from tables.

    Args:
        memory: where values are; gets the tables.
        folds: what moved into biases.
        loop: the loop.
        dots: products that may be taken inside it.
    """

    def __init__(self, memory: Memory, folds: Folds, loop: Loop, dots: Dots) -> None:
        self.memory, self.folds, self.loop, self.dots = memory, folds, loop, dots
        self._words: list[IntArray] = []
        self._starts: dict[str, int] = {}
        self._products = [node for node in _operands(memory, loop) if node.name in dots]
        self._vectors = _vectors(memory, loop)
        self._place()

    @property
    def table(self) -> str | None:
        """The name of the table of rows; none where the loop takes no product."""
        if not self._products:
            return None
        return f"{self.memory.symbols.name}_{self._label}"

    @property
    def declaration(self) -> list[str]:
        """The pointer to the row that is next."""
        if self.table is None:
            return []
        return [f"    GRSN_IF_DOTS(const int32_t *{self._label} = {self.table};)"]

    def take(self, node: Node, load: str) -> str:
        """How the next words of a row, or ``load`` elsewhere, give a value; once for each value."""
        if self.table is None or node.name not in (n.name for n in self._products + self._vectors):
            return load
        self._append(node)
        if node.name in self.dots:
            pairs, n = self.dots[node.name]
            return f"GRSN_ROW(grsn_dots(&{self._label}, {pairs}, {n}), {load})"
        return f"GRSN_ROW(grsn_take(&{self._label}), {load})"

    def partner(self, node: Node) -> Node | None:
        """The vector that can be taken together with one: the next that was not."""
        names = [vector.name for vector in self._vectors]
        if self.table is None or node.name not in names:
            return None
        rest = self._vectors[names.index(node.name) + 1 :]
        return rest[0] if rest and rest[0].name not in self._starts else None

    def take_two(self, nodes: tuple[Node, Node], names: tuple[str, str], load: str) -> str:
        """A statement that gives two vectors their values, or does what ``load`` says."""
        for node in nodes:
            self._append(node)
        first, second = (f"&{name}" for name in names)
        return f"GRSN_ROW(grsn_take_two(&{self._label}, {first}, {second}), {load});"

    def at(self, node: Node, load: str) -> str:
        """The same for neuron ``i`` of a loop that has ended."""
        if node.name not in self._starts:
            return load
        place = f"(i >> 1) * {self._width} + {self._starts[node.name]}"
        return f"GRSN_ROW({self.table}[{place}], {load})"

    def finish(self) -> None:
        """Make the table of everything that was taken."""
        if self.table is not None:
            rows = np.concatenate(self._words, axis=1)
            self.memory.table(self._label, rows, "int32", only="GRSN_DOTS")

    @property
    def _label(self) -> str:
        return f"rows_{self.memory.identifier(self._products[0].name)}"

    @property
    def _width(self) -> int:
        return sum(words.shape[1] for words in self._words)

    def _place(self) -> None:
        """Everything in one table of int16: one address serves all."""
        if not self._vectors:
            return
        only = "!GRSN_DOTS" if self._products else ""
        values = np.concatenate([self.memory.values(node) for node in self._vectors])
        label = f"loop_{self.memory.identifier(self._vectors[0].name)}"
        table = self.memory.table(label, values, "int16", only=only)
        for i, node in enumerate(self._vectors):
            expression = f"({table} + {i * self.loop.n})" if i else table
            self.memory.places[node.name] = Place(expression, "int16")

    def _append(self, node: Node) -> None:
        self._starts[node.name] = self._width
        rows = self.loop.n // 2
        if node.name not in self.dots:
            self._words.append(_couple(self.memory.values(node).reshape(rows, 1, 2)))
            return
        weights = _couple(node.attrs["weight"].reshape(self.loop.n, -1, 2))
        whole = np.concatenate([self.folds.bias(node)[:, None], weights], axis=1)
        self._words.append(whole.reshape(rows, -1))


def _operands(memory: Memory, loop: Loop) -> list[Node]:
    names = dict.fromkeys(memory.plan.source(arg) for node in loop.nodes for arg in node.args)
    return [memory.program[name] for name in names]


def _vectors(memory: Memory, loop: Loop) -> list[Node]:
    """The constants that differ from neuron to neuron, in 16 bits, and have no table yet."""
    return [
        node
        for node in _operands(memory, loop)
        if node.op == "const" and node.n == loop.n and node.dtype != "int32"
        if node.name not in memory.places and memory.uniform(node) is None
    ]


def _couple(pairs: IntArray) -> IntArray:
    """Two int16, ``(..., 2)``, as one int32, ``(...)``, the first in the lower half."""
    return np.asarray((pairs[..., 0] & 0xFFFF) | (pairs[..., 1] << 16), dtype=np.int64)
