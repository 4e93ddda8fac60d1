"""Everything that can go wrong with a meter, and what the tool says: never a wrong figure silently.

The table names every fault of every emulator; a fault without an expected outcome fails a test.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from grsn_edge.errors import MeterError, MeterFault, MeterUnavailable
from grsn_edge.profiling.emulators import (
    Script,
    Segment,
    emulator,
    emulator_names,
    emulator_type,
)
from grsn_edge.profiling.meters import Tally, create


@dataclass(frozen=True)
class Says:
    """Samples come, with a warning of this kind; ``void``: the figures must not be used."""

    kind: str
    void: bool = False


@dataclass(frozen=True)
class Refuses:
    """No figure: an error whose text has these words."""

    error: type[MeterError]
    words: str


@dataclass(frozen=True)
class Harmless:
    """The meter copes: the figure is right, and nothing needs to be said."""


Outcome = Says | Refuses | Harmless

LOST, VOID_LOST = Says("lost"), Says("lost", void=True)
SATURATED, NEGATIVE = Says("saturated", void=True), Says("negative", void=True)
CLOCK = Says("clock", void=True)

PPK2: Mapping[str, Outcome] = {
    "lost": LOST,
    "lost-many": VOID_LOST,
    "lost-64": CLOCK,
    "duplicated": Says("duplicated"),
    "shifted": Says("misaligned", void=True),
    "inserted": Says("misaligned", void=True),
    "half-word": Says("misaligned", void=True),
    "counter-flip": Says("damaged"),
    "bad-range": Says("damaged"),
    "burst-garbage": Says("damaged"),
    "saturated": SATURATED,
    "reversed": SATURATED,
    "range-hunting": Says("range"),
    "slow-clock": CLOCK,
    "fast-clock": CLOCK,
    "unplugged": Refuses(MeterFault, "still plugged in"),
    "silent": Refuses(MeterFault, "stopped by itself"),
    "never-starts": Refuses(MeterFault, "no samples"),
    "never-stops": Refuses(MeterFault, "does not stop sending"),
    "no-answer": Refuses(MeterFault, "no complete calibration"),
    "wrong-port": Refuses(MeterFault, "is this its data port"),
    "metadata-split": Harmless(),
    "metadata-stale": Harmless(),
    "metadata-half": Refuses(MeterFault, "no complete calibration"),
    "metadata-missing": Refuses(MeterFault, "has no O0"),
    "metadata-nan": Says("calibration", void=True),
    "metadata-r0": Refuses(MeterFault, "R1 = 0"),
    "metadata-implausible": Refuses(MeterFault, "memory is damaged"),
    "metadata-text": Refuses(MeterFault, "not a number"),
}
RAPL: Mapping[str, Outcome] = {
    "wrap": Harmless(),
    "permission": Refuses(MeterUnavailable, "chmod a+r"),
    "absent": Refuses(MeterUnavailable, "no domain 'package'"),
    "removed": Refuses(MeterFault, "it was there before"),
    "garbage": Refuses(MeterFault, "not a number"),
    "garbage-later": Refuses(MeterFault, "not a number"),
    "no-range": Refuses(MeterUnavailable, "cannot be read"),
    "zero-range": Refuses(MeterFault, "not a number"),
    "frozen": Says("stale", void=True),
    "frozen-later": Says("stale", void=True),
    "reset": Says("damaged", void=True),
}
INA_HWMON: Mapping[str, Outcome] = {
    "driver-shunt": Says("calibration"),
    "no-shunt-file": Says("calibration"),
    "zero-shunt": Refuses(MeterUnavailable, "impossible"),
    "absent": Refuses(MeterUnavailable, "0 chips"),
    "two": Refuses(MeterUnavailable, "2 chips"),
    "removed": Refuses(MeterFault, "cannot be read"),
    "garbage": Refuses(MeterUnavailable, "does not hold a number"),
    "empty": Refuses(MeterFault, "does not hold a number"),
    "slow-chip": Says("setup"),
    "small": Says("resolution"),
    "saturated": SATURATED,
    "negative": NEGATIVE,
}
INA_I2C: Mapping[str, Outcome] = {
    "absent": Refuses(MeterUnavailable, "nothing answers"),
    "wrong-chip": Refuses(MeterFault, "is not an ina226"),
    "read-only": Refuses(MeterFault, "does not keep its configuration"),
    "unplugged": Refuses(MeterFault, "no longer answers"),
    "brown-out": Says("supply", void=True),
    "stuck": Says("stale", void=True),
    "short-read": Refuses(MeterFault, "1 of 2 bytes"),
    "saturated": SATURATED,
    "negative": NEGATIVE,
}
PI5: Mapping[str, Outcome] = {
    "absent": Refuses(MeterUnavailable, "no program"),
    "forbidden": Refuses(MeterUnavailable, "may not be run"),
    "vchi": Refuses(MeterUnavailable, "VCHI initialization failed"),
    "pi4": Refuses(MeterUnavailable, "not registered"),
    "truncated": Refuses(MeterUnavailable, "no current or voltage"),
    "missing-rail": Refuses(MeterUnavailable, "VDD_CORE"),
    "garbage": Refuses(MeterUnavailable, "VDD_CORE"),
    "nan": Refuses(MeterUnavailable, "VDD_CORE"),
    "unknown-rail": Says("setup", void=True),
    "under-voltage": Says("supply", void=True),
    "throttled": Says("supply", void=True),
    "stops": Refuses(MeterFault, "no current or voltage"),
    "slow": VOID_LOST,
}
OTII: Mapping[str, Outcome] = {
    "refused": Refuses(MeterUnavailable, "no server"),
    "silent": Refuses(MeterUnavailable, "is 127.0.0.1"),
    "not-otii": Refuses(MeterUnavailable, "not JSON"),
    "no-license": Refuses(MeterFault, "needs a licence"),
    "no-device": Refuses(MeterUnavailable, "0 devices"),
    "two-devices": Refuses(MeterUnavailable, "2 devices"),
    "wrong-answer": Refuses(MeterFault, "belongs to question"),
    "no-answer": Refuses(MeterFault, "no answer within"),
    "broken-json": Refuses(MeterFault, "not JSON"),
    "disconnected": Refuses(MeterFault, "closed the connection"),
    "split": Harmless(),
    "stopped": Refuses(MeterFault, "no new samples"),
    "hole": VOID_LOST,
    "short": VOID_LOST,
    "nulls": VOID_LOST,
    "no-interval": Refuses(MeterFault, "without 'interval'"),
    "no-voltage": Refuses(MeterFault, "mv is not available"),
    "slow-clock": CLOCK,
}
LPM01A: Mapping[str, Outcome] = {
    "no-answer": Refuses(MeterFault, "no answer to 'htc'"),
    "self-test": Refuses(MeterFault, "self-test says"),
    "refuses-volt": Refuses(MeterFault, "is refused"),
    "other-device": Refuses(MeterFault, "is this its port"),
    "lost": LOST,
    "duplicated": Says("duplicated", void=True),
    "garbage": Says("damaged"),
    "cut-line": Says("damaged"),
    "buffer": LOST,
    "saturated": SATURATED,
    "warm": Says("calibration", void=True),
    "completed": Refuses(MeterFault, "ended the acquisition"),
    "silent": Refuses(MeterFault, "stopped by itself"),
    "unplugged": Refuses(MeterFault, "still plugged in"),
    "never-stops": Refuses(MeterFault, "does not stop sending"),
    "slow-clock": CLOCK,
}
JOULESCOPE: Mapping[str, Outcome] = {
    "absent": Refuses(MeterUnavailable, "0 devices"),
    "two": Refuses(MeterUnavailable, "2 devices"),
    "in-use": Refuses(MeterUnavailable, "close the Joulescope UI"),
    "publish-timeout": Refuses(MeterFault, "h/fs"),
    "missing-block": VOID_LOST,
    "missing-voltage": VOID_LOST,
    "nan": LOST,
    "no-sample-id": Refuses(MeterFault, "without 'sample_id'"),
    "rate-change": Refuses(MeterFault, "not as before"),
    "range-hunting": Says("range"),
    "saturated": SATURATED,
    "reversed": NEGATIVE,
    "silent": Refuses(MeterFault, "stopped by itself"),
    "unplugged": Refuses(MeterFault, "still plugged in"),
    "slow-clock": CLOCK,
}
OUTCOMES: Mapping[str, Mapping[str, Outcome]] = {
    "ppk2": PPK2,
    "rapl": RAPL,
    "ina-hwmon": INA_HWMON,
    "ina-i2c": INA_I2C,
    "pi5": PI5,
    "otii": OTII,
    "lpm01a": LPM01A,
    "joulescope": JOULESCOPE,
}
CASES = [(name, fault) for name, table in OUTCOMES.items() for fault in table]

# Current that suits each meter (A, V), device seconds to read, speed, and options that save time.
SETTING: Mapping[str, tuple[float, float, float, float, dict[str, Any]]] = {
    "ppk2": (3e-3, 3.0, 0.3, 4, {"silence_s": 0.2, "answer_s": 0.3}),
    "rapl": (5.0, 3.0, 2.5, 1, {}),
    "ina-hwmon": (0.3, 5.0, 1.3, 1, {}),
    "ina-i2c": (0.3, 5.0, 1.3, 1, {}),
    "pi5": (1.0, 1.0, 2.0, 1, {}),
    "otii": (0.01, 3.0, 0.8, 4, {"timeout_s": 0.3}),
    "lpm01a": (0.01, 3.0, 2.2, 8, {"silence_s": 0.2, "answer_s": 0.3}),
    "joulescope": (0.01, 3.0, 0.4, 1, {"silence_s": 0.3, "rate_hz": 50_000}),
}

# Faults that end by running out of patience: a shorter one saves time; the others keep theirs.
PATIENCE = {"silence_s", "answer_s", "timeout_s"}
WAITING = {
    *("no-answer", "wrong-port", "other-device", "metadata-half"),
    *("silent", "never-starts", "stopped"),
}


def script(name: str) -> Script:
    amperes, volts = SETTING[name][:2]
    fast = [
        Segment(0.04, amperes),
        Segment(0.02, 1.6 * amperes, digital=1),
        Segment(0.04, amperes, end_a=1.4 * amperes),
    ]
    slow = [Segment(3.0, amperes, end_a=1.2 * amperes)]
    return Script(slow if name in ("rapl", "pi5", "ina-hwmon", "ina-i2c") else fast, volts)


def measure(name: str, fault: str | None) -> tuple[Tally, float]:
    """A tally of one reading, and the exact energy of the same stretch."""
    _, _, seconds, speed, options = SETTING[name]
    options = {k: v for k, v in options.items() if fault in WAITING or k not in PATIENCE}
    if fault in ("lost-64", "slow-clock", "fast-clock"):
        seconds, speed = 4.5, 2  # both clocks have to be looked at for a while
        if name == "ppk2" and fault == "lost-64":
            seconds = 3.2
    with (
        emulator(name, script=script(name), fault=fault, speed=speed) as device,
        create(device.meter_kind, **device.options(), **options) as meter,
    ):
        tally = Tally(meter.info)
        meter.start()
        until = time.monotonic() + 20
        while tally.end_s < seconds and (block := meter.read()) is not None:
            tally.add(block)
            assert time.monotonic() < until, "no samples"
        meter.stop()
        return tally, device.exact_j(tally.begin_s or 0.0, tally.end_s)


def test_every_fault_of_every_emulator_has_an_expected_outcome() -> None:
    assert set(OUTCOMES) == set(emulator_names())
    for name in emulator_names():
        assert set(OUTCOMES[name]) == set(emulator_type(name).faults), name
    assert len(CASES) >= 60


LONG = {
    *(("otii", "slow-clock"), ("lpm01a", "slow-clock"), ("joulescope", "slow-clock")),
    *(("lpm01a", "never-stops"), ("ppk2", "fast-clock")),
}
"""Seconds each, and alike to others that stay in the default run."""


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        pytest.param(*case, id="-".join(case), marks=[pytest.mark.slow] * (case in LONG))
        for case in CASES
    ],
)
def test_a_fault_is_said_and_never_gives_a_wrong_figure_silently(name: str, fault: str) -> None:
    outcome = OUTCOMES[name][fault]
    if isinstance(outcome, Refuses):
        with pytest.raises(outcome.error) as raised:
            measure(name, fault)
        assert outcome.words in str(raised.value)
        return
    tally, exact_j = measure(name, fault)
    kinds = {w.kind for w in tally.warnings}
    if isinstance(outcome, Harmless):
        assert not tally.warnings
    else:
        assert outcome.kind in kinds
        assert bool(tally.void) == outcome.void or not outcome.void
    if abs(tally.energy_j - exact_j) > 0.005 * exact_j:
        assert tally.warnings


@pytest.mark.parametrize("name", list(OUTCOMES))
def test_without_a_fault_the_energy_is_the_scripts_and_nothing_is_said(name: str) -> None:
    tally, exact_j = measure(name, None)
    assert tally.energy_j == pytest.approx(exact_j, rel=1e-3)
    assert not tally.warnings
    assert not tally.void
    assert tally.lost == 0


def test_two_programs_cannot_have_one_port() -> None:
    with (
        emulator("ppk2", speed=4) as device,
        create("ppk2", **device.options()),
        pytest.raises(MeterUnavailable, match="in use by another program"),
    ):
        create("ppk2", **device.options()).open()


@pytest.mark.parametrize(("kind", "baud"), [("ppk2", 115200), ("lpm01a", 3_686_400)])
def test_a_port_that_is_not_there_is_said(kind: str, baud: int) -> None:
    with pytest.raises(MeterUnavailable, match="is it plugged in"):
        create(kind, port="/dev/ttyNONE9", voltage_v=3.0).open()


def test_a_second_reader_that_steals_bytes_is_noticed() -> None:
    """A program that does not lock the port takes every other chunk."""
    import serial

    with (
        emulator("ppk2", speed=4) as device,
        create("ppk2", **device.options()) as meter,
    ):
        meter.start()
        thief = serial.Serial(device.options()["port"], timeout=0.01)
        tally = Tally(meter.info)
        for _ in range(30):
            thief.read(777)
            tally.add(meter.read())
        thief.close()
    assert {"lost", "misaligned"} & {w.kind for w in tally.warnings}
    assert tally.void
