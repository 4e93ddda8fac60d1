"""Whole episodes of a team: played with exploration, kept, and drawn again to learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.teams.base import Layout, TeamStep, TeamTask, View

__all__ = ["Episodes", "Replay", "empty_episodes", "policy_inputs"]


@dataclass(frozen=True, eq=False)
class Episodes:
    """``n`` episodes of at most ``T`` steps; what lies behind an episode's end is 0.

    Args:
        observation: float32 ``(n, T + 1, agents, seen)``; the last is after the last step.
        state: float32 ``(n, T + 1, k)``.
        alive: bool ``(n, T + 1, agents)``.
        action: int16 ``(n, T, agents)``.
        reward: float32 ``(n, T)``.
        terminated: bool ``(n, T)``, where the world ended the episode.
        taken: bool ``(n, T)``, which steps were taken.
    """

    observation: npt.NDArray[np.float32]
    state: npt.NDArray[np.float32]
    alive: npt.NDArray[np.bool_]
    action: npt.NDArray[np.int16]
    reward: npt.NDArray[np.float32]
    terminated: npt.NDArray[np.bool_]
    taken: npt.NDArray[np.bool_]

    @property
    def count(self) -> int:
        """Number of episodes."""
        return len(self.taken)

    def last_actions(self) -> npt.NDArray[np.int64]:
        """Actions one step before each observation, int64 ``(n, T + 1, agents)``; first -1."""
        first = np.full_like(self.action[:, :1], -1)
        return np.concatenate([first, self.action], axis=1).astype(np.int64)

    def see(self, t: int, view: View, running: npt.NDArray[np.bool_]) -> None:
        """Note what there is to see before step ``t`` in the episodes that run."""
        self.observation[running, t] = view.observation[running]
        self.state[running, t] = view.state[running]
        self.alive[running, t] = view.alive[running]

    def note(
        self,
        t: int,
        action: npt.NDArray[np.int64],
        step: TeamStep,
        running: npt.NDArray[np.bool_],
    ) -> None:
        """Note step ``t`` in the episodes that ran."""
        self.action[running, t] = action[running]
        self.reward[running, t] = step.reward[running]
        self.terminated[running, t] = step.terminated[running]
        self.taken[running, t] = True

    def chosen(self, rows: npt.NDArray[np.int64]) -> Episodes:
        """Copies of these episodes, no longer than the longest of them."""
        steps = int(self.taken[rows].sum(1).max())
        reach = {name: steps + (name in _SEEN) for name in _names()}
        return Episodes(**{n: getattr(self, n)[rows, : reach[n]] for n in _names()})


_SEEN = ("observation", "state", "alive")


def _names() -> list[str]:
    return [field.name for field in fields(Episodes)]


def empty_episodes(task: TeamTask, count: int) -> Episodes:
    """Room for ``count`` episodes of a task."""
    layout, steps = task.layout, task.member.max_steps
    return Episodes(
        np.zeros((count, steps + 1, layout.agents, layout.seen), np.float32),
        np.zeros((count, steps + 1, task.world.state_size), np.float32),
        np.zeros((count, steps + 1, layout.agents), bool),
        np.zeros((count, steps, layout.agents), np.int16),
        np.zeros((count, steps), np.float32),
        np.zeros((count, steps), bool),
        np.zeros((count, steps), bool),
    )


class Replay:
    """The last ``capacity`` episodes.

    Args:
        task: whose episodes they are.
        capacity: how many are kept.
    """

    def __init__(self, task: TeamTask, capacity: int) -> None:
        self._kept = empty_episodes(task, capacity)
        self.added = 0

    @property
    def count(self) -> int:
        """Episodes that are there."""
        return min(self.added, self._kept.count)

    def add(self, episodes: Episodes) -> None:
        """Keep these, in place of the oldest."""
        rows = (self.added + np.arange(episodes.count)) % self._kept.count
        for name in _names():
            getattr(self._kept, name)[rows] = getattr(episodes, name)
        self.added += episodes.count

    def draw(self, rng: np.random.Generator, count: int) -> Episodes:
        """``count`` different episodes, or all where there are fewer."""
        rows = rng.permutation(self.count)[:count]
        return self._kept.chosen(rows)

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays that :meth:`restore` takes."""
        return {name: getattr(self._kept, name)[: self.count] for name in _names()}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], added: int) -> None:
        """Go back to a :meth:`snapshot`, made after ``added`` episodes in all."""
        self.added = added
        for name in _names():
            getattr(self._kept, name)[: self.count] = arrays[name]


def policy_inputs(episodes: Episodes, layout: Layout) -> npt.NDArray[np.float32]:
    """What the agents' policy was given, float32 ``(T + 1, n · agents, channels)``."""
    inputs = layout.inputs(episodes.observation, episodes.last_actions())
    by_time = inputs.swapaxes(0, 1)
    return np.ascontiguousarray(by_time.reshape(len(by_time), -1, layout.channels))
