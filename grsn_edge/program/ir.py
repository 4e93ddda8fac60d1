"""What a step program is: a straight line of integer operations with proven ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np

from grsn_edge.errors import ProgramError
from grsn_edge.program.interval import IntArray, Interval, narrowest
from grsn_edge.program.ops import Attrs

__all__ = ["Node", "Program"]


@dataclass(frozen=True, eq=False)
class Node:
    """One value of a program: an operation, its operands by name, and its proven interval."""

    name: str
    op: str
    args: tuple[str, ...]
    attrs: Attrs
    interval: Interval

    @property
    def n(self) -> int:
        """Number of elements."""
        return self.interval.n

    @cached_property
    def dtype(self) -> str:
        """Storage: the narrowest of ``int8``, ``int16``, ``int32`` that holds the interval."""
        dtype = narrowest(self.interval)
        if dtype is None:
            raise ProgramError(f"'{self.name}' does not fit in int32")
        return dtype


@dataclass(frozen=True, eq=False)
class Program:
    """An immutable step program; made by :class:`~grsn_edge.program.trace.Builder`.

    ``nodes`` are in order of evaluation.  ``outputs`` maps each output's name, and ``nexts`` each
    state's name, to the node that holds its value after the step.
    """

    nodes: tuple[Node, ...]
    outputs: Mapping[str, str]
    nexts: Mapping[str, str]
    _index: Mapping[str, Node] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "outputs", MappingProxyType(dict(self.outputs)))
        object.__setattr__(self, "nexts", MappingProxyType(dict(self.nexts)))
        index = MappingProxyType({node.name: node for node in self.nodes})
        object.__setattr__(self, "_index", index)

    def __getitem__(self, name: str) -> Node:
        try:
            return self._index[name]
        except KeyError:
            raise ProgramError(f"the program has no value named '{name}'") from None

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def __reduce__(self) -> tuple[type[Program], tuple[object, ...]]:
        return Program, (self.nodes, dict(self.outputs), dict(self.nexts))

    @cached_property
    def inputs(self) -> tuple[Node, ...]:
        """The input nodes, in order of declaration."""
        return tuple(node for node in self.nodes if node.op == "input")

    @cached_property
    def states(self) -> tuple[Node, ...]:
        """The state nodes, in order of declaration."""
        return tuple(node for node in self.nodes if node.op == "state")

    @cached_property
    def uses(self) -> Mapping[str, tuple[Node, ...]]:
        """For each value's name, the nodes that read it."""
        readers: dict[str, list[Node]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for arg in dict.fromkeys(node.args):
                readers[arg].append(node)
        return MappingProxyType({name: tuple(nodes) for name, nodes in readers.items()})

    def initial_state(self, batch: tuple[int, ...] = ()) -> dict[str, IntArray]:
        """Each state's value after a reset, as int64 ``(*batch, n)``; the arrays are fresh."""
        return {s.name: np.broadcast_to(s.attrs["init"], (*batch, s.n)).copy() for s in self.states}
