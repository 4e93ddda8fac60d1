"""The tasks as gymnasium environments of single robots, on gymnasium's own physics."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks.base import Task
from grsn_edge.tasks.registry import task as find_task

__all__ = ["MaskedEnv", "make_environment"]


class MaskedEnv(gymnasium.Env[FloatArray, Any]):
    """gymnasium's environment under a task, seen through the task's channels.

    Args:
        task: what is observed.
        env: the environment of ``task.dynamics``, without a time limit.
    """

    def __init__(self, task: Task, env: gymnasium.Env[Any, Any]) -> None:
        self.task = task
        self.env = env
        self.metadata = env.metadata
        self.render_mode = env.render_mode
        self.action_space = env.action_space
        limit = np.inf * np.ones(len(task.observations), np.float32)
        self.observation_space = gymnasium.spaces.Box(-limit, limit, dtype=np.float32)
        self._applied = np.zeros(len(task.actions), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self.env.np_random = self.np_random
        full, info = self.env.reset(options=options)
        self._applied = np.zeros(len(self.task.actions), np.float32)
        return self.task.observe(full, self._applied), info

    def step(
        self, action: npt.NDArray[Any]
    ) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        """Advance one sampling period."""
        full, reward, terminated, truncated, info = self.env.step(action)
        if self.task.sees_action:
            low, high = self.action_space.low, self.action_space.high  # type: ignore[attr-defined]
            self._applied = np.clip(np.asarray(action, np.float32), low, high)
        seen = self.task.observe(full, self._applied)
        return seen, float(reward), terminated, truncated, info

    def render(self) -> Any:
        """As the environment below."""
        return self.env.render()

    def close(self) -> None:
        """Close the environment below."""
        self.env.close()


def make_environment(task: str, render_mode: str | None = None) -> MaskedEnv:
    """gymnasium's entry point for every task."""
    found = find_task(task)
    base = gymnasium.make(found.dynamics.environment, render_mode=render_mode)
    return MaskedEnv(found, base.unwrapped)
