"""The README's first command: train, freeze, check, play, and show it."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.backends import backend, backend_names
from grsn_edge.conformance import Report, compare
from grsn_edge.errors import GrsnEdgeError
from grsn_edge.policy import Policy, save
from grsn_edge.profiling.latency import cost_fit
from grsn_edge.profiling.replay import replay
from grsn_edge.profiling.run import play_episode
from grsn_edge.profiling.sources import TaskSource
from grsn_edge.profiling.targets import open_target
from grsn_edge.report import CurvePoint, OnBoard, ReportData, write
from grsn_edge.runtime import StreamingPolicy, default_backend, play_episodes
from grsn_edge.tasks import Task, task
from grsn_edge.tasks.environments import make_environment
from grsn_edge.training.pipeline import CHECKPOINT, Outcome, resume, train
from grsn_edge.training.progress import Watcher
from grsn_edge.training.recipes import Recipe, recipe
from grsn_edge.training.runs import float_play

__all__ = ["Demo", "Interrupted", "run_demo"]

TASK, SPIKE_RATE = "cartpole-p", 0.05
BOARD = "m4"
EPISODES, CHECK_STEPS = 100, 100_000
_PLAY_SEED = 10_000

Say = Callable[[str], None]
Display = Callable[[str], AbstractContextManager[Watcher]]


class Interrupted(GrsnEdgeError):
    """Ctrl-C during training; the same command goes on."""


@dataclass(frozen=True, eq=False)
class Demo:
    """What the demo made: figures as JSON values, and the paths of its files."""

    figures: Mapping[str, Any]
    model: Path
    report: Path


def run_demo(out: Path, seed: int, say: Say, display: Display, command: str) -> Demo:
    """Train GRSN on position-only CartPole and write ``model.grsn`` and ``report.html``.

    Goes on with an interrupted run in ``out``; a finished one is used as it is.

    Args:
        out: folder for everything.
        seed: of training.
        say: told what is being done.
        display: makes a watcher of a training run, from its title.
        command: for the provenance.

    Raises:
        Interrupted: training was interrupted and is saved.
        GrsnEdgeError: backends disagree, or anything else went wrong.
    """
    began = time.monotonic()
    say(f"train a spiking policy on {TASK}: gymnasium's CartPole, positions only, no velocities")
    quiet = recipe(TASK, "grsn", spike_rate=SPIKE_RATE)
    spiking = _trained(quiet, seed, out / "run", display, command)
    say("train an int8 MLP on the last four observations, to compare with")
    dense = _trained(recipe(TASK, "mlp"), seed, out / "run-mlp", display, command)
    assert spiking.policies is not None
    assert dense.policies is not None
    policy, quantised, mlp = (
        spiking.policies.fine_tuned,
        spiking.policies.post_training,
        dense.policies.fine_tuned,
    )
    model = out / "model.grsn"
    save(policy, model)
    say(f"frozen to integers: {model} ({model.stat().st_size:,} bytes)")

    equality = _check(policy, say)
    fast = default_backend()
    say(f"play {EPISODES} fresh episodes in gymnasium, step by step, through backend '{fast}'")
    returns = {
        "float": float_play(out / "run", EPISODES, _PLAY_SEED).returns,
        "int8, post-training": _play(quantised, fast).returns,
        "int8, fine-tuned": (played := _play(policy, fast)).returns,
    }
    beside = _play(mlp, fast)
    data = ReportData(
        policy=policy,
        task=TASK,
        curve=tuple(CurvePoint(e.env_steps, e.mean, e.rate, e.phase) for e in spiking.evaluations),
        returns=returns,
        observations=played.observations,
        equality=equality,
        baseline=mlp,
        baseline_returns=beside.returns,
        machine=_machine(command),
        on_board=(board := _on_board(policy, say)),
    )
    report = out / "report.html"
    write(data, report)
    figures = {
        "return_int8": float(played.returns.mean()),
        "return_float": float(returns["float"].mean()),
        "return_mlp_int8": float(beside.returns.mean()),
        "firing_rate": spiking.results["tune"].rate,
        "backends": sorted(equality.hashes),
        "compared_steps": equality.steps,
        "differences": int(not equality.equal),
        "model_bytes": model.stat().st_size,
        "board": None if board is None else asdict(board),
        "seconds": round(time.monotonic() - began, 1),
        "model": str(model),
        "report": str(report),
    }
    return Demo(figures, model, report)


def _trained(wanted: Recipe, seed: int, folder: Path, display: Display, command: str) -> Outcome:
    """A finished run: from the start, or from where it was interrupted."""
    provenance = {"command": command}
    with display(wanted.network.cells[0].kind if wanted.spike_rate else "mlp") as watch:
        if (folder / CHECKPOINT).exists():
            outcome = resume(folder, watch=watch, provenance=provenance)
        else:
            outcome = train(wanted, seed=seed, folder=folder, watch=watch, provenance=provenance)
    if not outcome.finished:
        raise Interrupted(f"interrupted; saved in '{folder}'; the same command goes on")
    return outcome


def _check(policy: Policy, say: Say) -> Report:
    """Every usable backend against the reference, on random and extreme states."""
    others = [n for n in backend_names() if n != "numpy" and backend(n).unavailable() is None]
    names = ["numpy", *others]
    report = compare(policy.program, names, steps=CHECK_STEPS, streams=256)
    if report.difference:
        raise GrsnEdgeError(f"backends disagree: {report.difference}")
    say(f"{report.steps:,} random steps on {', '.join(names)}: every integer equal")
    return report


@dataclass(frozen=True, eq=False)
class _Played:
    returns: npt.NDArray[np.float64]
    observations: npt.NDArray[np.float32]


def _play(policy: Policy, name: str) -> _Played:
    """Returns of fresh episodes in gymnasium, and what the policy saw in the first of them."""
    chosen: Task = task(TASK)
    seen: list[Any] = []
    with StreamingPolicy(policy, name) as running:
        episodes = list(
            play_episodes(
                running,
                make_environment(chosen.name),
                EPISODES,
                _PLAY_SEED,
                chosen.max_steps,
                lambda observation, _: seen.append(observation),
            )
        )
    returns = np.array([episode.ret for episode in episodes])
    return _Played(returns, np.array(seen[: episodes[0].steps], dtype=np.float32))


def _on_board(policy: Policy, say: Say) -> OnBoard | None:
    """An episode through the link of an emulated Cortex-M4; None where it cannot be emulated."""
    from grsn_edge.device.boards import board
    from grsn_edge.device.emulate import missing

    reason = missing(BOARD)
    if reason is not None:
        say(f"no emulated {BOARD} here: {reason}")
        return None
    say(f"send it to an emulated {board(BOARD).title}, and play an episode through the link")
    with open_target(BOARD, policy) as target:
        played = play_episode(target, TaskSource(TASK, _PLAY_SEED))
    rows = played.rows
    found = replay(policy, played.observations, [row.episode for row in rows], played.actions)
    counts = played.costs(target.unit)
    if found.differs is not None or counts is None:
        raise GrsnEdgeError(f"the emulated {BOARD} differs from the reference at {found.differs}")
    fit = cost_fit(found.counts, counts)
    return OnBoard(
        board=f"{board(BOARD).title} ({board(BOARD).cpu})",
        emulator=target.details.get("emulator"),
        counter=target.unit,
        episodes=1,
        steps=len(rows),
        ret=float(sum(row.reward or 0.0 for row in rows)),
        differs=found.differs,
        mean=float(counts.mean()),
        most=int(counts.max()),
        silent=None if fit is None else fit.base,
        per_spike=None if fit is None else fit.per_spike,
    )


def _machine(command: str) -> dict[str, str]:
    packages = {name: version(name) for name in ("grsn-edge", "numpy", "torch", "gymnasium")}
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "command": command,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        **packages,
    }
