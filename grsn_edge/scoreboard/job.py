"""One job from its recipe to its result: train, freeze, play, price."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from grsn_edge.errors import UsageError
from grsn_edge.policy import OBSERVATION, Policy, load, save, write_atomically
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.profiling.replay import spiking_values
from grsn_edge.program import evaluate
from grsn_edge.scoreboard.games import Game, Played, game
from grsn_edge.scoreboard.price import PRICED_EPISODES, price
from grsn_edge.scoreboard.store import (
    MODEL,
    RUN,
    claimed,
    job_folder,
    job_key,
    learning_version,
    pricing_version,
    read,
    write,
)
from grsn_edge.scoreboard.suites import Job, is_team
from grsn_edge.teams.recipes import TeamRecipe
from grsn_edge.training.pipeline import Outcome
from grsn_edge.training.progress import Progress
from grsn_edge.training.recipes import Recipe

__all__ = ["FIRST_EPISODE", "Result", "Tell", "activity_of", "run_job"]

FIRST_EPISODE = 10_000
"""Seed of the first episode that is played for the table: no training sees it."""

Result = dict[str, Any]
Tell = Callable[[str, float], None]
"""Called with what is being done and the seconds that are left of it; raising
:class:`KeyboardInterrupt` saves and ends the job."""


def run_job(
    job: Job, out: Path, tell: Tell = lambda doing, left: None, key: str | None = None
) -> Result | None:
    """Do what is still to be done of a job, and write its result.

    A finished one is only read; an interrupted training goes on from its checkpoint; a policy
    whose price was found by other sources is priced again.

    Args:
        job: what to do.
        out: folder of all jobs.
        tell: watches.
        key: the job's, where it was given out; None: whatever it is here.

    Returns:
        The result; None where ``tell`` or Ctrl-C interrupted the training, which is saved.

    Raises:
        UsageError: the job has another key here, since the sources are not those that gave it out;
            or another process works at it.
        GrsnEdgeError: training, freezing, playing or pricing failed.
    """
    if key is not None and job_key(job) != key:
        raise UsageError(
            "the sources of grsn_edge, or its packages, are not those that the suite was begun "
            "with; begin it again, from a copy that nobody changes, with the same on every machine"
        )
    folder = job_folder(out, job)
    with claimed(folder):
        return _result(job, folder, tell)


def _result(job: Job, folder: Path, tell: Tell) -> Result | None:
    chosen, result = game(job.task), read(folder)
    if result is None:
        result = _learned(job, chosen, folder, tell)
        if result is not None:
            write(folder, result)
    if result is not None and result["price"].get("version") != pricing_version():
        tell("count instructions", 0.0)
        policy = load(folder / MODEL)
        seen = chosen.play(policy, min(job.episodes, PRICED_EPISODES), FIRST_EPISODE).seen
        found = price(policy, seen, result["play"]["activity"], chosen.period_s)
        result["price"] = {"version": pricing_version(), **found}
        write(folder, result)
    return result


def _learned(job: Job, chosen: Game, folder: Path, tell: Tell) -> Result | None:
    """Everything but the price."""
    spent = _Spent(folder / "seconds.json")
    outcome = _trained(job, chosen, folder / RUN, tell, spent)
    if outcome.policies is None:
        return None
    tell(f"play {job.episodes} episodes", 0.0)
    save(outcome.policies.fine_tuned, folder / MODEL)
    floats = chosen.floats(folder / RUN, job.episodes, FIRST_EPISODE)
    policy = outcome.policies.fine_tuned
    played = chosen.play(policy, job.episodes, FIRST_EPISODE)
    recipe = job.recipe()
    return {
        "key": job_key(job),
        "version": learning_version(is_team(job.task)),
        "job": {"task": job.task, "network": job.network, "seed": job.seed},
        "training": {
            "recipe": recipe.config(),
            "parameters": _parameters(recipe),
            "env_steps": outcome.env_steps,
            "cpu_s": spent.seconds(),
            "phases": {name: e.config() for name, e in outcome.results.items()},
        },
        "play": {"float": floats.tolist(), **_summary(policy, played)},
        "price": {},
        "machine": _machine(),
    }


def _trained(job: Job, chosen: Game, folder: Path, tell: Tell, spent: _Spent) -> Outcome:
    """The run, from the start or from where it stopped."""

    def watch(progress: Progress) -> None:
        if progress.evaluation is not None:
            spent.keep()
        tell(_NAMES.get(progress.phase, progress.phase), progress.remaining_s)

    folder.mkdir(parents=True, exist_ok=True)
    outcome = chosen.train(job, folder, watch, {"command": f"grsn-edge scoreboard: {job.title}"})
    spent.keep()
    return outcome


_NAMES = {"float": "learn in float", "quieten": "quieten the spikes", "tune": "tune in integers"}


class _Spent:
    """CPU seconds of a job over all its processes, also of those that were killed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = float(json.loads(path.read_text())) if path.is_file() else 0.0
        self._began = _cpu_s()

    def seconds(self) -> float:
        """Until now."""
        return self._before + _cpu_s() - self._began

    def keep(self) -> None:
        """Write them down."""
        write_atomically(self._path, json.dumps(self.seconds()).encode())


def _cpu_s() -> float:
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _parameters(recipe: Recipe | TeamRecipe) -> int:
    """Trained numbers of the policy; the critic is not deployed."""
    rng = np.random.default_rng(0)
    return sum(np.size(v) for cell in recipe.network.cells for v in cell.init(rng).values())


# ---- playing -------------------------------------------------------------------------------------


def _summary(policy: Policy, played: Played) -> Result:
    """Returns, and what fired in exactly those steps."""
    activity = activity_of(policy, played.seen)
    neurons = {name: policy.program[name].n for name in activity}
    fired = sum(share * neurons[name] for name, share in activity.items())
    return {
        "backend": played.backend,
        "first_episode": FIRST_EPISODE,
        "int8": list(played.returns),
        "steps": sum(map(len, played.seen)),
        "activity": activity,
        "neurons": sum(neurons.values()),
        "rate": fired / sum(neurons.values()) if neurons else None,
    }


def activity_of(policy: Policy, seen: Sequence[FloatArray]) -> dict[str, float]:
    """Mean spikes per neuron and step of each spiking value, over all steps of all sequences.

    Args:
        policy: frozen; the reference runs it.
        seen: observations ``(steps, n)``, each from a reset.
    """
    names = spiking_values(policy.program)
    if not names:
        return {}
    lengths = np.array([len(one) for one in seen])
    codes = policy.encoder.encode(np.concatenate(seen))
    first = np.cumsum(lengths) - lengths
    state = policy.program.initial_state((len(lengths),))
    fired = dict.fromkeys(names, 0.0)
    for step in range(int(lengths.max())):
        running = lengths > step
        at = np.where(running, first + step, first)
        values = evaluate(policy.program, {OBSERVATION: codes[at]}, state)
        state = {name: values[node] for name, node in policy.program.nexts.items()}
        for name in names:
            fired[name] += float(values[name][running].mean(axis=1).sum())
    return {name: total / int(lengths.sum()) for name, total in fired.items()}


def _machine() -> dict[str, str]:
    packages = {name: version(name) for name in ("grsn-edge", "numpy", "torch", "gymnasium")}
    return {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        **packages,
    }
