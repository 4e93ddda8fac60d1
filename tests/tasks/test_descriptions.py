"""Descriptions of tasks, and any gymnasium environment as a task."""

from __future__ import annotations

import numpy as np
import pytest
from tasks.simulators import skip_without_packages

from grsn_edge.errors import TaskError
from grsn_edge.tasks import (
    BatchedEnv,
    asks_for,
    described,
    folder_name,
    is_playable,
    task,
    task_options,
)
from grsn_edge.tasks.environments import make_environment


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("cartpole-p?delay=0", "cartpole-p"),
        ("tmaze?length=10", "tmaze"),
        ("tmaze?noise=0.010&length=20", "tmaze?length=20&noise=0.01"),
        ("gym:Acrobot-v1?delay=2&mask=0,1", "gym:Acrobot-v1?mask=0,1&delay=2"),
    ],
)
def test_a_description_has_one_spelling_and_names_its_task_again(given: str, name: str) -> None:
    assert task(given).name == name
    assert task(name).name == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cartpole-p?", "not of the form"),
        ("cartpole-p?delay", "not of the form"),
        ("cartpole-p?delay=1&delay=2", "not of the form"),
        ("cartpole-p?delay=-1", "delay=-1: must be an integer from 0 to 1000"),
        ("cartpole-p?noise=nan", "noise=nan: must be a number"),
        ("cartpole-p?mask=0", "'cartpole-p' has no option 'mask' here; it has: delay, noise"),
        ("tmaze?length=3", "length=3: must be an integer from 5 to 1000"),
        ("gym:Acrobot-v1?mask=0,6", "indices from 0 to 5"),
        ("gym:Acrobot-v1?mask=1,1", "names an index twice"),
        ("gym:Acrobot-v1?mask=0&scale=1,2", "must be 1 positive numbers"),
        ("gym:NoSuchWorld-v9", "gymnasium cannot make 'NoSuchWorld-v9'"),
        ("gym:no_such_module:World-v0", "gymnasium cannot make"),
        ("gym:tasks.odd_worlds:UnboundedAction-v0", "bounded numbers"),
        ("gym:tasks.odd_worlds:Text-v0", "no flat vector"),
    ],
)
def test_a_description_that_cannot_be_is_refused(name: str, said: str) -> None:
    with pytest.raises(TaskError, match=said):
        task(name)
    assert not is_playable(name)


def test_options_of_the_command_line_become_part_of_the_name() -> None:
    given = {"mask": "0,1", "delay": "2", "noise": None}
    assert described("gym:Acrobot-v1", given) == "gym:Acrobot-v1?mask=0,1&delay=2"
    assert described("cartpole-p", dict.fromkeys(given)) == "cartpole-p"
    with pytest.raises(TaskError, match="says already what 'delay' is"):
        described("cartpole-p?delay=1", {"delay": "2"})


def test_a_file_cannot_have_a_module_imported_by_naming_it() -> None:
    name = "gym:tasks.odd_worlds:Fair-v0?delay=1"
    assert task(name).delay == 1
    assert asks_for(name) == "import the module 'tasks.odd_worlds'"
    assert not is_playable(name)
    assert asks_for("gym:Acrobot-v1") is None
    assert asks_for("log:/etc/passwd") == "read the file '/etc/passwd'"
    assert not is_playable("log:/etc/passwd")
    assert is_playable("gym:Acrobot-v1")


def test_a_description_gives_the_name_of_a_folder() -> None:
    assert folder_name("gym:ALE/Pong-v5?mask=0,1") == "gym-ALE-Pong-v5-mask-0,1"
    assert folder_name("cartpole-p") == "cartpole-p"


def test_options_are_listed() -> None:
    assert task_options("tmaze") == ("length", "delay", "noise")
    assert task_options("hopper-p") == ("delay", "noise")


def test_scales_come_from_the_environments_bounds() -> None:
    known = task("gym:Acrobot-v1?mask=0,4")
    assert known.scale == pytest.approx((0.5, 2 * np.pi))
    assert known.offset == (0.0, 0.0)
    assert (known.clip, known.max_steps, known.is_discrete) == (2.0, 500, True)
    assert [c.name for c in known.observations] == ["observation 0", "observation 4"]
    assert known.period_s == pytest.approx(0.2)


def test_scales_of_unbounded_channels_are_measured() -> None:
    known = task("gym:CartPole-v1?mask=0,1")
    assert known.scale[0] == pytest.approx(2.4)
    assert 0.5 < known.scale[1] < 5.0
    assert known.scale[1] == float(f"{known.scale[1]:.2g}")


def test_scales_and_the_time_limit_may_be_given() -> None:
    known = task("gym:CartPole-v1?mask=1&scale=2.5&steps=77")
    assert (known.scale, known.offset, known.max_steps) == ((2.5,), (0.0,), 77)
    assert known.name == "gym:CartPole-v1?mask=1&scale=2.5&steps=77"


def test_continuous_actions_keep_their_bounds() -> None:
    known = task("gym:Pendulum-v1?mask=0,1")
    assert (known.decoder, known.actions[0].low, known.actions[0].high) == ("clip", -2.0, 2.0)
    twin = make_environment("pendulum-p")
    masked = make_environment(known.name)
    assert np.array_equal(masked.reset(seed=1)[0], twin.reset(seed=1)[0])
    torque = np.array([0.7], np.float32)
    ours, theirs = masked.step(torque), twin.step(torque)
    assert np.array_equal(ours[0], theirs[0])
    assert ours[1] == pytest.approx(theirs[1])


def test_popgym_is_played_where_it_is_installed() -> None:
    pytest.importorskip("popgym")
    name = "gym:popgym:popgym-RepeatPreviousEasy-v0"
    skip_without_packages(name)
    with BatchedEnv(task(name), 2) as env:
        seen = env.reset(np.random.default_rng(0))
        assert seen.shape == (2, 4)
        assert seen.sum(axis=1).tolist() == [1.0, 1.0]
        ended = np.zeros(2, bool)
        for _ in range(60):
            ended |= env.step(np.zeros(2, np.int64)).terminated
        assert ended.all()
