"""Energy per step: exact sums, honest intervals, and rules that show."""

from __future__ import annotations

import numpy as np
import pytest

from grsn_edge.errors import UsageError
from grsn_edge.profiling.energy import (
    MLPERF_TINY,
    Idle,
    Rules,
    Window,
    battery,
    energy_per_step,
)
from grsn_edge.profiling.ledger import Span
from grsn_edge.profiling.meters import Accuracy


def window(
    energy: float,
    steps: int = 10,
    duration: float = 1.0,
    lost: float = 0.0,
    samples: int = 1000,
    doubtful: float = 0.0,
) -> Window:
    covered = duration * (1 - lost)
    span = Span(0.0, duration, energy, covered, float("nan"), samples, doubtful)
    return Window(span, steps)


def rest(power: float, duration: float = 5.0) -> Span:
    return Span(0.0, duration, power * duration, duration, float("nan"), 5000, 0.0)


def test_the_figure_is_all_energy_over_all_steps() -> None:
    found = energy_per_step([window(1.0, 10), window(3.0, 20), *[window(2.0, 15)] * 3])
    assert found.gross_j is not None
    assert found.gross_j.value == pytest.approx(10 / 75)
    assert found.is_valid
    assert found.windows == 5
    assert found.steps == 75


def test_idle_power_is_subtracted_over_the_windows_time_and_shown_beside() -> None:
    idle = Idle(rest(0.5), rest(0.504))
    found = energy_per_step([window(2.0)] * 6, idle=idle)
    assert found.gross_j is not None
    assert found.net_j is not None
    assert found.gross_j.value == pytest.approx(0.2)
    assert found.net_j.value == pytest.approx((2.0 - 0.502) / 10)
    assert found.idle_w == pytest.approx(0.502)


def test_idle_that_drifted_is_not_subtracted() -> None:
    found = energy_per_step([window(2.0)] * 6, idle=Idle(rest(0.5), rest(0.6)))
    assert found.net_j is None
    assert "changed" in found.notes[-1]
    assert found.is_valid


def test_the_meters_bound_is_added_to_both_sides() -> None:
    accuracy = Accuracy(gain=0.01, offset_a=1e-3, clock=0.0, source="test")
    found = energy_per_step([window(2.0)] * 6, accuracy=accuracy, voltage_v=3.0)
    assert found.gross_j is not None
    bound = (0.01 * 12 + 3e-3 * 6) / 60
    assert found.meter_bound_j == pytest.approx(bound)
    assert found.gross_j.high - found.gross_j.value == pytest.approx(bound)
    assert found.gross_j.spread_high == found.gross_j.value


def test_a_constant_offset_of_the_meter_cancels_in_the_net_figure() -> None:
    accuracy = Accuracy(gain=0.01, offset_w=1.0, source="test")
    idle = Idle(rest(0.5), rest(0.5))
    found = energy_per_step([window(2.0)] * 6, idle=idle, accuracy=accuracy)
    assert found.net_j is not None
    assert found.net_j.high - found.net_j.value == pytest.approx(0.01 * 0.15)


@pytest.mark.parametrize(
    ("windows", "reason"),
    [
        ([window(1.0)] * 4, "too few"),
        ([], "too few"),
        ([window(1.0, lost=0.01)] * 6, "lost"),
        ([window(1.0, samples=3)] * 6, "too short for this meter"),
        ([window(1.0, doubtful=0.5)] * 6, "saturated"),
    ],
)
def test_a_broken_rule_is_named_and_makes_the_figure_invalid(
    windows: list[Window], reason: str
) -> None:
    found = energy_per_step(windows)
    assert not found.is_valid
    assert reason in found.invalid[0]


def test_the_rules_of_mlperf_tiny() -> None:
    good = [window(e, steps=50, duration=10.0, samples=10**6) for e in (10.0, 10.1, 10.2, 9.9, 10)]
    found = energy_per_step(good, rules=MLPERF_TINY)
    assert found.is_valid
    assert found.gross_j is not None
    assert found.gross_j.value == pytest.approx(10.0 / 50)
    for change, reason in (
        (good[:4], "too few"),
        ([*good, good[0]], "where the rules want 5"),
        ([window(10.0, 50, 9.9, samples=10**6), *good[1:]], "shorter than 10 s"),
        ([window(2.0, 9, 10.0, samples=10**6), *good[1:]], "fewer than 10"),
        ([window(11.0, 50, 10.0, samples=10**6), *good[1:]], "unstable"),
    ):
        reasons = energy_per_step(change, rules=MLPERF_TINY).invalid
        assert any(reason in text for text in reasons), reasons


def test_a_hole_within_the_rules_does_not_make_a_step_cheaper() -> None:
    rules = Rules("test", max_lost=0.5)
    found = energy_per_step([window(0.9, lost=0.1)] * 6, rules=rules)
    assert found.gross_j is not None
    assert found.gross_j.value == pytest.approx(0.1)


def test_the_spread_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        energies = rng.gamma(9.0, 1 / 9.0, 40)
        figure = energy_per_step([window(e, steps=1) for e in energies]).gross_j
        assert figure is not None
        inside += figure.spread_low <= 1.0 <= figure.spread_high
    assert inside >= 182  # 190 are wanted of 95 %; fewer than 182 come by chance once in 200 tries


def test_the_same_windows_give_the_same_interval() -> None:
    windows = [window(e) for e in np.random.default_rng(3).uniform(1, 2, 30)]
    assert energy_per_step(windows) == energy_per_step(windows)


def test_a_window_without_steps_is_refused() -> None:
    with pytest.raises(UsageError):
        energy_per_step([window(1.0, steps=0)])


def test_battery_life() -> None:
    found = battery("500mAh@3.7V", 0.01)
    assert found.hours == pytest.approx(0.5 * 3.7 * 0.85 / 0.01)
    assert battery("2 Ah @ 12 V", 1.0).hours == pytest.approx(2 * 12 * 0.85)


@pytest.mark.parametrize("text", ["500", "0mAh@3V", "1.2.3Ah@3V", "500mAh"])
def test_a_battery_that_is_not_one_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="500mAh"):
        battery(text, 1.0)
