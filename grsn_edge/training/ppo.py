"""Recurrent proximal policy optimisation (arXiv 1707.06347) with back-propagation through time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from grsn_edge.training.actor import ActorLike
from grsn_edge.training.critic import Critic
from grsn_edge.training.head import Head
from grsn_edge.training.imitation import imitation
from grsn_edge.training.recipes import Recipe
from grsn_edge.training.rollout import Batch

__all__ = ["Learner"]


class Learner:
    """Improves an actor, its exploration and its critic from roll-outs.

    Args:
        actor: the policy.
        head: its exploration.
        critic: values of states.
        recipe: weights of the losses.
    """

    def __init__(self, actor: ActorLike, head: Head, critic: Critic, recipe: Recipe) -> None:
        self.actor = actor
        self.head = head
        self.critic = critic
        self.recipe = recipe
        self.optimiser = torch.optim.Adam(list(self.parameters()), lr=recipe.lr, eps=1e-5)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Of actor, exploration and critic, in a fixed order; empty ones left out."""
        for module in (self.actor, self.head, self.critic):
            yield from (p for p in module.parameters() if p.numel())

    def update(
        self, batch: Batch, lr: float, spike_penalty: float, rng: np.random.Generator
    ) -> dict[str, float]:
        """All epochs over one roll-out; the mean losses by name.

        Args:
            batch: the roll-out.
            lr: Adam's step size.
            spike_penalty: weight of the mean firing rate above the target.
            rng: shuffles the episodes.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        parts: list[dict[str, float]] = []
        for _ in range(self.recipe.epochs):
            order = rng.permutation(batch.x.shape[1])
            chunks = (torch.from_numpy(rows) for rows in np.split(order, self.recipe.minibatches))
            parts += [self._descend(batch.part(rows), spike_penalty) for rows in chunks]
        return {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}

    def snapshot(self) -> Mapping[str, npt.NDArray[Any]]:
        """What it has beside parameters and the optimiser's moments: nothing."""
        return {}

    def restore(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go back to a :meth:`snapshot`."""

    def _descend(self, batch: Batch, spike_penalty: float) -> dict[str, float]:
        recipe = self.recipe
        out = self.actor(batch.x, batch.keep, batch.start)
        loss, told = self._objective(batch, out.values)
        rate = torch.stack(out.activity).mean().float() if out.activity else torch.zeros(())
        if spike_penalty:
            loss = loss + spike_penalty * (rate - (recipe.spike_rate or 0.0)).clamp(min=0.0)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(list(self.parameters()), recipe.grad_norm)
        self.optimiser.step()
        return {name: float(value.detach()) for name, value in {**told, "rate": rate}.items()}

    def _objective(self, batch: Batch, values: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """What is minimised besides spikes, and its parts: a teacher's labels, or PPO."""
        if batch.label is not None:
            loss, agreement = imitation(self.head.task, values, batch.label)
            return loss, {"imitation": loss, "agreement": agreement}
        policy, kl = self._policy_loss(batch, values)
        value = 0.5 * (self.critic(batch.full) - batch.target).square().mean()
        entropy = self.head.entropy(values)
        loss = policy + self.recipe.value * value - self.recipe.entropy * entropy
        return loss, {"policy": policy, "value": value, "entropy": entropy, "kl": kl}

    def _policy_loss(self, batch: Batch, values: Tensor) -> tuple[Tensor, Tensor]:
        """The clipped surrogate, and an estimate of how far the policy has moved."""
        advantage = batch.advantage
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        log_ratio = self.head.log_prob(values, batch.action) - batch.log_prob
        ratio = log_ratio.exp()
        clipped = ratio.clamp(1.0 - self.recipe.clip, 1.0 + self.recipe.clip)
        surrogate = torch.minimum(ratio * advantage, clipped * advantage)
        kl = (ratio.detach() - 1.0 - log_ratio.detach()).mean()
        return -surrogate.mean(), kl
