#!/usr/bin/env python3
"""Write the best policies of a finished scoreboard into models/, with their cards.

    python tools/ship_models.py out/scoreboard --tasks lunarlander-p hopper-p

Trains nothing: policy, returns and instructions are those of the scoreboard's jobs.  The best seed
by return is taken; its file names the `grsn-edge train` command that makes it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from bench_training import card, solved

from grsn_edge.policy import Policy, load, save
from grsn_edge.scoreboard.store import MODEL, read
from grsn_edge.training.recipes import recipe

OURS = "grsn"


def results(folder: Path, task: str) -> list[tuple[Path, dict[str, Any]]]:
    """Priced results of a task, by network and seed, each with its job's folder."""
    places = folder.glob(f"{task}/*/*")
    priced = [(place, found) for place in places if (found := read(place)) and found["price"]]
    return sorted(priced, key=lambda one: (one[1]["job"]["network"], one[1]["job"]["seed"]))


def command_of(result: dict[str, Any]) -> str:
    """The command that trains it; raises SystemExit where options cannot say it."""
    job, made = result["job"], result["training"]["recipe"]
    plain = recipe(job["task"], job["network"])
    changes: dict[str, Any] = {}
    if made["spike_rate"] is not None:
        changes["spike_rate"] = made["spike_rate"]
    if made["float_steps"] != plain.float_steps:
        changes["updates"] = made["float_steps"] // plain.steps_per_update
    if json.loads(json.dumps(recipe(job["task"], job["network"], **changes).config())) != made:
        raise SystemExit(f"{job}: not a recipe that options of `grsn-edge train` make")
    options = "".join(f" --{name.replace('_', '-')} {value}" for name, value in changes.items())
    begun = f"grsn-edge train {job['task']} --network {job['network']} --seed {job['seed']}"
    return begun + options


def returns(found: Sequence[dict[str, Any]], chosen: dict[str, Any]) -> str:
    """The returns of a policy's card: every seed, and every network beside it."""
    lines = [
        "| network | seed | CPU s | env steps | float | int8 (± s.e.) | spikes | instructions |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in found:
        played, counted = one["play"], one["price"]["instructions"].get("mean")
        mean, error = np.mean(played["int8"]), np.std(played["int8"]) / np.sqrt(len(played["int8"]))
        rate = "–" if played["rate"] is None else f"{100 * played['rate']:.1f} %"
        lines.append(
            f"| {one['job']['network']} | {one['job']['seed']} | {one['training']['cpu_s']:.0f} "
            f"| {one['training']['env_steps']:,} | {np.mean(played['float']):.1f} "
            f"| {mean:.1f} ± {error:.1f} | {rate} "
            f"| {'–' if counted is None else f'{counted:,.0f}'} |"
        )
    table, job, episodes = "\n".join(lines), chosen["job"], len(chosen["play"]["int8"])
    return f"""\
Means of {episodes} fresh episodes, the frozen policies step by step in gymnasium;
± is the error of one seed's episodes. Instructions: of a mean step of generated C on an emulated
Cortex-M4. This file is seed {job["seed"]}, the best of {OURS}'s. From `grsn-edge scoreboard`, by
`python tools/ship_models.py`.{solved(job["task"])}

{table}"""


def shipped(place: Path, command: str) -> Policy:
    """The policy, with the command that makes it."""
    policy = load(place / MODEL)
    return replace(policy, provenance={**policy.provenance, "command": command})


def main() -> int:
    """Parse, choose, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scoreboard", type=Path, help="folder of a scoreboard")
    parser.add_argument("--tasks", nargs="+", required=True, help="whose policies are wanted")
    parser.add_argument("--models", type=Path, default=Path("models"), help="default models")
    args = parser.parse_args()
    for task in args.tasks:
        found = results(args.scoreboard, task)
        ours = [one for one in found if one[1]["job"]["network"] == OURS]
        if not ours:
            raise SystemExit(f"'{args.scoreboard}' has no finished job of {OURS} on '{task}'")
        place, best = max(ours, key=lambda one: float(np.mean(one[1]["play"]["int8"])))
        command = command_of(best)
        policy = shipped(place, command)
        text = card(policy, command, best["play"]["rate"], returns([r for _, r in found], best))
        save(policy, args.models / f"{task}.grsn")
        (args.models / f"{task}.md").write_text(text, encoding="utf-8")
        print(f"{task}: seed {best['job']['seed']}, {np.mean(best['play']['int8']):.1f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
