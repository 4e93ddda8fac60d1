"""TD3 (arXiv 1802.09477) of a recurrent actor: TorchRL's loss on replayed sequences."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
from tensordict.nn import TensorDictModule
from torch import Tensor, nn
from torchrl.objectives import LossModule, TD3Loss, ValueEstimators

from grsn_edge.tasks import Task
from grsn_edge.training.actor import ActorLike
from grsn_edge.training.critic import ActionCritic
from grsn_edge.training.head import Head
from grsn_edge.training.recipes import Recipe
from grsn_edge.training.replay import Segments
from grsn_edge.training.replay_learner import Learned, ReplayLearner, bounded, settings_of

__all__ = ["TD3Learner", "td3_critic"]


class TD3Learner(ReplayLearner):
    """As :class:`ReplayLearner`; the actor has a target network too."""

    def __init__(self, actor: ActorLike, head: Head, critic: LossModule, recipe: Recipe) -> None:
        super().__init__(actor, head, critic, recipe)
        self.target = copy.deepcopy(actor)

    def _losses(self, segments: Segments, actor_learns: bool) -> Learned:
        skip = self.settings.burn_in
        with torch.no_grad():
            following = segments.run(self.target, skip).values
        out = segments.run(self.actor, skip) if actor_learns else None
        batch = segments.transitions(None if out is None else out.values, following, skip)
        losses = {"value": self.critic.value_loss(batch)[0]}
        if out is not None:
            losses["policy"] = self.critic.actor_loss(batch)[0]
        return losses, out

    @torch.no_grad()
    def _follow(self) -> None:
        super()._follow()
        pairs = zip(self.target.parameters(), self.actor.parameters(), strict=True)
        for behind, ahead in pairs:
            behind.lerp_(ahead, self.settings.tau)

    def _followers(self) -> Iterator[tuple[str, Tensor]]:
        yield from super()._followers()
        for name, value in self.target.named_parameters():
            yield f"target_actor.{name}", value


def td3_critic(task: Task, head: Head, recipe: Recipe, rng: np.random.Generator) -> LossModule:
    """TorchRL's loss with two critics, whose weights ``rng`` draws."""
    settings = settings_of(recipe)
    critics = [ActionCritic(task, rng, recipe.critic_width) for _ in range(2)]
    loss = TD3Loss(
        TensorDictModule(_Deterministic(task), in_keys=["values", "full"], out_keys=["action"]),
        [TensorDictModule(c, ["full", "action"], ["state_action_value"]) for c in critics],
        bounds=(-1.0, 1.0),
        policy_noise=settings.target_noise,
        noise_clip=settings.noise_clip,
        delay_actor=False,
        deactivate_vmap=True,
    )
    loss.make_value_estimator(ValueEstimators.TD0, gamma=recipe.gamma)
    loss.loss_mask_key = "whole"
    return loss


class _Deterministic(nn.Module):
    """The read-out as an action.  TorchRL hands on to the critics only what an actor takes."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task

    def forward(self, values: Tensor, full: Tensor) -> Tensor:
        return bounded(self.task, values)
