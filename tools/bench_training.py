#!/usr/bin/env python3
"""Train tasks with batched physics from several seeds, and print what frozen policies are worth.

    python tools/bench_training.py                    the table
    python tools/bench_training.py --models models    and the policies of the first seed, with cards

Each run is one process on one core, and one of simulators where a task has them; its seconds are
CPU seconds of the whole run: float training, quietening, freeze, fine-tuning in integers, and all
evaluations on the way.  Returns are means of
100 fresh episodes in gymnasium's own environments, played step by step: the frozen policies
through the ``c`` backend, the float network in batched form.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GRSN_EDGE_WORKERS", "1")

from grsn_edge.policy import dumps, loads, model_hash, save
from grsn_edge.program import memory, operations
from grsn_edge.runtime import StreamingPolicy, play_episodes
from grsn_edge.tasks import task
from grsn_edge.tasks.environments import make_environment
from grsn_edge.training.pipeline import train
from grsn_edge.training.recipes import recipe
from grsn_edge.training.runs import float_play

EPISODES, FIRST_EPISODE = 100, 10_000

SHIPPED: dict[str, dict[str, float]] = {
    "cartpole-p": {"spike_rate": 0.05},
    "cartpole-v": {"spike_rate": 0.05},
    "pendulum-p": {"spike_rate": 0.1},
    "pendulum-v": {},
    "tmaze": {"spike_rate": 0.1},
    "repeat-previous": {},
}
"""Tasks with what their policies' recipes change: the options of ``grsn-edge train``.  Simulated
tasks, which are long, are shipped from a scoreboard (``tools/ship_models.py``)."""


@dataclass(frozen=True)
class Job:
    """One run."""

    task: str
    network: str
    seed: int
    changes: dict[str, float]

    @property
    def command(self) -> str:
        """The command that makes this policy."""
        options = [f" --{key.replace('_', '-')} {value}" for key, value in self.changes.items()]
        begun = f"grsn-edge train {self.task} --network {self.network} --seed {self.seed}"
        return begun + "".join(options)


@dataclass(frozen=True)
class Row:
    """What one run gave: mean returns, spikes per neuron and step, CPU seconds, the policy."""

    job: Job
    float_return: float
    post_training: float
    fine_tuned: float
    standard_error: float
    rate: float
    seconds: float
    env_steps: int
    policy: bytes


def run(job: Job) -> Row:
    """Train one policy and play it."""
    with tempfile.TemporaryDirectory() as folder:
        began = cpu_seconds()
        outcome = train(
            recipe(job.task, job.network, **job.changes),
            seed=job.seed,
            folder=Path(folder),
            provenance={"command": job.command},
        )
        seconds = cpu_seconds() - began
        floats = float_play(Path(folder), EPISODES, FIRST_EPISODE).mean
    assert outcome.policies is not None
    quantised, _ = returns(outcome.policies.post_training, job.task)
    tuned, error = returns(outcome.policies.fine_tuned, job.task)
    rate = outcome.results["tune"].rate
    policy = dumps(outcome.policies.fine_tuned)
    return Row(job, floats, quantised, tuned, error, rate, seconds, outcome.env_steps, policy)


def cpu_seconds() -> float:
    """Processor time of this process, and of the simulators' that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in used)


def returns(policy, name: str) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Mean return and its standard error, through the c backend."""
    chosen = task(name)
    with StreamingPolicy(policy, "c") as running:
        played = play_episodes(
            running, make_environment(name), EPISODES, FIRST_EPISODE, chosen.max_steps
        )
        found = [episode.ret for episode in played]
    mean = sum(found) / len(found)
    variance = sum((value - mean) ** 2 for value in found) / len(found)
    return mean, (variance / len(found)) ** 0.5


def table(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table."""
    lines = [
        "| task | network | seed | CPU s | env steps | float | int8 post-training "
        "| int8 fine-tuned (± s.e.) | spikes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.job.task} | {r.job.network} | {r.job.seed} | {r.seconds:.0f} | {r.env_steps:,} "
        f"| {r.float_return:.1f} | {r.post_training:.1f} "
        f"| {r.fine_tuned:.1f} ± {r.standard_error:.1f} | {100 * r.rate:.1f} % |"
        for r in rows
    ]
    return "\n".join(lines)


def machine() -> str:
    """One line on where this ran."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "gymnasium"))
    where = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return f"{where}, {packages}"


def ship(rows: Sequence[Row], folder: Path) -> None:
    """Write the first seed's policy of each task, and its card."""
    for name in dict.fromkeys(row.job.task for row in rows):
        mine = [row for row in rows if row.job.task == name]
        policy = loads(mine[0].policy)
        save(policy, folder / f"{name}.grsn")
        (folder / f"{name}.md").write_text(
            card(policy, mine[0].job.command, mine[0].rate, played(mine)), encoding="utf-8"
        )


def played(rows: Sequence[Row]) -> str:
    """The returns of a policy's card."""
    known = solved(rows[0].job.task)
    return f"""\
Means of {EPISODES} fresh episodes, the frozen policies step by step in gymnasium through the `c`
backend; this file is the first seed. Printed by `python tools/bench_training.py`.{known}

{table(rows)}"""


def card(policy, command: str, rate: float, returns: str) -> str:  # type: ignore[no-untyped-def]
    """A policy's card.

    Args:
        policy: frozen.
        command: that makes it.
        rate: mean spikes per neuron and step.
        returns: Markdown on what it reached.
    """
    chosen = task(policy.name)
    summary = chosen.summary[0].upper() + chosen.summary[1:]
    seen = ", ".join(f"{c.name} ({c.unit})" for c in policy.observations)
    done = ", ".join(f"{c.name} ({c.unit})" for c in policy.actions)
    spikes = {n.name: rate for n in policy.program if n.op == "ge" and n.interval.is_binary}
    worst, typical = operations(policy.program).total, operations(policy.program, spikes).total
    sizes = memory(policy.program)
    cells = " → ".join(f"{c['kind']} {c['size']}" for c in policy.provenance["network"]["cells"])
    counts = "\n".join(
        f"| {name.replace('_', ' ')} | {getattr(worst, name):.0f} | {getattr(typical, name):.0f} |"
        for name in worst.__dataclass_fields__
    )
    return f"""\
# {policy.name}

{summary}: `{chosen.environment}`, one step per {policy.period_s} s.

- **observation**: {seen}; {policy.encoder.dtype}
- **action**: {done}; {policy.decoder.kind}
- **network**: {cells}
- **file**: {len(dumps(policy)):,} bytes
- **memory**: {sizes.constants:,} bytes of constants, {sizes.state} state, {sizes.scratch} scratch
- **model hash**: `{model_hash(policy)}`

Made by (the same sources and packages make the same bytes again):

```
{command}
```

## Returns

{returns}

## Operations per step

Worst case (every neuron fires) and at the measured {100 * rate:.1f} % spikes.

| operation | worst case | typical |
|---|---|---|
{counts}
"""


def changes(name: str, network: str) -> dict[str, float]:
    """What a task's recipe changes for a network; only spikes have a rate."""
    found = SHIPPED.get(name, {})
    return found if network == "grsn" else {k: v for k, v in found.items() if k != "spike_rate"}


def solved(name: str) -> str:
    """From which return on gymnasium counts an environment as solved, where it says so."""
    from gymnasium.envs.registration import registry

    spec = registry.get(getattr(task(name).dynamics, "environment", None) or "")
    if spec is None or spec.reward_threshold is None:
        return ""
    return f" gymnasium\ncounts {spec.id} as solved from {spec.reward_threshold:,.0f} on."


def main() -> int:
    """Parse, train side by side, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=list(SHIPPED), help="default: all shipped")
    parser.add_argument("--network", default="grsn", help="grsn (default), grsn-a, lif or mlp")
    parser.add_argument("--seeds", type=int, default=3, help="default 3")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--models", type=Path, help="also write policies and cards here")
    parser.add_argument("--json", action="store_true", help="print rows as JSON")
    args = parser.parse_args()
    jobs = [
        Job(name, args.network, seed, changes(name, args.network))
        for name in args.tasks
        for seed in range(args.seeds)
    ]
    rows: list[Row] = []
    with ProcessPoolExecutor(args.jobs) as pool:
        for row in pool.map(run, jobs):
            rows.append(row)
            print(table([row]).splitlines()[-1], file=sys.stderr, flush=True)
    if args.models:
        args.models.mkdir(parents=True, exist_ok=True)
        ship(rows, args.models)
    if args.json:
        print(json.dumps([{**vars(r), "job": vars(r.job), "policy": None} for r in rows]))
    else:
        print(f"{table(rows)}\n\n{machine()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
