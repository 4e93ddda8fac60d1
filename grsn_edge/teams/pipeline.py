"""From a recipe and a seed to a team's frozen policies; may be interrupted and gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from grsn_edge.policy import Policy
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.teams.checkpoint import load_team_session, save_team_session
from grsn_edge.teams.play import TeamAct, acting, play_team
from grsn_edge.teams.policy import TEAM
from grsn_edge.teams.recipes import TeamRecipe
from grsn_edge.teams.session import PHASES, TeamSession
from grsn_edge.training.actor import Actor
from grsn_edge.training.evaluate import ActorAct
from grsn_edge.training.freeze import freeze
from grsn_edge.training.phases import DONE, Tensors
from grsn_edge.training.pipeline import Outcome, Policies
from grsn_edge.training.progress import Watcher
from grsn_edge.training.surroundings import (
    CHECKPOINT,
    advance_to_end,
    facts,
    make_folder,
    one_thread,
)

__all__ = ["float_team", "freeze_team_run", "resume_team", "team_policy", "train_team"]

_GOLDEN_SEED = 4_000_000


def train_team(
    recipe: TeamRecipe,
    *,
    seed: int = 0,
    folder: Path | None = None,
    overwrite: bool = False,
    watch: Watcher | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Outcome:
    """Train, freeze and fine-tune; the same recipe and seed give the same policies again.

    Arguments, Ctrl-C and errors are as in :func:`grsn_edge.training.pipeline.train`.

    Raises:
        TaskError, TrainingError: a package is missing, or the folder holds another run.
        FreezeError, RangeProofError: what was learned has no integer form.
    """
    if folder is not None:
        make_folder(folder, overwrite)
    with one_thread():
        return _run(TeamSession(recipe, seed), folder, watch, provenance or {})


def resume_team(
    folder: Path,
    *,
    watch: Watcher | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Outcome:
    """Go on with an interrupted run, to the very policies that it would have reached.

    Raises:
        CheckpointError: no checkpoint there, or a damaged one.
    """
    with one_thread():
        return _run(load_team_session(folder / CHECKPOINT), folder, watch, provenance or {})


def freeze_team_run(folder: Path, provenance: Mapping[str, Any] | None = None) -> Policy:
    """The best policy that a run holds: fine-tuned if it came so far, else as quantised now.

    The run itself is not changed.

    Raises:
        CheckpointError: no checkpoint there, or a damaged one.
        FreezeError, RangeProofError: what was learned has no integer form.
    """
    with one_thread():
        session = load_team_session(folder / CHECKPOINT)
        if session.phase != "float":
            return team_policy(session, session.best_actor(), "fine-tuned", provenance or {})
        if session.best is not None:
            session.load_tensors(session.best.tensors)
        session.begin_to_tune()
        return team_policy(session, session.frozen, "post-training", provenance or {})


def float_team(folder: Path, episodes: int) -> TeamAct:
    """The float network that a run is frozen from, as a team in ``episodes`` worlds.

    Raises:
        CheckpointError: no checkpoint there, or a damaged one.
    """
    session = load_team_session(folder / CHECKPOINT)
    actor = Actor(session.recipe.network, np.random.default_rng(0))
    tensors = session.frozen or session.best_actor()
    actor.load_state_dict(dict(tensors))
    session.frozen = {}  # a float network sees unquantised observations
    layout = session.task.layout
    act = ActorAct(actor, session.task.member, session.sense, episodes * layout.agents)
    return acting(act, layout)


def team_policy(
    session: TeamSession, tensors: Tensors, how: str, provenance: Mapping[str, Any]
) -> Policy:
    """The frozen policy of these parameters of the agents, with all that is known of the run.

    Args:
        session: in phase ``tune`` or done: its scales are fixed.
        tensors: the actor's parameters by name.
        how: ``post-training`` or ``fine-tuned``.
        provenance: further JSON values.
    """
    about = {TEAM: asdict(session.task.layout), **facts(session, how), **provenance}
    actor, seen = session.quantised(tensors), _trajectory(session)
    return freeze(actor, session.task.member, session.encoder, seen, about)


def _run(
    session: TeamSession, folder: Path | None, watch: Watcher | None, provenance: Mapping[str, Any]
) -> Outcome:
    advance_to_end(session, PHASES, folder, watch, save_team_session)
    policies = None
    if session.phase == DONE:
        policies = Policies(
            team_policy(session, session.frozen, "post-training", provenance),
            team_policy(session, session.best_actor(), "fine-tuned", provenance),
        )
    path = None if folder is None else folder / CHECKPOINT
    evaluations = tuple(session.evaluations)
    return Outcome(policies, dict(session.results), evaluations, session.env_steps, path)


def _trajectory(session: TeamSession) -> FloatArray:
    """What the first agent's policy is given in one fresh episode, float32 ``(steps, n)``."""
    layout, seen = session.task.layout, []
    act = ActorAct(session.actor, session.task.member, session.sense, layout.agents)

    def noting(inputs: FloatArray) -> Any:
        seen.append(inputs[0].copy())
        return act(inputs)

    play_team(acting(noting, layout), session.task, 1, _GOLDEN_SEED + session.seed)
    return np.stack(seen)
