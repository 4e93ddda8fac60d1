#!/usr/bin/env python3
"""Train tasks by PPO, TD3 and SAC, and print what the frozen policies are worth.

    python tools/bench_off_policy.py                       the table
    python tools/bench_off_policy.py pendulum-p:sac        one row of it
    python tools/bench_off_policy.py --spike-rate 0.1 …    with a target for the firing rate

Each run is one process on one core, float training, freeze and fine-tuning in integers; its
seconds are CPU seconds of all that, evaluations included.  Returns are means of 100 fresh episodes
in gymnasium, played step by step through the ``c`` backend.  A goal is reached at the first
evaluation on the way that is as good.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench_training import cpu_seconds, machine, returns

from grsn_edge.training.pipeline import CHECKPOINT, train
from grsn_edge.training.recipes import recipe

RUNS = ("pendulum-p:ppo", "pendulum-p:td3", "pendulum-p:sac", "cartpole-p:ppo", "cartpole-p:sac")
HEADER = (
    "| task | algorithm | seed | CPU s | env steps | goal at env step | int8 post-training "
    "| int8 fine-tuned (± s.e.) | spikes | checkpoint |\n|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Job:
    """One run: ``task:algorithm``, a seed, and a firing rate to come down to."""

    what: str
    seed: int
    spike_rate: float | None


def run(job: Job) -> str:
    """Train one policy and play it; its row."""
    name, algorithm = job.what.split(":")
    wanted = recipe(name, algorithm=algorithm, spike_rate=job.spike_rate)
    with tempfile.TemporaryDirectory() as folder:
        began = cpu_seconds()
        outcome = train(wanted, seed=job.seed, folder=Path(folder))
        seconds = cpu_seconds() - began
        size = (Path(folder) / CHECKPOINT).stat().st_size
    assert outcome.policies is not None
    quantised, _ = returns(outcome.policies.post_training, name)
    tuned, error = returns(outcome.policies.fine_tuned, name)
    good = [e.env_steps for e in outcome.evaluations if e.mean >= (wanted.goal or 0.0)]
    return (
        f"| {name} | {algorithm} | {job.seed} | {seconds:.0f} | {outcome.env_steps:,} "
        f"| {f'{good[0]:,}' if good else 'never'} | {quantised:.1f} | {tuned:.1f} ± {error:.1f} "
        f"| {100 * outcome.results['tune'].rate:.0f} % | {size / 1e6:.1f} MB |"
    )


def main() -> int:
    """Parse, train, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", default=list(RUNS), help="task:algorithm (default: all)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="default 0")
    parser.add_argument("--spike-rate", type=float, help="default: none")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    args = parser.parse_args()
    jobs = [Job(what, seed, args.spike_rate) for what in args.runs for seed in args.seeds]
    print(HEADER)
    with ProcessPoolExecutor(args.jobs) as pool:
        for row in pool.map(run, jobs):
            print(row, flush=True)
    print(f"\n{machine()}", file=sys.stdout)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
