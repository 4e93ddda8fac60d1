"""``grsn-edge device``: what a newcomer without hardware types, and what programs read."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from grsn_edge.cli.main import main
from grsn_edge.device.emulate import missing

ROOT = Path(__file__).resolve().parents[2]
MODEL = str(ROOT / "models" / "cartpole-p.grsn")
COMMANDS = (
    "list",
    "info",
    "flash",
    "step",
    "run",
    "verify",
    "selftest",
    "build",
    "emulate",
)

needs_m4 = pytest.mark.skipif(missing("m4") is not None, reason=str(missing("m4")))


def call(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(["device", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["device", name, "--help"])
    assert end.value.code == 0
    assert f"example:\n  grsn-edge device {name}" in capsys.readouterr().out


def test_list_names_every_board_and_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    found = {entry["name"]: entry for entry in call(capsys, "list")["boards"]}
    assert {"m0", "m4", "rv32", "avr", "rp2040"} <= set(found)
    assert found["m4"]["missing"] == missing("m4")
    assert found["rp2040"]["silicon"]


def test_a_board_that_does_not_exist_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["device", "info", "--port", "/dev/no-such-board"]) == 1
    assert re.fullmatch(r"grsn-edge: .*/dev/no-such-board.*\n", capsys.readouterr().err)


@needs_m4
def test_flash_and_info_on_an_emulated_board(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "flash", MODEL, "--port", "m4")["size"] > 1000
    found = call(capsys, "info", "--port", "m4")
    assert (found["board"]["name"], found["name"]) == ("m4", "")


@needs_m4
def test_step_gives_the_action_of_the_policy(capsys: pytest.CaptureFixture[str]) -> None:
    found = call(capsys, "step", "0.01", "-0.02", "--model", MODEL, "--port", "m4")
    assert found["action"] in (0, 1)
    assert found["counts"] > 1000


@needs_m4
def test_run_plays_an_episode_through_the_board(capsys: pytest.CaptureFixture[str]) -> None:
    found = call(capsys, "run", MODEL, "--port", "m4", "--seed", "5")
    assert found["board"] == "m4"
    assert found["episodes"] == [{"seed": 5, "return": 500.0, "steps": 500}]


@needs_m4
def test_verify_and_selftest_say_that_all_is_equal(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "verify", MODEL, "--port", "m4", "--steps", "60")["equal"]
    assert call(capsys, "selftest", "--model", MODEL, "--port", "m4")["equal"]


@needs_m4
def test_build_writes_an_elf_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "m4.elf"
    assert call(capsys, "build", "--board", "m4", "--out", str(out))["flash"] > 10_000
    assert out.read_bytes()[:4] == b"\x7fELF"


@needs_m4
def test_build_writes_uf2_for_chips_that_take_it_and_for_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pico2.uf2"
    found = call(capsys, "build", "--board", "rp2350", "--out", str(out))
    assert (found["out"], found["flash"] > 10_000) == (str(out), True)
    assert out.read_bytes()[:4] == b"UF2\n"
    out.unlink()
    assert main(["device", "build", "--board", "m4", "--out", str(out)]) == 1
    assert "m4 takes no UF2 file" in capsys.readouterr().err
    assert not out.exists()


@needs_m4
def test_emulate_prints_an_address_and_ends_on_interrupt() -> None:
    line = [sys.executable, "-m", "grsn_edge", "device", "emulate", "--model", MODEL, "--json"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert said["address"].startswith("socket://127.0.0.1:")
        assert main(["device", "selftest", "--port", said["address"]]) == 0
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
