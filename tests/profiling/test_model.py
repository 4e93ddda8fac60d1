"""Modelled energy: the arithmetic, the table's sources, and that it never looks measured."""

from __future__ import annotations

import pytest
from toy_policy import toy_policy

from grsn_edge.errors import UsageError
from grsn_edge.profiling.chips import CHIPS, Chip, chip
from grsn_edge.profiling.meters import create
from grsn_edge.profiling.model import (
    HOROWITZ_PJ,
    dense_network,
    gru_network,
    lstm_network,
    modelled_operations,
    modelled_step,
    program_network,
)


def test_published_energies_per_cycle_come_out() -> None:
    assert chip("nrf52840").joules_per_cycle == pytest.approx(155e-12, rel=0.01)
    assert chip("nRF54L15").joules_per_cycle == pytest.approx(61e-12, rel=0.01)
    assert chip("Apollo1").joules_per_cycle == pytest.approx(112e-12, rel=0.01)


@pytest.mark.parametrize("entry", CHIPS.values(), ids=lambda c: c.name)
def test_every_chip_has_a_source_and_plausible_figures(entry: Chip) -> None:
    assert len(entry.source) > 20
    assert 1e-11 < entry.joules_per_cycle < 1e-8
    assert entry.sleep_a is None or entry.sleep_a < entry.active_a / 10


def test_a_period_has_waking_computing_and_sleeping() -> None:
    found = modelled_step(chip("STM32L053"), 32_000, 0.01)
    assert found.active_s == pytest.approx(1e-3)
    assert found.active_j == pytest.approx(1e-3 * 4.448e-3 * 3)
    assert found.wake_j == pytest.approx(5e-6 * 4.448e-3 * 3)
    assert found.sleep_j == pytest.approx((0.01 - 1e-3 - 5e-6) * 0.8e-6 * 3)
    assert found.modelled_j == pytest.approx(found.active_j + found.wake_j + found.sleep_j)


def test_what_does_not_fit_or_is_not_known_is_refused() -> None:
    with pytest.raises(UsageError, match="does not fit"):
        modelled_step(chip("ATmega328"), 1e6, 0.01)
    with pytest.raises(UsageError, match="no figure for the sleep"):
        modelled_step(chip("nRF54L15"), 1000, 0.01)
    with pytest.raises(UsageError, match="there are"):
        chip("abacus")


def test_the_model_meter_gives_the_models_energy_marks_and_label() -> None:
    meter = create("model", chip="STM32L053", cycles=32_000, period_s=0.01, end_s=1.0)
    with meter:
        assert meter.info.modelled
        assert "modelled" in meter.info.serial
        assert [w.kind for w in meter.info.warnings] == ["modelled"]
        meter.start()
        energy = active = 0.0
        while (block := meter.read()) is not None:
            energy += block.energy_j
            active += float(block.duration_s[block.digital == 1].sum())
    assert energy == pytest.approx(100 * modelled_step(chip("STM32L053"), 32_000, 0.01).modelled_j)
    assert active == pytest.approx(0.1)


def test_operations_cost_what_the_table_says() -> None:
    program = toy_policy().program
    found = modelled_operations(program)
    idle = modelled_operations(program, {n.name: 0.0 for n in program if n.interval.is_binary})
    assert found.sram == "read 64 bit, 8 KB"
    assert found.modelled_pj == pytest.approx(found.modelled_arithmetic_pj + found.memory_pj)
    assert idle.arithmetic_pj["synaptic_additions"] == 0.0
    assert idle.memory_pj < found.memory_pj


def test_networks_are_counted_as_papers_count_them() -> None:
    assert gru_network(2, 32, 2).weights == 3 * 32 * 34 + 64
    assert lstm_network(2, 32, 2).multiply_accumulates == 4 * 32 * 34 + 64 + 3 * 32
    mlp = dense_network([4, 64, 64, 2])
    assert mlp.weights == 4 * 64 + 64 * 64 + 128
    assert mlp.modelled_fp32_pj == pytest.approx(mlp.weights * 4.6)
    assert mlp.modelled_int8_pj == pytest.approx(mlp.weights * 0.23)
    assert HOROWITZ_PJ["mul fp32"] + HOROWITZ_PJ["add fp32"] == pytest.approx(4.6)
    with pytest.raises(UsageError, match="two layer sizes"):
        dense_network([4])


def test_the_advantage_of_additions_shrinks_when_both_sides_read_their_weights() -> None:
    """The criticism in numbers: what is left of the ratio once memory is counted."""
    policy = program_network(toy_policy().program, name="toy")
    dense = dense_network([4, 64, 64, 2])

    def per_weight(cost: float, network) -> float:
        return cost / (network.accumulates + network.multiply_accumulates)

    bare = per_weight(dense.modelled_int8_pj, dense)
    full = per_weight(dense.modelled_int8_with_weights_pj, dense)
    assert bare == pytest.approx(0.23)
    assert full > 5 * bare
    assert policy.modelled_int8_with_weights_pj > 5 * policy.modelled_int8_pj
