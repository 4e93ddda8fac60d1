"""The command as a user meets it: help, JSON, exit codes, streams."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from toy_policy import toy_policy

from grsn_edge.cli.main import main, parser, verbs
from grsn_edge.policy import load, save
from grsn_edge.policy.layout import unpack


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "toy.grsn"
    save(toy_policy(), path)
    return path


def call(*argv: object) -> int:
    return main([str(arg) for arg in argv])


def test_every_verb_has_help_with_an_example_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert {"run", "eval", "train", "freeze", "inspect", "demo", "doctor"} <= set(verbs())
    for name in verbs():
        with pytest.raises(SystemExit) as stopped:
            call(name, "--help")
        assert stopped.value.code == 0
        text = capsys.readouterr().out
        assert f"example:\n  {verbs()[name].EXAMPLE}" in text
        assert "--json" in text


def test_inspect_prints_the_program_and_json(model: Path, capsys) -> None:
    assert call("inspect", model) == 0
    page = capsys.readouterr().out
    assert "layer0.spike: int8[4] [0, 1] = ge(" in page
    assert "worst case" in page
    assert call("inspect", model, "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["golden_steps"] == 20
    assert data["observations"][1] == {"name": "v", "unit": "m/s", "low": None, "high": None}


@pytest.mark.parametrize(
    ("bits", "size", "told"),
    [
        (8, 20, "20 of 8 bits: 20 bytes in the file and in memory"),
        (6, 17, "20 of 6 bits: 17 bytes in the file, packed; 20 in memory"),
        (4, 10, "20 of 4 bits: 10 bytes in the file, packed; 20 in memory"),
    ],
)
def test_inspect_says_what_the_weights_take_in_the_file_and_in_memory(
    bits: int, size: int, told: str, tmp_path: Path, capsys
) -> None:
    model = tmp_path / "toy.grsn"
    save(toy_policy(bits), model)
    call("inspect", model)
    assert f"weights     {told}\n" in capsys.readouterr().out
    call("inspect", model, "--json")
    weights = json.loads(capsys.readouterr().out)["weights"]
    assert weights == {"bits": bits, "count": 20, "file_bytes": size, "memory_bytes": 20}
    held = unpack(model.read_bytes())[1]
    assert sum(held[name].nbytes for name in held if name.endswith(".weight")) == size


def test_hostile_names_cannot_write_to_the_terminal(model: Path, capsys) -> None:
    policy = load(model)
    vars(policy)["provenance"] = {"note": "\x1b[2J"}
    save(policy, model)
    call("inspect", model)
    assert "\x1b" not in capsys.readouterr().out


def test_run_answers_each_line_and_goes_on_after_a_bad_one(
    model: Path, capsys, monkeypatch
) -> None:
    lines = "[0.6, 1.0]\n[oops\n[0.6, 1.0]\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    assert call("run", model, "--backend", "numpy") == 0
    out = capsys.readouterr()
    answers = [json.loads(line) for line in out.out.splitlines()]
    assert [set(a) for a in answers] == [{"action"}, {"line", "error"}, {"action"}]
    assert "2 steps, 1 bad lines" in out.err


def test_run_strict_stops_at_the_first_bad_line(model: Path, tmp_path: Path, capsys) -> None:
    file = tmp_path / "obs.csv"
    file.write_text("0.6,1.0\nx\n0.6,1.0\n")
    assert call("run", model, "--backend", "numpy", "--input", file, "--strict") == 1
    out = capsys.readouterr()
    assert len(out.out.splitlines()) == 2
    assert "line 2" in out.err


def test_errors_are_one_line_on_stderr(model: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "broken.grsn").write_bytes(model.read_bytes()[:100])
    for argv in (
        ["run", tmp_path / "none.grsn"],
        ["inspect", tmp_path / "broken.grsn"],
        ["run", model, "--input", tmp_path / "none.txt"],
        ["run", model, "--backend", "abacus"],
        ["eval", model, "--task", "juggling"],
        ["eval", model],
        ["train", "juggling"],
        ["train", "cartpole-p", "--network", "gnu"],
        ["train", "cartpole-p", "--hidden", "-3"],
        ["freeze", tmp_path],
    ):
        assert call(*argv) == 1, argv
        out = capsys.readouterr()
        assert out.out == ""
        assert out.err.startswith("grsn-edge: ")
        assert out.err.count("\n") == 1, out.err


def test_wrong_usage_is_two() -> None:
    with pytest.raises(SystemExit) as stopped:
        call("run")
    assert stopped.value.code == 2


def test_train_eval_and_freeze_from_the_command_line(tmp_path: Path, capsys, monkeypatch) -> None:
    from grsn_edge.training import recipes

    tiny = {
        **recipes._CARTPOLE,
        "float_steps": 64,
        "tune_steps": 64,
        "envs": 8,
        "steps": 8,
        "evaluate_every": 1,
        "evaluate_episodes": 4,
        "hidden": 5,
        "stop_at": None,
    }
    monkeypatch.setitem(recipes._FOR_TASK, "cartpole-p", tiny)
    run = tmp_path / "run"
    assert call("train", "cartpole-p", "--out", run, "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["finished"]
    assert set(data["results"]) == {"float", "freeze", "tune"}
    assert load(run / "model.grsn").provenance["command"].startswith("grsn-edge train cartpole-p")
    assert call("train", "cartpole-p", "--out", run) == 1
    assert "overwrite" in capsys.readouterr().err
    assert call("eval", run / "model.grsn", "--episodes", "3", "--json") == 0
    assert json.loads(capsys.readouterr().out)["episodes"] == 3
    assert call("run", run / "model.grsn", "--task", "cartpole-p", "--quiet", "--json") == 0
    assert json.loads(capsys.readouterr().out)["episodes"][0]["steps"] > 0
    assert call("freeze", run, "-o", tmp_path / "again.grsn") == 0
    again, first = load(tmp_path / "again.grsn"), load(run / "model.grsn")
    for node in first.program:
        for key, value in node.attrs.items():
            assert np.array_equal(again.program[node.name].attrs[key], value)


def test_a_reader_that_leaves_does_not_leave_a_traceback(model: Path) -> None:
    lines = "[0.6, 1.0]\\n" * 20000
    command = (
        f"printf '{lines[:40]}%.0s' $(seq 5000) | {sys.executable} -m grsn_edge run {model} "
        "--backend numpy | head -n 1"
    )
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["action"] in (0, 1, 2)


def test_doctor_says_which_backends_work(capsys) -> None:
    assert call("doctor", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["backends"]["numpy"]["reason"] is None
    assert data["self_check"]["ok"]


def test_the_parser_lists_every_verb() -> None:
    text = parser().format_help()
    assert all(name in text for name in verbs())
