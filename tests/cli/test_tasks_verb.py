"""Tasks on the command line: the list, descriptions, and what a file may name."""

from __future__ import annotations

import json
from importlib import util
from pathlib import Path

import pytest
from toy_policy import toy_policy

from grsn_edge.cli.main import main
from grsn_edge.policy import load, save


def test_the_list_says_what_is_ready_and_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda m: None if m == "mujoco" else found(m))
    assert main(["tasks"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "needs: pip install 'mujoco>=3'" in lines["hopper-p"]
    assert "ready" in lines["tmaze"]
    assert "?length=N" in lines["tmaze"]
    assert main(["tasks", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["ant-v"]["missing"] == ["mujoco>=3"]
    assert data["repeat-previous"]["options"] == ["k", "delay", "noise"]


def test_training_on_a_described_task_names_it_in_folder_command_and_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--delay", "1", "--noise", "0.02", "--hidden", "4", "--updates", "1"]
    assert main(["train", "tmaze", *options, "--json"]) == 0
    capsys.readouterr()
    policy = load(Path("out/tmaze-delay-1-noise-0.02-grsn-0/model.grsn"))
    assert policy.provenance["task"] == "tmaze?delay=1&noise=0.02"
    assert policy.provenance["command"].startswith("grsn-edge train 'tmaze?delay=1&noise=0.02' ")
    assert "--updates 1" in policy.provenance["command"]


def test_a_mask_on_a_task_that_has_its_own_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "cartpole-p", "--mask", "0"]) != 0
    assert "no option 'mask' here; it has: delay, noise" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["eval"], ["device", "run", "--port", "linux"]])
def test_a_file_that_would_import_a_module_is_not_played_unasked(
    verb: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, path = toy_policy(), tmp_path / "toy.grsn"
    vars(policy)["provenance"] = {"task": "gym:antigravity:Fly-v0"}
    save(policy, path)
    assert main([*verb, str(path)]) != 0
    assert "would import the module 'antigravity'" in capsys.readouterr().err
