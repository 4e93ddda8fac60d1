"""Tasks: what a robot senses and does, and the same world for one or for hundreds of robots."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import TaskError
from grsn_edge.policy import Channel
from grsn_edge.policy.decoder import DecoderKind
from grsn_edge.policy.encoder import FloatArray

__all__ = ["BatchedEnv", "BoolArray", "DoubleArray", "Dynamics", "Step", "Task"]

DoubleArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class Dynamics(ABC):
    """Physics of many robots at once, equal to those of one gymnasium environment."""

    environment: ClassVar[str]
    """gymnasium's id of the environment whose physics these are."""
    full_scale: ClassVar[tuple[float, ...]]
    """Usual magnitude of each channel of the full observation."""

    @abstractmethod
    def start(self, rng: np.random.Generator, n: int) -> DoubleArray:
        """States of ``n`` new episodes, ``(n, s)``."""

    @abstractmethod
    def advance(
        self, state: DoubleArray, action: npt.NDArray[Any]
    ) -> tuple[DoubleArray, DoubleArray, BoolArray]:
        """Next states ``(n, s)``, rewards ``(n,)`` and terminations ``(n,)``.

        ``action``: int64 ``(n,)``, or float32 ``(n, m)`` in the action's unit.
        """

    @abstractmethod
    def full(self, state: DoubleArray) -> FloatArray:
        """gymnasium's own observation of these states, float32 ``(n, k)``."""


@dataclass(frozen=True, eq=False)
class Task:
    """A task for a policy: some channels of an environment, at a fixed sampling period.

    Args:
        name: such as ``cartpole-p``.
        environment: id in gymnasium's registry.
        summary: one line.
        dynamics: the physics.
        observed: indices of the full observation that the policy sees.
        sees_action: whether the last applied action follows them in the observation.
        observations: a description per observation channel.
        actions: one per choice (``argmax``), or one per continuous action with its bounds.
        decoder: how actions are read from the read-out.
        period_s: sampling period in seconds.
        offset, scale: per observation channel; ``z = (x - offset) / scale`` is what nets see.
        clip: ``z`` is clamped to ``±clip``.
        max_steps: time limit of an episode.
    """

    name: str
    environment: str
    summary: str
    dynamics: Dynamics
    observed: tuple[int, ...]
    observations: tuple[Channel, ...]
    actions: tuple[Channel, ...]
    decoder: DecoderKind
    period_s: float
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    clip: float
    max_steps: int
    sees_action: bool = False

    def __post_init__(self) -> None:
        n = len(self.observed) + (len(self.actions) if self.sees_action else 0)
        if not n == len(self.observations) == len(self.offset) == len(self.scale):
            raise TaskError(
                f"task '{self.name}' observes {n} channels: give each a description, an offset "
                "and a scale"
            )
        if self.sees_action and self.is_discrete:
            raise TaskError(f"task '{self.name}': only continuous actions can be observed")
        if min(self.scale) <= 0 or self.clip <= 0 or self.max_steps < 1 or self.period_s <= 0:
            raise TaskError(f"task '{self.name}': scale, clip, max_steps and period_s are positive")

    @property
    def is_discrete(self) -> bool:
        """Whether an action is an index."""
        return self.decoder == "argmax"

    def observe(self, full: FloatArray, applied: FloatArray) -> FloatArray:
        """What the policy sees, float32 ``(..., n)``.

        ``full``: ``(..., k)``, the environment's own observation; ``applied``: ``(..., m)``, the
        last applied action (0 before the first), read only where the task observes it.
        """
        seen = np.asarray(full[..., list(self.observed)], np.float32)
        return np.concatenate([seen, applied], axis=-1) if self.sees_action else seen

    def normalise(self, observation: FloatArray) -> FloatArray:
        """``clamp((x - offset) / scale, ±clip)``, float32 ``(..., n)``."""
        offset, scale = np.asarray(self.offset, np.float32), np.asarray(self.scale, np.float32)
        z: FloatArray = np.clip((observation - offset) / scale, -self.clip, self.clip)
        return z

    def in_units(self, action: npt.NDArray[Any]) -> FloatArray:
        """A continuous action in [-1, 1] (clamped) in its unit, float32 ``(..., m)``."""
        low = np.asarray([channel.low for channel in self.actions], np.float32)
        high = np.asarray([channel.high for channel in self.actions], np.float32)
        unit = np.clip(np.asarray(action, np.float32), -1.0, 1.0)
        action = (low + high) / 2 + (high - low) / 2 * unit
        return np.asarray(action, np.float32)


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of a batch gave.

    ``observation`` float32 ``(batch, n)``; ``reward`` float64 ``(batch,)``; ``terminated`` and
    ``truncated`` ``(batch,)``; ``full`` float32 ``(batch, k)``, normalised, for the critic.  All
    are of the world after the step, before any reset.
    """

    observation: FloatArray
    reward: DoubleArray
    terminated: BoolArray
    truncated: BoolArray
    full: FloatArray

    @property
    def done(self) -> BoolArray:
        """Whether the episode ended, ``(batch,)``."""
        return self.terminated | self.truncated


class BatchedEnv:
    """``batch`` episodes of a task side by side, in NumPy.  :meth:`reset` it before use.

    An ended episode goes on (as gymnasium's would) until it is reset.
    """

    def __init__(self, task: Task, batch: int) -> None:
        self.task = task
        self.batch = batch
        states = task.dynamics.start(np.random.default_rng(0), 1).shape[1]
        self.state = np.zeros((batch, states))
        self.elapsed = np.zeros(batch, np.int64)
        self.applied = np.zeros((batch, len(task.actions)), np.float32)

    def reset(self, rng: np.random.Generator, mask: BoolArray | None = None) -> FloatArray:
        """Begin new episodes, where ``mask`` ``(batch,)`` says so; the observation."""
        chosen = np.ones(self.batch, bool) if mask is None else mask
        self.state[chosen] = self.task.dynamics.start(rng, int(chosen.sum()))
        self.elapsed[chosen] = 0
        self.applied[chosen] = 0.0
        return self.observation()

    def stagger(self, rng: np.random.Generator) -> None:
        """Pretend that episodes began at random times, so that they do not all end together."""
        self.elapsed = rng.integers(0, self.task.max_steps, self.batch)

    def step(self, action: npt.NDArray[Any]) -> Step:
        """Advance all episodes; ``action`` as in :meth:`Dynamics.advance`."""
        self.state, reward, terminated = self.task.dynamics.advance(self.state, action)
        self.elapsed = self.elapsed + 1
        if self.task.sees_action:
            low = np.asarray([channel.low for channel in self.task.actions], np.float32)
            high = np.asarray([channel.high for channel in self.task.actions], np.float32)
            self.applied = np.clip(np.asarray(action, np.float32), low, high)
        truncated = (self.elapsed >= self.task.max_steps) & ~terminated
        return Step(self.observation(), reward, terminated, truncated, self.full())

    def observation(self) -> FloatArray:
        """What the policy sees now, float32 ``(batch, n)``."""
        return self.task.observe(self.task.dynamics.full(self.state), self.applied)

    def full(self) -> FloatArray:
        """The whole state, normalised, float32 ``(batch, k)``."""
        scale = np.asarray(self.task.dynamics.full_scale, np.float32)
        return self.task.dynamics.full(self.state) / scale

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Copies of all that :meth:`restore` needs."""
        return {
            "state": self.state.copy(),
            "elapsed": self.elapsed.copy(),
            "applied": self.applied.copy(),
        }

    def restore(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go back to a :meth:`snapshot`; raises :class:`TaskError` where it does not fit."""
        for name, present in self.snapshot().items():
            if name not in snapshot or snapshot[name].shape != present.shape:
                raise TaskError(f"a snapshot of '{self.task.name}' needs '{name}' {present.shape}")
        self.state = snapshot["state"].astype(np.float64)
        self.elapsed = snapshot["elapsed"].astype(np.int64)
        self.applied = snapshot["applied"].astype(np.float32)
