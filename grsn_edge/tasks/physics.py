"""Worlds whose physics are simple enough to be written for many robots at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks.base import BoolArray, DoubleArray, World, Worlds

__all__ = ["Dynamics", "PhysicsWorlds"]


class Dynamics(World):
    """Physics of many robots at once, equal to those of one gymnasium environment."""

    environment: ClassVar[str | None] = None
    """gymnasium's id of the environment whose physics these are; None: these are the only ones."""
    choices: ClassVar[int] = 4
    """Number of actions, where ``environment`` does not say."""

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
        """The whole observation of these states, float32 ``(n, k)``: gymnasium's own, if any."""

    def open(self, batch: int, max_steps: int) -> PhysicsWorlds:
        """An array of states."""
        return PhysicsWorlds(self, batch)

    def single(self, render_mode: str | None = None) -> Any:
        """gymnasium's environment, or this one with a batch of 1."""
        import gymnasium

        from grsn_edge.tasks.environments import WorldEnv

        if self.environment is None:
            return WorldEnv(self, gymnasium.spaces.Discrete(self.choices))

        return gymnasium.make(self.environment, render_mode=render_mode).unwrapped


class PhysicsWorlds(Worlds):
    """The states of a batch, advanced together.

    An ended episode goes on, as gymnasium's would, until it is begun again.
    """

    def __init__(self, dynamics: Dynamics, batch: int) -> None:
        self.dynamics = dynamics
        self.state = np.zeros((batch, dynamics.start(np.random.default_rng(0), 1).shape[1]))

    def start(self, rng: np.random.Generator, chosen: BoolArray) -> None:
        self.state[chosen] = self.dynamics.start(rng, int(chosen.sum()))

    def advance(self, action: npt.NDArray[Any]) -> tuple[DoubleArray, BoolArray, BoolArray]:
        self.state, reward, terminated = self.dynamics.advance(self.state, action)
        return reward, terminated, np.zeros(len(reward), bool)

    def full(self) -> FloatArray:
        return self.dynamics.full(self.state)

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        return {"state": self.state.copy()}

    def restore(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        self.state = snapshot["state"].astype(np.float64)
