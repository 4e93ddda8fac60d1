"""``grsn-edge limits``: showing, setting and removing what guards a policy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grsn_edge.cli.main import main
from grsn_edge.policy import ActionChoices, ActionLimit, SupervisorConfig, load, model_hash

MODELS = Path(__file__).resolve().parents[2] / "models"
POLE, PENDULUM = str(MODELS / "cartpole-p.grsn"), str(MODELS / "pendulum-p.grsn")


def limited(model: str, out: Path, *pairs: str) -> SupervisorConfig | None:
    assert main(["limits", model, "--set", *pairs, "-o", str(out)]) == 0
    return load(out).supervisor


def test_limits_of_an_action_come_from_its_channel_and_from_what_is_set(tmp_path: Path) -> None:
    found = limited(PENDULUM, tmp_path / "a.grsn", "safe=0", "slew=0.5", "robot=bench 2")
    channel = load(PENDULUM).actions[0]
    expected = ActionLimit(channel.low, channel.high, 0.0, 0.5)
    assert found == SupervisorConfig((expected,), robot="bench 2")


def test_what_is_set_later_leaves_the_rest(tmp_path: Path) -> None:
    first, second = tmp_path / "a.grsn", tmp_path / "b.grsn"
    limited(PENDULUM, first, "safe=0", "slew=0.5", "lost_periods=9")
    name = load(PENDULUM).actions[0].name
    found = limited(str(first), second, f"{name}.brake=1.5", "on_invalid=hold")
    assert found is not None
    assert isinstance(found.actions, tuple)
    assert (found.actions[0].slew, found.actions[0].brake) == (0.5, 1.5)
    assert (found.lost_periods, found.on_invalid) == (9, "hold")


def test_choices_are_named_or_numbered(tmp_path: Path) -> None:
    names = [channel.name for channel in load(POLE).actions]
    found = limited(POLE, tmp_path / "a.grsn", f"safe={names[1]}", "allowed=1")
    assert found is not None
    assert found.actions == ActionChoices(1, (1,))


def test_they_are_shown_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    guarded, bare = tmp_path / "a.grsn", tmp_path / "b.grsn"
    limited(POLE, guarded, "safe=0")
    capsys.readouterr()
    assert main(["limits", str(guarded), "--json"]) == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert shown["supervisor"]["actions"] == {"allowed": [0, 1], "safe": 0}
    assert main(["limits", str(guarded), "--remove", "-o", str(bare)]) == 0
    assert model_hash(load(bare)) == model_hash(load(POLE))
    assert "has no limits" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "safe=0"], "a change needs --out FILE"),
        (["-o", "x.grsn"], "--out a change"),
        (["--set", "slew=1", "-o", "x.grsn"], "say what is safe"),
        (["--set", "safe", "-o", "x.grsn"], "not of the form KEY=VALUE"),
        (["--set", "safe=0", "sleep=1", "-o", "x.grsn"], "no 'sleep' to set; there are low, high"),
        (["--set", "safe=much", "-o", "x.grsn"], "safe is a number, not 'much'"),
        (["--set", "safe=0", "stale_periods=x", "-o", "x.grsn"], "whole number"),
        (["--set", "safe=99", "-o", "x.grsn"], "must be finite and lie in its limits"),
        (["--set", "safe=0", "--remove", "-o", "x.grsn"], "exclude each other"),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["limits", PENDULUM, *words]) == 1
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_choice_that_there_is_not_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["limits", POLE, "--set", "safe=up", "-o", str(tmp_path / "x.grsn")]) == 1
    assert "'up' is none of the choices" in capsys.readouterr().err
