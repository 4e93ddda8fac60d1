"""Recorded data as a task: read strictly, replayed row by row, a fifth held out."""

from __future__ import annotations

import json
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from grsn_edge.errors import TaskError
from grsn_edge.tasks import BatchedEnv, Logged, lessons, task

HEADER = "episode,time_s,distance,speed,steer,throttle\n"


def drive(path: Path, episodes: int = 6, steps: int = 7) -> Path:
    rows = [
        f"{e},{0.05 * t:.2f},{e + t / 10},{-t},{(-1) ** t * 0.5},{t / steps}\n"
        for e in range(episodes)
        for t in range(steps)
    ]
    path.write_text("# from a test drive\n" + HEADER + "".join(rows))
    return path


def replayed(name: str, batch: int) -> BatchedEnv:
    env = BatchedEnv(task(name), batch)
    env.reset(np.random.default_rng(0))
    return env


# ---- what is read --------------------------------------------------------------------------------


def test_columns_become_channels_with_the_ranges_that_were_driven(tmp_path: Path) -> None:
    found = task(f"log:{drive(tmp_path / 'a.csv')}?act=steer,throttle")
    assert [c.name for c in found.observations] == ["distance", "speed"]
    assert [(c.name, c.low, c.high) for c in found.actions] == [
        ("steer", -0.5, 0.5),
        ("throttle", 0.0, 6 / 7),
    ]
    assert found.period_s == pytest.approx(0.05)
    assert found.decoder == "clip"
    z = found.normalise(np.asarray([[0.0, -6.0], [5.6, 0.0]], np.float32))
    assert z == pytest.approx(np.asarray([[-1.0, -1.0], [1.0, 1.0]]))


def test_columns_can_be_chosen_and_one_log_has_one_spelling(tmp_path: Path) -> None:
    path = drive(tmp_path / "b.csv")
    found = task(f"log:{path}?see=speed&act=steer&part=test&noise=0.1")
    assert found.name == f"log:{path}?see=speed&act=steer&noise=0.1"
    assert task(found.name).name == found.name
    assert [c.name for c in found.observations] == ["speed"]
    assert found.noise == 0.1


def test_json_lines_as_run_prints_them_are_choices_and_episodes(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    step = [json.dumps({"observation": [t / 4, 1.0], "action": t % 3}) for t in range(4)]
    path.write_text("\n".join([*step, json.dumps({"seed": 0, "return": 4.0})] * 5))
    found = task(f"log:{path}")
    assert found.decoder == "argmax"
    assert len(found.actions) == 3
    assert isinstance(found.dynamics, Logged)
    assert len(found.dynamics.episodes) == 5
    assert found.dynamics.held_out.tolist() == [False] * 4 + [True]


def test_the_steps_of_a_session_are_a_log(tmp_path: Path) -> None:
    path = tmp_path / "steps.csv"
    rows = [f'{i},{i // 5},{0.02 * i},,,3,1.0,"[{i % 2 * 2.0}]","[0.5, {i}]"' for i in range(25)]
    names = "step,episode,release_s,begin_s,end_s,cost,reward,action,observation"
    path.write_text("\n".join([names, *rows]))
    found = task(f"log:{path}?kind=number")
    assert (len(found.observations), len(found.actions)) == (2, 1)
    assert found.period_s == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("1,2\n3,4\n", "no header"),
        ("a,b\n1,2\n", "no column 'action'"),
        ("a,action\n1,2,3\n", "line 2 .* 3 cells under 2 columns"),
        ("a,action\n1,0\n\nnan,1\n", "line 4 .*'nan' is not a finite"),
        ("a,action\n1,0\n2,x\n", "line 3 .*'x' is not a finite"),
        ("a,action\n1,0\n2,0\n", "every action is 0"),
        ("a,action\n1,0.5\n2,0.5\n", "always 0.5"),
        ("a,action\n1,1\n", "at least 2 steps"),
        ("action\n1\n", "to observe"),
        ('{"observation": [1]}\n', "no action"),
        ('{"observation": [1], "action": 0}\n{"observation": [1, 2], "action": 0}\n', "line 2"),
        ('{"observation"\n', "line 1 .* not JSON"),
    ],
)
def test_what_is_no_log_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad"
    path.write_text(text)
    with pytest.raises(TaskError, match=said):
        task(f"log:{path}")


@pytest.mark.parametrize("option", ["act=wheel", "see=wheel", "kind=word", "part=some", "steps=1"])
def test_options_that_cannot_be_are_refused(tmp_path: Path, option: str) -> None:
    path = drive(tmp_path / "d.csv")
    with pytest.raises(TaskError, match=r"wheel|one of|from 2"):
        task(f"log:{path}?act=steer&{option}" if "act" not in option else f"log:{path}?{option}")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(TaskError, match=r"cannot read the log 'nowhere\.csv'"):
        task("log:nowhere.csv")


# ---- what is replayed ----------------------------------------------------------------------------


def test_doing_what_was_done_is_worth_a_hundred(tmp_path: Path) -> None:
    env = replayed(f"log:{drive(tmp_path / 'e.csv')}?act=steer,throttle&part=all", 6)
    total, ended = np.zeros(6), np.zeros(6, bool)
    for _ in range(7):
        assert not ended.any()
        step = env.step(env.task.in_units(env.worlds.label()))  # type: ignore[attr-defined]
        total, ended = total + step.reward, step.done
    assert total == pytest.approx(np.full(6, 100.0))
    assert step.terminated.all()


def test_continuous_actions_agree_within_five_per_cent_of_the_range(tmp_path: Path) -> None:
    env = replayed(f"log:{drive(tmp_path / 'f.csv')}?act=steer", 1)
    done = env.task.in_units(env.worlds.label())  # type: ignore[attr-defined]
    assert env.step(done + 0.04).reward > 0
    done = env.task.in_units(env.worlds.label())  # type: ignore[attr-defined]
    assert env.step(done + 0.06).reward == 0


def test_the_single_environment_replays_the_same_rows(tmp_path: Path) -> None:
    name = f"log:{drive(tmp_path / 'g.csv')}?act=steer,throttle"
    env = gymnasium.make("grsn_edge/Task-v0", task=name)
    seen, _ = env.reset(seed=0)
    rows = [seen]
    while True:
        seen, _, terminated, truncated, _ = env.step(np.zeros(2, np.float32))
        if terminated or truncated:
            break
        rows.append(seen)
    assert np.stack(rows)[:, 0] == pytest.approx(4.0 + np.arange(7) / 10)


def test_training_never_sees_what_is_held_out(tmp_path: Path) -> None:
    found = task(f"log:{drive(tmp_path / 'h.csv')}?act=steer,throttle")
    train = lessons(found, None)
    assert train is not None
    assert isinstance(train.dynamics, Logged)
    assert isinstance(found.dynamics, Logged)
    rows = [set(map(tuple, world.pieces.tolist())) for world in (train.dynamics, found.dynamics)]
    assert all(rows)
    assert not rows[0] & rows[1]


def test_long_episodes_are_cut_and_few_give_their_last_fifth(tmp_path: Path) -> None:
    found = task(f"log:{drive(tmp_path / 'i.csv', 1, 100)}?act=steer&steps=30&part=all")
    assert isinstance(found.dynamics, Logged)
    assert found.dynamics.pieces.tolist() == [[0, 30], [30, 60], [60, 80], [80, 100]]
    assert found.dynamics.held_out.tolist() == [False, False, False, True]


def test_a_log_of_a_task_is_taken_by_the_names_of_its_channels(tmp_path: Path) -> None:
    path = tmp_path / "j.csv"
    known = task("cartpole-p")
    names = [c.name for c in known.observations]
    rows = [f"{i % 2},{i},{-i}" for i in range(10)]
    path.write_text("\n".join([",".join(["action", *reversed(names)]), *rows]))
    train = lessons(known, str(path))
    assert train is not None
    assert isinstance(train.dynamics, Logged)
    assert train.dynamics.observation[3].tolist() == [-3.0, 3.0]
    with pytest.raises(TaskError, match="no column"):
        lessons(task("pendulum-p"), str(path))
