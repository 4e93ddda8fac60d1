"""``train``: from a task to a frozen policy."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grsn_edge.cli.main import INTERRUPTED
from grsn_edge.cli.result import Result, columns
from grsn_edge.errors import UsageError

if TYPE_CHECKING:
    from grsn_edge.training.phases import Tensors
    from grsn_edge.training.pipeline import Outcome
    from grsn_edge.training.recipes import Recipe

SUMMARY = "train a policy on a task, freeze it to integers and fine-tune it"
EXAMPLE = "grsn-edge train cartpole-p --spike-rate 0.05 --seed 0 --out out/cartpole-p"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("task", help="a name, or a description: see `grsn-edge tasks`")
    parser.add_argument(
        "--network", default="grsn", help="grsn (default), mlp, gru, lstm, …: see docs/cells.md"
    )
    parser.add_argument(
        "--algorithm",
        default="ppo",
        help="ppo (default); td3 or sac, which replay: see docs/training.md",
    )
    parser.add_argument("--hidden", type=int, help="neurons per layer (default: the recipe's)")
    parser.add_argument("--mask", help="of a gym: task: channels that are seen, such as 0,2")
    parser.add_argument("--delay", help="steps that observations are late")
    parser.add_argument("--noise", help="noise on observations, in full scales, such as 0.01")
    parser.add_argument(
        "--updates", type=int, help="length of the first phase (default: the recipe's)"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides all (default 0)")
    parser.add_argument(
        "--spike-rate", type=float, help="mean spikes per neuron and step to come down to"
    )
    parser.add_argument(
        "--teacher", help="a frozen policy (.grsn) of any network to imitate, instead of rewards"
    )
    parser.add_argument(
        "--log", help="recorded steps (CSV or JSON lines) to imitate, instead of rewards"
    )
    parser.add_argument(
        "--agreement",
        type=float,
        help="with --teacher, --log or a log: task: share of steps as taught that is enough",
    )
    _configure_integers(parser)
    parser.add_argument(
        "--from",
        dest="start",
        type=Path,
        help="folder of a run of this task: begin after its first phase, with what it learned",
    )
    parser.add_argument("--out", type=Path, help="folder (default out/TASK-NETWORK-SEED)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in that folder")


def _configure_integers(parser: argparse.ArgumentParser) -> None:
    """What the deployed integers are, and what they may cost: docs/quantisation.md."""
    add = parser.add_argument
    add("--weights", type=int, choices=(8, 6, 4), help="bits of a weight (default 8)")
    add("--coefficients", choices=("q15", "pow2"), help="leaks: q15 (default) or shifts, pow2")
    add("--prune", type=float, help="share of each layer's neurons to take out, such as 0.25")
    add("--prune-to", type=int, help="neurons that each layer keeps, instead")
    add(
        "--budget",
        help="cost of a deployed step to meet, such as 3000instr@m4-c (-c: compiled to C), "
        "60000cycles@avr or 500nJ@nRF52840 (modelled)",
    )


def run(args: argparse.Namespace) -> Result:
    """Train with a progress bar; Ctrl-C saves."""
    from grsn_edge.cli.progress import TrainingDisplay
    from grsn_edge.policy import save
    from grsn_edge.profiling.price import price
    from grsn_edge.tasks import described, folder_name
    from grsn_edge.training.pipeline import resume, train

    given = {"mask": args.mask, "delay": args.delay, "noise": args.noise}
    args.task = described(args.task, given)
    folder = args.out or _folder(args, folder_name(args.task))
    provenance = {"command": command_line(args)}
    with TrainingDisplay(args.task) as watch:
        if args.resume:
            outcome = resume(folder, watch=watch, provenance=provenance, pricing=price)
        else:
            wanted, start = _wanted(args)
            outcome = train(
                wanted,
                seed=args.seed,
                folder=folder,
                overwrite=args.overwrite,
                watch=watch,
                provenance=provenance,
                pricing=price,
                start=start,
            )
    if outcome.policies is None:
        note = f"interrupted and saved; go on with: {command_line(args)} --resume"
        print(note, file=sys.stderr)
        return Result({"finished": False, "folder": str(folder)}, "", INTERRUPTED)
    save(outcome.policies.fine_tuned, folder / "model.grsn")
    save(outcome.policies.post_training, folder / "model-post-training.grsn")
    return _told(outcome, folder)


def _folder(args: argparse.Namespace, task: str) -> Path:
    """Where a run goes that does not say: beside the run that it begins from, if there is one."""
    if args.start is None:
        by = "" if args.algorithm == "ppo" else f"-{args.algorithm}"
        return Path("out") / f"{task}-{args.network}{by}-{args.seed}"
    options = {
        "w": args.weights,
        "": args.coefficients,
        "pruned": args.prune,
        "to": args.prune_to,
        "budget-": args.budget and args.budget.replace("@", "-"),
        "rate": args.spike_rate,
    }
    given = [f"{name}{value}" for name, value in options.items() if value is not None]
    return Path("-".join([str(args.start), *(given or ["again"])]))


def _wanted(args: argparse.Namespace) -> tuple[Recipe, Tensors | None]:
    """The recipe, and the parameters of the run to begin from, if there is one."""
    from grsn_edge.profiling.price import check_budget
    from grsn_edge.training.budget import parse_budget
    from grsn_edge.training.recipes import recipe
    from grsn_edge.training.runs import derived

    names = ("spike_rate", "weights", "coefficients", "prune", "prune_to", "budget")
    changes = {name: getattr(args, name) for name in names}
    if args.start is None:
        fresh = ("algorithm", "hidden", "updates", "teacher", "log")
        changes |= {name: getattr(args, name) for name in fresh}
        changes["stop_agreement"] = args.agreement
    changed = {name: value for name, value in changes.items() if value is not None}
    if args.budget is not None:
        check_budget(parse_budget(args.budget))
    if args.start is None:
        return recipe(args.task, args.network, **changed), None
    fixed = {name: getattr(args, name) for name in ("hidden", "updates", "teacher", "log")}
    fixed |= {"agreement": args.agreement}
    named = [f"--{name}" for name, value in fixed.items() if value is not None]
    if named or (args.network, args.algorithm) != ("grsn", "ppo"):
        also = ", ".join(named) or "--network or --algorithm"
        raise UsageError(f"with --from, the run that was begun decides; leave {also} out")
    wanted, start = derived(args.start, **changed)
    if wanted.task != args.task:
        raise UsageError(f"'{args.start}' is a run of {wanted.task}, not of {args.task}")
    return wanted, start


def _told(outcome: Outcome, folder: Path) -> Result:
    """What a finished run reached and cost."""
    results = {name: e.config() for name, e in outcome.results.items()}
    rows = [("on fresh episodes", "return", "sd", "spikes per neuron and step")]
    rows += [
        (name, f"{e.mean:.1f}", f"{e.std:.1f}", f"{100 * e.rate:.1f} %")
        for name, e in outcome.results.items()
    ]
    data: dict[str, Any] = {
        "finished": True,
        "model": str(folder / "model.grsn"),
        "results": results,
    }
    lines = [columns(rows), ""]
    before, after = outcome.sizes
    if before != after:
        data["pruned"] = {"before": before, "after": after}
        hidden = f"{before[:-1]} to {after[:-1]}".replace("[", "").replace("]", "")
        lines.append(f"neurons: {hidden}")
    if outcome.budget is not None:
        budget, cost = outcome.budget
        data |= {
            "budget": str(budget),
            "budget_met": outcome.budget_met,
            "step": cost.config(),
        }
        verdict = "met" if outcome.budget_met else "NOT MET"
        lines.append(
            f"budget {budget}: {verdict}: {cost.mean:,.0f} a step, mean of {cost.steps:,} "
            f"({cost.counted}), {100 * cost.rate:.1f} % spikes"
        )
    lines.append(f"frozen policy: {folder / 'model.grsn'}")
    return Result(data, "\n".join(lines))


def command_line(args: argparse.Namespace) -> str:
    """The command that repeats this run."""
    named = shlex.quote(args.task)
    network = "" if args.start else f" --network {args.network}"
    parts = [f"grsn-edge train {named}{network} --seed {args.seed}"]
    parts += [f"--algorithm {args.algorithm}"] if args.algorithm != "ppo" else []
    parts += [f"--hidden {args.hidden}"] if args.hidden else []
    parts += [f"--updates {args.updates}"] if args.updates else []
    parts += [f"--spike-rate {args.spike_rate}"] if args.spike_rate else []
    parts += [f"--teacher {shlex.quote(args.teacher)}"] if args.teacher else []
    parts += [f"--log {shlex.quote(args.log)}"] if args.log else []
    parts += [f"--agreement {args.agreement:g}"] if args.agreement is not None else []
    parts += [f"--weights {args.weights}"] if args.weights else []
    parts += [f"--coefficients {args.coefficients}"] if args.coefficients else []
    parts += [f"--prune {args.prune:g}"] if args.prune is not None else []
    parts += [f"--prune-to {args.prune_to}"] if args.prune_to is not None else []
    parts += [f"--budget {args.budget}"] if args.budget else []
    parts += [f"--from {shlex.quote(str(args.start))}"] if args.start else []
    parts += [f"--out {args.out}"] if args.out else []
    return " ".join(parts)
