"""``team``: tasks for several agents: list them, train one policy for a team, play it."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grsn_edge.cli.main import INTERRUPTED
from grsn_edge.cli.result import Result, columns
from grsn_edge.errors import UsageError

if TYPE_CHECKING:
    from grsn_edge.teams.play import TeamPlay
    from grsn_edge.training.pipeline import Outcome

SUMMARY = "several agents, one policy: list tasks, train by QMIX and freeze, play frozen and float"
EXAMPLE = """grsn-edge team list
  grsn-edge team train battle --seed 0 --out out/battle
  grsn-edge team train battle --out out/battle --resume
  grsn-edge team freeze out/battle
  grsn-edge team eval out/battle/model.grsn --run out/battle --random"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    add = parser.add_argument
    add("action", choices=("list", "train", "freeze", "eval"), help="what to do")
    add("what", nargs="?", help="train: a task; freeze: a run's folder; eval: a .grsn file")
    add("--network", default="grsn", help="train: grsn (default), gru, lstm, lif, mlp, …")
    add("--hidden", type=int, help="train: neurons per layer (default 64)")
    add("--updates", type=int, help="train: length of the first phase (default: the recipe's)")
    add("--seed", type=int, default=0, help="decides all (default 0)")
    add("--out", type=Path, help="train: folder (default out/team-TASK-NETWORK-SEED); freeze: file")
    add("--resume", action="store_true", help="train: go on with the run in that folder")
    add("--overwrite", action="store_true", help="train: replace the run in that folder")
    add("--task", help="eval: default: the task that the policy was trained on")
    add("--run", type=Path, metavar="FOLDER", help="eval: play its float network beside")
    add("--random", action="store_true", help="eval: play random actions beside")
    add("--episodes", type=int, default=200, help="eval: default 200")
    add("--backend", default="auto", help="eval: auto (default), native, c, numpy, …")


def run(args: argparse.Namespace) -> Result:
    """One of the four."""
    if args.action == "list":
        return _list()
    if args.what is None:
        raise UsageError(f"team {args.action} what? see: grsn-edge team --help")
    return {"train": _train, "freeze": _freeze, "eval": _eval}[args.action](args)


def _list() -> Result:
    from grsn_edge.teams import team_task, team_task_names

    tasks = [team_task(name) for name in team_task_names()]
    data = [
        {
            "name": task.name,
            "summary": task.member.summary,
            "agents": task.layout.agents,
            "channels": task.layout.seen,
            "actions": task.layout.actions,
            "steps": task.member.max_steps,
            "missing": list(task.member.missing),
        }
        for task in tasks
    ]
    rows = [("task", "agents", "channels", "actions", "steps", "")]
    rows += [
        (
            str(one["name"]),
            str(one["agents"]),
            str(one["channels"]),
            str(one["actions"]),
            str(one["steps"]),
            f"{one['summary']}{_missing(one['missing'])}",
        )
        for one in data
    ]
    more = "and vmas:SCENARIO?agents=N&mask=I,J&steps=T, battle?agents=N&opponent=random"
    return Result({"tasks": data}, f"{columns(rows)}\n\n{more}")


def _missing(packages: Any) -> str:
    return f"  (pip install {' '.join(shlex.quote(p) for p in packages)})" if packages else ""


# ---- train ---------------------------------------------------------------------------------------


def _train(args: argparse.Namespace) -> Result:
    """Train with a progress bar; Ctrl-C saves."""
    from grsn_edge.policy import save
    from grsn_edge.tasks import folder_name

    folder = args.out or Path("out") / f"team-{folder_name(args.what)}-{args.network}-{args.seed}"
    outcome = _trained(args, folder)
    if outcome.policies is None:
        again = f"{command_line(args)} --resume"
        print(f"interrupted and saved; go on with: {again}", file=sys.stderr)
        return Result({"finished": False, "folder": str(folder)}, "", INTERRUPTED)
    save(outcome.policies.fine_tuned, folder / "model.grsn")
    save(outcome.policies.post_training, folder / "model-post-training.grsn")
    results = {name: e.config() for name, e in outcome.results.items()}
    rows = [("on fresh episodes", "return", "sd", "won", "spikes per neuron and step")]
    rows += [
        (name, f"{e['mean']:.2f}", f"{e['std']:.2f}", _percent(e["wins"]), _percent(e["rate"]))
        for name, e in results.items()
    ]
    data = {"finished": True, "model": str(folder / "model.grsn"), "results": results}
    return Result(data, f"{columns(rows)}\n\nfrozen policy: {folder / 'model.grsn'}")


def _trained(args: argparse.Namespace, folder: Path) -> Outcome:
    from grsn_edge.cli.progress import TrainingDisplay
    from grsn_edge.teams.pipeline import resume_team, train_team
    from grsn_edge.teams.recipes import team_recipe

    provenance = {"command": command_line(args)}
    with TrainingDisplay(args.what) as watch:
        if args.resume:
            return resume_team(folder, watch=watch, provenance=provenance)
        changes = {"hidden": args.hidden, "updates": args.updates}
        changed = {name: value for name, value in changes.items() if value is not None}
        return train_team(
            team_recipe(args.what, args.network, **changed),
            seed=args.seed,
            folder=folder,
            overwrite=args.overwrite,
            watch=watch,
            provenance=provenance,
        )


def command_line(args: argparse.Namespace) -> str:
    """The command that repeats this run."""
    named = shlex.quote(args.what)
    parts = [f"grsn-edge team train {named} --network {args.network} --seed {args.seed}"]
    parts += [f"--hidden {args.hidden}"] if args.hidden else []
    parts += [f"--updates {args.updates}"] if args.updates else []
    parts += [f"--out {args.out}"] if args.out else []
    return " ".join(parts)


# ---- freeze --------------------------------------------------------------------------------------


def _freeze(args: argparse.Namespace) -> Result:
    """The best policy of a run, finished or not."""
    from grsn_edge.policy import save
    from grsn_edge.teams.pipeline import freeze_team_run

    run, path = Path(args.what), args.out or Path(args.what) / "model.grsn"
    policy = freeze_team_run(run, {"command": f"grsn-edge team freeze {shlex.quote(args.what)}"})
    save(policy, path)
    how = str(policy.provenance["quantisation"])
    return Result({"model": str(path), "quantisation": how}, f"frozen policy ({how}): {path}")


# ---- eval ----------------------------------------------------------------------------------------


def _eval(args: argparse.Namespace) -> Result:
    """Frozen, and on the same starts float and random, where asked for."""
    from grsn_edge.policy import load
    from grsn_edge.teams import team_task
    from grsn_edge.teams.play import play_team

    if args.episodes < 2:
        raise UsageError(f"--episodes is at least 2, not {args.episodes}")
    policy = load(args.what)
    task = team_task(args.task or str(policy.provenance.get("task", "")))
    played = {}
    for name, make in _players(args, policy).items():
        with make() as act:
            played[name] = play_team(act, task, args.episodes, args.seed)
    data = {
        "task": task.name,
        "episodes": args.episodes,
        "seed": args.seed,
        **{name: _summary(one) for name, one in played.items()},
    }
    rows = [(f"{task.name}, {args.episodes} episodes", "return ± s.e.", "won ± s.e.", "steps")]
    for name, one in played.items():
        s = _summary(one)
        won = "" if one.won is None else f"{100 * s['won']:.1f} ± {100 * s['won_se']:.1f} %"
        text = f"{s['mean']:.2f} ± {s['standard_error']:.2f}"
        rows.append((name, text, won, f"{s['steps']:.1f}"))
    return Result(data, columns(rows))


def _players(args: argparse.Namespace, policy: Any) -> dict[str, Callable[[], Any]]:
    """What plays, by name; each gives a context manager around a team."""
    from grsn_edge.teams import TeamPolicy
    from grsn_edge.teams.policy import layout_of

    layout = layout_of(policy)
    players: dict[str, Callable[[], Any]] = {
        "frozen": lambda: TeamPolicy(policy, args.episodes, backend=args.backend)
    }
    if args.run is not None:
        players["float"] = lambda: _float(args.run, args.episodes)
    if args.random:
        players["random"] = lambda: _random(layout, args.seed)
    return players


@contextmanager
def _float(folder: Path, episodes: int) -> Iterator[Any]:
    from grsn_edge.teams.pipeline import float_team

    yield float_team(folder, episodes)


@contextmanager
def _random(layout: Any, seed: int) -> Iterator[Any]:
    from grsn_edge.teams.play import at_random

    yield at_random(layout, seed)


def _summary(played: TeamPlay) -> dict[str, Any]:
    n = len(played.returns)
    data: dict[str, Any] = {
        "mean": played.mean,
        "standard_error": float(played.returns.std(ddof=1) / np.sqrt(n)),
        "steps": float(played.lengths.mean()),
    }
    if played.win_rate is not None:
        p = played.win_rate
        data |= {"won": p, "won_se": math.sqrt(p * (1 - p) / n)}
    return data


def _percent(part: float | None) -> str:
    return "" if part is None else f"{100 * part:.1f} %"
