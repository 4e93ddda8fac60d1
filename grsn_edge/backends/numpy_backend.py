"""Backend ``numpy``: the reference evaluator behind the common interface."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from grsn_edge.backends.base import Backend, Runner, Values
from grsn_edge.program import IntArray, Program, step

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
        super().__init__(program, batch)
        self._state = program.initial_state(self.batch_shape)

    def step(self, inputs: Values) -> dict[str, IntArray]:
        outputs, after = step(self.program, self.checked_inputs(inputs), self._state)
        self._state = {name: self._batched_copy(value) for name, value in after.items()}
        return {name: self._batched_copy(value) for name, value in outputs.items()}

    def get_state(self) -> dict[str, IntArray]:
        return {name: value.copy() for name, value in self._state.items()}

    def set_state(self, state: Values) -> None:
        self._state = self.checked_state(state)

    def _batched_copy(self, value: IntArray) -> IntArray:
        """A value that depends on no input has no batch of its own."""
        return np.broadcast_to(value, (*self.batch_shape, value.shape[-1])).copy()
