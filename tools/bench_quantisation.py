#!/usr/bin/env python3
"""Fewer bits, leaks that are shifts, fewer neurons, budgets: what each costs in return, and saves.

    python tools/bench_quantisation.py                          the tables of docs/quantisation.md
    python tools/bench_quantisation.py --task cartpole-p --seed 0 --only "8 bits" "4 bits"
    python tools/bench_quantisation.py --updates 4              a try, of everything, in short
    python tools/bench_quantisation.py --seed 0 --table         only print what has been made

One run learns in floats for each task and seed; every row but the last begins from it (``--from``)
and goes on in its own integers, with the recipe's own budget for that; the last one learns with
its shifts from the start.  A row that is in the folder already is not made again.  Returns are
means of fresh episodes in the batched form of the task, the same for all rows.  Bytes are of the
files; instructions and cycles of generated C are counted by ``tools/counting`` over two whole
episodes of the policy's own, every action compared with the reference.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from counting.measure import count
from counting.targets import TARGETS, why_not

from grsn_edge.backends import backend
from grsn_edge.backends._image import image
from grsn_edge.policy import Policy, dumps, load, save, weight_storage
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.profiling.price import price
from grsn_edge.tasks import task
from grsn_edge.training.evaluate import play, policy_act
from grsn_edge.training.pipeline import Outcome, train
from grsn_edge.training.recipes import Recipe, recipe
from grsn_edge.training.runs import derived

TASKS: Mapping[str, tuple[float | None, str]] = {
    "cartpole-p": (0.05, "850instr@m4-c"),
    "pendulum-p": (None, "1100instr@m4-c"),
}
"""The firing rate that a task's run comes down to, if any, and a budget below what a step costs."""

BUDGETED = "8 bits, budget"
ROWS: Mapping[str, Mapping[str, Any]] = {
    "8 bits": {},
    "6 bits": {"weights": 6},
    "4 bits": {"weights": 4},
    "8 bits, second phase": {"spike_rate": None},
    "8 bits, pow2": {"coefficients": "pow2"},
    "4 bits, pow2": {"weights": 4, "coefficients": "pow2"},
    "8 bits, a quarter pruned": {"prune": 0.25},
    "8 bits, half pruned": {"prune": 0.5},
    BUDGETED: {"budget": None},
}
"""Changes to the run in floats; spike rates and budgets are the task's."""
FROM_THE_START: Mapping[str, Mapping[str, Any]] = {
    "8 bits, pow2 from the start": {"coefficients": "pow2"},
}
"""Rows that learn in floats themselves."""

COUNTED = ("m0", "m4", "avr")
_EPISODES, _FIRST_EPISODE = 2, 5_000_000

Case = tuple[str, int]
Found = Mapping[str, Any]


def main() -> int:
    """Train what is missing, count, then print."""
    names = [*ROWS, *FROM_THE_START]
    args = arguments(names)
    rows = [name for name in names if name in args.only]
    runs = Runs(args.out, args.updates)
    if not args.table:
        for seed in args.seed:
            for name in args.task:
                for row in rows:
                    runs.make((name, seed), row)
    counted = [t for t in COUNTED if not args.no_count and why_not(TARGETS[t]) is None]
    found = {
        (name, row): list(runs.found(name, args.seed, row, counted))
        for name in args.task
        for row in rows
    }
    made = {key: seeds for key, seeds in found.items() if seeds}
    budgeted = {key: seeds for key, seeds in made.items() if key[1] == BUDGETED}
    costs = {**COSTS, **{target: per_step(target) for target in counted}}
    tables = [table(made, RETURNS), table(made, costs)]
    print("\n\n".join(tables + [table(budgeted, BUDGETS)] * bool(budgeted)))
    return 0


def arguments(names: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", nargs="+", choices=[*TASKS], default=[*TASKS])
    parser.add_argument("--seed", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="ROW")
    parser.add_argument("--out", type=Path, default=Path("out/quantisation"))
    parser.add_argument("--updates", type=int, help="of the first phase, the others in proportion")
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--no-count", action="store_true", help="leave instructions out")
    return parser.parse_args()


# ---- runs ----------------------------------------------------------------------------------------


class Runs:
    """Rows in a folder, made once.

    Args:
        out: the folder.
        updates: of the first phase, where runs are shortened to try them.
    """

    def __init__(self, out: Path, updates: int | None) -> None:
        self.out, self.updates = out, updates

    def folder(self, case: Case, row: str) -> Path:
        """Where a row's policies and figures are."""
        name, seed = case
        short = "" if self.updates is None else f"-{self.updates}"
        return self.out / f"{name}-{seed}{short}" / row.replace(" ", "-").replace(",", "")

    def make(self, case: Case, row: str) -> None:
        """Train one row, unless it is there."""
        (name, seed), folder = case, self.folder(case, row)
        if (folder / "result.json").exists():
            return
        start = None
        if row in FROM_THE_START:
            wanted = self._recipe(name, **FROM_THE_START[row])
        else:
            wanted, start = derived(self._base(case), **self._changes(name, row))
        told(case, row)
        keep(folder, wanted, train(wanted, seed=seed, pricing=price, start=start))

    def _base(self, case: Case) -> Path:
        """The run in floats that rows begin from."""
        (name, seed), folder = case, self.folder(case, "float")
        if not (folder / "done").exists():
            told(case, "learn in floats")
            wanted = self._recipe(name, tune_steps=0)
            finished(train(wanted, seed=seed, folder=folder, overwrite=True))
            (folder / "done").touch()
        return folder

    def _recipe(self, name: str, **changes: Any) -> Recipe:
        return recipe(name, spike_rate=TASKS[name][0], updates=self.updates, **changes)

    def _changes(self, name: str, row: str) -> dict[str, Any]:
        rate, budget = TASKS[name]
        of_task = {"spike_rate": rate, "budget": budget}
        changes = {key: of_task.get(key, value) for key, value in ROWS[row].items()}
        return {**changes, "tune_steps": self._recipe(name).tune_steps}

    def found(
        self, name: str, seeds: Sequence[int], row: str, counted: list[str]
    ) -> Iterator[Found]:
        """What was found of a row, seed by seed, as far as it was made."""
        for seed in seeds:
            folder = self.folder((name, seed), row)
            if (folder / "result.json").exists():
                result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
                yield {**result, "seed": seed, **measured(folder, name, counted)}


def told(case: Case, what: str) -> None:
    """Progress on the error stream."""
    print(f"{case[0]}, seed {case[1]}: {what}", file=sys.stderr, flush=True)


def finished(outcome: Outcome) -> Outcome:
    """The outcome; a run that Ctrl-C stopped ends the command."""
    if not outcome.finished:
        raise SystemExit("interrupted; the same command goes on with the next row")
    return outcome


def keep(folder: Path, wanted: Recipe, outcome: Outcome) -> None:
    """Policies and figures of a finished row."""
    policies = finished(outcome).policies
    assert policies is not None
    folder.mkdir(parents=True, exist_ok=True)
    save(policies.fine_tuned, folder / "model.grsn")
    save(policies.post_training, folder / "model-post-training.grsn")
    result = {
        "results": {name: e.config() for name, e in outcome.results.items()},
        "episodes": wanted.evaluate_episodes,
        "sizes": outcome.sizes,
        "budget": outcome.budget and [str(outcome.budget[0]), outcome.budget[1].config()],
        "met": outcome.budget_met,
    }
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


# ---- bytes and steps -----------------------------------------------------------------------------


def measured(folder: Path, name: str, counted: list[str]) -> Found:
    """Bytes of a policy, and mean instructions or cycles of its generated step by target."""
    policy = load(folder / "model.grsn")
    return {
        "weights": weight_storage(policy).file_bytes,
        "file": len(dumps(policy)),
        "image": len(image(policy.program)),
        "steps": steps(folder / "steps.json", policy, name, counted),
    }


def steps(path: Path, policy: Policy, name: str, counted: list[str]) -> Mapping[str, float]:
    """Counted once for each target, and kept in a file."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    missing = [target for target in counted if target not in known]
    episodes = [seen(policy, name, _FIRST_EPISODE + i) for i in range(_EPISODES) if missing]
    for target in missing:
        each = [count(policy.program, codes, TARGETS[target]).steps for codes in episodes]
        known[target] = float(np.concatenate(each).mean())
        path.write_text(json.dumps(known), encoding="utf-8")
    return known


def seen(policy: Policy, name: str, seed: int) -> np.ndarray:
    """The codes of what the policy sees in one episode, ``(steps, n)``."""
    observations: list[FloatArray] = []
    act = policy_act(policy, backend("numpy").load(policy.program, batch=1))
    play(act, task(name), 1, seed, lambda found, _: observations.append(found[0].copy()))
    return policy.encoder.encode(np.stack(observations))


# ---- tables --------------------------------------------------------------------------------------


def error(found: Found) -> float:
    """Standard error of the fine-tuned policy's mean return."""
    return float(found["results"]["tune"]["std"] / np.sqrt(found["episodes"]))


def per_step(target: str) -> Any:
    """The cell with a target's mean step."""
    return lambda found: f"{found['steps'][target]:,.0f}"


def mean(phase: str) -> Any:
    """The cell with a phase's mean return; empty where the row has no such phase."""

    def cell(found: Found) -> str:
        return f"{found['results'][phase]['mean']:.1f}" if phase in found["results"] else ""

    return cell


Columns = Mapping[str, Any]
RETURNS: Columns = {
    "before": mean("float"),
    "pruned": mean("prune"),
    "second phase": mean("quieten"),
    "as frozen": mean("freeze"),
    "fine-tuned": mean("tune"),
    "±": lambda found: f"{error(found):.1f}",
    "spikes, %": lambda found: f"{100 * found['results']['tune']['rate']:.1f}",
}
COSTS: Columns = {
    "neurons": lambda found: str(found["sizes"][1][0]),
    "weights in .grsn, B": lambda found: f"{found['weights']:,}",
    ".grsn, B": lambda found: f"{found['file']:,}",
    "image, B": lambda found: f"{found['image']:,}",
}
BUDGETS: Columns = {
    "budget": lambda found: found["budget"][0],
    "neurons": lambda found: f"{found['sizes'][0][0]} → {found['sizes'][1][0]}",
    "a step, counted": lambda found: f"{found['budget'][1]['mean']:,.0f}",
    "spikes, %": lambda found: f"{100 * found['budget'][1]['rate']:.1f}",
    "met": lambda found: "yes" if found["met"] else "no",
    "return": mean("tune"),
}


def table(made: Mapping[tuple[str, str], list[Found]], columns: Columns) -> str:
    """A line for each task and row; seeds side by side, or once where they agree."""
    heads = ["task", "integers", *(titled(name) for name in columns)]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for (name, row), seeds in made.items():
        cells = [side_by_side([cell(found) for found in seeds]) for cell in columns.values()]
        lines.append(f"| {' | '.join([name, row, *cells])} |")
    return "\n".join(lines)


def titled(column: str) -> str:
    """A column's head; of a target, what is counted on it."""
    return f"{column}: {TARGETS[column].unit}" if column in TARGETS else column


def side_by_side(values: list[str]) -> str:
    """Of each seed, in order; once where all are equal."""
    return values[0] if len(set(values)) == 1 else " / ".join(values)


if __name__ == "__main__":
    raise SystemExit(main())
