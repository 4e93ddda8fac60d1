"""What the outputs of a graph are called; its inputs have the names of the program's values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from grsn_edge.program import Program

__all__ = ["NEXT", "Border", "border_of"]

NEXT = ".next"
"""What is added to a state's name for the output that holds its next value."""


@dataclass(frozen=True, slots=True)
class Border:
    """Names of a graph's outputs: ``outputs`` by the program's output, ``nexts`` by state."""

    outputs: Mapping[str, str]
    nexts: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, in the order of the graph."""
        return (*self.outputs.values(), *self.nexts.values())


def border_of(program: Program) -> Border:
    """The program's own names, ``<state>.next`` for next states.

    A name of a graph means one tensor, but a program may call an output as an input.  The later one
    is then ``<output>:output`` or ``<state>:next``, which no program can use.
    """
    taken = {node.name for node in (*program.inputs, *program.states)}
    nexts = {s.name: _free(f"{s.name}{NEXT}", f"{s.name}:next", taken) for s in program.states}
    outputs = {name: _free(name, f"{name}:output", taken) for name in program.outputs}
    return Border(outputs, nexts)


def _free(wanted: str, otherwise: str, taken: set[str]) -> str:
    name = otherwise if wanted in taken else wanted
    taken.add(name)
    return name
