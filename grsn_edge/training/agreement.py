"""How often a student does what it is taught, in episodes that it did not learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks import CLOSE, Logged, Task
from grsn_edge.training.evaluate import Act, Play, play
from grsn_edge.training.teacher import Teacher

__all__ = ["Beside", "agreement_with_log"]


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
        self._agreed += int((self._same(action, label) & self._running).sum())
        self._steps += int(self._running.sum())
        return action

    def _same(self, action: npt.NDArray[Any], label: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        if self._task.is_discrete:
            return np.asarray(action == label)
        width = np.asarray([c.high - c.low for c in self._task.actions], np.float32)
        return np.asarray((np.abs(action - self._task.in_units(label)) <= CLOSE * width).all(-1))

    @property
    def agreement(self) -> float:
        """Share of the steps until now."""
        return self._agreed / max(self._steps, 1)


def agreement_with_log(
    lessons: Task, act: Callable[[Task], Act], episodes: int, seed: int
) -> float:
    """The share of steps of the held-out episodes in which the student does what was done.

    Args:
        lessons: the task that replays what it learns from.
        act: makes the student's :data:`Act`, from a reset, for this task.
        episodes: how many are replayed.
        seed: of their choice.
    """
    assert isinstance(lessons.dynamics, Logged)
    part = "all" if lessons.dynamics.part == "all" else "test"
    held_out = replace(lessons, dynamics=replace(lessons.dynamics, part=part))
    played: Play = play(act(held_out), held_out, episodes, seed)
    return played.mean / 100.0
