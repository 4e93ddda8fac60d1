"""What TD3 and SAC have in common: gradient steps on replayed sequences, and target networks.

The losses are TorchRL's.  They know single transitions only, so the recurrent actor runs outside
of them, over whole segments; what they call the actor network turns its read-out into an action.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torchrl.objectives import LossModule, SoftUpdate

from grsn_edge.tasks import Task
from grsn_edge.training.actor import ActorLike, ActorOutput
from grsn_edge.training.head import Head
from grsn_edge.training.offpolicy import OffPolicy
from grsn_edge.training.recipes import Recipe
from grsn_edge.training.replay import Replay, Segments

__all__ = ["Learned", "ReplayLearner", "bounded", "settings_of"]

Learned = tuple[dict[str, Tensor], ActorOutput | None]
"""Losses by name, and what the actor did where it learned."""


def settings_of(recipe: Recipe) -> OffPolicy:
    """The recipe's settings of off-policy learning, or the usual ones."""
    return recipe.off_policy or OffPolicy()


class ReplayLearner(ABC):
    """Improves an actor and its critics from replayed segments.

    Args:
        actor: the policy.
        head: its exploration.
        critic: TorchRL's loss, which holds the critics and their targets.
        recipe: sizes and step sizes.
    """

    def __init__(self, actor: ActorLike, head: Head, critic: LossModule, recipe: Recipe) -> None:
        self.actor = actor
        self.head = head
        self.critic = critic
        self.recipe = recipe
        self.settings = settings_of(recipe)
        self._actors = [p for p in actor.parameters() if p.numel()]
        groups: list[dict[str, Any]] = [
            {"params": self._actors, "lr": recipe.lr},
            {"params": list(critic.parameters()), "lr": self.settings.critic_lr},
        ]
        self.optimiser = torch.optim.Adam(groups)
        self._targets = SoftUpdate(critic, tau=self.settings.tau)

    def update(
        self, replay: Replay, lr: float, spike_penalty: float, rng: np.random.Generator
    ) -> dict[str, float]:
        """The gradient steps after one roll-out; the mean losses by name.

        Args:
            replay: what has been seen.
            lr: Adam's step size for the actor.
            spike_penalty: weight of the mean firing rate above the target.
            rng: decides what is drawn from the replay, and all noise.
        """
        self.optimiser.param_groups[0]["lr"] = lr
        seen: dict[str, list[float]] = {}
        with _drawn_by(rng):
            for step in range(1, self.settings.updates + 1):
                segments = replay.sample(self.settings.batch)
                told = self._descend(segments, spike_penalty, step % self.settings.delay == 0)
                for name, value in told.items():
                    seen.setdefault(name, []).append(value)
        return {name: float(np.mean(values)) for name, values in seen.items()}

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """The target networks."""
        return {name: value.detach().numpy().copy() for name, value in self._followers()}

    def restore(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go back to a :meth:`snapshot`."""
        with torch.no_grad():
            for name, value in self._followers():
                value.copy_(torch.from_numpy(snapshot[name]))

    @abstractmethod
    def _losses(self, segments: Segments, actor_learns: bool) -> Learned:
        """Losses of the critics, and of the actor where it learns; their sum is minimised."""

    def _follow(self) -> None:
        """Move the target networks."""
        self._targets.step()

    def _followers(self) -> Iterator[tuple[str, Tensor]]:
        """All target networks' parameters by name."""
        for name, value in self.critic.named_buffers():
            if name.startswith("target_") and "_params." in name:
                yield name, value

    def _descend(
        self, segments: Segments, spike_penalty: float, actor_learns: bool
    ) -> dict[str, float]:
        losses, out = self._losses(segments, actor_learns)
        loss = torch.stack(list(losses.values())).sum()
        told = {name: float(value.detach()) for name, value in losses.items()}
        if out is not None:
            rate = torch.stack(out.activity).mean().float() if out.activity else torch.zeros(())
            loss = loss + spike_penalty * (rate - (self.recipe.spike_rate or 0.0)).clamp(min=0.0)
            told["rate"] = float(rate.detach())
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._actors, self.recipe.grad_norm)
        self.optimiser.step()
        self._follow()
        return told


@contextmanager
def _drawn_by(rng: np.random.Generator) -> Iterator[None]:
    """Torch's global generator, which TorchRL draws from, follows ``rng`` and is put back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        yield


class _Clip(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return values.clamp(-1.0, 1.0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (values,) = ctx.saved_tensors
        outward = torch.where(grads[0] > 0.0, values < -1.0, values > 1.0)
        return grads[0].masked_fill(outward, 0.0)


def bounded(task: Task, values: Tensor) -> Tensor:
    """Continuous actions in [-1, 1]; a bound stops only what would lead further out.

    A plain clamp would leave an actor for ever where it once went over a bound.  Cf. inverting
    gradients (arXiv 1511.04143).
    """
    if task.decoder == "tanh":
        return values.tanh()
    clipped: Tensor = _Clip.apply(values)  # type: ignore[no-untyped-call]
    return clipped
