"""A policy in an environment of gymnasium's, one step at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from grsn_edge.runtime.streaming import StreamingPolicy

__all__ = ["Environment", "Episode", "play_episode", "play_episodes"]

OnStep = Callable[[Any, Any], None]
"""Called with each observation and the action that it led to."""


class Environment(Protocol):
    """What is used of ``gymnasium.Env``."""

    def reset(self, *, seed: int | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Advance one sampling period."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode: its seed, return and length in steps."""

    seed: int
    ret: float
    steps: int


def play_episode(
    policy: StreamingPolicy,
    environment: Environment,
    seed: int,
    max_steps: int,
    on_step: OnStep | None = None,
) -> Episode:
    """Reset policy and environment, then play until the episode ends.

    Args:
        policy: who acts.
        environment: where; ``reset(seed=seed)`` starts it.
        seed: of the episode.
        max_steps: a limit beside the environment's own.
        on_step: told of every step.
    """
    policy.reset()
    observation, _ = environment.reset(seed=seed)
    total, steps, over = 0.0, 0, False
    while not over and steps < max_steps:
        action = policy.step(observation)
        if on_step is not None:
            on_step(observation, action)
        observation, reward, terminated, truncated, _ = environment.step(action)
        total += float(reward)
        steps += 1
        over = terminated or truncated
    return Episode(seed, total, steps)


def play_episodes(
    policy: StreamingPolicy,
    environment: Environment,
    episodes: int,
    seed: int,
    max_steps: int,
    on_step: OnStep | None = None,
) -> Iterator[Episode]:
    """Episodes with the seeds ``seed``, ``seed + 1``, … as they end."""
    for i in range(episodes):
        yield play_episode(policy, environment, seed + i, max_steps, on_step)
