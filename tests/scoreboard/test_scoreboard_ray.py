"""The same jobs through Ray, on a cluster of one core of this machine."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from grsn_edge.errors import UsageError
from grsn_edge.scoreboard.cluster import run_on_ray
from grsn_edge.scoreboard.runner import Event
from grsn_edge.scoreboard.store import look
from grsn_edge.scoreboard.suites import Job

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is missing")

TINY = {"hidden": 6, "envs": 8, "steps": 8, "float_steps": 64, "tune_steps": 64}


@pytest.mark.slow
def test_ray_does_the_same_jobs_and_reports_those_that_fail(tmp_path: Path) -> None:
    good = Job("cartpole-p", "mlp", 0, {**TINY, "evaluate_episodes": 2}, episodes=2)
    bad = Job("cartpole-p", "mlp", 1, {**TINY, "teacher": str(tmp_path / "nobody.grsn")}, 2)
    events: list[Event] = []
    ended = run_on_ray([good, bad], tmp_path, "local", 1, events.append)
    assert [job.seed for job in ended.done] == [0]
    assert list(ended.failed) == ["cartpole-p mlp 1"]
    (result,) = look(tmp_path, [good]).results
    assert len(result["play"]["int8"]) == 2
    assert [event.kind for event in events].count("begun") == 2


@pytest.mark.slow
def test_no_cluster_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no Ray cluster at 'auto'"):
        run_on_ray([], tmp_path, "auto", 1, lambda event: None)
