"""Which operation is it?  Exposes every value inside a step and finds the first that differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from grsn_edge.backends import backend
from grsn_edge.conformance.lockstep import Course, Difference
from grsn_edge.program import IntArray, Program, step

__all__ = ["Culprit", "diagnose", "expose", "locate"]


@dataclass(frozen=True, slots=True)
class Culprit:
    """The first value of a step that differs although its operands agree."""

    backend: str
    value: str
    op: str
    element: int
    expected: int
    found: int

    def __str__(self) -> str:
        return (
            f"{self.backend}: operation '{self.op}' gives {self.value}[{self.element}] = "
            f"{self.found}, the reference has {self.expected}; all values before it agree"
        )


def expose(program: Program) -> Program:
    """The same step with every computed value as an output under its own name."""
    computed = {n.name: n.name for n in program if n.op not in ("input", "state")}
    return Program(program.nodes, computed, program.nexts)


def diagnose(program: Program, difference: Difference, course: Course) -> Culprit | None:
    """The operation behind a difference that :func:`compare` found on this course.

    Follows the course with the reference to the step in question, then opens that step.

    Args:
        program: as compared.
        difference: what was found.
        course: the same states and inputs again.
    """
    state: dict[str, IntArray] = {}
    for t, (fresh, inputs) in enumerate(course):
        if fresh is not None:
            state = fresh
        elif not state:
            streams = next(iter(inputs.values())).shape[0]
            state = program.initial_state((streams,))
        if t == difference.step:
            i = difference.stream
            return locate(
                program,
                difference.backend,
                {name: value[i] for name, value in state.items()},
                {name: value[i] for name, value in inputs.items()},
            )
        _, state = step(program, inputs, state)
    return None


def locate(
    program: Program,
    name: str,
    state: Mapping[str, IntArray],
    inputs: Mapping[str, IntArray],
    reference: str = "numpy",
) -> Culprit | None:
    """Run one step with all values exposed, and compare them in order of evaluation.

    Args:
        program: in whose step backend ``name`` differs.
        name: the backend.
        state: before the step, ``(n,)`` by name.
        inputs: of the step, ``(n,)`` by name.
        reference: the backend to compare with.

    Returns:
        The first value that differs, or None where exposing them makes the difference vanish
        (an optimisation of the backend's own is then at fault).
    """
    opened = expose(program)
    found = []
    for each in (reference, name):
        runner = backend(each).load(opened)
        runner.set_state(state)
        found.append(runner.step(inputs))
        runner.close()
    want, got = found
    for node in opened:
        if node.name in want and not np.array_equal(want[node.name], got[node.name]):
            i = int(np.argwhere(want[node.name] != got[node.name])[0][0])
            numbers = int(want[node.name][i]), int(got[node.name][i])
            return Culprit(name, node.name, node.op, i, *numbers)
    return None
