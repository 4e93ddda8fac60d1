"""From a recipe and a seed to frozen policies; may be interrupted and gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.policy import Policy
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.training.budget import Budget, Cost, Pricing, parse_budget
from grsn_edge.training.checkpoint import load_session, save_session
from grsn_edge.training.evaluate import ActorAct, play
from grsn_edge.training.freeze import freeze
from grsn_edge.training.phases import DONE, Tensors
from grsn_edge.training.progress import Evaluation, Watcher
from grsn_edge.training.recipes import Recipe
from grsn_edge.training.session import PHASES, Session
from grsn_edge.training.surroundings import (
    CHECKPOINT,
    advance_to_end,
    facts,
    make_folder,
    one_thread,
)

__all__ = ["CHECKPOINT", "Outcome", "Policies", "policy_of", "resume", "train"]

_GOLDEN_SEED = 4_000_000


@dataclass(frozen=True, eq=False)
class Policies:
    """The frozen policies of a finished run: as quantised, and after fine-tuning in integers."""

    post_training: Policy
    fine_tuned: Policy


@dataclass(frozen=True, eq=False)
class Outcome:
    """Where a run stopped.

    Args:
        policies: of a finished run; None where it was interrupted.
        results: on fresh episodes, by ``float``, ``prune`` (as soon as neurons were taken out),
            ``quieten``, ``freeze`` (as quantised) and ``tune`` (after fine-tuning), as far as the
            run came.
        evaluations: all that were made on the way, in order.
        env_steps: environment steps taken.
        checkpoint: the file to go on from, or None where no folder was given.
        budget: of the recipe, and what a step of the fine-tuned policy costs; or None.
        sizes: of all layers, before and after neurons were taken out.
    """

    policies: Policies | None
    results: Mapping[str, Evaluation]
    evaluations: tuple[Evaluation, ...]
    env_steps: int
    checkpoint: Path | None
    budget: tuple[Budget, Cost] | None = None
    sizes: tuple[list[int], list[int]] = ([], [])

    @property
    def budget_met(self) -> bool | None:
        """Whether a mean step costs no more than the budget; None without one."""
        return None if self.budget is None else self.budget[1].mean <= self.budget[0].amount

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.policies is not None


def train(
    recipe: Recipe,
    *,
    seed: int = 0,
    folder: Path | None = None,
    overwrite: bool = False,
    watch: Watcher | None = None,
    provenance: Mapping[str, Any] | None = None,
    pricing: Pricing | None = None,
    start: Tensors | None = None,
) -> Outcome:
    """Train, freeze and fine-tune; the same recipe and seed give the same policies again.

    Ctrl-C ends the present update, saves and returns; a second one stops at once, and what was
    last saved stays.  Runs torch on one thread.

    Args:
        recipe: what to do.
        seed: of everything random.
        folder: for the checkpoint and TensorBoard's files; None saves nothing.
        overwrite: whether a checkpoint that is there may be replaced.
        watch: told of every update.
        provenance: JSON values to keep in the policies, such as the command.
        pricing: counts what deployed steps cost; needed where the recipe has a budget.
        start: take the first phase for done with these parameters of another run; see
            :func:`~grsn_edge.training.runs.derived`.

    Raises:
        TrainingError: the folder holds a checkpoint already, or nobody can count for the budget.
        FreezeError, RangeProofError: what was learned has no integer form.
    """
    if folder is not None:
        make_folder(folder, overwrite)
    with one_thread():
        session = Session(recipe, seed, pricing)
        if start is not None:
            session.begin_from(start)
        return _run(session, folder, watch, provenance or {})


def resume(
    folder: Path,
    *,
    watch: Watcher | None = None,
    provenance: Mapping[str, Any] | None = None,
    pricing: Pricing | None = None,
) -> Outcome:
    """Go on with an interrupted run, to the very policies that it would have reached.

    Args:
        folder: of the run, as given to :func:`train`.
        watch, provenance, pricing: as for :func:`train`.

    Raises:
        CheckpointError: no checkpoint there, or a damaged one.
    """
    with one_thread():
        session = load_session(folder / CHECKPOINT, pricing)
        return _run(session, folder, watch, provenance or {})


def _run(
    session: Session, folder: Path | None, watch: Watcher | None, provenance: Mapping[str, Any]
) -> Outcome:
    with closing(session):
        advance_to_end(session, PHASES, folder, watch, save_session)
    path = None if folder is None else folder / CHECKPOINT
    policies = _policies(session, provenance) if session.phase == DONE else None
    outcome = Outcome(
        policies,
        dict(session.results),
        tuple(session.evaluations),
        session.env_steps,
        path,
        sizes=(session.sizes_before, [layer.size for layer in session.recipe.network.cells]),
    )
    return outcome if policies is None else _counted(session, outcome, policies)


def _counted(session: Session, outcome: Outcome, policies: Policies) -> Outcome:
    """The outcome with the cost of a deployed step, if the recipe has a budget."""
    if session.recipe.budget is None:
        return outcome
    budget = parse_budget(session.recipe.budget)
    policy, deployment = policies.fine_tuned, session.deployment
    cost = deployment.count(policy, deployment.seen(session.actor), budget)
    outcome = replace(outcome, budget=(budget, cost))
    told = {"asked": str(budget), "met": outcome.budget_met, "step": cost.config()}
    policy = replace(policy, provenance={**policy.provenance, "budget": told})
    return replace(outcome, policies=replace(policies, fine_tuned=policy))


# ---- policies ------------------------------------------------------------------------------------


def _policies(session: Session, provenance: Mapping[str, Any]) -> Policies:
    tuned = session.best_actor()
    return Policies(
        policy_of(session, session.frozen, "post-training", provenance),
        policy_of(session, tuned, "fine-tuned", provenance),
    )


def policy_of(
    session: Session, tensors: Tensors, how: str, provenance: Mapping[str, Any]
) -> Policy:
    """The frozen policy of these parameters, with all that is known of the run.

    Args:
        session: in phase ``tune`` or done: its scales are fixed.
        tensors: the actor's parameters by name.
        how: ``post-training`` or ``fine-tuned``.
        provenance: further JSON values.
    """
    actor = session.quantised(tensors)
    observations = _trajectory(session)
    about = {**facts(session, how), **provenance}
    after = [layer.size for layer in session.recipe.network.cells]
    if after != session.sizes_before:
        about["pruned"] = {"before": session.sizes_before, "after": after}
    return freeze(actor, session.task, session.encoder, observations, about)


def _trajectory(session: Session) -> FloatArray:
    """What the fine-tuned policy sees in one fresh episode, float32 ``(steps, n)``."""
    seen: list[FloatArray] = []

    def watch(observation: FloatArray, running: npt.NDArray[np.bool_]) -> None:
        seen.append(observation[0].copy())

    act = ActorAct(session.actor, session.task, session.sense, 1)
    play(act, session.task, 1, _GOLDEN_SEED + session.seed, watch)
    return np.stack(seen)
