"""The tasks as gymnasium environments of single robots, on the worlds' own environments."""

from __future__ import annotations

import importlib
import logging
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import TaskError
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks.base import Task, World
from grsn_edge.tasks.registry import task as find_task
from grsn_edge.tasks.sensors import Sensors

try:
    import gymnasium
    from gymnasium import spaces
    from gymnasium.wrappers import TimeLimit
except ImportError:
    raise TaskError("playing a task needs gymnasium; pip install grsn-edge[train]") from None

__all__ = [
    "FlatEnv",
    "MaskedEnv",
    "WorldEnv",
    "make_environment",
    "make_flat",
    "make_limited",
]


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
        self.observation_space = spaces.Box(-limit, limit, dtype=np.float32)
        self._applied = np.zeros((1, len(task.actions)), np.float32)
        self._sensors = Sensors(task, 1)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        full, info = self.env.reset(seed=seed, options=options)
        self._applied = np.zeros((1, len(self.task.actions)), np.float32)
        self._sensors.seed(self.np_random)
        self._sensors.begin(lambda: full[None], np.ones(1, bool))
        return self._seen(full), info

    def step(
        self, action: npt.NDArray[Any]
    ) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        """Advance one sampling period."""
        full, reward, terminated, truncated, info = self.env.step(action)
        if self.task.sees_action:
            low, high = self.action_space.low, self.action_space.high  # type: ignore[attr-defined]
            self._applied = np.clip(np.asarray(action, np.float32), low, high)[None]
        self._sensors.read(lambda: full[None])
        return self._seen(full), float(reward), bool(terminated), bool(truncated), info

    def _seen(self, full: FloatArray) -> FloatArray:
        seen: FloatArray = self._sensors.seen(full[None], self._applied)[0]
        return seen

    def render(self) -> Any:
        """As the environment below."""
        return self.env.render()

    def close(self) -> None:
        """Close the environment below."""
        self.env.close()


class FlatEnv(gymnasium.Wrapper[FloatArray, Any, Any, Any]):
    """An environment with observations of one float32 vector, and choices from 0.

    Raises:
        TaskError: the environment's spaces have no such form.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        try:
            self._size = spaces.flatdim(env.observation_space)
        except (NotImplementedError, ValueError) as error:
            raise TaskError(f"the observations of '{env}' are no flat vector: {error}") from None
        limit = np.inf * np.ones(self._size, np.float32)
        self.observation_space = spaces.Box(-limit, limit, dtype=np.float32)
        below = env.action_space
        if isinstance(below, spaces.Discrete):
            self.action_space = spaces.Discrete(int(below.n))
        elif isinstance(below, spaces.Box) and len(below.shape) == 1 and below.is_bounded():
            low, high = below.low.astype(np.float32), below.high.astype(np.float32)
            self.action_space = spaces.Box(low, high, dtype=np.float32)
        else:
            raise TaskError(
                f"the actions of '{env}' are {below}: a policy gives one choice (Discrete), or a "
                "vector of bounded numbers (Box)"
            )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Begin an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._flat(observation), info

    def step(self, action: Any) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        """Advance one sampling period."""
        observation, reward, terminated, truncated, info = self.env.step(self._native(action))
        return self._flat(observation), float(reward), terminated, truncated, info

    def _native(self, action: Any) -> Any:
        below = self.env.action_space
        if isinstance(below, spaces.Discrete):
            return int(action) + int(below.start)
        return np.clip(action, below.low, below.high).astype(below.dtype)  # type: ignore[attr-defined]

    def _flat(self, observation: Any) -> FloatArray:
        flat = spaces.flatten(self.env.observation_space, observation)
        return np.asarray(flat, np.float32)


class WorldEnv(gymnasium.Env[FloatArray, Any]):
    """One robot in a world that has no other environment.

    Args:
        world: one of its own class.
        action_space: what a robot does there.
    """

    def __init__(self, world: World, action_space: spaces.Space[Any]) -> None:
        self.worlds = world.open(1, 1)
        self.action_space = action_space
        limit = np.inf * np.ones(len(world.full_scale), np.float32)
        self.observation_space = spaces.Box(-limit, limit, dtype=np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self.worlds.start(self.np_random, np.ones(1, bool))
        return self.worlds.full()[0], {}

    def step(self, action: Any) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        """Advance one sampling period."""
        reward, terminated, cut = self.worlds.advance(np.array([action]))
        return self.worlds.full()[0], float(reward[0]), bool(terminated[0]), bool(cut[0]), {}


def make_flat(environment: str, render_mode: str | None = None) -> FlatEnv:
    """gymnasium's environment of this id, flat and without a time limit.

    Raises:
        TaskError: it is not known, or cannot be made here.
    """
    wanted = {} if render_mode is None else {"render_mode": render_mode}
    try:
        _keep_mujocos_log(environment)
        made = gymnasium.make(environment, max_episode_steps=-1, disable_env_checker=True, **wanted)
    except (gymnasium.error.Error, ImportError, TypeError) as error:
        raise TaskError(f"gymnasium cannot make '{environment}': {error}") from None
    return FlatEnv(made)


def _keep_mujocos_log(environment: str) -> None:
    """MuJoCo would write its warnings to a file in the working directory; they are logged."""
    known = gymnasium.registry.get(environment)
    if known is not None and "mujoco" in str(known.entry_point):
        mujoco = importlib.import_module("mujoco")
        mujoco.set_mju_user_warning(logging.getLogger(__name__).info)


def make_environment(task: str, render_mode: str | None = None) -> MaskedEnv:
    """The environment of a task, without a time limit; gymnasium's entry point for every task.

    Raises:
        TaskError: unknown task, or a package is missing.
    """
    found = find_task(task)
    found.check_installed()
    return MaskedEnv(found, found.dynamics.single(render_mode))


def make_limited(task: str, render_mode: str | None = None) -> TimeLimit[Any, Any]:
    """The same with the task's time limit: gymnasium's entry point for described tasks."""
    return TimeLimit(make_environment(task, render_mode), find_task(task).max_steps)
