"""``eval``: the return of a frozen policy over many episodes."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import numpy as np

from grsn_edge.cli.result import Result
from grsn_edge.errors import UsageError
from grsn_edge.policy import Policy
from grsn_edge.runtime import StreamingPolicy, play_episodes

SUMMARY = "play a frozen policy in gymnasium's own environment and print its return"
EXAMPLE = "grsn-edge eval models/cartpole-p.grsn --episodes 100 --backend c"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", type=Path, help="a .grsn file")
    parser.add_argument("--task", help="default: the task that the policy was trained on")
    parser.add_argument("--episodes", type=int, default=100, help="default 100")
    parser.add_argument("--seed", type=int, default=0, help="of the first episode (default 0)")
    parser.add_argument("--backend", default="auto", help="auto (default), c, numpy, torch, …")


def run(args: argparse.Namespace) -> Result:
    """Play step by step and summarise."""
    from grsn_edge.tasks import task
    from grsn_edge.tasks.environments import make_environment

    if args.episodes < 1:
        raise UsageError(f"--episodes is at least 1, not {args.episodes}")
    with StreamingPolicy.load(args.model, args.backend) as policy:
        chosen = task(args.task or trained_on(policy.policy))
        environment = make_environment(chosen.name)
        played = list(
            play_episodes(policy, environment, args.episodes, args.seed, chosen.max_steps)
        )
    returns = np.array([episode.ret for episode in played])
    data = {
        "task": chosen.name,
        "backend": policy.backend,
        "episodes": len(played),
        "seed": args.seed,
        "mean": float(returns.mean()),
        "std": float(returns.std()),
        "standard_error": float(returns.std() / np.sqrt(len(played))),
        "min": float(returns.min()),
        "max": float(returns.max()),
        "steps": int(sum(episode.steps for episode in played)),
    }
    text = (
        f"{data['task']} through {data['backend']}: return {data['mean']:.1f} ± "
        f"{data['standard_error']:.1f} (standard error), min {data['min']:.1f}, max "
        f"{data['max']:.1f}, {data['episodes']} episodes, {data['steps']} steps"
    )
    return Result(data, text)


def trained_on(policy: Policy) -> str:
    """The task that a policy's file names.

    Raises:
        UsageError: it names none, or one that imports or reads what only a person may ask for.
    """
    from grsn_edge.tasks import asks_for

    name = policy.provenance.get("task")
    if not isinstance(name, str):
        raise UsageError("the file does not say on which task it was trained; give --task")
    if wish := asks_for(name):
        raise UsageError(
            f"the file's task would {wish}; if you trust it, give --task {shlex.quote(name)}"
        )
    return name
