"""What can be made of a saved run, finished or not."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from grsn_edge.errors import UsageError
from grsn_edge.policy import Policy
from grsn_edge.training.actor import Actor
from grsn_edge.training.checkpoint import load_session
from grsn_edge.training.evaluate import ActorAct, Play, play
from grsn_edge.training.phases import Tensors
from grsn_edge.training.pipeline import CHECKPOINT, policy_of
from grsn_edge.training.recipes import Recipe, quantised_network
from grsn_edge.training.session import Session

__all__ = ["derived", "float_play", "freeze_run"]


def freeze_run(folder: Path, provenance: Mapping[str, Any] | None = None) -> Policy:
    """The best policy that a run holds: fine-tuned if it came so far, else as quantised now.

    The run itself is not changed.

    Args:
        folder: as given to :func:`~grsn_edge.training.pipeline.train`.
        provenance: JSON values to keep in the policy.

    Raises:
        CheckpointError: no checkpoint there, or a damaged one.
        FreezeError, RangeProofError: what was learned has no integer form.
    """
    with closing(load_session(folder / CHECKPOINT)) as session:
        if session.phase in ("float", "quieten"):
            _load_actor(session)
            session.begin_to_tune()
            return policy_of(session, session.frozen, "post-training", provenance or {})
        return policy_of(session, session.best_actor(), "fine-tuned", provenance or {})


def derived(folder: Path, **changes: Any) -> tuple[Recipe, Tensors]:
    """What a run has learned in floats, and its recipe with changes: to go on otherwise.

    Give both to :func:`~grsn_edge.training.pipeline.train`.  The second phase is left out where
    nothing in the changes needs it.

    Args:
        folder: of the run, finished or not.
        changes: fields of :class:`Recipe`, and ``weights`` and ``coefficients``, as for
            :func:`~grsn_edge.training.recipes.recipe`.

    Raises:
        CheckpointError: no checkpoint there, or a damaged one.
        UsageError: unknown field, or a value that cannot be.
    """
    with closing(load_session(folder / CHECKPOINT)) as session:
        found = session.tensors() if session.best is None else session.best.tensors
        floats = {f"actor.{name}": value for name, value in session.frozen.items()}
    options = {name: changes.pop(name, None) for name in ("weights", "coefficients")}
    network = quantised_network(session.recipe.network, **options)
    fresh: dict[str, Any] = {"prune": None, "prune_to": None, "budget": None}
    shifted = network != quantised_network(session.recipe.network, options["weights"])
    if not shifted and not {"spike_rate", *fresh} & set(changes):
        fresh["quieten_steps"] = 0
    try:
        return replace(session.recipe, network=network, **{**fresh, **changes}), {**found, **floats}
    except TypeError as error:
        raise UsageError(f"a recipe has no such field: {error}") from None


def float_play(folder: Path, episodes: int, seed: int) -> Play:
    """Greedy play of the float network that a finished run was frozen from.

    Raises:
        CheckpointError: no checkpoint there, or a damaged one.
    """
    session = load_session(folder / CHECKPOINT)
    actor = Actor(session.recipe.network, np.random.default_rng(0))
    actor.load_state_dict(dict(session.frozen))

    def sense(observation: Any) -> torch.Tensor:
        return torch.from_numpy(session.task.normalise(observation))

    with closing(session):
        return play(ActorAct(actor, session.task, sense, episodes), session.task, episodes, seed)


def _load_actor(session: Session) -> None:
    tensors = session.best_actor()
    with torch.no_grad():
        for name, value in session.actor.named_parameters():
            value.copy_(tensors[name])
