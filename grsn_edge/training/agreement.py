"""How often a student does what it is taught, in episodes that it did not learn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks import Task, agrees
from grsn_edge.training.evaluate import Act
from grsn_edge.training.teacher import Teacher

__all__ = ["Beside"]


class Beside:
    """An :data:`Act` with a teacher beside it: both see the same, the student acts.

    Args:
        act: the student.
        teacher: with as many rows as there are episodes, from a reset.
        task: what is played.
    """

    def __init__(self, act: Act, teacher: Teacher, task: Task) -> None:
        self._act = act
        self._teacher = teacher
        self._task = task
        self._keep: FloatArray | None = None
        self._running: npt.NDArray[np.bool_] = np.ones(0, bool)
        self._agreed = self._steps = 0

    def watch(self, observation: FloatArray, running: npt.NDArray[np.bool_]) -> None:
        """Which episodes still run."""
        self._running = running

    def __call__(self, observation: FloatArray) -> npt.NDArray[Any]:
        """The student's actions."""
        keep = np.zeros((len(observation), 1), np.float32) if self._keep is None else self._keep
        self._keep = np.ones_like(keep)
        label = self._teacher.label(observation, keep)
        action = self._act(observation)
        discrete = self._task.is_discrete
        given = action if discrete else self._task.normalise_action(action)
        self._agreed += int((agrees(given, label, discrete) & self._running).sum())
        self._steps += int(self._running.sum())
        return action

    @property
    def agreement(self) -> float:
        """Share of the steps until now."""
        return self._agreed / max(self._steps, 1)
