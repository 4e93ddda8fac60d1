"""Checkpoints: a whole session in one safetensors file with JSON metadata; no pickle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from grsn_edge.errors import CheckpointError, GrsnEdgeError
from grsn_edge.training.archive import (
    Arrays,
    numbers,
    read_archive,
    tagged,
    tensors,
    under,
    write_archive,
)
from grsn_edge.training.budget import Pricing
from grsn_edge.training.phases import Best
from grsn_edge.training.progress import Evaluation
from grsn_edge.training.recipes import Recipe
from grsn_edge.training.session import Session
from grsn_edge.training.teacher import TeacherLike

__all__ = ["VERSION", "load_session", "save_session"]

VERSION = 1
_KEY = "grsn-edge-checkpoint"


def save_session(session: Session, path: str | os.PathLike[str]) -> None:
    """Write the session; on any failure the file that was there stays as it was.

    Raises:
        CheckpointError: the file cannot be written.
    """
    write_archive(path, _KEY, _arrays(session), _meta(session))


def load_session(path: str | os.PathLike[str], pricing: Pricing | None = None) -> Session:
    """The session as it was saved: going on with it gives what never stopping would have given.

    Args:
        path: of the file.
        pricing: counts what deployed steps cost, where the recipe has a budget.

    Raises:
        CheckpointError: missing, damaged, or of another version.
    """
    arrays, meta = read_archive(Path(path), _KEY, VERSION)
    try:
        return _restored(arrays, meta, pricing)
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError, GrsnEdgeError) as error:
        raise CheckpointError(f"'{path}' is not a whole checkpoint: {error}") from None


# ---- writing -------------------------------------------------------------------------------------


def _arrays(session: Session) -> Arrays:
    collector = session.collector
    arrays = tagged("now", session.tensors())
    arrays |= tagged("best", session.best.tensors if session.best else {})
    arrays |= tagged("frozen", session.frozen)
    arrays |= {f"env.{k}": v for k, v in collector.env.snapshot().items()}
    arrays |= {f"collector.{k}": getattr(collector, k) for k in _COLLECTED}
    if session.teacher is not None:
        arrays |= {f"teacher.{k}": v for k, v in session.teacher.snapshot().items()}
    for i, state in enumerate(collector.state):
        arrays |= tagged(f"state.{i}", state)
    for i, plan in enumerate(session.plans):
        arrays |= {f"plan.{i}.{k}": v for k, v in plan.items()}
    for i, moments in session.learner.optimiser.state_dict()["state"].items():
        arrays |= tagged(f"adam.{i}", moments)
    arrays |= {f"kept.{k}": v for k, v in collector.snapshot().items()}
    arrays |= {f"learner.{k}": v for k, v in session.learner.snapshot().items()}
    return arrays


_COLLECTED = ("observation", "keep", "returns")


def _meta(session: Session) -> dict[str, Any]:
    return {
        "version": VERSION,
        "recipe": session.recipe.config(),
        "seed": session.seed,
        "rng": session.rng.bit_generator.state,
        "teacher": session.teacher and session.teacher.digest,
        "sizes_before": session.sizes_before,
        **{name: getattr(session, name) for name in _COUNTERS},
        "best": session.best.evaluation.config() if session.best else None,
        "evaluations": [e.config() for e in session.evaluations],
        "results": {name: e.config() for name, e in session.results.items()},
    }


_COUNTERS = ("phase", "update", "env_steps", "penalty", "hold")


# ---- reading -------------------------------------------------------------------------------------


def _restored(arrays: Arrays, meta: Mapping[str, Any], pricing: Pricing | None) -> Session:
    session = Session(Recipe.from_config(meta["recipe"]), int(meta["seed"]), pricing)
    session.sizes_before = list(meta.get("sizes_before", session.sizes_before))
    if session.teacher is not None:
        _restore_teacher(session.teacher, arrays, meta)
    cells = len(session.recipe.network.cells)
    session.frozen = tensors(arrays, "frozen")
    if session.frozen:
        session.plans = [under(arrays, f"plan.{i}") for i in range(cells)]
        session.act_as(session.quantised(session.frozen))
    for name in _COUNTERS:
        setattr(session, name, type(getattr(session, name))(meta[name]))
    session.evaluations = [Evaluation(**e) for e in meta["evaluations"]]
    session.results = {name: Evaluation(**e) for name, e in meta["results"].items()}
    if meta["best"] is not None:
        session.best = Best(Evaluation(**meta["best"]), tensors(arrays, "best"))
    session.load_tensors(tensors(arrays, "now"))
    _restore_learning(session, arrays)
    session.rng.bit_generator.state = meta["rng"]
    return session


def _restore_teacher(teacher: TeacherLike, arrays: Arrays, meta: Mapping[str, Any]) -> None:
    if teacher.digest != meta["teacher"]:
        raise CheckpointError(
            "the teacher's or the log's file is not the one that the run began with"
        )
    teacher.restore(under(arrays, "teacher"))


def _restore_learning(session: Session, arrays: Arrays) -> None:
    collector, optimiser = session.collector, session.learner.optimiser
    collector.env.restore(under(arrays, "env"))
    for name in _COLLECTED:
        setattr(collector, name, arrays[f"collector.{name}"])
    count = len(session.recipe.network.cells)
    collector.state = [tensors(arrays, f"state.{i}") for i in range(count)]
    moments = {i: m for i in numbers(arrays, "adam.") if (m := tensors(arrays, f"adam.{i}"))}
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    collector.restore(under(arrays, "kept"))
    session.learner.restore(under(arrays, "learner"))
