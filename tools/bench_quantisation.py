#!/usr/bin/env python3
"""Fewer bits, leaks that are shifts, fewer neurons, budgets: what each costs in return, and saves.

    python tools/bench_quantisation.py                          the tables
    python tools/bench_quantisation.py --task cartpole-p --seed 0 --only "8 bits" "4 bits"

One run learns in floats for each task and seed; every row but the last begins from it (``--from``)
and goes on in its own integers, with the recipe's own budget for that; the last one learns with
its shifts from the start.  A row that is in the folder already is not made again.  Returns are
means of fresh episodes in the batched form of the task, the same for all rows.  Bytes are of the
files; instructions and cycles of generated C are counted by ``tools/counting`` over the policy's
golden vectors, every action compared with the reference.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from counting.measure import count
from counting.targets import TARGETS, why_not

from grsn_edge.backends._image import image
from grsn_edge.policy import Policy, dumps, load, save
from grsn_edge.profiling.price import price
from grsn_edge.training.pipeline import Outcome, train
from grsn_edge.training.recipes import recipe
from grsn_edge.training.runs import derived

TASKS: Mapping[str, tuple[float | None, str]] = {
    "cartpole-p": (0.05, "850instr@m4-c"),
    "pendulum-p": (None, "1100instr@m4-c"),
}
"""The firing rate that a task's run comes down to, if any, and a budget below what a step costs."""

ROWS: Mapping[str, Mapping[str, Any]] = {
    "8 bits": {},
    "6 bits": {"weights": 6},
    "4 bits": {"weights": 4},
    "8 bits, pow2": {"coefficients": "pow2"},
    "4 bits, pow2": {"weights": 4, "coefficients": "pow2"},
    "8 bits, a quarter pruned": {"prune": 0.25},
    "8 bits, half pruned": {"prune": 0.5},
    "8 bits, budget": {"budget": ""},
}
FROM_THE_START: Mapping[str, Mapping[str, Any]] = {
    "8 bits, pow2 from the start": {"coefficients": "pow2"},
}
"""Rows that learn in floats themselves."""
COUNTED = ("m0", "m4", "avr")


def main() -> int:
    """Train what is missing, then print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*ROWS, *FROM_THE_START]
    parser.add_argument("--task", nargs="+", choices=[*TASKS], default=[*TASKS])
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--out", type=Path, default=Path("out/quantisation"))
    parser.add_argument("--no-count", action="store_true", help="leave instructions out")
    args = parser.parse_args()
    cases = [(task, seed) for task in args.task for seed in args.seed]
    for task, seed in cases:
        for row in args.only:
            made(args.out, task, seed, row)
    print(table(args.out, cases, args.only, not args.no_count))
    print("\n" + budgets(args.out, cases) if "8 bits, budget" in args.only else "")
    return 0


# ---- runs ----------------------------------------------------------------------------------------


def folder_of(out: Path, task: str, seed: int, row: str) -> Path:
    """Where a row's policies and figures are."""
    return out / f"{task}-{seed}" / row.replace(" ", "-").replace(",", "")


def made(out: Path, task: str, seed: int, row: str) -> None:
    """Train one row, unless it is there."""
    folder = folder_of(out, task, seed, row)
    if (folder / "result.json").exists():
        return
    rate, budget = TASKS[task]
    if row in FROM_THE_START:
        print(f"{task}, seed {seed}: {row}", file=sys.stderr, flush=True)
        keep(folder, train(recipe(task, spike_rate=rate, **FROM_THE_START[row]), seed=seed))
        return
    base = out / f"{task}-{seed}" / "float"
    if not (base / "done").exists():
        print(f"{task}, seed {seed}: learn in floats", file=sys.stderr, flush=True)
        wanted = recipe(task, "grsn", spike_rate=rate, tune_steps=0)
        train(wanted, seed=seed, folder=base, overwrite=True)
        (base / "done").touch()
    print(f"{task}, seed {seed}: {row}", file=sys.stderr, flush=True)
    changes = {**ROWS[row], "tune_steps": recipe(task).tune_steps}
    if "budget" in changes:
        changes["budget"] = budget
    wanted, start = derived(base, **changes)
    keep(folder, train(wanted, seed=seed, pricing=price, start=start))


def keep(folder: Path, outcome: Outcome) -> None:
    """Policies and figures of a finished row."""
    assert outcome.policies is not None
    folder.mkdir(parents=True, exist_ok=True)
    save(outcome.policies.fine_tuned, folder / "model.grsn")
    save(outcome.policies.post_training, folder / "model-post-training.grsn")
    result = {
        "results": {name: e.config() for name, e in outcome.results.items()},
        "sizes": outcome.sizes,
        "budget": outcome.budget and [str(outcome.budget[0]), outcome.budget[1].config()],
        "met": outcome.budget_met,
    }
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


# ---- tables --------------------------------------------------------------------------------------


def table(out: Path, cases: list[tuple[str, int]], rows: list[str], counted: bool) -> str:
    """Returns, bytes and instructions, a line per row and seed."""
    targets = [name for name in COUNTED if counted and why_not(TARGETS[name]) is None]
    heads = ["task", "seed", "integers", "neurons", "before", "as frozen", "fine-tuned", "spikes"]
    heads += ["weights in .grsn, B", ".grsn, B", "image, B"]
    heads += [f"{name}: mean {TARGETS[name].unit}" for name in targets]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for task, seed in cases:
        for row in rows:
            folder = folder_of(out, task, seed, row)
            result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
            cells = [task, str(seed), row, *figures(result), *sizes(load(folder / "model.grsn"))]
            cells += [steps(load(folder / "model.grsn"), name) for name in targets]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def figures(result: Mapping[str, Any]) -> list[str]:
    """Neurons left; returns before, as soon as frozen, and fine-tuned; spikes."""
    found, tuned = result["results"], result["results"]["tune"]
    error = tuned["std"] / np.sqrt(256 if tuned["mean"] < 0 else 100)
    return [
        str(result["sizes"][1][0]),
        f"{found['float']['mean']:.1f}",
        f"{found['freeze']['mean']:.1f}",
        f"{tuned['mean']:.1f} ± {error:.1f}",
        f"{100 * tuned['rate']:.1f} %",
    ]


def sizes(policy: Policy) -> list[str]:
    """Bytes of the packed weights, of the file, and of the image for the virtual machine."""
    matrices = [node.attrs["weight"] for node in policy.program if node.op == "matvec"]
    rows = [(len(matrix), matrix.shape[1]) for matrix in matrices]
    packed = sum(n * -(-columns * policy.weight_bits // 8) for n, columns in rows)
    return [f"{packed:,}", f"{len(dumps(policy)):,}", f"{len(image(policy.program)):,}"]


def steps(policy: Policy, target: str) -> str:
    """Mean instructions or cycles of the generated step."""
    assert policy.golden is not None
    return f"{count(policy.program, policy.golden.code, TARGETS[target]).steps.mean():,.0f}"


def budgets(out: Path, cases: list[tuple[str, int]]) -> str:
    """Budgets and what the steps cost in the end."""
    lines = [
        "| task | seed | budget | neurons | a step, counted | spikes | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for task, seed in cases:
        folder = folder_of(out, task, seed, "8 bits, budget")
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        asked, cost = result["budget"]
        neurons = f"{result['sizes'][0][0]} → {result['sizes'][1][0]}"
        lines.append(
            f"| {task} | {seed} | {asked} | {neurons} | {cost['mean']:,.0f} "
            f"| {100 * cost['rate']:.1f} % | {'yes' if result['met'] else 'no'} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
