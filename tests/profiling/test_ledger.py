"""Energy between two moments: exact on traces whose integral is known."""

from __future__ import annotations

import numpy as np
import pytest

from grsn_edge.errors import UsageError
from grsn_edge.profiling.ledger import Ledger, MarkFinder
from grsn_edge.profiling.meters import Block, Flag


def block(
    begin: float,
    power: list[float],
    step: float = 0.1,
    digital: list[int] | None = None,
    flags: list[int] | None = None,
) -> Block:
    n = len(power)
    return Block(
        begin + step * np.arange(n),
        np.full(n, step),
        np.array(power, np.float64),
        np.array(power, np.float64) / 2,
        np.full(n, 2.0),
        np.array(digital or [0] * n, np.uint8),
        np.array(flags or [0] * n, np.uint8),
    )


def test_a_part_of_a_sample_counts_by_its_share() -> None:
    ledger = Ledger()
    ledger.add(block(0.0, [1.0, 2.0, 3.0]))
    span = ledger.span(0.05, 0.25)
    assert span.energy_j == pytest.approx(0.05 * 1 + 0.1 * 2 + 0.05 * 3)
    assert span.covered_s == pytest.approx(0.2)
    assert span.charge_c == pytest.approx(span.energy_j / 2)
    assert span.samples == 3
    assert span.lost == pytest.approx(0.0, abs=1e-12)


def test_a_span_across_blocks_is_the_sum_of_its_parts() -> None:
    rng = np.random.default_rng(1)
    power = rng.uniform(0, 1, 1000)
    ledger, at = Ledger(keep_s=1000.0), 0
    for size in (1, 99, 400, 500):
        ledger.add(block(at * 0.1, list(power[at : at + size])))
        at += size
    for _ in range(50):
        a, b = sorted(rng.integers(0, 1001, 2))
        span = ledger.span(0.1 * a, 0.1 * b)
        assert span.energy_j == pytest.approx(power[a:b].sum() * 0.1)
    assert ledger.whole.energy_j == pytest.approx(power.sum() * 0.1)
    assert ledger.whole.samples == 1000


def test_a_hole_adds_no_energy_and_is_reported_as_lost() -> None:
    ledger = Ledger()
    ledger.add(block(0.0, [1.0] * 5))
    ledger.add(block(1.0, [1.0] * 5, flags=[Flag.GAP_BEFORE, 0, 0, 0, 0]))
    span = ledger.span(0.0, 1.5)
    assert span.energy_j == pytest.approx(1.0)
    assert span.lost == pytest.approx(1 / 3)
    assert span.power_w == pytest.approx(1.0)
    inside = ledger.span(0.6, 0.9)
    assert inside.energy_j == pytest.approx(0.0)
    assert inside.lost == pytest.approx(1.0)
    assert inside.samples == 0


def test_doubtful_time_is_counted() -> None:
    ledger = Ledger()
    ledger.add(block(0.0, [1.0] * 4, flags=[0, Flag.SATURATED, Flag.DOUBTFUL, Flag.RANGE_SWITCH]))
    assert ledger.span(0.0, 0.4).doubtful_s == pytest.approx(0.2)


def test_old_pages_are_forgotten_and_refused_but_stay_in_the_whole() -> None:
    ledger = Ledger(keep_s=1.0)
    for i in range(100):
        ledger.add(block(i * 0.5, [1.0] * 5))
    assert ledger.span(49.2, 49.9).energy_j == pytest.approx(0.7)
    with pytest.raises(UsageError, match="kept since"):
        ledger.span(10.0, 11.0)
    assert ledger.whole.energy_j == pytest.approx(50.0)


@pytest.mark.parametrize(("begin", "end"), [(0.0, 9.0), (0.3, 0.2)])
def test_a_span_that_was_not_read_is_refused(begin: float, end: float) -> None:
    ledger = Ledger()
    ledger.add(block(0.0, [1.0] * 5))
    with pytest.raises(UsageError):
        ledger.span(begin, end)


def test_pulses_are_found_in_blocks_cut_anywhere() -> None:
    bits = [0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0, 0]
    wanted = [(0.1, 0.3), (0.5, 0.6), (0.7, 1.0)]
    for cut in range(len(bits) + 1):
        finder = MarkFinder(2)
        found = []
        for begin, part in ((0, bits[:cut]), (cut, bits[cut:])):
            digital = [bit << 2 for bit in part]
            found += finder.add(block(begin * 0.1, [1.0] * len(part), digital=digital))
        assert np.allclose(found, wanted)


def test_a_pulse_whose_beginning_was_not_seen_is_left_out() -> None:
    finder = MarkFinder(0)
    assert finder.add(block(0.0, [1.0] * 3, digital=[1, 1, 0])) == []


def test_a_pulse_across_a_hole_is_left_out_and_counted() -> None:
    finder = MarkFinder(0)
    gap = [0, 0, Flag.GAP_BEFORE, 0, 0, 0, 0]
    found = finder.add(block(0.0, [1.0] * 7, digital=[0, 1, 1, 0, 1, 1, 0], flags=gap))
    assert len(found) == 1
    assert found[0] == pytest.approx((0.4, 0.6))
    assert finder.broken == 1
