"""Greedy play of fresh episodes, for any policy that can step a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from grsn_edge.backends import Runner
from grsn_edge.policy import ACTION, OBSERVATION, Policy
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks import BatchedEnv, Task
from grsn_edge.training.actor import ActorLike, greedy

__all__ = ["Act", "ActorAct", "Play", "Sense", "play", "policy_act"]

Act = Callable[[FloatArray], npt.NDArray[Any]]
"""Observations float32 ``(episodes, n)`` → actions ``(episodes,)`` or ``(episodes, m)`` in units.

It keeps the policy's state from call to call, and begins with a reset state.
"""
Sense = Callable[[FloatArray], Tensor]
"""Observations ``(batch, n)`` in units → what an actor takes, normalised."""
Watch = Callable[[FloatArray, npt.NDArray[np.bool_]], None]


@dataclass(frozen=True, eq=False)
class Play:
    """Returns ``(episodes,)`` and lengths in steps ``(episodes,)`` of greedy episodes."""

    returns: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int64]

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(self.returns.mean())


def play(act: Act, task: Task, episodes: int, seed: int, watch: Watch | None = None) -> Play:
    """Play ``episodes`` side by side until the last one has ended.

    Args:
        act: the policy.
        task: what is played.
        episodes: how many; the batch that ``act`` is called with.
        seed: of the starts; the same seed gives the same starts.
        watch: called before each step with the observations and which episodes still run.
    """
    running = np.ones(episodes, bool)
    returns, lengths = np.zeros(episodes), np.zeros(episodes, np.int64)
    with BatchedEnv(task, episodes) as env:
        observation = env.reset(np.random.default_rng(seed))
        while running.any():
            if watch is not None:
                watch(observation, running)
            step = env.step(act(observation))
            returns += np.where(running, step.reward, 0.0)
            lengths += running
            running = running & ~step.done
            observation = step.observation
    return Play(returns, lengths)


def policy_act(policy: Policy, runner: Runner) -> Act:
    """A frozen policy on a backend: encode, step, decode.

    ``runner`` must have been loaded with ``batch=episodes``; it is reset here.
    """
    runner.reset()

    def act(observation: FloatArray) -> npt.NDArray[Any]:
        outputs = runner.step({OBSERVATION: policy.encoder.encode(observation)})
        return np.asarray(policy.decoder.decode(outputs[ACTION]))

    return act


class ActorAct:
    """An actor in training as an :data:`Act`; counts its spikes on the way.

    Args:
        actor: float or quantised.
        task: whose decoder is used.
        sense: how the actor sees.
        episodes: batch size.
    """

    def __init__(self, actor: ActorLike, task: Task, sense: Sense, episodes: int) -> None:
        self.actor = actor
        self.task = task
        self.sense = sense
        self._state = actor.initial_state(episodes)
        self._keep = torch.ones(1, episodes, 1)
        self._rates: list[float] = []

    @torch.no_grad()
    def __call__(self, observation: FloatArray) -> npt.NDArray[Any]:
        out = self.actor(self.sense(observation)[None], self._keep, self._state)
        self._state = out.state
        if out.activity:
            self._rates.append(float(torch.stack(out.activity).mean()))
        action = greedy(self.task, out.values)[0].numpy()
        return action if self.task.is_discrete else self.task.in_units(action)

    @property
    def rate(self) -> float:
        """Spikes per neuron and step until now, in all episodes of the batch; 0 without spikes."""
        return float(np.mean(self._rates)) if self._rates else 0.0
