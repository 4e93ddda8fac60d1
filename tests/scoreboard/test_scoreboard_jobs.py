"""A job is done once, goes on where it stopped, and is another job when its recipe changes."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from scoreboard_work import by_seed

from grsn_edge.device.emulate import missing
from grsn_edge.errors import DeviceError, TaskError, UsageError
from grsn_edge.policy import load
from grsn_edge.scoreboard import games, local, store
from grsn_edge.scoreboard import job as jobs
from grsn_edge.scoreboard.games import game
from grsn_edge.scoreboard.job import run_job
from grsn_edge.scoreboard.local import run_here
from grsn_edge.scoreboard.price import BOARD, price
from grsn_edge.scoreboard.runner import Board, Event
from grsn_edge.scoreboard.store import MODEL, claimed, job_folder, job_key, look
from grsn_edge.scoreboard.suites import SUITES, Job, is_team, split_network, suite
from grsn_edge.teams.registry import team_task

TEAM = "navigation-p"
TINY = {
    "hidden": 6,
    "envs": 8,
    "steps": 8,
    "epochs": 1,
    "minibatches": 2,
    "float_steps": 3 * 64,
    "quieten_steps": 64,
    "tune_steps": 64,
    "evaluate_every": 2,
    "evaluate_episodes": 4,
    "spike_rate": 0.05,
}


def tiny(network: str = "grsn", seed: int = 0, **changes: Any) -> Job:
    return Job("cartpole-p", network, seed, {**TINY, **changes}, episodes=3)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Prices cost nothing; the list tells for what they were asked."""
    asked: list[str] = []

    def no_price(policy: Any, *_: Any) -> dict[str, Any]:
        asked.append(policy.name)
        return {"instructions": {"why_not": "a test"}}

    monkeypatch.setattr(jobs, "price", no_price)
    return asked


def test_a_job_trains_freezes_plays_and_prices(tmp_path: Path, free: list[str]) -> None:
    job = tiny()
    result = run_job(job, tmp_path)
    assert result is not None
    assert result["job"] == {"task": "cartpole-p", "network": "grsn", "seed": 0}
    assert len(result["play"]["int8"]) == len(result["play"]["float"]) == 3
    assert result["play"]["steps"] == sum(result["play"]["int8"])
    assert 0.0 <= result["play"]["rate"] <= 1.0
    assert result["training"]["cpu_s"] > 0.0
    assert load(job_folder(tmp_path, job) / MODEL).name == "cartpole-p"
    assert json.loads((job_folder(tmp_path, job) / store.RESULT).read_text()) == result
    assert free == ["cartpole-p"]


def test_a_finished_job_is_only_read(
    tmp_path: Path, free: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_job(tiny("mlp"), tmp_path)
    monkeypatch.setattr(games, "train", None)
    assert run_job(tiny("mlp"), tmp_path) == first
    assert len(free) == 1


def test_an_interrupted_job_goes_on_to_the_same_policy(tmp_path: Path, free: list[str]) -> None:
    calls = 0

    def stop_at_the_second(doing: str, left: float) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt

    assert run_job(tiny(), tmp_path / "a", stop_at_the_second) is None
    assert free == []
    again, whole = run_job(tiny(), tmp_path / "a"), run_job(tiny(), tmp_path / "b")
    assert again is not None
    assert whole is not None
    assert again["play"] == whole["play"]
    assert again["training"]["env_steps"] == whole["training"]["env_steps"]


def test_two_processes_do_not_work_at_one_job(tmp_path: Path, free: list[str]) -> None:
    pytest.importorskip("fcntl")
    with (
        claimed(job_folder(tmp_path, tiny())),
        pytest.raises(UsageError, match="another process works at the job"),
    ):
        run_job(tiny(), tmp_path)
    assert free == []


def test_another_recipe_or_seed_is_another_job() -> None:
    keys = {job_key(job) for job in (tiny(), tiny(lr=1e-3), tiny(seed=1), tiny("gru"))}
    assert len(keys) == 4
    assert job_key(tiny()) == job_key(tiny())


def test_other_sources_are_noticed_and_never_mixed(
    tmp_path: Path, free: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = tiny("mlp")
    old = run_job(job, tmp_path)
    key = job_key(job)
    monkeypatch.setattr(store, "learning_version", lambda team=False: "another")
    found = look(tmp_path, [job, tiny("gru")])
    assert found.results == ()
    assert found.missing == (job, tiny("gru"))
    assert found.elsewhere == (old,)
    with pytest.raises(UsageError, match="not those that the suite was begun with"):
        run_job(job, tmp_path, key=key)
    assert look(tmp_path, [tiny("mlp", lr=1e-3)]).aside == 1


def test_a_price_of_other_sources_is_found_again_without_training(
    tmp_path: Path, free: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_job(tiny("mlp"), tmp_path)
    monkeypatch.setattr(jobs, "pricing_version", lambda: "another")
    monkeypatch.setattr(games, "train", None)
    result = run_job(tiny("mlp"), tmp_path)
    assert result is not None
    assert result["price"]["version"] == "another"
    assert len(free) == 2


@pytest.mark.slow
@pytest.mark.skipif(bool(team_task(TEAM).member.missing), reason="a package is missing")
def test_a_team_is_a_job_too(tmp_path: Path, free: list[str]) -> None:
    small = {"hidden": 8, "updates": 2, "envs": 4, "batch": 4, "learn": 1, "evaluate_episodes": 4}
    job = Job(TEAM, "grsn", 0, small, episodes=3)
    result = run_job(job, tmp_path)
    assert result is not None
    task = team_task(TEAM)
    assert len(result["play"]["int8"]) == len(result["play"]["float"]) == 3
    assert result["play"]["steps"] <= 3 * task.layout.agents * task.member.max_steps
    assert 0.0 < result["play"]["rate"] < 1.0


def test_comments_do_not_change_a_version(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    versions = []
    for text in ('"""Doc."""\nx = 1  # one\n', '"""Other."""\nx = 1\n', "x = 2\n"):
        file.write_text(text)
        versions.append(store._version([file], ()))
    assert versions[0] == versions[1] != versions[2]


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    folder = job_folder(tmp_path, tiny())
    folder.mkdir(parents=True)
    (folder / store.RESULT).write_text("{")
    with pytest.raises(UsageError, match=r"result\.json' is not a result"):
        look(tmp_path, [tiny()])


@pytest.mark.slow
@pytest.mark.skipif(missing(BOARD) is not None, reason=str(missing(BOARD)))
def test_instructions_are_counted_on_the_policys_own_episodes() -> None:
    policy = load(Path(__file__).parents[2] / "models" / "cartpole-p.grsn")
    seen = game("cartpole-p").play(policy, 2, 0).seen
    found = price(policy, seen, {"layer0.spike": 0.05}, 0.02)
    counted, energy = found["instructions"], found["modelled"]
    assert counted["steps"] == 1000
    assert 300 < counted["mean"] < counted["worst"] < counted["vm_worst"]
    assert counted["mean"] < counted["vm_mean"]
    assert energy["modelled_period_j"] > energy["modelled_step_j"] > 0.0


@pytest.mark.slow
@pytest.mark.skipif(missing(BOARD) is not None, reason=str(missing(BOARD)))
def test_a_policy_too_large_for_a_slot_is_counted_compiled_in_only(tmp_path: Path) -> None:
    result = run_job(tiny("gru", hidden=160), tmp_path)
    assert result is not None
    counted = result["price"]["instructions"]
    assert counted["mean"] > 50_000
    assert "vm_mean" not in counted
    assert "a slot of the board takes" in counted["vm_why_not"]


def test_a_job_whose_pricing_failed_is_not_learned_again(
    tmp_path: Path, free: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> dict[str, Any]:
        raise DeviceError("no emulator")

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "price", broken)
        with pytest.raises(DeviceError):
            run_job(tiny("mlp"), tmp_path)
    assert look(tmp_path, [tiny("mlp")]).missing == (tiny("mlp"),)
    monkeypatch.setattr(games, "train", None)
    assert run_job(tiny("mlp"), tmp_path) is not None


# ---- suites --------------------------------------------------------------------------------------


def test_every_suite_has_recipes_for_all_its_jobs() -> None:
    for found in SUITES.values():
        assert len(found.seeds) >= 3
        recipes = [(j.task, j.recipe()) for j in found.jobs() if j.seed == 0]
        for name in found.tasks:
            count = sum(task == name for task, _ in recipes)
            assert count == len(found.networks) or (is_team(name) and count >= 5)


def test_budgets_are_the_same_for_all_networks_of_a_task() -> None:
    for name in suite("quick").tasks:
        recipes = [j.recipe() for j in suite("quick").jobs() if j.task == name and j.seed == 0]
        assert len({(r.float_steps, r.tune_steps, r.evaluate_episodes) for r in recipes}) == 1


def test_a_suite_can_be_narrowed_and_sizes_given() -> None:
    chosen = suite("quick").narrowed(["pendulum-p"], ["gru:16"], [7, 7], updates=2, episodes=5)
    (job,) = chosen.jobs()
    assert (job.task, job.network, job.seed, job.episodes) == ("pendulum-p", "gru:16", 7, 5)
    assert job.recipe().network.cells[0].size == 16
    assert job.recipe().float_steps == 2 * job.recipe().steps_per_update
    assert job.recipe().lr == Job("pendulum-p", "gru", 7, job.changes).recipe().lr


@pytest.mark.parametrize("name", ["nothing", "gru:", "gru:0", "gru:x"])
def test_a_network_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no network"):
        split_network(name)


def test_a_task_or_suite_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TaskError, match="no task"):
        suite("quick").narrowed(["nothing"])
    with pytest.raises(UsageError, match="no suite"):
        suite("nothing")


# ---- side by side --------------------------------------------------------------------------------


def seeds(*numbers: int) -> list[Job]:
    return [tiny("mlp", seed) for seed in numbers]


def test_a_crashed_job_is_reported_and_takes_no_other_with_it(tmp_path: Path) -> None:
    events: list[Event] = []
    ended = run_here(seeds(1, 2, 3, 0), tmp_path, 2, events.append, by_seed)
    assert [job.seed for job in ended.done] == [0]
    assert (
        list(ended.failed) == [f"cartpole-p mlp {seed}" for seed in (1, 2, 3)]
        or len(ended.failed) == 3
    )
    assert "status -9" in ended.failed["cartpole-p mlp 1"]
    assert ended.failed["cartpole-p mlp 2"] == "TrainingError: nothing was learned"
    assert "ZeroDivisionError: a bug" in ended.failed["cartpole-p mlp 3"]
    assert not ended.interrupted
    assert (tmp_path / "done-0").read_text() == "1"  # one thread
    assert {event.kind for event in events} == {"begun", "doing", "done", "failed"}


def test_ctrl_c_ends_every_running_job_and_begins_no_other(tmp_path: Path) -> None:
    pressed = False

    def watch(event: Event) -> None:
        nonlocal pressed
        begun = len(list(tmp_path.glob("begun-*")))
        if not pressed and begun == 2:
            pressed = True
            os.kill(os.getpid(), signal.SIGINT)

    began = time.monotonic()
    before = signal.getsignal(signal.SIGINT)
    ended = run_here(seeds(4, 5, 6), tmp_path, 2, watch, by_seed)
    assert ended.interrupted
    assert ended.done == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun-4", "begun-5"]
    assert time.monotonic() - began < 25.0
    assert signal.getsignal(signal.SIGINT) is before


def test_a_job_whose_runner_was_killed_ends_without_a_word(tmp_path: Path) -> None:
    ours, theirs = multiprocessing.Pipe()
    ours.close()
    before = signal.getsignal(signal.SIGINT)
    local._child(tiny(), "key", tmp_path, theirs, threading.Event(), lambda *_: None)
    signal.signal(signal.SIGINT, before)


def test_no_process_is_no_runner(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 1 process"):
        run_here([], tmp_path, 0, lambda event: None)


def test_what_is_left_is_estimated_from_what_was_done() -> None:
    work = [dataclasses.replace(job, network=n) for n in ("mlp", "gru") for job in seeds(0, 1)]
    board = Board(work, 2)
    assert board.left_s(0.0) is None
    board.take(Event(work[0], "begun"), 0.0)
    board.take(Event(work[2], "begun"), 0.0)
    board.take(Event(work[2], "doing", "learn", 30.0), 10.0)
    board.take(Event(work[0], "done"), 20.0)
    # mlp took 20 s; gru has been at it for 20 s and needs 30 more; one of each is waiting
    assert board.left_s(20.0) == pytest.approx((20.0 + (20.0 + 50.0) / 2 + 30.0) / 2)
    assert (board.ended, board.total) == (1, 4)
