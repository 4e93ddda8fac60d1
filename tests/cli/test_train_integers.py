"""``train`` with other integers, fewer neurons and a budget, and beginning from another run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from grsn_edge.cli.main import main
from grsn_edge.policy import load
from grsn_edge.profiling import price as pricing
from grsn_edge.training import recipes
from grsn_edge.training.budget import Cost


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    short = {
        **recipes._CARTPOLE,
        "float_steps": 64,
        "quieten_steps": 64,
        "tune_steps": 64,
        "envs": 8,
        "steps": 8,
        "evaluate_every": 1,
        "evaluate_episodes": 4,
        "hidden": 8,
        "stop_at": None,
    }
    monkeypatch.setitem(recipes._FOR_TASK, "cartpole-p", short)
    monkeypatch.chdir(tmp_path)


def call(*arguments: str) -> int:
    return main(["train", "cartpole-p", *arguments])


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_a_run_is_quantised_and_pruned_otherwise_in_a_folder_beside_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("--out", "run") == 0
    capsys.readouterr()
    assert call("--from", "run", "--weights", "4", "--prune-to", "4", "--json") == 0
    data = told(capsys)
    assert data["pruned"] == {"before": [8, 2], "after": [4, 2]}
    policy = load(Path("run-w4-to4/model.grsn"))
    assert policy.weight_bits == 4
    command = policy.provenance["command"]
    assert command == ("grsn-edge train cartpole-p --seed 0 --weights 4 --prune-to 4 --from run")
    assert call("--from", "run", "--hidden", "9") == 1
    assert "the run that was begun decides; leave --hidden out" in capsys.readouterr().err
    assert call("--from", "elsewhere") == 1
    assert "there is no checkpoint" in capsys.readouterr().err


def test_a_budget_that_is_missed_is_said_and_is_no_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = Cost(900.0, 800.0, 200.0, 0.5, 128, "instructions, imagined")
    monkeypatch.setattr(pricing, "price", lambda *_: cost)
    monkeypatch.setattr(pricing, "check_budget", lambda _: None)
    arguments = ("--budget", "500instr@m4", "--coefficients", "pow2", "--out", "run")
    assert call(*arguments) == 0
    assert "budget 500instr@m4: NOT MET: 900 a step" in capsys.readouterr().out
    assert call(*arguments, "--overwrite", "--json") == 0
    data = told(capsys)
    assert data["budget_met"] is False
    assert data["step"] == cost.config()
    assert load(Path("run/model.grsn")).provenance["budget"]["met"] is False


def test_what_is_not_a_budget_is_refused_before_training(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("--budget", "fast@m4") == 1
    assert "'fast@m4' is not a budget" in capsys.readouterr().err
