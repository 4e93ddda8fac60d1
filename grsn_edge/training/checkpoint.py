"""Checkpoints: a whole session in one safetensors file with JSON metadata; no pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor

from grsn_edge.errors import CheckpointError, GrsnEdgeError
from grsn_edge.policy import write_atomically
from grsn_edge.training.progress import Evaluation
from grsn_edge.training.recipes import Recipe
from grsn_edge.training.session import Best, Session
from grsn_edge.training.teacher import Teacher

__all__ = ["VERSION", "load_session", "save_session"]

VERSION = 1
_KEY = "grsn-edge-checkpoint"

Arrays = dict[str, npt.NDArray[Any]]


def save_session(session: Session, path: str | os.PathLike[str]) -> None:
    """Write the session; on any failure the file that was there stays as it was.

    Raises:
        CheckpointError: the file cannot be written.
    """
    data = save(_arrays(session), {_KEY: json.dumps(_meta(session))})
    try:
        write_atomically(path, data)
    except OSError as error:
        raise CheckpointError(f"cannot write the checkpoint '{path}': {error}") from None


def load_session(path: str | os.PathLike[str]) -> Session:
    """The session as it was saved: going on with it gives what never stopping would have given.

    Raises:
        CheckpointError: missing, damaged, or of another version.
    """
    arrays, meta = _read(Path(path))
    try:
        return _restored(arrays, meta)
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError, GrsnEdgeError) as error:
        raise CheckpointError(f"'{path}' is not a whole checkpoint: {error}") from None


# ---- writing -------------------------------------------------------------------------------------


def _arrays(session: Session) -> Arrays:
    collector = session.collector
    arrays = _tagged("now", session.tensors())
    arrays |= _tagged("best", session.best.tensors if session.best else {})
    arrays |= _tagged("frozen", session.frozen)
    arrays |= {f"env.{k}": v for k, v in collector.env.snapshot().items()}
    arrays |= {f"collector.{k}": getattr(collector, k) for k in _COLLECTED}
    if session.teacher is not None:
        arrays |= {f"teacher.{k}": v for k, v in session.teacher.snapshot().items()}
    for i, state in enumerate(collector.state):
        arrays |= _tagged(f"state.{i}", state)
    for i, plan in enumerate(session.plans):
        arrays |= {f"plan.{i}.{k}": v for k, v in plan.items()}
    for i, moments in session.learner.optimiser.state_dict()["state"].items():
        arrays |= _tagged(f"adam.{i}", moments)
    return {name: np.asarray(value, order="C") for name, value in arrays.items()}


_COLLECTED = ("observation", "keep", "returns")


def _meta(session: Session) -> dict[str, Any]:
    return {
        "version": VERSION,
        "recipe": session.recipe.config(),
        "seed": session.seed,
        "rng": session.rng.bit_generator.state,
        "teacher": session.teacher and session.teacher.digest,
        **{name: getattr(session, name) for name in _COUNTERS},
        "best": session.best.evaluation.config() if session.best else None,
        "evaluations": [e.config() for e in session.evaluations],
        "results": {name: e.config() for name, e in session.results.items()},
    }


_COUNTERS = ("phase", "update", "env_steps", "penalty", "hold")


def _tagged(prefix: str, tensors: Mapping[str, Tensor]) -> Arrays:
    return {f"{prefix}.{name}": t.detach().cpu().numpy() for name, t in tensors.items()}


# ---- reading -------------------------------------------------------------------------------------


def _read(path: Path) -> tuple[Arrays, dict[str, Any]]:
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint '{path}'")
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            meta = json.loads((file.metadata() or {})[_KEY])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise CheckpointError(f"'{path}' is damaged or not a checkpoint: {error}") from None
    if not isinstance(meta, dict) or meta.get("version") != VERSION:
        raise CheckpointError(f"'{path}' is not a checkpoint of version {VERSION}")
    return arrays, meta


def _restored(arrays: Arrays, meta: Mapping[str, Any]) -> Session:
    session = Session(Recipe.from_config(meta["recipe"]), int(meta["seed"]))
    if session.teacher is not None:
        _restore_teacher(session.teacher, arrays, meta)
    cells = len(session.recipe.network.cells)
    session.frozen = _tensors(arrays, "frozen")
    if session.frozen:
        session.plans = [_under(arrays, f"plan.{i}") for i in range(cells)]
        session.act_as(session.quantised(session.frozen))
    for name in _COUNTERS:
        setattr(session, name, type(getattr(session, name))(meta[name]))
    session.evaluations = [Evaluation(**e) for e in meta["evaluations"]]
    session.results = {name: Evaluation(**e) for name, e in meta["results"].items()}
    if meta["best"] is not None:
        session.best = Best(Evaluation(**meta["best"]), _tensors(arrays, "best"))
    session.load_tensors(_tensors(arrays, "now"))
    _restore_learning(session, arrays)
    session.rng.bit_generator.state = meta["rng"]
    return session


def _restore_teacher(teacher: Teacher, arrays: Arrays, meta: Mapping[str, Any]) -> None:
    if teacher.digest != meta["teacher"]:
        raise CheckpointError("the teacher's file is not the one that the run began with")
    teacher.restore(_under(arrays, "teacher"))


def _restore_learning(session: Session, arrays: Arrays) -> None:
    collector, optimiser = session.collector, session.learner.optimiser
    collector.env.restore(_under(arrays, "env"))
    for name in _COLLECTED:
        setattr(collector, name, arrays[f"collector.{name}"])
    count = len(session.recipe.network.cells)
    collector.state = [_tensors(arrays, f"state.{i}") for i in range(count)]
    moments = {i: m for i in _numbers(arrays, "adam.") if (m := _tensors(arrays, f"adam.{i}"))}
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})


def _numbers(names: Iterable[str], prefix: str) -> list[int]:
    return sorted({int(n.split(".")[1]) for n in names if n.startswith(prefix)})


def _under(arrays: Arrays, prefix: str) -> Arrays:
    start = f"{prefix}."
    return {name[len(start) :]: v for name, v in arrays.items() if name.startswith(start)}


def _tensors(arrays: Arrays, prefix: str) -> dict[str, Tensor]:
    return {name: torch.from_numpy(v.copy()) for name, v in _under(arrays, prefix).items()}
