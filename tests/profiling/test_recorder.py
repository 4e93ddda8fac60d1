"""A recorder beside a run: spans, marks, clocks and faults, with a meter that is known exactly."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest

from grsn_edge.errors import MeterFault, UsageError
from grsn_edge.profiling.meters import Block, Meter, MeterInfo, MeterWarning
from grsn_edge.profiling.recorder import Recorder
from grsn_edge.profiling.thinning import Thinner

RATE = 1e4


def samples(begin: int, n: int, host_s: float = 0.0, lost: int = 0) -> Block:
    index = np.arange(begin, begin + n)
    active = index // 50 % 2 == 1
    return Block(
        index / RATE,
        np.full(n, 1 / RATE),
        np.where(active, 3.0, 1.0),
        None,
        None,
        active.astype(np.uint8),
        np.zeros(n, np.uint8),
        lost=lost,
        warnings=(MeterWarning("lost", "some", count=lost),) if lost else (),
        host_s=host_s,
    )


@dataclass
class ScriptedMeter(Meter):
    """Gives blocks of 100 samples as fast as they are read; fails at one of them if told."""

    kind: ClassVar[str] = "scripted"
    summary: ClassVar[str] = "for tests"
    blocks: int = 100
    fails_at: int = -1
    lost: int = 0
    lag_s: float = 100.0
    _given: int = field(default=0, init=False)

    def _open(self) -> MeterInfo:
        return MeterInfo("scripted", "1", "power", RATE, ("supply",), 1, "factory", None, "exact")

    def _start(self) -> None:
        self._given = 0

    def _read(self) -> Block | None:
        if self._given == self.fails_at:
            raise MeterFault("unplugged")
        if self._given == self.blocks:
            return None
        begin = self._given * 100
        self._given += 1
        return samples(begin, 100, self.lag_s + (begin + 100) / RATE, self.lost)

    def _stop(self) -> None: ...

    def _close(self) -> None: ...


def drained(meter: ScriptedMeter, mark_bit: int | None = 0) -> Recorder:
    meter.open()
    recorder = Recorder(meter, mark_bit=mark_bit)
    with recorder:
        while recorder._thread.is_alive():
            time.sleep(0.001)
    return recorder


def test_every_marked_span_has_its_exact_energy() -> None:
    pulses = drained(ScriptedMeter()).pulses()
    assert len(pulses) == 99  # the last pulse has no end
    assert all(p.energy_j == pytest.approx(3.0 * 0.005) for p in pulses)
    assert all(p.samples == 50 for p in pulses)


def test_host_time_becomes_the_meters_time() -> None:
    recorder = drained(ScriptedMeter(lag_s=7.0, blocks=300))
    assert recorder.meter_time(7.5) == pytest.approx(0.5)
    assert recorder.recorded().sync_error_s == pytest.approx(0.0, abs=1e-9)


def test_a_span_waits_for_the_meter_and_says_when_it_does_not_come() -> None:
    recorder = drained(ScriptedMeter())
    assert recorder.span(0.0, 0.01).energy_j == pytest.approx(0.02)
    with pytest.raises(MeterFault, match="were needed"):
        recorder.span(0.0, 99.0, timeout_s=0.01)


def test_a_meter_that_is_unplugged_is_a_fault_that_is_kept() -> None:
    recorder = drained(ScriptedMeter(fails_at=10))
    assert recorder.fault == "unplugged"
    assert recorder.recorded().samples == 1000
    with pytest.raises(MeterFault, match="unplugged"):
        recorder.span(0.0, 5.0)


def test_losses_are_counted_and_warnings_merged() -> None:
    found = drained(ScriptedMeter(lost=2)).recorded()
    assert found.lost == 200
    assert [(w.kind, w.count) for w in found.warnings] == [("lost", 200)]


def test_a_display_asks_for_the_latest_power() -> None:
    assert drained(ScriptedMeter()).power_w(0.5) == pytest.approx(2.0)


def test_a_thinned_trace_keeps_every_peak_and_every_mean() -> None:
    rng = np.random.default_rng(0)
    power = rng.uniform(0, 1, 100_000)
    power[54_321] = 99.0
    thinner = Thinner(capacity=256, width_s=1e-5)
    for at in range(0, power.size, 777):
        part = power[at : at + 777]
        zeros = np.zeros(part.size, np.uint8)
        time_s = 1e-5 * np.arange(at, at + part.size) + 1e-7
        width = np.full(part.size, 1e-5)
        thinner.add(Block(time_s, width, part, None, None, zeros, zeros))
    found = thinner.result()
    assert len(found.time_s) <= 256
    assert found.high_w.max() == 99.0
    assert found.low_w.min() == power.min()
    per_bucket = round(found.width_s / 1e-5)
    assert found.mean_w[0] == pytest.approx(power[:per_bucket].mean())
    assert found.mean_w[1] == pytest.approx(power[per_bucket : 2 * per_bucket].mean())


def test_a_thinner_refuses_nonsense() -> None:
    with pytest.raises(UsageError):
        Thinner(capacity=3)
