"""Backend ``numpy``: the reference evaluator behind the common interface."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from grsn_edge.backends.base import Backend, Runner, Values
from grsn_edge.errors import ObservationError, StateError
from grsn_edge.program import IntArray, Program, check_inputs, check_state, step

__all__ = ["NumpyBackend"]


class NumpyBackend(Backend):
    """The reference."""

    name: ClassVar[str] = "numpy"
    summary: ClassVar[str] = "the reference evaluator; slow, always there"

    def load(self, program: Program, *, batch: int | None = None) -> Runner:
        return NumpyRunner(program, batch)


class NumpyRunner(Runner):
    """Keeps the state between calls of :func:`grsn_edge.program.step`."""

    def __init__(self, program: Program, batch: int | None) -> None:
        self.program = program
        self.batch = batch
        self.reset()

    def step(self, inputs: Values) -> dict[str, IntArray]:
        checked = shaped_inputs(self, inputs)
        outputs, self._state = step(self.program, checked, self._state)
        shape = batch_shape(self)
        return {k: np.broadcast_to(v, (*shape, v.shape[-1])).copy() for k, v in outputs.items()}

    def get_state(self) -> dict[str, IntArray]:
        return {name: value.copy() for name, value in self._state.items()}

    def set_state(self, state: Values) -> None:
        self._state = shaped_state(self, state)


def batch_shape(runner: Runner) -> tuple[int, ...]:
    """Leading shape of a runner's arrays."""
    return () if runner.batch is None else (runner.batch,)


def shaped_inputs(runner: Runner, inputs: Values) -> dict[str, IntArray]:
    """Inputs checked against the program and against the runner's batch."""
    checked = check_inputs(runner.program, inputs)
    _check_batch(runner, checked, ObservationError)
    return checked


def shaped_state(runner: Runner, state: Values) -> dict[str, IntArray]:
    """A state checked against the program and the runner's batch; the arrays are fresh."""
    checked = check_state(runner.program, state)
    _check_batch(runner, checked, StateError)
    return checked


def _check_batch(
    runner: Runner,
    arrays: dict[str, IntArray],
    error: type[ObservationError] | type[StateError],
) -> None:
    shape = batch_shape(runner)
    for name, array in arrays.items():
        if array.shape[:-1] != shape:
            raise error(f"'{name}' must have the shape {(*shape, array.shape[-1])}")
