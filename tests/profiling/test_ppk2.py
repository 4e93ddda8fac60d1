"""The PPK2's calibration, filter and stream, against published values and ppk2-api."""

from __future__ import annotations

import time

import numpy as np
import pytest

from grsn_edge.errors import UsageError
from grsn_edge.profiling.emulators import Script, Segment, bursts, emulator
from grsn_edge.profiling.emulators.ppk2_emulator import METADATA, sample_words
from grsn_edge.profiling.meters import Tally, create
from grsn_edge.profiling.meters.ppk2_protocol import SpikeFilter, currents, parse_calibration
from grsn_edge.profiling.meters.ppk2_stream import StreamParser

CALIBRATION = parse_calibration(METADATA)

# Range, raw ADC, µA: computed once by ppk2-api 0.9.2 from METADATA at 3 V.
GOLDEN = [(2, 1000, 4401.924), (0, 1000, 42.602), (1, 8000, 4692.065), (4, 100, 58085.4)]


def words(*samples: tuple[int, int]) -> np.ndarray:
    return np.array(
        [raw | which << 14 | (k & 63) << 18 for k, (which, raw) in enumerate(samples)], np.uint32
    )


def by_ppk2_api(stream: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Current in A and digital bits, by IRNAS' library, without a port."""
    from ppk2_api.ppk2_api import PPK2_API

    other = PPK2_API.__new__(PPK2_API)
    other.ser = None

    class NoPort:
        baudrate = 0

        def __init__(self, *args: object, **kwargs: object) -> None: ...
        def close(self) -> None: ...

    import serial

    kept, serial.Serial = serial.Serial, NoPort  # type: ignore[misc,assignment]
    try:
        other.__init__("none")  # type: ignore[misc]
    finally:
        serial.Serial = kept  # type: ignore[misc]
    assert other._parse_metadata(METADATA)
    other.current_vdd = 3000
    samples, bits = other.get_samples(stream)
    return np.array(samples), np.array(bits)


@pytest.mark.parametrize(("which", "raw", "microamperes"), GOLDEN)
def test_current_is_the_published_one(which: int, raw: int, microamperes: float) -> None:
    (found,) = currents(CALIBRATION, words((which, raw)), 3000.0)
    assert found * 1e6 == pytest.approx(microamperes, rel=2e-4)


def test_every_sample_equals_ppk2_api_to_the_bit() -> None:
    """Random ranges, currents and lines: steady runs, single and double changes, range 4."""
    rng = np.random.default_rng(0)
    ranges = np.repeat(rng.integers(0, 5, 2000), rng.integers(1, 12, 2000))
    raw = rng.integers(0, 1 << 14, len(ranges))
    logic = rng.integers(0, 256, len(ranges))
    counter = np.arange(len(ranges)) & 63
    stream = (raw | ranges << 14 | counter << 18 | logic << 24).astype("<u4")
    theirs, bits = by_ppk2_api(stream.tobytes())
    filtered = SpikeFilter()
    ours = []
    for part in np.array_split(stream, 37):  # blocks of any size give the same
        amperes, _ = filtered.apply(
            currents(CALIBRATION, part, 3000.0), (part >> 14 & 7).astype(np.intp)
        )
        ours.append(amperes)
    assert np.array_equal(np.concatenate(ours) * 1e6, theirs)
    assert np.array_equal(logic, bits)


def test_the_meter_reads_what_ppk2_api_reads_from_the_same_port() -> None:
    """Both over the emulator's pseudo-terminal: the same samples from slot 0 on."""
    from ppk2_api.ppk2_api import PPK2_API

    with emulator("ppk2", speed=2, script=bursts(active_a=8e-3)) as device:
        with create("ppk2", **device.options()) as meter:
            meter.start()
            blocks = [meter.read() for _ in range(6)]
        ours = np.concatenate([b.current_a for b in blocks if b is not None])
        other = PPK2_API(device.path)
        other.ser.timeout = 0.05
        other._write_serial((0x19,))
        time.sleep(0.3)
        assert other._parse_metadata(other.ser.read(1000).decode())
        other.use_ampere_meter()
        other.set_source_voltage(3000)
        other.start_measuring()
        samples: list[float] = []
        while len(samples) < 10_000:
            if got := other.get_data():
                samples += other.get_samples(got)[0]
        other.stop_measuring()
        other.ser.close()
    count = min(len(ours), len(samples))
    assert count >= 5000
    assert np.array_equal(ours[:count] * 1e6, np.array(samples[:count]))


def test_a_sample_word_has_the_documented_bits() -> None:
    script = Script([Segment(1.0, 4.401924e-3, digital=1)])
    word = int(sample_words(script, CALIBRATION, 5, 1)[0])
    assert word & 0x3FFF == 1000
    assert word == 0x011483E8
    assert word.to_bytes(4, "little") == bytes.fromhex("e8831401")


def test_any_cutting_of_the_stream_gives_the_same_samples() -> None:
    stream = sample_words(bursts(), CALIBRATION, 0, 5000).tobytes()
    whole = StreamParser().feed(stream)
    parser, parts = StreamParser(), []
    rng = np.random.default_rng(1)
    at = 0
    while at < len(stream):
        size = int(rng.integers(1, 999))
        parts.append(parser.feed(stream[at : at + size]).words)
        at += size
    assert np.array_equal(np.concatenate(parts), whole.words[: sum(map(len, parts))])
    assert len(whole.words) == 5000


@pytest.mark.parametrize("missing", [1, 5, 30, 63])
def test_lost_samples_are_counted_and_time_stays_right(missing: int) -> None:
    sent = sample_words(bursts(), CALIBRATION, 0, 1000)
    parsed = StreamParser().feed(np.delete(sent, slice(400, 400 + missing)).tobytes())
    assert parsed.lost == missing
    assert parsed.slots[-1] == 999
    assert np.array_equal(sent[parsed.slots], parsed.words)


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 7])
def test_alignment_comes_back_after_lost_bytes(cut: int) -> None:
    sent = sample_words(bursts(), CALIBRATION, 0, 1000)
    stream = sent.tobytes()
    parsed = StreamParser().feed(stream[:1601] + stream[1601 + cut :])
    assert [event.kind for event in parsed.events] == ["misaligned"]
    good = parsed.slots > 402
    assert np.array_equal(sent[parsed.slots[good]], parsed.words[good])
    assert good.sum() == 1000 - 403


def test_digital_marks_fall_into_the_samples_of_the_script() -> None:
    script = bursts(step_s=2e-3, period_s=10e-3)
    with (
        emulator("ppk2", speed=4, script=script) as device,
        create("ppk2", **device.options()) as meter,
    ):
        meter.start()
        blocks = [meter.read() for _ in range(10)]
    time_s = np.concatenate([b.time_s for b in blocks if b is not None])
    bits = np.concatenate([b.digital for b in blocks if b is not None])
    assert np.array_equal(bits, script.digital(time_s))
    assert {0, 1} == set(np.unique(bits))


def test_the_energy_of_a_range_switching_load_is_within_a_thousandth() -> None:
    script = bursts(idle_a=20e-6, active_a=20e-3, step_s=3e-3, period_s=20e-3)
    with (
        emulator("ppk2", speed=4, script=script) as device,
        create("ppk2", spike_filter=False, **device.options()) as meter,
    ):
        tally = Tally(meter.info)
        meter.start()
        while tally.end_s < 1.0:
            tally.add(meter.read())
    assert tally.energy_j == pytest.approx(device.exact_j(0.0, tally.end_s), rel=1e-3)


@pytest.mark.parametrize(
    "options", [{}, {"voltage_v": 0.3}, {"voltage_v": 6}, {"voltage_v": 3, "mode": "x"}]
)
def test_the_voltage_must_be_given(options: dict) -> None:
    with pytest.raises(UsageError, match=r"PPK2"):
        create("ppk2", **options)


def test_the_device_is_set_up_by_the_documented_commands() -> None:
    with emulator("ppk2") as device:
        with create("ppk2", mode="source", **device.options()) as meter:
            meter.start()
            meter.stop()
        assert device.commands[:1] == b"\x07"
        assert b"\x19\x11\x02\x0d\x0b\xb8\x0c\x01\x06" in bytes(device.commands)
