"""``train``: from a task to a frozen policy."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from grsn_edge.cli.main import INTERRUPTED
from grsn_edge.cli.result import Result, columns

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
    parser.add_argument("--out", type=Path, help="folder (default out/TASK-NETWORK-SEED)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in that folder")


def run(args: argparse.Namespace) -> Result:
    """Train with a progress bar; Ctrl-C saves."""
    from grsn_edge.cli.progress import TrainingDisplay
    from grsn_edge.policy import save
    from grsn_edge.tasks import described, folder_name
    from grsn_edge.training.pipeline import resume, train
    from grsn_edge.training.recipes import recipe

    given = {"mask": args.mask, "delay": args.delay, "noise": args.noise}
    args.task = described(args.task, given)
    folder = args.out or Path("out") / f"{folder_name(args.task)}-{args.network}-{args.seed}"
    provenance = {"command": command_line(args)}
    with TrainingDisplay(args.task) as watch:
        if args.resume:
            outcome = resume(folder, watch=watch, provenance=provenance)
        else:
            changes = {
                "algorithm": args.algorithm,
                "hidden": args.hidden,
                "spike_rate": args.spike_rate,
                "updates": args.updates,
                "teacher": args.teacher,
                "log": args.log,
                "stop_agreement": args.agreement,
            }
            changed = {name: value for name, value in changes.items() if value is not None}
            wanted = recipe(args.task, args.network, **changed)
            outcome = train(
                wanted,
                seed=args.seed,
                folder=folder,
                overwrite=args.overwrite,
                watch=watch,
                provenance=provenance,
            )
    if outcome.policies is None:
        note = f"interrupted and saved; go on with: {command_line(args)} --resume"
        print(note, file=sys.stderr)
        return Result({"finished": False, "folder": str(folder)}, "", INTERRUPTED)
    save(outcome.policies.fine_tuned, folder / "model.grsn")
    save(outcome.policies.post_training, folder / "model-post-training.grsn")
    results = {name: e.config() for name, e in outcome.results.items()}
    rows = [("on fresh episodes", "return", "sd", "spikes per neuron and step")]
    rows += [
        (name, f"{e.mean:.1f}", f"{e.std:.1f}", f"{100 * e.rate:.1f} %")
        for name, e in outcome.results.items()
    ]
    data = {"finished": True, "model": str(folder / "model.grsn"), "results": results}
    return Result(data, f"{columns(rows)}\n\nfrozen policy: {folder / 'model.grsn'}")


def command_line(args: argparse.Namespace) -> str:
    """The command that repeats this run."""
    named = shlex.quote(args.task)
    parts = [f"grsn-edge train {named} --network {args.network} --seed {args.seed}"]
    parts += [f"--algorithm {args.algorithm}"] if args.algorithm != "ppo" else []
    parts += [f"--hidden {args.hidden}"] if args.hidden else []
    parts += [f"--updates {args.updates}"] if args.updates else []
    parts += [f"--spike-rate {args.spike_rate}"] if args.spike_rate else []
    parts += [f"--teacher {shlex.quote(args.teacher)}"] if args.teacher else []
    parts += [f"--log {shlex.quote(args.log)}"] if args.log else []
    parts += [f"--agreement {args.agreement:g}"] if args.agreement is not None else []
    parts += [f"--out {args.out}"] if args.out else []
    return " ".join(parts)
