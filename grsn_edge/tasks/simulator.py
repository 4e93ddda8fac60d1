"""Worlds that only a simulator knows: gymnasium environments in processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import TaskError
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks.base import BoolArray, DoubleArray, Package, World, Worlds
from grsn_edge.tasks.pool import lease

__all__ = ["GYMNASIUM", "Simulator", "SimulatorWorlds"]

GYMNASIUM = Package("gymnasium", "gymnasium>=1.0")


@dataclass(frozen=True)
class Simulator(World):
    """A gymnasium environment, flattened, whose state cannot be written down.

    Args:
        environment: gymnasium's id.
        scale: usual magnitude of each channel of the flat observation.
        action_shape: ``()`` for a choice, ``(m,)`` for continuous actions.
        packages: what it needs beside gymnasium.
    """

    environment: str
    scale: tuple[float, ...]
    action_shape: tuple[int, ...] = ()
    packages: tuple[Package, ...] = ()

    @property
    def full_scale(self) -> tuple[float, ...]:
        return self.scale

    @property
    def requires(self) -> tuple[Package, ...]:
        return (GYMNASIUM, *self.packages)

    def open(self, batch: int, max_steps: int) -> Worlds:
        """Simulators of the shared pool."""
        return SimulatorWorlds(self, batch, max_steps)

    def single(self, render_mode: str | None = None) -> Any:
        """The environment in this process."""
        from grsn_edge.tasks.environments import make_flat

        return make_flat(self.environment, render_mode=render_mode)


class SimulatorWorlds(Worlds):
    """Episodes in the processes of a pool.

    An episode is its seed and its actions: both are kept, a snapshot consists of them, and
    restoring plays them again.  That is exact wherever an environment is a function of its seed
    and its actions, and it is checked: the observation must come out as it was, to the bit.

    An ended episode, or one that has come to ``max_steps``, rests: it is simulated no further.
    """

    def __init__(self, simulator: Simulator, batch: int, max_steps: int) -> None:
        self.simulator = simulator
        self.seeds = np.zeros(batch, np.int64)
        self.taken = np.zeros(batch, np.int64)
        self.over = np.zeros((batch, 2), bool)  # terminated, truncated
        dtype = np.float32 if simulator.action_shape else np.int64
        self.history = np.zeros((batch, max_steps, *simulator.action_shape), dtype)
        self._full = np.zeros((batch, len(simulator.scale)), np.float32)
        self._pool, self._slots = lease(simulator.environment, {}, batch)
        self._is_open = True

    def start(self, rng: np.random.Generator, chosen: BoolArray) -> None:
        rows = np.flatnonzero(chosen)
        self.seeds[rows] = rng.integers(2**31, size=len(rows))
        self.taken[rows], self.over[rows] = 0, False
        self._observe(self._call("start", rows, lambda r: {"seeds": self.seeds[r].tolist()}))

    def advance(self, action: npt.NDArray[Any]) -> tuple[DoubleArray, BoolArray, BoolArray]:
        rows = np.flatnonzero(~self.over.any(1) & (self.taken < self.history.shape[1]))
        self.history[rows, self.taken[rows]] = action[rows]
        self.taken[rows] += 1
        reward = np.zeros(len(self.taken))
        played = self.history[np.arange(len(self.taken)), self.taken - 1]
        for part, reply in self._call("step", rows, lambda r: {"actions": played[r]}):
            self._full[part], reward[part], self.over[part, 0], self.over[part, 1] = reply
        return reward, self.over[:, 0].copy(), self.over[:, 1].copy()

    def full(self) -> FloatArray:
        return self._full.copy()

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        kept = {name: getattr(self, name).copy() for name in _KEPT}
        return {**kept, "full": self._full.copy()}

    def restore(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        for name in _KEPT:
            present = getattr(self, name)
            setattr(self, name, snapshot[name].astype(present.dtype))
        self._observe(self._call("replay", np.arange(len(self.taken)), self._episodes))
        if not np.array_equal(self._full, snapshot["full"]):
            raise TaskError(
                f"'{self.simulator.environment}' played the same seeds and actions again and came "
                "elsewhere: it is not a function of them (or its version has changed), and a run "
                "in it cannot be gone on with exactly"
            )

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._pool.give_back(self._slots)

    def __del__(self) -> None:
        if getattr(self, "_is_open", False):
            self.close()

    def _episodes(self, rows: npt.NDArray[np.int64]) -> dict[str, Any]:
        histories = [self.history[row, : self.taken[row]] for row in rows]
        return {"seeds": self.seeds[rows].tolist(), "histories": histories}

    def _observe(self, replies: list[tuple[npt.NDArray[np.int64], Any]]) -> None:
        for part, full in replies:
            self._full[part] = full

    def _call(
        self,
        name: str,
        rows: npt.NDArray[np.int64],
        arguments: Callable[[npt.NDArray[np.int64]], dict[str, Any]],
    ) -> list[tuple[npt.NDArray[np.int64], Any]]:
        """Replies of the processes that hold ``rows``, with the rows that each is about."""
        slots = np.asarray(self._slots)
        home = slots[rows] % self._pool.size
        parts = {int(i): rows[home == i] for i in np.unique(home)}
        requests = {
            i: (name, {"slots": slots[part].tolist(), **arguments(part)})
            for i, part in parts.items()
        }
        replies = self._pool.call(requests)
        return [(part, replies[i]) for i, part in parts.items()]


_KEPT = ("seeds", "taken", "over", "history")
