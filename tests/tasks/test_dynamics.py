"""The batched worlds are gymnasium's worlds."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from tasks.simulators import MASKED_PHYSICS

from grsn_edge.errors import TaskError
from grsn_edge.tasks import BatchedEnv, task

EPISODES = 8


def actions(name: str, rng: np.random.Generator, n: int) -> np.ndarray[Any, Any]:
    """Random ones; continuous ones also beyond their bounds."""
    if task(name).is_discrete:
        return rng.integers(0, 2, n)
    return rng.normal(0.0, 2.0, (n, 1)).astype(np.float32)


def robots(name: str, env: BatchedEnv) -> list[Any]:
    """gymnasium environments in the states of a batch."""
    made = [gymnasium.make(task(name).environment) for _ in range(env.batch)]
    for i, robot in enumerate(made):
        robot.reset(seed=i)
        robot.unwrapped.env.state = env.worlds.state[i].copy()
    return made


@pytest.mark.parametrize("name", MASKED_PHYSICS)
def test_states_and_observations_equal_gymnasiums_over_whole_episodes(name: str) -> None:
    rng = np.random.default_rng(1)
    env = BatchedEnv(task(name), EPISODES)
    env.reset(rng)
    alive = dict(enumerate(robots(name, env)))
    for _ in range(task(name).max_steps):
        action = actions(name, rng, EPISODES)
        step = env.step(action)
        for i, robot in list(alive.items()):
            seen, reward, terminated, truncated, _ = robot.step(action[i])
            assert np.array_equal(robot.unwrapped.env.state, env.worlds.state[i])
            assert seen.dtype == np.float32
            assert np.array_equal(seen, step.observation[i])
            assert (terminated, truncated) == (step.terminated[i], step.truncated[i])
            # gymnasium squares scalars by libm's pow, which may be off by one unit in the last
            # place of the torque's float32 term (weight 0.001); nothing else depends on it.
            assert abs(reward - step.reward[i]) <= 1e-9
            if terminated or truncated:
                del alive[i]
    assert not alive


def test_cartpole_falls_to_the_side_that_it_is_pushed_from() -> None:
    env = BatchedEnv(task("cartpole-p"), 1)
    env.worlds.state = np.zeros((1, 4))
    for _ in range(8):
        step = env.step(np.array([1]))
    assert step.observation[0, 0] > 0 > step.observation[0, 1]
    assert step.reward == 1.0


def test_the_time_limit_truncates_but_does_not_terminate() -> None:
    env = BatchedEnv(task("pendulum-p"), 2)
    env.reset(np.random.default_rng(0))
    env.elapsed[:] = (198, 199)
    step = env.step(np.zeros((2, 1), np.float32))
    assert step.truncated.tolist() == [False, True]
    assert not step.terminated.any()
    assert step.done.tolist() == [False, True]


def test_reset_begins_only_the_masked_episodes() -> None:
    env = BatchedEnv(task("pendulum-v"), 2)
    env.reset(np.random.default_rng(0))
    env.step(np.full((2, 1), 1.5, np.float32))
    before = env.worlds.state.copy()
    observation = env.reset(np.random.default_rng(1), np.array([True, False]))
    assert not np.array_equal(env.worlds.state[0], before[0])
    assert np.array_equal(env.worlds.state[1], before[1])
    assert env.elapsed.tolist() == [0, 1]
    assert observation[:, 1].tolist() == [0.0, 1.5]


def test_staggered_episodes_end_at_different_times() -> None:
    env = BatchedEnv(task("cartpole-p"), 64)
    env.reset(np.random.default_rng(0))
    env.stagger(np.random.default_rng(1))
    assert len(set(env.elapsed.tolist())) > 32
    assert env.elapsed.max() < 500


def test_a_snapshot_brings_a_batch_back() -> None:
    env = BatchedEnv(task("pendulum-v"), 3)
    env.reset(np.random.default_rng(0))
    saved = env.snapshot()
    torque = np.full((3, 1), 0.5, np.float32)
    first = env.step(torque)
    env.restore(saved)
    again = env.step(torque)
    assert np.array_equal(first.observation, again.observation)
    assert np.array_equal(first.reward, again.reward)


def test_a_snapshot_of_another_batch_is_refused() -> None:
    saved = BatchedEnv(task("pendulum-v"), 3).snapshot()
    with pytest.raises(TaskError, match=r"'state' \(4, 2\)"):
        BatchedEnv(task("pendulum-v"), 4).restore(saved)
