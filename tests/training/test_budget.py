"""A budget is met by firing less, and where that is not enough, by fewer neurons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grsn_edge.errors import TrainingError, UsageError
from grsn_edge.policy import Policy, dumps
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.profiling.replay import replay
from grsn_edge.program import text
from grsn_edge.training.actor import Actor
from grsn_edge.training.budget import Budget, Cost, parse_budget
from grsn_edge.training.pipeline import Outcome, resume, train
from grsn_edge.training.progress import Progress
from grsn_edge.training.recipes import Recipe, recipe
from grsn_edge.training.runs import derived
from grsn_edge.training.shrink import fit_to_budget

FIXED, PER_NEURON, PER_SPIKE = 100.0, 10.0, 20.0


def price(policy: Policy, episodes: Sequence[FloatArray], budget: Budget) -> Cost:
    """A processor that takes so many instructions for a step, a neuron and a spike."""
    seen = [row for rows in episodes for row in rows]
    played = replay(policy, seen, [0] * len(seen), [0] * len(seen))
    neurons = sum(spikes.shape[1] for spikes in played.spikes.values())
    spikes = float(played.counts.mean()) if neurons else 0.0
    base = FIXED + PER_NEURON * sum(s.n for s in policy.program.states if s.name.endswith(".u"))
    rate = spikes / max(neurons, 1)
    return Cost(base + PER_SPIKE * spikes, base, PER_SPIKE * neurons, rate, len(seen), "imagined")


def small(**changes: object) -> Recipe:
    """Six updates in all."""
    short = {"hidden": 24, "envs": 8, "steps": 8, "minibatches": 1, "epochs": 1}
    times = {"float_steps": 128, "quieten_steps": 128, "tune_steps": 128}
    seen = {"evaluate_episodes": 4, "evaluate_every": 1, "stop_at": None}
    return recipe("cartpole-p", **{**short, **times, **seen, **changes})


# ---- the text ------------------------------------------------------------------------------------


def test_a_budget_is_an_amount_of_a_unit_on_something() -> None:
    assert parse_budget("3000instr@m4") == Budget(3000.0, "instr", "m4")
    assert parse_budget("1.5nJ@nRF52840-c") == Budget(1.5, "nJ", "nRF52840-c")
    assert str(parse_budget("60000cycles@avr")) == "60000cycles@avr"


@pytest.mark.parametrize("wrong", ["3000@m4", "0instr@m4", "-1instr@m4", "3kinstr@m4", "5uJ@m4"])
def test_anything_else_is_refused_with_examples(wrong: str) -> None:
    with pytest.raises(UsageError, match=r"is not a budget.*3000instr@m4"):
        recipe("cartpole-p", budget=wrong)


# ---- neurons and rates ---------------------------------------------------------------------------


def fitted(amount: float, hidden: int = 32, rate: float = 0.4) -> tuple[int, float | None]:
    """Neurons and the rate to come down to, for a network that fires at ``rate``."""

    def actor(size: int) -> Actor:
        return Actor(recipe("cartpole-p", hidden=size).network, np.random.default_rng(0))

    def linear(found: Actor) -> Cost:
        n = found.network.cells[0].size
        base, slope = FIXED + PER_NEURON * n, PER_SPIKE * n
        return Cost(base + slope * rate, base, slope, rate, 1, "imagined")

    kept, target = fit_to_budget(
        actor(hidden), Budget(amount, "instr", "m4"), linear, lambda s: actor(s[0]), (0,)
    )
    return kept.network.cells[0].size, target


def test_where_spikes_are_enough_no_neuron_goes() -> None:
    neurons, rate = fitted(560.0)
    assert neurons == 32
    assert rate == pytest.approx((0.97 * 560 - 420) / 640)


def test_where_even_a_quiet_network_costs_too_much_neurons_go_four_by_four() -> None:
    neurons, rate = fitted(350.0)
    assert neurons == 16
    assert rate is not None
    assert FIXED + PER_NEURON * 16 + PER_SPIKE * 16 * rate == pytest.approx(0.97 * 350)


def test_a_budget_below_everything_leaves_four_neurons_as_quiet_as_can_be() -> None:
    assert fitted(50.0) == (4, 0.005)


def test_a_generous_budget_asks_for_nothing() -> None:
    assert fitted(1e6) == (32, None)


# ---- in a run ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole() -> Outcome:
    return train(small(budget="310instr@m4", weights=6), seed=1, pricing=price)


def test_a_run_meets_its_budget_and_says_what_that_cost(whole: Outcome) -> None:
    assert whole.sizes == ([24, 2], [16, 2])
    assert list(whole.results) == ["float", "prune", "quieten", "freeze", "tune"]
    assert whole.budget is not None
    budget, cost = whole.budget
    assert (budget.amount, cost.base) == (310.0, FIXED + 160.0)
    assert whole.budget_met == (cost.mean <= 310.0)
    assert whole.policies is not None
    told = whole.policies.fine_tuned.provenance
    assert told["budget"]["asked"] == "310instr@m4"
    assert told["budget"]["step"]["mean"] == cost.mean
    assert told["pruned"] == {"before": [24, 2], "after": [16, 2]}
    assert told["recipe"]["network"]["cells"][0]["weight_bits"] == 6
    assert whole.policies.fine_tuned.weight_bits == 6


def test_an_interrupted_run_ends_with_the_same_policy(whole: Outcome, tmp_path: Path) -> None:
    def stop_in_the_second_phase(progress: Progress) -> None:
        if progress.phase == "quieten":
            raise KeyboardInterrupt

    stopped = train(
        small(budget="310instr@m4", weights=6),
        seed=1,
        folder=tmp_path,
        watch=stop_in_the_second_phase,
        pricing=price,
    )
    assert not stopped.finished
    again = resume(tmp_path, pricing=price)
    assert again.policies is not None
    assert whole.policies is not None
    assert dumps(again.policies.fine_tuned) == dumps(whole.policies.fine_tuned)
    assert again.sizes == whole.sizes


def test_a_budget_needs_who_counts() -> None:
    with pytest.raises(TrainingError, match="budget 310instr@m4 needs who counts"):
        train(small(budget="310instr@m4"), seed=1)


def test_a_finished_run_is_pruned_and_quantised_otherwise_without_learning_again(
    tmp_path: Path,
) -> None:
    learned = train(small(tune_steps=0), seed=2, folder=tmp_path)
    wanted, start = derived(tmp_path, prune=0.5, weights=4, coefficients="pow2", tune_steps=128)
    found = train(wanted, seed=2, start=start)
    assert found.sizes == ([24, 2], [12, 2])
    assert list(found.results) == ["float", "prune", "quieten", "freeze", "tune"]
    assert (learned.env_steps, found.env_steps) == (128, 2 * 128)
    assert found.policies is not None
    assert found.policies.fine_tuned.weight_bits == 4
    shifts, start = derived(tmp_path, coefficients="pow2")
    heard: list[Progress] = []
    train(shifts, seed=2, start=start, watch=heard.append)
    assert {p.phase: p.scalars["penalty"] for p in heard} == {"quieten": 0.0}
    plain, start = derived(tmp_path)
    assert plain.quieten_steps == 0
    same = train(replace(plain, tune_steps=0), seed=2, start=start)
    assert learned.policies is not None
    assert same.policies is not None
    assert text(same.policies.post_training.program) == text(learned.policies.post_training.program)
