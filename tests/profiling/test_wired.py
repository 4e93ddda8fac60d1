"""An emulated meter wired to a policy: pulses, and joules that are known."""

from __future__ import annotations

import numpy as np
import pytest

from grsn_edge.errors import UsageError
from grsn_edge.profiling.emulators.wired import WiredScript


def test_pulses_add_up_exactly_wherever_the_meter_cuts() -> None:
    rng = np.random.default_rng(0)
    script, edges, exact, length = WiredScript(), [0.0], 0.0, 0.0
    total = 0.0
    for _ in range(200):
        end = edges[-1] + rng.uniform(1e-4, 5e-3)
        total += float(script.mean_current_a(np.array([edges[-1], end]))[0]) * (end - edges[-1])
        edges.append(end)
        duration = rng.uniform(1e-5, 1e-3)
        exact += script.pulse(duration)
        length += duration
    total += float(script.charge_c(10.0) - script.charge_c(edges[-1]))
    assert total * 3.0 == pytest.approx(exact + (10.0 - length) * 3e-3, rel=1e-9)


def test_the_mark_is_high_exactly_during_a_pulse() -> None:
    script = WiredScript()
    script.charge_c(0.1)
    script.pulse(0.01)
    times = np.linspace(0, 0.2, 20_001)
    high = times[script.digital(times) == 1]
    assert high[0] == pytest.approx(0.1, abs=5e-5)
    assert high[-1] - high[0] == pytest.approx(0.01, abs=2e-5)


def test_a_pulse_never_changes_what_was_sampled_already() -> None:
    script = WiredScript()
    times = np.linspace(0, 0.5, 1001)
    before = script.charge_c(times)
    script.pulse(0.1)
    assert np.array_equal(script.charge_c(times), before)


def test_the_gain_is_what_the_calibration_misses() -> None:
    plain, off = WiredScript(), WiredScript(gain=0.05)
    for script in (plain, off):
        script.pulse(0.01)
    assert off.energy_j(0, 1) == pytest.approx(1.05 * plain.energy_j(0, 1))


def test_currents_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError):
        WiredScript(idle_a=2.0, active_a=1.0)
