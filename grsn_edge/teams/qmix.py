"""QMIX: the team's value as a monotonic mixture of its agents', learned with double Q.

Each agent's greedy choice then also maximises the team's value, so that agents need nothing of each
other once they are trained.  The mixer is torchrl's; what is recurrent is our own scan.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from grsn_edge.errors import TrainingError
from grsn_edge.teams.base import Layout
from grsn_edge.teams.episodes import Episodes, policy_inputs
from grsn_edge.teams.recipes import TeamRecipe
from grsn_edge.training.actor import ActorLike
from grsn_edge.training.evaluate import Sense

__all__ = ["QLearner", "lambda_returns", "make_mixer"]


class Trained(ActorLike, Protocol):
    """An actor whose parameters can be copied to another."""

    def state_dict(self) -> dict[str, Any]:
        """All parameters."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """Set all parameters."""


class QLearner:
    """Adam on the squared error of the team's value, with target networks.

    Args:
        actor: the agents' network; its read-out is a value per action.
        target: another one of the same form; it becomes a copy.
        mixer, target_mixer: as :func:`make_mixer` makes them; the second becomes a copy.
        layout: of the team.
        recipe: discount, λ, step sizes and clip.
    """

    def __init__(
        self,
        actor: Trained,
        target: Trained,
        mixer: nn.Module,
        target_mixer: nn.Module,
        layout: Layout,
        recipe: TeamRecipe,
    ) -> None:
        self.actor, self.target = actor, target
        self.mixer, self.target_mixer = mixer, target_mixer
        self.layout = layout
        self.recipe = recipe
        self.steps = 0
        self._parameters = [*actor.parameters(), *mixer.parameters()]
        self.optimiser = torch.optim.Adam(self._parameters, eps=1e-5)
        self.copy()

    def copy(self) -> None:
        """Make the target networks equal to the trained ones."""
        self.target.load_state_dict(self.actor.state_dict())
        self.target_mixer.load_state_dict(self.mixer.state_dict())

    def update(self, episodes: Episodes, sense: Sense, lr: float) -> dict[str, float]:
        """One optimiser step on these episodes, replayed from reset states."""
        inputs = policy_inputs(episodes, self.layout)
        x = torch.stack([sense(step) for step in inputs])
        loss, scalars = self._loss(episodes, x)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._parameters, self.recipe.grad_norm)
        self.optimiser.step()
        self.steps += 1
        if self.steps % self.recipe.copy_every == 0:
            self.copy()
        return {**scalars, "grad_norm": float(norm)}

    def _loss(self, episodes: Episodes, x: Tensor) -> tuple[Tensor, dict[str, float]]:
        taken, alive = _by_time(episodes.taken), _by_time(episodes.alive)
        action = _by_time(episodes.action).long()
        out = self.actor(x, torch.ones(*x.shape[:2], 1), self.actor.initial_state(x.shape[1]))
        values = out.values.view(len(x), episodes.count, self.layout.agents, -1)
        chosen = values[:-1].gather(-1, action[..., None])[..., 0] * alive[:-1]
        state = _by_time(episodes.state)
        total = self.mixer(chosen[..., None], state[:-1])[..., 0]
        with torch.no_grad():
            target = self._targets(episodes, x, values, state)
        error = (total - target) * taken
        loss = error.square().sum() / taken.sum()
        rate = float(torch.stack(out.activity).mean().detach()) if out.activity else 0.0
        value = float((total.detach() * taken).sum() / taken.sum())
        return loss, {"loss": float(loss.detach()), "value": value, "rate": rate}

    def _targets(self, episodes: Episodes, x: Tensor, values: Tensor, state: Tensor) -> Tensor:
        """λ-returns ``(T, n)``: the trained network chooses, the target network says the value."""
        keep = torch.ones(*x.shape[:2], 1)
        after = self.target(x, keep, self.target.initial_state(x.shape[1])).values
        best = values.argmax(-1)
        alive = _by_time(episodes.alive)
        by_agent = after.view_as(values).gather(-1, best[..., None])[..., 0] * alive
        following = self.target_mixer(by_agent[1:, ..., None], state[1:])[..., 0]
        reward = _by_time(episodes.reward) * self.recipe.reward_scale
        return lambda_returns(
            reward,
            following,
            _by_time(episodes.terminated),
            _by_time(episodes.taken),
            self.recipe.gamma,
            self.recipe.trace,
        )


def lambda_returns(
    reward: Tensor, following: Tensor, terminated: Tensor, taken: Tensor, gamma: float, trace: float
) -> Tensor:
    """TD(λ) targets, ``(T, n)``; all arguments are, too.

    Args:
        reward: of each step.
        following: value of what followed it.
        terminated: 1 where nothing follows.
        taken: 1 where the step was taken; the last one looks one step ahead.
        gamma, trace: discount and λ.
    """
    target = torch.empty_like(following)
    ahead = following[-1]
    for t in range(len(reward) - 1, -1, -1):
        goes_on = taken[t + 1] if t + 1 < len(reward) else torch.zeros_like(ahead)
        mixed = following[t] + trace * goes_on * (ahead - following[t])
        ahead = target[t] = reward[t] + gamma * (1.0 - terminated[t]) * mixed
    return target


def make_mixer(agents: int, state_size: int, embed: int, seed: int) -> nn.Module:
    """torchrl's QMIX mixer: values ``(..., agents, 1)`` and states → the team's ``(..., 1)``.

    Raises:
        TrainingError: torchrl is not installed.
    """
    try:
        from torchrl.modules.models.multiagent import QMixer
    except ImportError:
        raise TrainingError("torchrl is not installed; install grsn-edge[teams]") from None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mixer: nn.Module = QMixer((state_size,), embed, agents, "cpu")
    return mixer


def _by_time(array: Any) -> Tensor:
    """``(n, T, ...)`` as float32 ``(T, n, ...)``."""
    return torch.from_numpy(array).float().transpose(0, 1).contiguous()
