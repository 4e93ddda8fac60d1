"""A network made smaller after it has learned: by a share, to a size, or into a budget.

A step costs a base and something per spike, and a processor counts both exactly: so a budget is a
firing rate, and where even a quiet network is above it, fewer neurons.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from grsn_edge.errors import TrainingError, UsageError
from grsn_edge.neurons import Record, Signal
from grsn_edge.policy import Encoder, Network, Policy
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks import Task
from grsn_edge.training.actor import Actor, ActorLike
from grsn_edge.training.budget import Budget, Cost, Pricing, parse_budget
from grsn_edge.training.calibrate import record
from grsn_edge.training.evaluate import Act, ActorAct, play
from grsn_edge.training.freeze import freeze, plan_network
from grsn_edge.training.prune import prunable, pruned, sizes_after
from grsn_edge.training.quantised import QuantisedActor
from grsn_edge.training.recipes import Recipe

__all__ = ["Deployment", "fit_to_budget", "shrunk", "watched"]

_MARGIN = 0.97  # of the budget, to aim at
_QUIET = 0.1  # spikes per neuron and step that a network is trusted to come down to
_LEAST_RATE, _MOST_RATE = 0.005, 0.95
_DRIFT = 1.25  # how far a rate is trusted not to rise by itself in the phases that follow
_LANES = 4  # neurons are taken out down to a multiple of what kernels do at once

_PRICED_EPISODES = 2


@dataclass(frozen=True, eq=False)
class Deployment:
    """How an actor is frozen, and what its steps then cost.

    Args:
        task, encoder, signal: of the session.
        seed: of calibration and of the episodes that are priced.
        pricing: counts; None where no budget is given.
    """

    task: Task
    encoder: Encoder
    signal: Signal
    seed: int
    pricing: Pricing | None

    def records(self, actor: Actor) -> list[Record]:
        """What the cells of a float actor see and do."""
        return record(actor, self.task, seed=self.seed)

    def price(self, actor: Actor, budget: Budget) -> Cost:
        """Of a float actor, frozen as it is."""
        params = [dict(cell.named_parameters()) for cell in actor.cells]
        plans = plan_network(actor.network, params, self.signal, self.records(actor))
        deployed = QuantisedActor(actor.network, params, plans, self.signal)
        seen = self.seen(deployed)
        return self.count(freeze(deployed, self.task, self.encoder, seen[0], {}), seen, budget)

    def seen(self, actor: ActorLike) -> list[FloatArray]:
        """What a quantised actor sees in the episodes that are priced."""

        def sense(observation: FloatArray) -> torch.Tensor:
            return torch.from_numpy(self.encoder.encode(observation) * self.signal.scale)

        act = ActorAct(actor, self.task, sense, _PRICED_EPISODES)
        return watched(act, self.task, _PRICED_EPISODES, self.seed)

    def count(self, policy: Policy, seen: Sequence[FloatArray], budget: Budget) -> Cost:
        """Of a frozen policy; raises :class:`TrainingError` where nobody can count."""
        if self.pricing is None:
            raise TrainingError(
                f"the budget {budget} needs who counts: pass pricing=, such as "
                "grsn_edge.profiling.price.price"
            )
        return self.pricing(policy, seen, budget)


def shrunk(actor: Actor, recipe: Recipe, deployment: Deployment) -> tuple[Actor, float | None]:
    """The actor that goes on after the first phase, and the firing rate that it comes down to.

    Args:
        actor: as trained, in floats.
        recipe: what to take out, and the budget to meet.
        deployment: how it will be frozen.

    Raises:
        UsageError: neurons cannot be taken out, or none would be.
    """
    now, rate = actor, recipe.spike_rate
    if recipe.prune is not None or recipe.prune_to is not None:
        sizes = sizes_after(actor.network, recipe.prune, recipe.prune_to)
        now = pruned(actor, deployment.records(actor), sizes)
    if recipe.budget is None:
        return now, rate
    budget = parse_budget(recipe.budget)
    try:
        layers: Sequence[int] = prunable(now.network)
    except UsageError:
        layers = ()  # it can still become quieter
    cut = partial(pruned, now, deployment.records(now))
    price = partial(deployment.price, budget=budget)
    now, allowed = fit_to_budget(now, budget, price, cut, layers)
    rates = [one for one in (rate, allowed) if one is not None]
    return now, min(rates, default=None)


def fit_to_budget(
    actor: Actor,
    budget: Budget,
    price: Callable[[Actor], Cost],
    cut: Callable[[dict[int, int]], Actor],
    layers: Sequence[int],
) -> tuple[Actor, float | None]:
    """The actor, or a smaller one, that can meet the budget; and the firing rate to come down to.

    Neurons are taken out until a step of a quiet network fits.  Where not even four neurons a layer
    do, four it is, and the budget will be missed.

    Args:
        actor: as trained, in floats.
        budget: to be met.
        price: of an actor, frozen.
        cut: the first actor with so many neurons, by layer.
        layers: that can lose neurons.

    Returns:
        The rate is None where nothing spikes, or where it is far below what the budget allows.
    """
    goal, now = _MARGIN * budget.amount, actor
    while True:
        cost = price(now)
        least = cost.base + cost.per_rate * min(cost.rate, _QUIET)
        sizes = _smaller(now.network, layers, goal / least)
        if least <= goal or sizes is None:
            break
        now = cut(sizes)
    if not cost.per_rate:
        return now, None
    rate = (goal - cost.base) / cost.per_rate
    if rate > _DRIFT * cost.rate:
        return now, None
    return now, float(np.clip(rate, _LEAST_RATE, _MOST_RATE))


def _smaller(network: Network, layers: Sequence[int], share: float) -> dict[int, int] | None:
    """Sizes of about this share, at least one step smaller; None where all are at the least."""
    sizes = {i: network.cells[i].size for i in layers}
    less = {
        i: min(size, max(_LANES, min(int(size * share), size - 1) // _LANES * _LANES))
        for i, size in sizes.items()
    }
    return None if less == sizes else less


def watched(act: Act, task: Task, episodes: int, seed: int) -> list[FloatArray]:
    """What a policy sees in each of some fresh episodes, float32 ``(steps, n)``."""
    seen: list[list[FloatArray]] = [[] for _ in range(episodes)]

    def watch(observation: FloatArray, running: npt.NDArray[np.bool_]) -> None:
        for i in np.flatnonzero(running):
            seen[i].append(observation[i].copy())

    play(act, task, episodes, seed, watch)
    return [np.stack(rows) for rows in seen]
