"""How plain scripts do in a trained team's place: what its figures are compared with.

    python tools/team_scripts.py battle --episodes 200 --seed 0
    python tools/team_scripts.py navigation-p

In ``battle`` both sides run the opponents' script, which sees the whole map.  In ``navigation-p``
each robot steers straight to its goal, braked by its last displacement, and minds nobody.  The
starts are those that ``grsn-edge team eval`` plays with the same numbers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from grsn_edge.teams import team_task
from grsn_edge.teams.base import Actions, TeamWorlds, View
from grsn_edge.teams.battle import Battles, nearest_enemy

_BRAKE, _DEAD_ZONE = 5.0, 0.05  # per step of 0.1 s, and metres

Script = Callable[[TeamWorlds, View], Actions]


def fighting() -> Script:
    """The opponents' script in our place."""

    def act(worlds: TeamWorlds, view: View) -> Actions:
        assert isinstance(worlds, Battles)
        return nearest_enemy(*worlds.sides)

    return act


def going_straight() -> Script:
    """Each to its goal, as if alone; it sees no more than the trained robots."""
    before: list[np.ndarray] = []

    def act(worlds: TeamWorlds, view: View) -> Actions:
        place, from_goal = view.observation[..., :2], view.observation[..., 2:4]
        moved = place - (before.pop() if before else place)
        before.append(place.copy())
        wanted = -from_goal - _BRAKE * moved
        steering = np.where(wanted > _DEAD_ZONE, 2, np.where(wanted < -_DEAD_ZONE, 1, 0))
        return np.asarray(3 * steering[..., 0] + steering[..., 1], np.int64)

    return act


SCRIPTS = {"battle": fighting, "navigation-p": going_straight}


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("task", choices=SCRIPTS)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    task, act = team_task(args.task), SCRIPTS[args.task]()
    worlds = task.open(args.episodes)
    view = worlds.begin(args.seed)
    running = np.ones(args.episodes, bool)
    returns, steps, margin = (np.zeros(args.episodes) for _ in range(3))
    for _ in range(task.member.max_steps):
        step = worlds.step(act(worlds, view))
        view = step.view
        returns += np.where(running, step.reward, 0.0)
        margin = np.where(running, _margin(worlds), margin)
        steps += running
        running = running & ~step.terminated
    error = returns.std(ddof=1) / np.sqrt(args.episodes)
    text = f"return {returns.mean():.2f} ± {error:.2f}, {steps.mean():.1f} steps"
    if task.has_winner:
        text += f", won {_part(margin > 0)}, even {_part(margin == 0)}"
    print(text)


def _margin(worlds: TeamWorlds) -> np.ndarray | float:
    """Our survivors less theirs, in a battle."""
    if not isinstance(worlds, Battles):
        return 0.0
    ours, theirs = (side.alive.sum(1) for side in worlds.sides)
    return np.asarray(ours - theirs)


def _part(which: np.ndarray) -> str:
    return f"{100 * np.mean(which):.1f} %"


if __name__ == "__main__":
    main()
