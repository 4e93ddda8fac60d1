"""Teachers: frozen policies, or logs, that say step by step what a student should do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from grsn_edge.backends import backend
from grsn_edge.errors import TrainingError
from grsn_edge.policy import ACTION, OBSERVATION, Policy, dumps, load
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks import BatchedEnv, ReplayWorlds, Task

__all__ = ["LogTeacher", "Teacher", "TeacherLike", "load_teacher"]


class TeacherLike(Protocol):
    """Who says what should have been done in the episodes of a roll-out."""

    @property
    def digest(self) -> str:
        """SHA-256 of its file: a run is not gone on with by another one."""

    def label(self, observation: FloatArray, keep: FloatArray) -> npt.NDArray[Any]:
        """Advance one step; the actions: int64 ``(batch,)``, or float32 ``(batch, m)`` in [-1, 1].

        Args:
            observation: float32 ``(batch, n)``, in units.
            keep: ``(batch, 1)``, 0 where an episode begins.
        """

    def snapshot(self) -> Mapping[str, npt.NDArray[Any]]:
        """A copy of its states."""

    def restore(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go back to a :meth:`snapshot`."""


class LogTeacher:
    """What was done at the rows that an environment replays; its state is the environment's.

    Args:
        env: of a task whose world is a log.

    Raises:
        TrainingError: it is another world.
    """

    def __init__(self, env: BatchedEnv) -> None:
        if not isinstance(env.worlds, ReplayWorlds):
            raise TrainingError(f"task '{env.task.name}' replays no log")
        self._worlds = env.worlds

    @property
    def digest(self) -> str:
        """SHA-256 of the log."""
        return self._worlds.logged.digest

    def label(self, observation: FloatArray, keep: FloatArray) -> npt.NDArray[Any]:
        """The actions of the present rows, whatever is observed."""
        return self._worlds.label()

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Nothing."""
        return {}

    def restore(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        """Nothing."""


class Teacher:
    """A frozen policy beside the episodes of a roll-out; it has a state for each of them.

    Args:
        policy: of any cell, for the same observations and actions as the task.
        task: what is played.
        batch: episodes side by side.

    Raises:
        TrainingError: the policy is for other observations or actions.
    """

    def __init__(self, policy: Policy, task: Task, batch: int) -> None:
        _check(policy, task)
        self.policy = policy
        self.task = task
        self.digest = hashlib.sha256(dumps(policy)).hexdigest()
        """SHA-256 of the policy's file."""
        self._runner = backend("numpy").load(policy.program, batch=batch)

    def label(self, observation: FloatArray, keep: FloatArray) -> npt.NDArray[Any]:
        """Advance one step; the actions: int64 ``(batch,)``, or float32 ``(batch, m)`` in [-1, 1].

        Args:
            observation: float32 ``(batch, n)``, in units.
            keep: ``(batch, 1)``, 0 where an episode begins.
        """
        begun = np.flatnonzero(keep[:, 0] == 0.0)
        if begun.size:
            self._runner.reset_rows(begun.tolist())
        outputs = self._runner.step({OBSERVATION: self.policy.encoder.encode(observation)})
        action = np.asarray(self.policy.decoder.decode(outputs[ACTION]))
        return action if self.task.is_discrete else self.task.normalise_action(action)

    def snapshot(self) -> dict[str, npt.NDArray[np.int64]]:
        """A copy of its states."""
        return self._runner.get_state()

    def restore(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go back to a :meth:`snapshot`; raises :class:`StateError` where it does not fit."""
        self._runner.set_state(snapshot)


def load_teacher(path: str, task: Task, batch: int) -> Teacher:
    """The teacher in a ``.grsn`` file.

    Raises:
        TrainingError: there is no such file, or its policy is for another task.
        PolicyFileError: it is not a policy.
    """
    if not Path(path).is_file():
        raise TrainingError(f"there is no teacher '{path}'; give the path of a .grsn policy")
    return Teacher(load(path), task, batch)


def _check(policy: Policy, task: Task) -> None:
    """Observations by name; actions by name and, where they are continuous, by range."""
    wanted, found = ([c.name for c in t.observations] for t in (task, policy))
    if wanted != found:
        raise TrainingError(
            f"the teacher observes {', '.join(found)}, but task '{task.name}' shows "
            f"{', '.join(wanted)}; choose a teacher that was trained on this task"
        )
    if policy.decoder.is_discrete != task.is_discrete or _acts(policy) != _acts(task):
        raise TrainingError(
            f"the teacher acts by {_told(policy)}, but task '{task.name}' by {_told(task)}; "
            "choose a teacher that was trained on this task"
        )


def _acts(of: Policy | Task) -> list[tuple[str, float, float]]:
    return [(c.name, float(c.low), float(c.high)) for c in of.actions]


def _told(of: Policy | Task) -> str:
    return ", ".join(f"{name} [{low:g}, {high:g}]" for name, low, high in _acts(of))
