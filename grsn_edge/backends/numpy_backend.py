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
        outputs, self._state = step(self.program, self.checked_inputs(inputs), self._state)
        shape = self.batch_shape
        return {k: np.broadcast_to(v, (*shape, v.shape[-1])).copy() for k, v in outputs.items()}

    def get_state(self) -> dict[str, IntArray]:
        return {name: value.copy() for name, value in self._state.items()}

    def set_state(self, state: Values) -> None:
        self._state = self.checked_state(state)
