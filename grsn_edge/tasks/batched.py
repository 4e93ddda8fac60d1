"""A task for a whole batch of robots at once, whatever their worlds are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.closing import Closing
from grsn_edge.errors import TaskError
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks.base import BoolArray, Step, Task
from grsn_edge.tasks.sensors import Sensors

__all__ = ["BatchedEnv"]


class BatchedEnv(Closing):
    """``batch`` episodes of a task side by side.  :meth:`reset` it before use.

    An ended episode is not begun again by itself; what it gives until :meth:`reset` is not to be
    used.  Simulators run in processes of their own: :meth:`close` ends them, and so does leaving
    a ``with`` block.

    Raises:
        TaskError: a package is missing, or a simulator failed.
    """

    def __init__(self, task: Task, batch: int) -> None:
        task.check_installed()
        self.task = task
        self.batch = batch
        self.worlds = task.dynamics.open(batch, task.max_steps)
        self.sensors = Sensors(task, batch)
        self.elapsed = np.zeros(batch, np.int64)
        self.applied = np.zeros((batch, len(task.actions)), np.float32)

    def reset(self, rng: np.random.Generator, mask: BoolArray | None = None) -> FloatArray:
        """Begin new episodes, where ``mask`` ``(batch,)`` says so; the observation."""
        chosen = np.ones(self.batch, bool) if mask is None else mask
        self.worlds.start(rng, chosen)
        self.elapsed[chosen] = 0
        self.applied[chosen] = 0.0
        if mask is None:
            self.sensors.seed(rng)
        self.sensors.begin(self.worlds.full, chosen)
        return self.observation()

    def stagger(self, rng: np.random.Generator) -> None:
        """Pretend that episodes began at random times, so that they do not all end together."""
        self.elapsed = rng.integers(0, self.task.max_steps, self.batch)

    def step(self, action: npt.NDArray[Any]) -> Step:
        """Advance all episodes.

        ``action``: int64 ``(batch,)``, or float32 ``(batch, m)`` in the action's unit.
        """
        reward, terminated, cut = self.worlds.advance(action)
        self.elapsed = self.elapsed + 1
        if self.task.sees_action:
            low = np.asarray([channel.low for channel in self.task.actions], np.float32)
            high = np.asarray([channel.high for channel in self.task.actions], np.float32)
            self.applied = np.clip(np.asarray(action, np.float32), low, high)
        self.sensors.read(self.worlds.full)
        truncated = (cut | (self.elapsed >= self.task.max_steps)) & ~terminated
        return Step(self.observation(), reward, terminated, truncated, self.full())

    def observation(self) -> FloatArray:
        """What the policy sees now, float32 ``(batch, n)``."""
        return self.sensors.seen(self.worlds.full(), self.applied)

    def full(self) -> FloatArray:
        """The whole state, normalised, float32 ``(batch, k)``."""
        scale = np.asarray(self.task.dynamics.full_scale, np.float32)
        return self.worlds.full() / scale

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Copies of all that :meth:`restore` needs."""
        return {
            **self.worlds.snapshot(),
            **self.sensors.snapshot(),
            "elapsed": self.elapsed.copy(),
            "applied": self.applied.copy(),
        }

    def restore(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go back to a :meth:`snapshot`; raises :class:`TaskError` where it does not fit."""
        for name, present in self.snapshot().items():
            if name not in snapshot or snapshot[name].shape != present.shape:
                raise TaskError(f"a snapshot of '{self.task.name}' needs '{name}' {present.shape}")
        self.worlds.restore(snapshot)
        self.sensors.restore(snapshot)
        self.elapsed = snapshot["elapsed"].astype(np.int64)
        self.applied = snapshot["applied"].astype(np.float32)

    def close(self) -> None:
        """End the simulators, if there are any; may be called again."""
        self.worlds.close()
