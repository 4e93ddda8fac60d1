"""SAC (arXiv 1812.05905), and over choices discrete SAC (1910.07207), of a recurrent actor.

TorchRL's losses on replayed sequences.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from tensordict.nn import (
    ProbabilisticTensorDictModule,
    ProbabilisticTensorDictSequential,
    TensorDictModule,
)
from torch import Tensor, nn
from torchrl.modules import TruncatedNormal
from torchrl.objectives import DiscreteSACLoss, LossModule, SACLoss, ValueEstimators

from grsn_edge.tasks import Task
from grsn_edge.training.critic import ActionCritic
from grsn_edge.training.head import Head
from grsn_edge.training.recipes import Recipe
from grsn_edge.training.replay import Segments
from grsn_edge.training.replay_learner import Learned, ReplayLearner, bounded, settings_of

__all__ = ["SACLearner", "sac_critic"]

_OF_LARGEST_ENTROPY = 0.7


class SACLearner(ReplayLearner):
    """As :class:`ReplayLearner`; target actions are drawn from the actor as it is."""

    def _losses(self, segments: Segments, actor_learns: bool) -> Learned:
        skip = self.settings.burn_in
        with torch.set_grad_enabled(actor_learns):
            out = segments.run(self.actor, skip)
        batch = segments.transitions(out.values, out.values.detach(), skip)
        if not actor_learns:
            return {"value": self._value_loss(batch)}, None
        told = self.critic(batch)
        names = {"value": "loss_qvalue", "policy": "loss_actor", "temperature": "loss_alpha"}
        return {name: told[key] for name, key in names.items()}, out

    def _value_loss(self, batch: Any) -> Tensor:
        of = self.critic
        loss = of.qvalue_loss if isinstance(of, DiscreteSACLoss) else of.qvalue_v2_loss
        value: Tensor = loss(batch)[0]
        return value


def sac_critic(task: Task, head: Head, recipe: Recipe, rng: np.random.Generator) -> LossModule:
    """TorchRL's loss with two critics, whose weights ``rng`` draws."""
    critics = [ActionCritic(task, rng, recipe.critic_width) for _ in range(2)]
    loss = (
        _over_choices(task, recipe, critics)
        if task.is_discrete
        else _continuous(task, head, recipe, critics)
    )
    loss.make_value_estimator(ValueEstimators.TD0, gamma=recipe.gamma)
    loss.loss_mask_key = "whole"
    return loss


def _continuous(task: Task, head: Head, recipe: Recipe, critics: list[ActionCritic]) -> LossModule:
    settings = settings_of(recipe)
    entropy = -float(len(task.actions)) if settings.entropy is None else settings.entropy
    return SACLoss(
        ProbabilisticTensorDictSequential(
            TensorDictModule(_Gaussian(task, head), in_keys=["values"], out_keys=["loc", "scale"]),
            ProbabilisticTensorDictModule(
                in_keys=["loc", "scale"],
                out_keys=["action"],
                distribution_class=TruncatedNormal,
                return_log_prob=True,
            ),
        ),
        [TensorDictModule(c, ["full", "action"], ["state_action_value"]) for c in critics],
        alpha_init=settings.alpha,
        target_entropy=entropy,
        deactivate_vmap=True,
    )


def _over_choices(task: Task, recipe: Recipe, critics: list[ActionCritic]) -> LossModule:
    settings = settings_of(recipe)
    largest = math.log(len(task.actions))
    entropy = _OF_LARGEST_ENTROPY * largest if settings.entropy is None else settings.entropy
    return DiscreteSACLoss(
        ProbabilisticTensorDictSequential(
            TensorDictModule(nn.Identity(), in_keys=["values"], out_keys=["logits"]),
            ProbabilisticTensorDictModule(
                in_keys=["logits"],
                out_keys=["action"],
                distribution_class=torch.distributions.Categorical,
            ),
        ),
        [TensorDictModule(c, ["full"], ["action_value"]) for c in critics],
        action_space="categorical",
        num_actions=len(task.actions),
        alpha_init=settings.alpha,
        target_entropy=entropy,
        deactivate_vmap=True,
    )


class _Gaussian(nn.Module):
    """The read-out as a mean, with the deviation that is trained beside it."""

    def __init__(self, task: Task, head: Head) -> None:
        super().__init__()
        self.task = task
        self.head = head

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        loc = bounded(self.task, values)
        return loc, self.head.log_std.clamp(-5.0, 1.0).exp().expand_as(loc)
