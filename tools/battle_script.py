"""How the scripted team does in our place: what a trained team of ``battle`` is compared with.

    python tools/battle_script.py --episodes 200 --seed 0

Both sides run the script, from the starts that ``grsn-edge team eval`` plays with the same numbers.
"""

from __future__ import annotations

import argparse

import numpy as np

from grsn_edge.teams import team_task
from grsn_edge.teams.battle import Battles, nearest_enemy


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    task = team_task("battle")
    worlds = task.open(args.episodes)
    assert isinstance(worlds, Battles)
    worlds.begin(args.seed)
    running = np.ones(args.episodes, bool)
    returns, margin = np.zeros(args.episodes), np.zeros(args.episodes)
    for _ in range(task.member.max_steps):
        step = worlds.step(nearest_enemy(*worlds.sides))
        ours, theirs = (side.alive.sum(1) for side in worlds.sides)
        returns += np.where(running, step.reward, 0.0)
        margin = np.where(running, ours - theirs, margin)
        running = running & ~step.terminated
    error = returns.std(ddof=1) / np.sqrt(args.episodes)
    won, even = 100 * np.mean(margin > 0), 100 * np.mean(margin == 0)
    print(f"return {returns.mean():.2f} ± {error:.2f}, won {won:.1f} %, even {even:.1f} %")


if __name__ == "__main__":
    main()
