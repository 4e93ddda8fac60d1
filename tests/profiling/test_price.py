"""The price of a step: counted exactly on an emulated board, energy modelled and called so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grsn_edge.device.emulate import missing
from grsn_edge.errors import UsageError
from grsn_edge.policy import Policy, load
from grsn_edge.profiling.chips import chip
from grsn_edge.profiling.price import check_budget, price
from grsn_edge.training.budget import Cost, parse_budget

MODEL = Path(__file__).parents[2] / "models" / "cartpole-p.grsn"


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load(MODEL)


def counted(policy: Policy, budget: str) -> Cost:
    assert policy.golden is not None
    return price(policy, [policy.golden.observation] * 2, parse_budget(budget))


@pytest.mark.skipif(missing("m4") is not None, reason="no emulated Cortex-M4")
def test_instructions_are_exact_and_a_line_over_the_firing_rate(policy: Policy) -> None:
    cost = counted(policy, "3000instr@m4")
    assert cost == counted(policy, "9instr@m4")
    assert cost.steps == 128
    assert cost.mean == pytest.approx(cost.base + cost.per_rate * cost.rate)
    assert 0 < cost.per_rate * cost.rate < cost.base
    assert "instructions on m4" in cost.counted
    energy = counted(policy, "3000nJ@nRF52840")
    assert energy.mean == pytest.approx(cost.mean * chip("nRF52840").joules_per_cycle * 1e9)
    assert "modelled energy on nRF52840" in energy.counted
    with pytest.raises(UsageError, match=r"m4 counts instructions, not cycles.* in instr"):
        counted(policy, "3000cycles@m4")
    compiled = counted(policy, "3000instr@m4-c")
    assert compiled.mean < 0.6 * cost.mean
    assert np.isclose(compiled.rate, cost.rate)


def test_a_budget_on_something_unknown_is_refused_before_training() -> None:
    for text, message in (
        ("1instr@m9", "no board 'm9'; there are: avr"),
        ("1nJ@Z80", "no figures of a chip 'Z80'"),
        ("1nJ@MSP430F123", "no emulated board runs what MSP430F123 runs"),
    ):
        with pytest.raises(UsageError, match=message):
            check_budget(parse_budget(text))
