"""``grsn-edge run --realtime``: the own rate of the policy, its supervisor, and statistics."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toy_policy import toy_policy

from grsn_edge.cli.main import main
from grsn_edge.policy import ActionChoices, SupervisorConfig, save
from grsn_edge.runtime import Newest

pytest.importorskip("grsn_edge._native", reason="the extension is not built")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "guarded.grsn"
    guarded = SupervisorConfig(ActionChoices(0, (0, 1)), deadline_periods=100.0, lost_periods=50)
    save(replace(toy_policy(), supervisor=guarded), path)
    return path


@pytest.fixture
def running(model: Path) -> Iterator[subprocess.Popen[str]]:
    line = [sys.executable, "-m", "grsn_edge", "run", str(model), "--realtime", "--json"]
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def heard(process: subprocess.Popen[str], what: str) -> dict[str, Any]:
    """The next line in which this state holds."""
    assert process.stdout is not None
    for line in process.stdout:
        found: dict[str, Any] = json.loads(line)
        if found.get("state") == what:
            return found
    raise AssertionError(f"never {what}")


def test_a_stream_that_falls_silent_is_held_then_safe_and_its_end_is_an_end(
    running: subprocess.Popen[str],
) -> None:
    assert running.stdin is not None
    assert running.stdout is not None
    heard(running, "ARMED")
    say(running, "[0.1, 0.2, 0.3]")
    for _ in range(5):
        say(running, "[0.1, 0.2]")
        time.sleep(0.03)
    assert "STALE" in heard(running, "HOLD")["conditions"]
    safe = heard(running, "SAFE")
    assert (safe["action"], safe["reaction"]) == (0, "RETIRE")
    running.stdin.close()
    last = json.loads(running.stdout.read().splitlines()[-1])
    assert last["steps"] >= 1
    assert last["bad_lines"] == 1
    assert "INPUT_LOST" in last["reasons"]
    assert running.wait(20) == 0


def test_ctrl_c_ends_it_with_its_statistics(running: subprocess.Popen[str]) -> None:
    assert running.stdout is not None
    heard(running, "ARMED")
    running.send_signal(signal.SIGINT)
    last = json.loads(running.stdout.read().splitlines()[-1])
    assert last["interrupted"]
    assert running.wait(20) == 0


def test_episodes_are_played_at_the_rate_of_the_policy(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("gymnasium")
    pole = str(Path(__file__).resolve().parents[2] / "models" / "cartpole-p.grsn")
    words = ["run", pole, "--realtime", "--task", "cartpole-p?delay=40", "--quiet", "--json"]
    begun = time.monotonic()
    assert main([*words, "--rate", "200"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    (episode,) = found["episodes"]
    assert episode["steps"] == found["steps"] < 60
    assert time.monotonic() - begun > 0.02 * (episode["steps"] - 1)


def test_strict_ends_at_a_bad_line_with_the_safe_action(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lines").write_text("[0.1, 0.2]\n[0.1]\n")
    words = ["run", str(model), "--realtime", "--strict", "--input", str(tmp_path / "lines")]
    assert main(words) == 1
    said = capsys.readouterr()
    assert "line 2: 1 numbers; the channels are x, v" in said.err.splitlines()[-1]
    last = json.loads(said.out.splitlines()[-1])
    assert (last["state"], last["action"]) == ("IDLE", 0)


def test_options_of_real_time_alone_are_refused(model: Path, capsys) -> None:
    assert main(["run", str(model), "--rate", "10"]) == 1
    assert "belong to --realtime" in capsys.readouterr().err


def test_the_newest_observation_is_taken_and_the_others_are_counted() -> None:
    said: list[str] = []
    newest = Newest(
        toy_policy(), ["[1, 2]", "[3, 4]", "{}", '{"reset": true}'], "auto", said.append
    )
    newest._thread.join(5)
    assert newest.take() == [3.0, 4.0]
    assert newest.take() is None
    assert (newest.passed_over, newest.bad, newest.ended) == (1, 2, True)
    assert "line 4: a reset has no place in real time" in said[1]
