"""The two kinds of jobs behind one face: a robot that learns by PPO, a team that learns by QMIX."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.backends import backend
from grsn_edge.policy import Policy
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.runtime import StreamingPolicy, default_backend, play_episode
from grsn_edge.scoreboard.suites import Job, is_team
from grsn_edge.tasks import task
from grsn_edge.teams.base import View
from grsn_edge.teams.pipeline import float_team, resume_team, train_team
from grsn_edge.teams.play import acting, play_team
from grsn_edge.teams.recipes import TeamRecipe
from grsn_edge.teams.registry import team_task
from grsn_edge.training.evaluate import policy_act
from grsn_edge.training.pipeline import CHECKPOINT, Outcome, resume, train
from grsn_edge.training.progress import Watcher
from grsn_edge.training.recipes import Recipe
from grsn_edge.training.runs import float_play

__all__ = ["Game", "Played", "game"]


@dataclass(frozen=True, eq=False)
class Played:
    """Episodes of a frozen policy.

    Args:
        returns: of each episode.
        seen: what the policy saw, float32 ``(steps, n)`` in units, from each of its resets: one
            per episode, or one per agent of each.
        backend: what ran it.
    """

    returns: tuple[float, ...]
    seen: tuple[FloatArray, ...]
    backend: str


class Game(ABC):
    """How a job's policy is trained and played.

    Attributes:
        period_s: sampling period.
    """

    period_s: float

    @abstractmethod
    def train(
        self, job: Job, folder: Path, watch: Watcher, provenance: Mapping[str, Any]
    ) -> Outcome:
        """Begin, or go on with, the run in a folder; unfinished where ``watch`` interrupted it."""

    @abstractmethod
    def floats(self, folder: Path, episodes: int, seed: int) -> npt.NDArray[np.float64]:
        """Returns of the float network that a finished run was frozen from."""

    @abstractmethod
    def play(self, policy: Policy, episodes: int, seed: int) -> Played:
        """Fresh episodes of the frozen policy."""


def game(name: str) -> Game:
    """Of a task by name; raises :class:`TaskError` for an unknown one."""
    return _Team(name) if is_team(name) else _Robot(name)


class _Robot(Game):
    """One policy in gymnasium, step by step."""

    def __init__(self, name: str) -> None:
        self._task = task(name)
        self.period_s = self._task.period_s

    def train(
        self, job: Job, folder: Path, watch: Watcher, provenance: Mapping[str, Any]
    ) -> Outcome:
        if (folder / CHECKPOINT).exists():
            return resume(folder, watch=watch, provenance=provenance)
        recipe = job.recipe()
        assert isinstance(recipe, Recipe)
        return train(recipe, seed=job.seed, folder=folder, watch=watch, provenance=provenance)

    def floats(self, folder: Path, episodes: int, seed: int) -> npt.NDArray[np.float64]:
        return float_play(folder, episodes, seed).returns

    def play(self, policy: Policy, episodes: int, seed: int) -> Played:
        from grsn_edge.tasks.environments import make_environment

        environment = make_environment(self._task.name)
        returns, seen = list[float](), list[FloatArray]()
        steps = list[Any]()
        with StreamingPolicy(policy, default_backend()) as running:
            for i in range(episodes):
                episode = play_episode(
                    running, environment, seed + i, self._task.max_steps,
                    lambda observation, _: steps.append(np.array(observation)),
                )  # fmt: skip
                returns.append(episode.ret)
                seen.append(np.array(steps, np.float32))
                steps.clear()
        environment.close()
        return Played(tuple(returns), tuple(seen), running.backend)


class _Team(Game):
    """One policy in every agent, many teams side by side."""

    def __init__(self, name: str) -> None:
        self._task = team_task(name)
        self.period_s = self._task.member.period_s

    def train(
        self, job: Job, folder: Path, watch: Watcher, provenance: Mapping[str, Any]
    ) -> Outcome:
        if (folder / CHECKPOINT).exists():
            return resume_team(folder, watch=watch, provenance=provenance)
        recipe = job.recipe()
        assert isinstance(recipe, TeamRecipe)
        return train_team(recipe, seed=job.seed, folder=folder, watch=watch, provenance=provenance)

    def floats(self, folder: Path, episodes: int, seed: int) -> npt.NDArray[np.float64]:
        return play_team(float_team(folder, episodes), self._task, episodes, seed).returns

    def play(self, policy: Policy, episodes: int, seed: int) -> Played:
        layout, name = self._task.layout, default_backend()
        runner = backend(name).load(policy.program, batch=episodes * layout.agents)
        act, rows, alive = policy_act(policy, runner), list[FloatArray](), list[Any]()

        def noting(inputs: FloatArray) -> npt.NDArray[Any]:
            rows.append(inputs.copy())
            return act(inputs)

        def watch(view: View, running: npt.NDArray[np.bool_]) -> None:
            alive.append((view.alive & running[:, None]).ravel())

        played = play_team(acting(noting, layout), self._task, episodes, seed, watch)
        steps = np.sum(alive, axis=0)  # an agent that is out does not come back
        whole = np.stack(rows, axis=1)
        seen = (agent[:count] for agent, count in zip(whole, steps, strict=True) if count)
        return Played(tuple(map(float, played.returns)), tuple(seen), name)
