"""Tasks, and how gymnasium knows them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from tasks.simulators import skip_without_packages

from grsn_edge.errors import TaskError
from grsn_edge.tasks import task, task_names


def test_every_robot_has_a_task_with_positions_and_one_with_velocities() -> None:
    robots = ("ant", "cartpole", "halfcheetah", "hopper", "lunarlander", "pendulum", "walker2d")
    masked = {f"{robot}-{suffix}" for robot in robots for suffix in "pv"}
    assert set(task_names()) == masked | {"tmaze", "repeat-previous"}


def test_an_unknown_task_is_named_with_the_known_ones() -> None:
    with pytest.raises(TaskError, match="no task 'walker'; there are: ant-p, ant-v, cartpole-p"):
        task("walker")


def test_an_observation_is_normalised_and_clamped() -> None:
    seen = np.array([[1.2, -0.2095], [9.0, 0.0]], np.float32)
    assert task("cartpole-p").normalise(seen).tolist() == [[0.5, -1.0], [1.0, 0.0]]


def test_a_unit_action_spans_the_torque() -> None:
    torque = task("pendulum-p").in_units(np.array([[-1.0], [0.5], [3.0]]))
    assert torque.tolist() == [[-2.0], [1.0], [2.0]]
    assert torque.dtype == np.float32


@pytest.mark.parametrize("name", task_names())
def test_every_observation_that_occurs_fits_the_described_range(name: str) -> None:
    found = task(name)
    ends = np.array([[c.low, c.high] for c in found.observations], np.float32)
    limits = (ends - np.array(found.offset)[:, None]) / np.array(found.scale)[:, None]
    assert np.all(np.abs(limits) <= found.clip * 1.001)


def test_a_task_that_does_not_describe_its_channels_is_refused() -> None:
    with pytest.raises(TaskError, match="observes 1 channels"):
        replace(task("cartpole-p"), observed=(0,))


@pytest.mark.parametrize("name", task_names())
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_gymnasium_accepts_the_environment(name: str) -> None:
    skip_without_packages(name)
    env = gymnasium.make(task(name).environment)
    assert env.spec is not None
    assert env.spec.max_episode_steps == task(name).max_steps
    check_env(env.unwrapped, skip_render_check=True)


def test_gymnasium_finds_the_environments_by_the_modules_name() -> None:
    code = (
        "import gymnasium\n"
        "env = gymnasium.make('grsn_edge.tasks:grsn_edge/Pendulum-V-v0', render_mode='rgb_array')\n"
        "print(env.reset(seed=0)[0].shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(2,)"


def test_the_masked_pendulum_tells_the_torque_that_was_applied() -> None:
    env = gymnasium.make("grsn_edge/Pendulum-V-v0")
    first, _ = env.reset(seed=3)
    seen, *_ = env.step(np.array([5.0], np.float32))
    assert first[1] == 0.0
    assert seen[1] == 2.0
