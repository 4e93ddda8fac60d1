"""Tasks that only memory solves: what decides lies further back than four stacked frames reach."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from grsn_edge.policy import Channel
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks.base import BoolArray, DoubleArray, Task
from grsn_edge.tasks.describe import Family
from grsn_edge.tasks.physics import Dynamics

__all__ = ["FAMILIES", "TASKS", "RepeatPrevious", "TMaze"]

_FORWARD, _BACK, _LEFT = 0, 1, 2


class TMaze(Dynamics):
    """A corridor with a junction at its end; a cue at its start says where to turn there.

    After Bakker, "Reinforcement Learning with Long Short-Term Memory", 2001: 4 for the right turn,
    -0.1 for the wrong one; here every step that does not go forward costs 0.1, not only bumps.
    Either turn ends the episode.

    State ``(x, side)``: the cell, 0 to ``length``, and 1 (left) or -1 (right).

    Args:
        length: steps from the cue to the junction.
    """

    full_scale: ClassVar[tuple[float, ...]] = (1.0, 1.0, 1.0, 1.0)

    def __init__(self, length: int) -> None:
        self.length = length

    def start(self, rng: np.random.Generator, n: int) -> DoubleArray:
        """At the cue; either side is as likely."""
        side = 1.0 - 2.0 * rng.integers(0, 2, n)
        return np.stack([np.zeros(n), side], axis=1)

    def advance(
        self, state: DoubleArray, action: npt.NDArray[Any]
    ) -> tuple[DoubleArray, DoubleArray, BoolArray]:
        """Actions: 0 forward, 1 back, 2 left, 3 right."""
        x, side = state.T
        ended = (x == self.length) & (action >= _LEFT)
        correct = (action == _LEFT) == (side > 0)
        forward = (action == _FORWARD) & (x < self.length)
        reward = np.where(ended & correct, 4.0, np.where(forward, 0.0, -0.1))
        x = np.clip(x + (action == _FORWARD) - (action == _BACK), 0, self.length)
        return np.stack([x, side], axis=1), reward, ended

    def full(self, state: DoubleArray) -> FloatArray:
        """Cue (0 beyond the first cell), junction, and, for a critic, position and side."""
        x, side = state.T
        columns = (np.where(x == 0, side, 0.0), x == self.length, x / self.length, side)
        return np.stack(columns, axis=1).astype(np.float32)


class RepeatPrevious(Dynamics):
    """One of four symbols at each step; the action names the one of ``k`` steps before.

    After POPGym's task of this name: ±1 in all for naming all rightly or wrongly, nothing for the
    first ``k`` steps.  State ``(t, symbols of all steps)``.

    Args:
        k: steps back.
    """

    full_scale: ClassVar[tuple[float, ...]] = (1.0,) * 8
    scored: ClassVar[int] = 48
    """Steps whose actions count."""

    def __init__(self, k: int) -> None:
        self.k = k
        self.length = self.scored + k

    def start(self, rng: np.random.Generator, n: int) -> DoubleArray:
        """All symbols as likely at every step."""
        symbols = rng.integers(0, 4, (n, self.length))
        return np.concatenate([np.zeros((n, 1)), symbols], axis=1)

    def advance(
        self, state: DoubleArray, action: npt.NDArray[Any]
    ) -> tuple[DoubleArray, DoubleArray, BoolArray]:
        """The action is the symbol's number; the episode ends after the last symbol."""
        right = np.where(action == self._symbol(state, self.k), 1.0, -1.0)
        reward = np.where(state[:, 0] >= self.k, right / self.scored, 0.0)
        after = state.copy()
        after[:, 0] += 1
        return after, reward, after[:, 0] >= self.length

    def full(self, state: DoubleArray) -> FloatArray:
        """The symbol, one-hot, and, for a critic, the answer, one-hot (zeros at first)."""
        one_hot = np.eye(4, dtype=np.float32)
        known = (state[:, :1] >= self.k).astype(np.float32)
        answer = one_hot[self._symbol(state, self.k)] * known
        return np.concatenate([one_hot[self._symbol(state, 0)], answer], axis=1)

    def _symbol(self, state: DoubleArray, back: int) -> npt.NDArray[np.int64]:
        at = np.clip(state[:, 0].astype(np.int64) - back, 0, self.length - 1)
        symbol: npt.NDArray[np.int64] = state[np.arange(len(state)), 1 + at].astype(np.int64)
        return symbol


def _choices(names: tuple[str, ...]) -> tuple[Channel, ...]:
    return tuple(Channel(name, "1", float(i), float(i)) for i, name in enumerate(names))


def _tmaze(length: int) -> Task:
    return Task(
        name="tmaze",
        environment="grsn_edge/TMaze-v0",
        summary=f"turn where a cue {length} steps before said",
        dynamics=TMaze(length),
        observed=(0, 1),
        observations=(Channel("cue", "1", -1.0, 1.0), Channel("junction", "1", -1.0, 1.0)),
        actions=_choices(("forward", "back", "left", "right")),
        decoder="argmax",
        period_s=0.1,
        offset=(0.0, 0.0),
        scale=(1.0, 1.0),
        clip=1.0,
        max_steps=4 * (length + 1),
    )


def _repeat_previous(k: int) -> Task:
    dynamics = RepeatPrevious(k)
    names = tuple(f"symbol {i}" for i in range(4))
    return Task(
        name="repeat-previous",
        environment="grsn_edge/RepeatPrevious-v0",
        summary=f"name the symbol of {k} steps before",
        dynamics=dynamics,
        observed=(0, 1, 2, 3),
        observations=tuple(Channel(name, "1", -1.0, 1.0) for name in names),
        actions=_choices(names),
        decoder="argmax",
        period_s=0.1,
        offset=(0.0,) * 4,
        scale=(1.0,) * 4,
        clip=1.0,
        max_steps=dynamics.length,
    )


FAMILIES = {
    "tmaze": Family(_tmaze, option="length", default=10, low=5, high=1000),
    "repeat-previous": Family(_repeat_previous, option="k", default=4, low=4, high=64),
}
TASKS = (_tmaze(10), _repeat_previous(4))
