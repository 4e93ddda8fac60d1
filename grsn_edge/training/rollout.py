"""Roll-outs: a policy explores many episodes side by side; advantages for PPO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks import BatchedEnv, Step
from grsn_edge.training.actor import ActorLike, States, greedy
from grsn_edge.training.critic import Critic
from grsn_edge.training.evaluate import Sense
from grsn_edge.training.head import Head
from grsn_edge.training.recipes import Recipe
from grsn_edge.training.teacher import TeacherLike

__all__ = ["Batch", "Collector", "Episodes", "advantages"]


@dataclass(frozen=True, slots=True)
class Batch:
    """One roll-out of ``T`` steps: tensors ``(T, batch, ...)``, and the state it began in.

    ``label``: what a teacher would have done, as ``action``; None without one.
    """

    x: Tensor
    keep: Tensor
    start: States
    action: Tensor
    log_prob: Tensor
    full: Tensor
    advantage: Tensor
    target: Tensor
    label: Tensor | None = None

    def part(self, rows: Tensor) -> Batch:
        """The same steps of some episodes only."""
        start = [{name: value[rows] for name, value in cell.items()} for cell in self.start]
        return Batch(
            self.x[:, rows],
            self.keep[:, rows],
            start,
            self.action[:, rows],
            self.log_prob[:, rows],
            self.full[:, rows],
            self.advantage[:, rows],
            self.target[:, rows],
            None if self.label is None else self.label[:, rows],
        )


class Episodes:
    """Episodes that go on from one roll-out to the next.

    Args:
        env: a fresh batch; it is reset here.
        recipe: steps, discount and reward scale.
        rng: draws starts of episodes and exploration; shared with the learner.

    ``share``: of the episodes in which the actor acts, where there is a teacher.  ``finished``:
    the returns of the episodes that ended in the last roll-out.
    """

    def __init__(self, env: BatchedEnv, recipe: Recipe, rng: np.random.Generator) -> None:
        self.env = env
        self.recipe = recipe
        self.rng = rng
        self.share = 1.0
        self.observation = env.reset(rng)
        env.stagger(rng)
        self.keep: FloatArray = np.zeros((env.batch, 1), np.float32)
        self.state: States = []
        self.returns = np.zeros(env.batch)
        self.finished: list[float] = []

    def begin(self, actor: ActorLike) -> None:
        """Start from a reset state with this actor; the episodes themselves go on."""
        self.state = actor.initial_state(self.env.batch)
        self.keep = np.zeros((self.env.batch, 1), np.float32)

    def snapshot(self) -> Mapping[str, npt.NDArray[Any]]:
        """What is kept beside the episodes: nothing."""
        return {}

    def restore(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go back to a :meth:`snapshot`."""

    def _turn_over(self, step: Step) -> None:
        done = step.done
        self.returns += step.reward
        self.observation = step.observation
        self.keep = (~done)[:, None].astype(np.float32)
        if done.any():
            self.finished += self.returns[done].tolist()
            self.returns[done] = 0.0
            self.observation = self.env.reset(self.rng, done)


class Collector(Episodes):
    """Roll-outs for PPO, or to imitate.

    Args:
        env, recipe, rng: as for :class:`Episodes`.
        teacher: labels every step; then the actor does not explore, and acts in ``share`` of the
            episodes, the teacher in the others.
    """

    def __init__(
        self,
        env: BatchedEnv,
        recipe: Recipe,
        rng: np.random.Generator,
        teacher: TeacherLike | None = None,
    ) -> None:
        super().__init__(env, recipe, rng)
        self.teacher = teacher

    @torch.no_grad()
    def collect(self, actor: ActorLike, head: Head, critic: Critic, sense: Sense) -> Batch:
        """One roll-out; the returns of episodes that ended are then in ``finished``."""
        start = self.state
        self.finished = []
        kept: dict[str, list[Tensor]] = {
            name: [] for name in ("x", "keep", "action", "log_prob", "full", "label")
        }
        rewards, dones = [], []
        for _ in range(self.recipe.steps):
            x, keep = sense(self.observation)[None], torch.from_numpy(self.keep)[None]
            kept["full"].append(torch.from_numpy(self.env.full())[None])
            out = actor(x, keep, self.state)
            self.state = out.state
            action = self._choose(head, out.values, kept)
            kept["log_prob"].append(head.log_prob(out.values, action))
            kept["x"].append(x)
            kept["keep"].append(keep)
            kept["action"].append(action)
            step = self.env.step(head.applied(action[0]))
            rewards.append(self.scaled_rewards(step, critic))
            dones.append(step.done)
            self._turn_over(step)
        stacked = {name: torch.cat(values) for name, values in kept.items() if values}
        last = critic(torch.from_numpy(self.env.full()))
        advantage, target = advantages(
            np.stack(rewards),
            np.stack(dones),
            critic(stacked["full"]).numpy(),
            last.numpy(),
            self.recipe.gamma,
            self.recipe.gae,
        )
        return Batch(
            **stacked,
            start=start,
            advantage=torch.from_numpy(advantage),
            target=torch.from_numpy(target),
        )

    def _choose(self, head: Head, values: Tensor, kept: dict[str, list[Tensor]]) -> Tensor:
        """Actions ``(1, batch, ...)``; keeps the teacher's labels, where there is one."""
        if self.teacher is None:
            return head.sample(values, self.rng)
        label = torch.from_numpy(self.teacher.label(self.observation, self.keep))[None]
        kept["label"].append(label)
        action = greedy(self.env.task, values)
        led = round((1.0 - self.share) * self.env.batch)
        action[:, :led] = label[:, :led]
        return action

    def scaled_rewards(self, step: Step, critic: Critic) -> npt.NDArray[np.float32]:
        """Scaled rewards; the value of what a time limit cut off is added."""
        reward = (step.reward * self.recipe.reward_scale).astype(np.float32)
        if step.truncated.any():
            cut = critic(torch.from_numpy(step.full[step.truncated])).numpy()
            reward[step.truncated] += self.recipe.gamma * cut
        return reward


def advantages(
    reward: npt.NDArray[Any],
    done: npt.NDArray[np.bool_],
    value: npt.NDArray[Any],
    last: npt.NDArray[Any],
    gamma: float,
    gae: float,
) -> tuple[FloatArray, FloatArray]:
    """Generalised advantage estimates and value targets, float32 ``(T, batch)``.

    ``reward``, ``done`` and ``value`` are ``(T, batch)``; ``last`` ``(batch,)`` is the value after.
    """
    advantage = np.zeros_like(value)
    running = np.zeros_like(last)
    for t in range(len(reward) - 1, -1, -1):
        goes_on = 1.0 - done[t].astype(np.float32)
        delta = reward[t] + gamma * goes_on * last - value[t]
        running = delta + gamma * gae * goes_on * running
        advantage[t], last = running, value[t]
    return advantage, advantage + value
