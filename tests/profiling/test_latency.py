"""Percentiles, pace and the event-driven slope, against small cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from grsn_edge.errors import UsageError
from grsn_edge.profiling.latency import cost_fit, latency, pace


def test_percentiles_are_nearest_rank_on_the_raw_data() -> None:
    found = latency(np.arange(1, 10_001), "device cycles", "cycles")
    assert (found.p50, found.p90, found.p99, found.p999) == (5000, 9000, 9900, 9990)
    assert (found.min, found.max, found.mean) == (1, 10_000, 5000.5)
    assert found.jitter == 4900


def test_a_percentile_that_the_number_of_steps_cannot_support_is_left_out() -> None:
    found = latency(np.ones(999), "host wall clock", "s")
    assert found.p90 == 1
    assert found.p99 is None
    assert found.p999 is None
    assert found.jitter is None


def test_the_warm_up_is_left_out_and_counted() -> None:
    found = latency([100.0, 100.0, 1.0, 1.0], "host wall clock", "s", warm_up=2)
    assert (found.n, found.warm_up, found.max) == (2, 2, 1.0)


def test_the_histogram_holds_every_value_in_a_bucket_of_one_per_cent() -> None:
    values = np.random.default_rng(0).lognormal(-10, 1, 5000)
    found = latency(values, "host wall clock", "s").histogram
    assert found.counts.sum() == values.size
    inner = found.edges[2:-1] / found.edges[1:-2]
    assert inner.max() <= 1.0101


@pytest.mark.parametrize("values", [[0.0, 0.0], [5.0], [3.0, 3.0, 3.0]])
def test_equal_values_have_a_histogram_too(values: list[float]) -> None:
    assert latency(values, "device cycles", "cycles").histogram.counts.sum() == len(values)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [-1.0], [[1.0]]])
def test_what_cannot_be_summarised_is_refused(values: list[float]) -> None:
    with pytest.raises(UsageError):
        latency(values, "host wall clock", "s")


def test_pace_counts_misses_and_their_longest_run() -> None:
    release = np.arange(8) * 0.01
    begin = release + 0.001
    busy = np.array([2, 12, 12, 2, 12, 2, 2, 2]) * 1e-3
    found = pace(release, begin, begin + busy, 0.01)
    assert (found.misses, found.longest_run, found.skipped) == (3, 2, 0)
    assert found.duty_cycle == pytest.approx(busy.sum() / 0.08)
    assert found.lateness_worst_s == pytest.approx(0.001)
    assert found.interval_worst_s == pytest.approx(0.0, abs=1e-12)


def test_pace_counts_periods_without_a_step() -> None:
    release = np.array([0.0, 0.01, 0.04])
    found = pace(release, release, release + 0.001, 0.01)
    assert found.skipped == 2
    assert found.interval_worst_s == pytest.approx(0.02)


def test_pace_needs_two_steps() -> None:
    with pytest.raises(UsageError):
        pace([0.0], [0.0], [0.1], 0.01)


def test_the_event_driven_slope_is_found_again() -> None:
    spikes = np.array([0, 1, 2, 3, 10])
    found = cost_fit(spikes, 2128 + 133 * spikes)
    assert found is not None
    assert found.base == pytest.approx(2128)
    assert found.per_spike == pytest.approx(133)
    assert found.r2 == pytest.approx(1)
    assert found.per_spike_error == pytest.approx(0, abs=1e-6)


def test_no_slope_is_claimed_where_spikes_do_not_vary() -> None:
    assert cost_fit([3, 3, 3, 3], [1, 2, 3, 4]) is None
