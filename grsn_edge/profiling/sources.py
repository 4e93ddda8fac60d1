"""Where the observations of a profiled policy come from: a task, a log, or the golden vectors."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import ObservationError, UsageError
from grsn_edge.policy import Policy

__all__ = ["GoldenSource", "LogSource", "Source", "TaskSource", "Turn"]

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Turn:
    """What the world gives for an action: the next observation, the reward, whether it is over.

    ``reward`` is None where nothing rewards.
    """

    observation: FloatArray
    reward: float | None
    over: bool


class Source(ABC):
    """A world that a policy acts in, episode after episode."""

    name: str

    @abstractmethod
    def begin(self) -> FloatArray:
        """A new episode: its first observation, float32 ``(n,)``."""

    @abstractmethod
    def turn(self, action: Any) -> Turn:
        """Advance one sampling period."""


class TaskSource(Source):
    """Closed loop, in gymnasium's environment of a task.

    Args:
        task: its name.
        seed: of the first episode; the next one has ``seed + 1``.

    Raises:
        TaskError: an unknown task, or one whose packages are missing.
    """

    def __init__(self, task: str, seed: int = 0) -> None:
        from grsn_edge.tasks import task as find
        from grsn_edge.tasks.environments import make_environment

        found = find(task)
        self.name = f"task {found.name}, closed loop"
        self._environment = make_environment(found.name)
        self._max_steps = found.max_steps
        self._seed = seed
        self._steps = 0

    def begin(self) -> FloatArray:
        observation, _ = self._environment.reset(seed=self._seed)
        self._seed += 1
        self._steps = 0
        return observation

    def turn(self, action: Any) -> Turn:
        observation, reward, terminated, truncated, _ = self._environment.step(action)
        self._steps += 1
        over = terminated or truncated or self._steps >= self._max_steps
        return Turn(observation, float(reward), over)


class LogSource(Source):
    """Open loop: recorded observations, again and again.

    Args:
        observations: float32 ``(steps, n)``.
        name: what it is called in the result.
    """

    def __init__(self, observations: npt.ArrayLike, name: str = "log, open loop") -> None:
        self.name = name
        self._observations = np.asarray(observations, np.float32)
        if self._observations.ndim != 2 or not len(self._observations):
            raise UsageError("a log of observations has the shape (steps, n), one step at least")
        self._next = 0

    @classmethod
    def read(cls, path: str | os.PathLike[str], policy: Policy) -> LogSource:
        """From CSV: a column per observation channel by its name, or ``n`` columns of numbers.

        Raises:
            ObservationError: the text names the line.
        """
        names = [channel.name for channel in policy.observations]
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the log '{path}': {error}") from None
        rows = [line for line in lines if line.strip() and not line.startswith("#")]
        header = [cell.strip() for cell in rows[0].split(",")] if rows else []
        order: Sequence[int] = range(len(names))
        if set(names) <= set(header):
            order, rows = [header.index(name) for name in names], rows[1:]
        table = [_row(path, i, line, order) for i, line in enumerate(rows, 1)]
        return cls(np.array(table, np.float32).reshape(-1, len(names)), f"log {Path(path).name}")

    def begin(self) -> FloatArray:
        self._next = 1
        first: FloatArray = self._observations[0]
        return first

    def turn(self, action: Any) -> Turn:
        over = self._next >= len(self._observations)
        observation: FloatArray = self._observations[self._next % len(self._observations)]
        self._next += 1
        return Turn(observation, None, over)


def _row(path: Any, number: int, line: str, order: Sequence[int]) -> list[float]:
    try:
        cells = line.split(",")
        return [float(cells[i]) for i in order]
    except (ValueError, IndexError):
        raise ObservationError(
            f"'{path}', row {number}: {len(order)} numbers are needed, not {line[:60]!r}"
        ) from None


class GoldenSource(LogSource):
    """Open loop: the observations of the policy's golden vectors.

    Raises:
        UsageError: the policy has none.
    """

    def __init__(self, policy: Policy) -> None:
        if policy.golden is None:
            raise UsageError(f"policy '{policy.name}' has no golden vectors; name a task or a log")
        super().__init__(policy.golden.observation, "golden vectors, open loop")
