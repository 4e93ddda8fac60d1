"""``train --algorithm``: what goes with what, and where it goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from grsn_edge.cli.main import main
from grsn_edge.policy import load
from grsn_edge.training import offpolicy

pytest.importorskip("torchrl")


def test_discrete_sac_trains_in_a_folder_of_its_own_and_says_how(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    short = {
        **offpolicy._COMMON,
        "float_steps": 64,
        "quieten_steps": 64,
        "tune_steps": 64,
        "envs": 8,
        "steps": 8,
        "evaluate_episodes": 2,
        "hidden": 4,
        "off_policy": offpolicy.OffPolicy(batch=4, updates=2),
    }
    monkeypatch.setitem(offpolicy._FOR_TASK, "cartpole-p", short)
    monkeypatch.chdir(tmp_path)
    assert main(["train", "cartpole-p", "--algorithm", "sac", "--seed", "1"]) == 0
    policy = load(Path("out/cartpole-p-grsn-sac-1/model.grsn"))
    assert "--algorithm sac" in policy.provenance["command"]
    assert policy.provenance["recipe"]["off_policy"]["updates"] == 2


def test_td3_on_choices_is_refused_before_anything_is_made(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "cartpole-p", "--algorithm", "td3"]) == 1
    assert "td3 needs continuous actions" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
