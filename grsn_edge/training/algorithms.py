"""Algorithms that a session can train with: what differs between them, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from grsn_edge.tasks import BatchedEnv, Task
from grsn_edge.training.actor import ActorLike
from grsn_edge.training.critic import Critic
from grsn_edge.training.evaluate import Sense
from grsn_edge.training.head import Head
from grsn_edge.training.offpolicy import check_algorithm, torchrl_or_error
from grsn_edge.training.ppo import Learner
from grsn_edge.training.recipes import Recipe
from grsn_edge.training.rollout import Collector
from grsn_edge.training.teacher import TeacherLike

__all__ = ["Algorithm", "CollectorLike", "LearnerLike", "algorithm"]

Arrays = Mapping[str, npt.NDArray[Any]]


class CollectorLike(Protocol):
    """Gathers experience; :class:`~grsn_edge.training.rollout.Episodes` says what it all has."""

    env: BatchedEnv
    share: float
    finished: list[float]
    state: list[dict[str, torch.Tensor]]

    def begin(self, actor: ActorLike) -> None: ...

    def collect(self, actor: ActorLike, head: Head, critic: Any, sense: Sense) -> Any:
        """One roll-out; experience as the learner of the same algorithm takes it."""

    def snapshot(self) -> Arrays: ...

    def restore(self, snapshot: Arrays) -> None: ...


class LearnerLike(Protocol):
    """Improves an actor; a phase begins with a fresh one."""

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """Whose moments a checkpoint keeps."""

    def update(
        self, batch: Any, /, lr: float, spike_penalty: float, rng: np.random.Generator
    ) -> dict[str, float]:
        """Learn from what the collector gave; the mean losses by name, and the firing ``rate``."""

    def snapshot(self) -> Arrays:
        """What it has beside trained parameters and the optimiser's moments."""

    def restore(self, snapshot: Arrays) -> None:
        """Go back to a :meth:`snapshot`."""


@dataclass(frozen=True)
class Algorithm:
    """The parts of one algorithm.

    Args:
        critic: from the task that is played, the exploration, the recipe and a generator.
        collector: from fresh environments, the recipe, a generator and a teacher.
        learner: from an actor, its exploration, the critic and the recipe.
    """

    critic: Callable[[Task, Head, Recipe, np.random.Generator], nn.Module]
    collector: Callable[
        [BatchedEnv, Recipe, np.random.Generator, TeacherLike | None], CollectorLike
    ]
    learner: Callable[[ActorLike, Head, Any, Recipe], LearnerLike]


def algorithm(recipe: Recipe, task: Task) -> Algorithm:
    """The algorithm that a recipe names.

    Raises:
        UsageError: it cannot train on this task.
        TrainingError: TorchRL is needed, and not installed.
    """
    taught = recipe.teacher is not None or recipe.log is not None
    check_algorithm(recipe.algorithm, task, taught=taught)
    return _BY_NAME[recipe.algorithm]()


def _ppo() -> Algorithm:
    def critic(task: Task, head: Head, recipe: Recipe, rng: np.random.Generator) -> Critic:
        return Critic(len(task.dynamics.full_scale), rng, recipe.critic_width)

    return Algorithm(critic, Collector, Learner)


def _td3() -> Algorithm:
    torchrl_or_error("td3")
    from grsn_edge.training.td3 import TD3Learner, td3_critic

    return Algorithm(td3_critic, _replayed(), TD3Learner)


def _sac() -> Algorithm:
    torchrl_or_error("sac")
    from grsn_edge.training.sac import SACLearner, sac_critic

    return Algorithm(sac_critic, _replayed(), SACLearner)


def _replayed() -> Callable[..., CollectorLike]:
    from grsn_edge.training.replay import ReplayCollector

    def collector(
        env: BatchedEnv, recipe: Recipe, rng: np.random.Generator, teacher: TeacherLike | None
    ) -> CollectorLike:
        return ReplayCollector(env, recipe, rng)

    return collector


_BY_NAME: Mapping[str, Callable[[], Algorithm]] = {"ppo": _ppo, "td3": _td3, "sac": _sac}
