"""Meters beside the PPK2: what a user relies on of each; replay, model, tally, the verb."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from toy_policy import toy_policy

from grsn_edge.cli.main import main
from grsn_edge.errors import MeterFault, MeterUnavailable, UsageError
from grsn_edge.policy import save
from grsn_edge.profiling.emulators import Script, Segment, bursts, emulator, read_script
from grsn_edge.profiling.meters import (
    Accuracy,
    Block,
    Flag,
    Meter,
    MeterInfo,
    MeterWarning,
    Tally,
    create,
    meter_kinds,
)
from grsn_edge.profiling.meters.pi5_meter import parse_rails

# ---- the interface -------------------------------------------------------------------------------


def block(power: list[float], time_s: list[float] | None = None, **more: object) -> Block:
    n = len(power)
    times = np.arange(n) * 0.1 if time_s is None else np.array(time_s)
    none = np.zeros(n, np.uint8)
    return Block(times, np.full(n, 0.1), np.array(power), None, None, none, none, **more)  # type: ignore[arg-type]


class Listed(Meter):
    """Gives the blocks of a list."""

    kind = "listed"

    def __init__(self, *blocks: Block) -> None:
        super().__init__()
        self.blocks = list(blocks)

    def _open(self) -> MeterInfo:
        return MeterInfo("listed", "", "power", 10.0, ("x",), 0, "unknown", None, "")

    def _start(self) -> None: ...
    def _stop(self) -> None: ...
    def _close(self) -> None: ...
    def _read(self) -> Block | None:
        return self.blocks.pop(0) if self.blocks else None


def read_all(meter: Meter) -> list[Block]:
    blocks = []
    with meter:
        meter.start()
        while (found := meter.read()) is not None:
            blocks.append(found)
    return blocks


def test_samples_that_are_not_numbers_are_dropped_and_counted_as_lost() -> None:
    (found,) = read_all(Listed(block([1.0, np.nan, 3.0])))
    assert found.power_w.tolist() == [1.0, 3.0]
    assert found.lost == 1
    assert found.flags.tolist() == [0, Flag.GAP_BEFORE]
    assert [w.kind for w in found.warnings] == ["lost"]


@pytest.mark.parametrize(
    "times", [[0.0, 0.1, 0.05], [0.0, 0.1, 0.1]], ids=["goes back", "stands still"]
)
def test_time_that_goes_back_is_a_fault(times: list[float]) -> None:
    with pytest.raises(MeterFault, match="time goes back"):
        read_all(Listed(block([1.0, 1.0, 1.0], times)))


def test_time_that_goes_back_between_blocks_is_a_fault() -> None:
    with pytest.raises(MeterFault, match="time goes back"):
        read_all(Listed(block([1.0, 1.0]), block([1.0])))


def test_negative_power_is_said() -> None:
    (found,) = read_all(Listed(block([-1.0, -2.0])))
    assert [(w.kind, w.count, w.voids) for w in found.warnings] == [("negative", 2, True)]


def test_calls_in_the_wrong_order_are_refused() -> None:
    meter = Listed()
    with pytest.raises(UsageError, match="not open"):
        meter.start()
    with meter, pytest.raises(UsageError, match="call start"):
        meter.read()


def test_a_tally_is_void_above_a_thousandth_of_losses_and_carries_the_meters_bound() -> None:
    info = Listed()._open()
    good = MeterInfo(
        "x", "", "power", 10.0, ("x",), 0, "factory", Accuracy(0.1, offset_w=0.01, source="s"), ""
    )
    tally = Tally(good)
    tally.add(block([1.0] * 999, lost=1))
    assert not tally.void
    assert tally.bound_j == pytest.approx(0.1 * 99.9 + 0.01 * 99.9)
    tally.add(block([1.0], [200.0], lost=1))
    assert tally.void
    assert Tally(info).bound_j is None


def test_warnings_of_one_kind_become_one() -> None:
    twice = (MeterWarning("lost", "a", 1.0, 2), MeterWarning("lost", "a", 2.0, 3))
    tally = Tally(Listed()._open())
    tally.add(block([1.0], warnings=twice))
    assert tally.warnings == (MeterWarning("lost", "a", 1.0, 5),)


# ---- scripts -------------------------------------------------------------------------------------


def test_a_scripts_energy_is_the_closed_form() -> None:
    script = Script([Segment(1.0, 0.2), Segment(2.0, 0.1, end_a=0.3, digital=5)], voltage_v=2.0)
    assert script.energy_j(0, 3) == pytest.approx((0.2 + 0.4) * 2.0)
    assert script.energy_j(0, 7.5) == pytest.approx((2 * 0.6 + 0.2 + 0.5 * 0.1 + 0.0125) * 2.0)
    assert script.current_a([0.5, 2.0, 5.0]).tolist() == pytest.approx([0.2, 0.2, 0.2])
    assert script.digital([0.5, 1.5, 4.5]).tolist() == [0, 5, 5]


def test_a_script_is_read_from_csv_and_a_bad_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "s.csv"
    file.write_text("duration_s,current_a,end_a,digital\n0.5,1e-3,,0\n0.5,2e-3,4e-3,1\n")
    assert read_script(file, 3.0).energy_j(0, 1) == pytest.approx(3 * (0.5e-3 + 1.5e-3))
    file.write_text("duration_s,current_a\n0.5,much\n")
    with pytest.raises(UsageError, match="line 2"):
        read_script(file)


# ---- single meters -------------------------------------------------------------------------------


@pytest.mark.parametrize("chip", ["ina219", "ina226", "ina228", "ina260"])
@pytest.mark.parametrize("via", ["ina-i2c", "ina-hwmon"])
def test_every_ina_chip_gives_the_scripts_energy(chip: str, via: str) -> None:
    script = Script([Segment(5.0, 0.2, end_a=0.3)], voltage_v=5.0)
    with emulator(via, chip=chip, script=script) as device:
        options = device.options()
        if chip == "ina260":
            options.pop("shunt_ohm", None)
        with create("ina", **options) as meter:
            tally = Tally(meter.info)
            meter.start()
            while tally.end_s < 2.0:
                tally.add(meter.read())
    assert tally.energy_j == pytest.approx(device.exact_j(0.0, tally.end_s), rel=5e-3)
    assert not tally.warnings


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"via": "i2c", "chip": "ina219"}, "shunt_ohm is needed"),
        ({"via": "i2c", "chip": "ina260", "shunt_ohm": 0.1}, "shunt inside"),
        ({"via": "i2c", "shunt_ohm": 0.1}, "chip must be named"),
        ({"chip": "ina999"}, "no chip"),
        ({"shunt_ohm": 100_000.0}, "the unit is"),
        ({"via": "usb"}, "hwmon or i2c"),
    ],
)
def test_an_ina_shunt_is_never_guessed(options: dict, words: str) -> None:
    with emulator("ina-i2c") as device, pytest.raises(UsageError, match=words):
        create("ina", bus_object=device.options()["bus_object"], **options).open()


def test_hwmon_is_found_among_other_sensors_and_wrong_driver_shunts_are_put_right() -> None:
    script = Script([Segment(5.0, 0.25)], voltage_v=5.0)
    with (
        emulator("ina-hwmon", fault="driver-shunt", script=script) as device,
        create("ina", **device.options()) as meter,
    ):
        meter.start()
        found = meter.read()
        assert found is not None
        assert found.current_a is not None
        assert found.current_a.mean() == pytest.approx(0.25, rel=1e-3)
        assert "echo 100000 >" in meter.info.warnings[0].text


def test_rapl_takes_each_socket_once_and_survives_a_wrap() -> None:
    script = Script([Segment(9.0, 5.0, end_a=9.0)], voltage_v=4.0)
    with (
        emulator("rapl", fault="wrap", script=script) as device,
        create("rapl", **device.options()) as meter,
    ):
        assert meter.info.channels == ("0 package-0", "1 package-1")
        tally = Tally(meter.info)
        meter.start()
        while tally.end_s < 3.0:
            tally.add(meter.read())
    assert tally.energy_j == pytest.approx(1.5 * script.energy_j(0, tally.end_s), abs=1e-5)


@pytest.mark.skipif(not any(Path("/sys/class/powercap").glob("intel-rapl:*")), reason="no RAPL")
def test_the_machines_own_rapl_counts() -> None:
    meter = create("rapl")
    try:
        meter.open()
    except MeterUnavailable as error:
        pytest.skip(str(error))
    with meter:
        meter.start()
        found = meter.read()
        assert found is not None
        assert found.energy_j > 0


def test_the_pis_idle_listing_gives_the_published_sum() -> None:
    from grsn_edge.profiling.emulators.pi5_emulator import listing

    total = sum(a * v for a, v in parse_rails(listing()).values())
    assert total == pytest.approx(1.96781, abs=1e-5)
    assert 1.1451 * total + 0.5879 == pytest.approx(2.84124, abs=1e-5)


def test_the_otii_emulator_serves_qoitechs_own_client() -> None:
    pytest.importorskip("otii_tcp_client")
    from otii_tcp_client import otii, otii_connection

    with emulator("otii", speed=8, script=bursts()) as device:
        line = otii_connection.OtiiConnection("127.0.0.1", device.options()["port"])
        assert line.connect_to_server(try_for_seconds=2)["type"] == "information"
        application = otii.Otii(line)
        (arc,) = application.get_devices()
        arc.enable_channel("mc", True)
        project = application.get_active_project()
        project.start_recording()
        recording = project.get_last_recording()
        while (count := recording.get_channel_data_count(arc.id, "mc")) < 400:
            pass
        project.stop_recording()
        data = recording.get_channel_data(arc.id, "mc", 0, count)
        line.close_connection()
    assert data["interval"] == 1 / 4000
    edges = np.arange(count + 1) / 4000
    assert data["values"] == pytest.approx(bursts().mean_current_a(edges).tolist())


def test_lpm01a_numbers_are_those_of_its_manual() -> None:
    from grsn_edge.profiling.emulators.lpm01a_emulator import number

    assert number(640.9e-6) == "6409-07"
    assert [float(number(x).replace("-", "e-")) for x in (1e-9, 5e-5)] == [1e-9, 5e-5]


# ---- replay --------------------------------------------------------------------------------------


def replay(file: Path, **options: object) -> list[Block]:
    return read_all(create("replay", file=str(file), **options))


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".csv.zst"])
def test_a_recording_gives_its_energy_back(tmp_path: Path, ending: str) -> None:
    rows = "".join(f"{k * 1e-3:.6f},0.001,0.5,,,{k % 2},0\n" for k in range(3000))
    text = "time_s,duration_s,power_w,current_a,voltage_v,digital,flags\n" + rows
    file = tmp_path / f"power{ending}"
    data = text.encode()
    if ending.endswith("gz"):
        data = gzip.compress(data[:30_000]) + gzip.compress(data[30_000:])
    if ending.endswith("zst"):
        data = pytest.importorskip("zstandard").ZstdCompressor().compress(data)
    file.write_bytes(data)
    blocks = replay(file)
    assert sum(b.energy_j for b in blocks) == pytest.approx(1.5)
    assert sum(len(b) for b in blocks) == 3000
    assert blocks[0].digital[:3].tolist() == [0, 1, 0]
    assert blocks[0].current_a is None


def test_units_in_another_programs_header_are_read(tmp_path: Path) -> None:
    file = tmp_path / "ppk.csv"
    file.write_text("Timestamp(ms),Current(uA),D0\n" + "0,1000,0\n0.01,3000,1\n0.02,1000,1\n")
    (found, *_) = replay(file, voltage_v=3.0)
    assert found.power_w[:2].tolist() == pytest.approx([3e-3, 9e-3])
    assert found.time_s[:2].tolist() == pytest.approx([0.0, 1e-5])
    assert found.digital[:2].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time,current_a\n0,1\n", "column of time"),
        ("time_s,amps\n0,1\n", "no column of current"),
        ("time_s,current_a\n0,1\n", "give voltage_v"),
        ("", "column of time"),
    ],
)
def test_a_recording_without_units_or_voltage_is_refused(
    tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "x.csv"
    file.write_text(text)
    with pytest.raises(MeterUnavailable, match=words):
        replay(file)


def test_what_is_wrong_in_a_recording_is_said(tmp_path: Path) -> None:
    def kinds(rows: str) -> tuple[set[str], int]:
        file = tmp_path / "x.csv"
        file.write_text("time_s,power_w\n" + rows)
        blocks = replay(file)
        return {w.kind for b in blocks for w in b.warnings}, sum(b.lost for b in blocks)

    assert kinds("0,1\n1,x\n2,1\n3,1\n")[0] == {"damaged"}
    assert kinds("0,1\n1,nan\n2,1\n3,1\n") == ({"lost"}, 1)
    assert "lost" in kinds("0,1\n1,1\n2,1\n9,1\n10,1\n")[0]
    assert "damaged" in kinds("0,1\n1,1\n2,0.")[0]
    with pytest.raises(MeterFault, match="time goes back"):
        kinds("0,1\n2,1\n1,1\n3,1\n")


def test_a_cut_gzip_recording_keeps_what_is_there(tmp_path: Path) -> None:
    rows = "".join(f"{k},1.5\n" for k in range(5000))
    file = tmp_path / "cut.csv.gz"
    file.write_bytes(gzip.compress(("time_s,power_w\n" + rows).encode())[:-400])
    blocks = replay(file)
    assert sum(len(b) for b in blocks) > 1000
    assert "damaged" in {w.kind for b in blocks for w in b.warnings}


# ---- the verb ------------------------------------------------------------------------------------


def test_list_names_every_meter_and_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["meter", "list", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert {m["kind"] for m in data["meters"]} == set(meter_kinds())
    assert main(["meter", "list", "ppk2"]) == 0
    text = capsys.readouterr().out
    assert "voltage_v" in text
    assert "counter-flip" in text


def test_read_shows_exact_energy_of_an_emulated_device_and_fails_on_void_figures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    read = ["meter", "read", "pi5", "--emulated", "--seconds", "2"]
    assert main([*read, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["energy_j"] == pytest.approx(data["exact_j"], rel=2e-2)
    assert main([*read, "--fault", "throttled"]) == 1
    assert "VOID" in capsys.readouterr().out


def test_modelled_figures_say_so_in_text_and_names(capsys: pytest.CaptureFixture[str]) -> None:
    read = ["meter", "read", "model", "--seconds", "0.05", "--set", "period_s=0.01"]
    assert main(read) == 0
    text = capsys.readouterr().out
    assert "modelled energy" in text
    assert not re.search(r"^energy", text, re.MULTILINE)
    assert main([*read, "--json"]) == 0
    assert "modelled_energy_j" in json.loads(capsys.readouterr().out)


def test_a_policys_modelled_energy_stands_beside_other_networks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "toy.grsn"
    save(toy_policy(), file)
    assert main(["meter", "model", str(file), "--hidden", "16"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("modelled pJ per step")
    assert {"GRU 2-16-", "LSTM 2-16-", "MLP 2-64-64-"} <= set(
        re.findall(r"[GLM]\w+ 2-\d+-(?:64-)?", text)
    )
    assert main(["meter", "model", str(file), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert all("modelled" in key for key in data if key.endswith("_pj"))
    assert data["modelled_pj"] > data["modelled_arithmetic_pj"] > 0


@pytest.mark.parametrize(
    "argv",
    [
        ["read"],
        ["read", "ppk3"],
        ["read", "ppk2", "--set", "volts=3"],
        ["read", "ppk2", "--set", "voltage_v=three"],
        ["read", "pi5", "--fault", "throttled"],
        ["read", "pi5", "--emulated", "--fault", "nonsense"],
        ["emulate", "model"],
        ["list", "nothing"],
    ],
)
def test_what_cannot_be_honoured_is_refused(argv: list[str], capsys) -> None:
    assert main(["meter", *argv]) == 1
    assert capsys.readouterr().err.startswith("grsn-edge: ")


@pytest.mark.parametrize(
    "name",
    [
        "ppk2",
        "ina-i2c",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("rapl", "ina-hwmon", "pi5", "otii", "lpm01a", "joulescope")
        ),
    ],
)
def test_an_emulated_meter_is_read_by_another_process(name: str) -> None:
    """The line that ``emulate`` prints, as a user would type it."""
    command = [sys.executable, "-m", "grsn_edge", "meter"]
    seconds = ["--seconds", "0.3"]
    with subprocess.Popen([*command, "emulate", name], stdout=subprocess.PIPE, text=True) as device:
        assert device.stdout is not None
        device.stdout.readline()
        words = device.stdout.readline().split()
        settings = [w for w in words if re.match(r"^(PATH|PYTHONPATH)=", w)]
        env = dict(os.environ)
        for setting in settings:
            key, value = setting.split("=", 1)
            before = env.get(key, "")
            env[key] = value.replace("$PATH", before) if key == "PATH" else value
        read = words[words.index("grsn-edge") + 1 :]
        done = subprocess.run(
            [*command, *read[1:], *seconds, "--json"],
            env=env, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        device.terminate()
    assert done.stdout, done.stderr
    data = json.loads(done.stdout)
    assert data["samples"] > 0
    assert data["energy_j"] > 0
