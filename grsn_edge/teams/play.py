"""Episodes of a team, played side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grsn_edge.policy.encoder import FloatArray
from grsn_edge.teams.base import Actions, Layout, TeamTask, View
from grsn_edge.training.evaluate import Act

__all__ = ["TeamAct", "TeamPlay", "TeamWatch", "acting", "at_random", "play_team"]

TeamAct = Callable[[FloatArray], Actions]
"""Observations ``(episodes, agents, seen)`` → actions ``(episodes, agents)``; begins reset."""
TeamWatch = Callable[[View, npt.NDArray[np.bool_]], None]


@dataclass(frozen=True, eq=False)
class TeamPlay:
    """How episodes went: returns, lengths in steps, and which were won, each ``(episodes,)``.

    ``won`` is None for a task without winners.
    """

    returns: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int64]
    won: npt.NDArray[np.bool_] | None

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(self.returns.mean())

    @property
    def win_rate(self) -> float | None:
        """Part of the episodes that were won."""
        return None if self.won is None else float(self.won.mean())


def play_team(
    act: TeamAct, task: TeamTask, episodes: int, seed: int, watch: TeamWatch | None = None
) -> TeamPlay:
    """Play ``episodes`` side by side until the last one has ended.

    Args:
        act: the team; it is called with all episodes, also those that have ended.
        task: what is played.
        episodes: how many.
        seed: of the worlds; the same seed and number give the same starts.
        watch: called before each step with the view and which episodes still run.
    """
    worlds = task.open(episodes)
    view = worlds.begin(seed)
    running = np.ones(episodes, bool)
    returns, lengths = np.zeros(episodes), np.zeros(episodes, np.int64)
    won = np.zeros(episodes, bool)
    for _ in range(task.member.max_steps):
        if watch is not None:
            watch(view, running)
        step = worlds.step(act(view.observation))
        returns += np.where(running, step.reward, 0.0)
        lengths += running
        won = np.where(running, step.ahead, won)
        running = running & ~step.terminated
        view = step.view
        if not running.any():
            break
    return TeamPlay(returns, lengths, won if task.has_winner else None)


def acting(act: Act, layout: Layout) -> TeamAct:
    """A team whose agents are the rows of ``act``; it remembers what each of them did last."""
    last: list[Actions] = []

    def team(observation: FloatArray) -> Actions:
        before = last.pop() if last else np.full(observation.shape[:2], -1, np.int64)
        inputs = layout.inputs(observation, before)
        chosen = np.asarray(act(inputs.reshape(-1, layout.channels)), np.int64)
        last.append(chosen.reshape(before.shape))
        return last[0]

    return team


def at_random(layout: Layout, seed: int) -> TeamAct:
    """A team that chooses uniformly."""
    rng = np.random.default_rng(seed)
    return lambda observation: rng.integers(0, layout.actions, observation.shape[:2])
