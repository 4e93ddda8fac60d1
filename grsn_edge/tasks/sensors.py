"""Sensors of a batch of robots: masked, late and noisy as the task says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks.base import BoolArray, Task

__all__ = ["Sensors"]


class Sensors:
    """What a task's policy sees of its worlds; the same for one robot and for hundreds.

    Noise enters before the delay line, so that a reading stays what it was while it travels.
    The noise of a reading is a function of the seed and of how many readings came before; a new
    episode finds its delay line full of its first reading.  The last action, where a task
    observes it, is neither late nor noisy: the policy knows what it did.

    Args:
        task: the masks, the delay and the noise.
        batch: robots.
    """

    def __init__(self, task: Task, batch: int) -> None:
        self.task = task
        self.batch = batch
        self._channels = len(task.observed)
        self._line = np.zeros((batch, task.delay + 1, self._channels), np.float32)
        self._clock = np.zeros(2, np.int64)  # seed of the noise, readings so far

    @property
    def is_plain(self) -> bool:
        """Whether what is seen is what is: neither late nor noisy."""
        return self.task.delay == 0 and self.task.noise == 0.0

    def seed(self, rng: np.random.Generator) -> None:
        """Let ``rng`` decide the noise to come; it is asked only where there is noise."""
        if self.task.noise:
            self._clock = np.array([rng.integers(2**62), 0], np.int64)

    def read(self, full: Callable[[], FloatArray]) -> None:
        """Take a reading of all worlds; ``full`` gives them, ``(batch, k)``, where it is needed."""
        if not self.is_plain:
            new = self._reading(full())[:, None]
            self._line = np.concatenate([self._line[:, 1:], new], axis=1)

    def begin(self, full: Callable[[], FloatArray], chosen: BoolArray) -> None:
        """Take a first reading of new episodes, where ``chosen`` ``(batch,)`` says so."""
        if not self.is_plain:
            self._line[chosen] = self._reading(full())[chosen, None]

    def seen(self, full: FloatArray, applied: FloatArray) -> FloatArray:
        """What the policies see now, float32 ``(batch, n)``.

        ``full`` ``(batch, k)`` are the worlds as they are; ``applied`` the last actions.
        """
        if self.is_plain:
            return self.task.observe(full, applied)
        late = self._line[:, 0]
        if not self.task.sees_action:
            return late.copy()
        return np.concatenate([late, applied], axis=1)

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Copies of all that :meth:`restore` needs; empty for plain sensors."""
        if self.is_plain:
            return {}
        return {"line": self._line.copy(), "clock": self._clock.copy()}

    def restore(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go back to a :meth:`snapshot`."""
        if not self.is_plain:
            self._line = snapshot["line"].astype(np.float32)
            self._clock = snapshot["clock"].astype(np.int64)

    def _reading(self, full: FloatArray) -> FloatArray:
        exact = np.asarray(full[:, list(self.task.observed)], np.float32)
        if not self.task.noise:
            return exact
        rng = np.random.default_rng(self._clock)
        self._clock = self._clock + np.array([0, 1])
        sd = self.task.noise * np.asarray(self.task.scale[: self._channels])
        error = rng.standard_normal((self.batch, self._channels)) * sd
        return np.asarray(exact + error, np.float32)
