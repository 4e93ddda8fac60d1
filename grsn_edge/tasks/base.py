"""Tasks: what a robot senses and does, and in which world."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import TaskError
from grsn_edge.policy import Channel
from grsn_edge.policy.decoder import DecoderKind
from grsn_edge.policy.encoder import FloatArray

__all__ = [
    "BoolArray",
    "DoubleArray",
    "Package",
    "Step",
    "Task",
    "World",
    "Worlds",
    "normalised",
]

DoubleArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Package:
    """A package that a world needs: the module to import, and what ``pip install`` calls it."""

    module: str
    install: str

    @property
    def is_missing(self) -> bool:
        """Whether the module cannot be found."""
        return importlib.util.find_spec(self.module) is None


class Worlds(ABC):
    """Many robots' worlds side by side.  An ended episode stays until it is begun again."""

    @abstractmethod
    def start(self, rng: np.random.Generator, chosen: BoolArray) -> None:
        """Begin new episodes where ``chosen`` ``(batch,)`` says so; ``rng`` decides them."""

    @abstractmethod
    def advance(self, action: npt.NDArray[Any]) -> tuple[DoubleArray, BoolArray, BoolArray]:
        """One step: rewards, terminations and truncations of the worlds' own, each ``(batch,)``.

        ``action``: int64 ``(batch,)``, or float32 ``(batch, m)`` in the action's unit.
        """

    @abstractmethod
    def full(self) -> FloatArray:
        """The whole observations now, float32 ``(batch, k)``."""

    @abstractmethod
    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Copies of all that :meth:`restore` needs."""

    @abstractmethod
    def restore(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go back to a :meth:`snapshot` of as many worlds.

        Raises:
            TaskError: the worlds cannot be brought to where they were.
        """

    def close(self) -> None:
        """Give back what the worlds hold; they are not used again."""


class World(ABC):
    """What robots act in: batched physics (:class:`Dynamics`), or a :class:`Simulator`."""

    @property
    @abstractmethod
    def full_scale(self) -> tuple[float, ...]:
        """Usual magnitude of each channel of the full observation."""

    @property
    def requires(self) -> tuple[Package, ...]:
        """The packages without which no episode can be played in batches."""
        return ()

    @abstractmethod
    def open(self, batch: int, max_steps: int) -> Worlds:
        """``batch`` worlds, of at most ``max_steps`` steps from one start to the next."""

    @abstractmethod
    def single(self, render_mode: str | None = None) -> Any:
        """One of these worlds as a gymnasium environment, without a time limit."""


@dataclass(frozen=True, eq=False)
class Task:
    """A task for a policy: some channels of an environment, at a fixed sampling period.

    Args:
        name: such as ``cartpole-p``.
        environment: id in gymnasium's registry.
        summary: one line.
        dynamics: the world: batched physics, or a simulator.
        observed: indices of the full observation that the policy sees.
        observations: a description per observation channel.
        actions: one per choice (``argmax``), or one per continuous action with its bounds.
        decoder: how actions are read from the read-out.
        period_s: sampling period in seconds.
        offset, scale: per observation channel; ``z = (x - offset) / scale`` is what nets see.
        clip: ``z`` is clamped to ``±clip``.
        max_steps: time limit of an episode.
        sees_action: whether the last applied action follows the observed channels.
        delay: steps that what is seen of the world lags behind it.
        noise: standard deviation of Gaussian noise on it, in units of ``scale``.
    """

    name: str
    environment: str
    summary: str
    dynamics: World
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
    delay: int = 0
    noise: float = 0.0

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
        if self.delay < 0 or not 0 <= self.noise < float("inf"):
            raise TaskError(f"task '{self.name}': delay and noise are not negative")

    @property
    def is_discrete(self) -> bool:
        """Whether an action is an index."""
        return self.decoder == "argmax"

    @property
    def missing(self) -> tuple[str, ...]:
        """What is still to be installed, in the words of ``pip install``."""
        return tuple(p.install for p in self.dynamics.requires if p.is_missing)

    def check_installed(self) -> None:
        """Raise :class:`TaskError`, saying what to install, where a package is missing."""
        if self.missing:
            needed = " ".join(f"'{name}'" for name in self.missing)
            raise TaskError(f"task '{self.name}' needs packages: pip install {needed}")

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

    def normalise_action(self, action: npt.NDArray[Any]) -> FloatArray:
        """A continuous action in its unit, in [-1, 1] (clamped), float32 ``(..., m)``."""
        low = np.asarray([channel.low for channel in self.actions], np.float32)
        high = np.asarray([channel.high for channel in self.actions], np.float32)
        return normalised(action, low, high).clip(-1.0, 1.0).astype(np.float32)


def normalised(action: npt.NDArray[Any], low: FloatArray, high: FloatArray) -> FloatArray:
    """Actions in units, their bounds at -1 and 1; float ``(..., m)``."""
    unit: FloatArray = (2.0 * action - low - high) / (high - low)
    return unit


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
