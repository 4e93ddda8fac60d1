"""Checkpoints of a team's run: the session and its replay in one safetensors file; no pickle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grsn_edge.errors import CheckpointError, GrsnEdgeError
from grsn_edge.teams.recipes import TeamRecipe
from grsn_edge.teams.session import TeamEvaluation, TeamSession
from grsn_edge.training.archive import (
    Arrays,
    numbers,
    read_archive,
    tagged,
    tensors,
    under,
    write_archive,
)
from grsn_edge.training.phases import Best

__all__ = ["load_team_session", "save_team_session"]

_KEY, _VERSION = "grsn-edge-team-checkpoint", 1
_COUNTERS = ("phase", "update", "env_steps")


def save_team_session(session: TeamSession, path: str | os.PathLike[str]) -> None:
    """Write the session; on any failure the file that was there stays as it was.

    Raises:
        CheckpointError: the file cannot be written.
    """
    write_archive(path, _KEY, _arrays(session), _meta(session))


def load_team_session(path: str | os.PathLike[str]) -> TeamSession:
    """The session as it was saved: going on with it gives what never stopping would have given.

    Raises:
        CheckpointError: missing, damaged, or of another version.
        TaskError, TrainingError: a package that the task or the mixer needs is missing.
    """
    arrays, meta = read_archive(Path(path), _KEY, _VERSION)
    try:
        recipe, seed = TeamRecipe.from_config(meta["recipe"]), int(meta["seed"])
    except (KeyError, TypeError, ValueError, GrsnEdgeError) as error:
        raise _broken(path, error) from None
    session = TeamSession(recipe, seed)
    try:
        _restore(session, arrays, meta)
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError, GrsnEdgeError) as error:
        raise _broken(path, error) from None
    return session


def _broken(path: str | os.PathLike[str], error: Exception) -> CheckpointError:
    return CheckpointError(f"'{path}' is not a whole checkpoint: {error}")


def _arrays(session: TeamSession) -> Arrays:
    arrays = tagged("now", session.tensors()) | tagged("target", session.target_tensors())
    arrays |= tagged("best", session.best.tensors if session.best else {})
    arrays |= tagged("frozen", session.frozen)
    arrays |= {f"replay.{name}": array for name, array in session.replay.snapshot().items()}
    for i, plan in enumerate(session.plans):
        arrays |= {f"plan.{i}.{name}": value for name, value in plan.items()}
    for i, moments in session.learner.optimiser.state_dict()["state"].items():
        arrays |= tagged(f"adam.{i}", moments)
    return arrays


def _meta(session: TeamSession) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "recipe": session.recipe.config(),
        "seed": session.seed,
        "rng": session.rng.bit_generator.state,
        **{name: getattr(session, name) for name in _COUNTERS},
        "learned": session.learner.steps,
        "added": session.replay.added,
        "best": session.best.evaluation.config() if session.best else None,
        "evaluations": [e.config() for e in session.evaluations],
        "results": {name: e.config() for name, e in session.results.items()},
    }


def _restore(session: TeamSession, arrays: Arrays, meta: Mapping[str, Any]) -> None:
    session.frozen = tensors(arrays, "frozen")
    if session.frozen:
        cells = range(len(session.recipe.network.cells))
        session.plans = [under(arrays, f"plan.{i}") for i in cells]
        pair = (session.quantised(session.frozen) for _ in range(2))
        session.act_as(*pair)
    for name in _COUNTERS:
        setattr(session, name, type(getattr(session, name))(meta[name]))
    session.evaluations = [TeamEvaluation(**e) for e in meta["evaluations"]]
    session.results = {name: TeamEvaluation(**e) for name, e in meta["results"].items()}
    if meta["best"] is not None:
        session.best = Best(TeamEvaluation(**meta["best"]), tensors(arrays, "best"))
    session.load_tensors(tensors(arrays, "now"))
    session.load_target_tensors(tensors(arrays, "target"))
    session.replay.restore(under(arrays, "replay"), int(meta["added"]))
    session.learner.steps = int(meta["learned"])
    optimiser = session.learner.optimiser
    moments = {i: m for i in numbers(arrays, "adam.") if (m := tensors(arrays, f"adam.{i}"))}
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    session.rng.bit_generator.state = meta["rng"]
