"""Late and noisy sensors, the same in a batch and in a single environment."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from grsn_edge.errors import TaskError
from grsn_edge.tasks import BatchedEnv, task
from grsn_edge.tasks.environments import make_environment


def test_a_late_observation_is_the_one_of_so_many_steps_before() -> None:
    late, prompt = (BatchedEnv(task(n), 4) for n in ("cartpole-p?delay=3", "cartpole-p"))
    truth = [prompt.reset(np.random.default_rng(0))]
    seen = [late.reset(np.random.default_rng(0))]
    for t in range(12):
        push = np.array([t % 2, 1, 0, 1])
        truth.append(prompt.step(push).observation)
        seen.append(late.step(push).observation)
    for t, observation in enumerate(seen):
        assert np.array_equal(observation, truth[max(t - 3, 0)])


def test_a_new_episode_sees_nothing_of_the_one_before() -> None:
    env = BatchedEnv(task("cartpole-p?delay=5"), 2)
    rng = np.random.default_rng(0)
    env.reset(rng)
    before = env.step(np.array([1, 1])).observation
    seen = env.reset(rng, np.array([True, False]))
    assert np.array_equal(seen[0], env.worlds.full()[0, [0, 2]])
    assert np.array_equal(seen[1], before[1])


def test_the_last_action_is_neither_late_nor_noisy() -> None:
    env = BatchedEnv(task("pendulum-v?delay=2&noise=0.1"), 1)
    env.reset(np.random.default_rng(0))
    assert env.step(np.array([[1.25]], np.float32)).observation[0, 1] == 1.25


def test_noise_has_the_size_that_was_asked_for() -> None:
    noisy, exact = (BatchedEnv(task(n), 4000) for n in ("cartpole-p?noise=0.05", "cartpole-p"))
    error = noisy.reset(np.random.default_rng(0)) - exact.reset(np.random.default_rng(0))
    assert np.allclose(error.std(axis=0), 0.05 * np.array([2.4, 0.2095]), rtol=0.05)
    assert np.abs(error.mean(axis=0) / error.std(axis=0)).max() < 0.1


def test_noise_is_fresh_at_every_step_and_the_same_for_the_same_seed() -> None:
    courses = []
    for seed in (1, 1, 2):
        env = BatchedEnv(task("pendulum-p?noise=0.1"), 2)
        env.reset(np.random.default_rng(seed))
        env.worlds.state[:] = 0.0  # type: ignore[attr-defined]
        still = np.zeros((2, 1), np.float32)
        courses.append(np.stack([env.step(still).observation for _ in range(3)]))
    assert np.array_equal(courses[0], courses[1])
    assert not np.array_equal(courses[0], courses[2])
    assert len(np.unique(courses[0])) == courses[0].size


def test_a_snapshot_holds_what_is_still_on_its_way() -> None:
    env = BatchedEnv(task("pendulum-p?delay=2&noise=0.1"), 3)
    env.reset(np.random.default_rng(0))
    torque = np.full((3, 1), 0.5, np.float32)
    env.step(torque)
    saved = env.snapshot()
    first = [env.step(torque).observation for _ in range(4)]
    env.restore(saved)
    assert np.array_equal(env.observation(), env.observation())
    assert np.array_equal([env.step(torque).observation for _ in range(4)], first)
    with pytest.raises(TaskError, match="needs 'line'"):
        env.restore({name: value for name, value in saved.items() if name != "line"})


def test_a_single_environment_is_late_too_and_noisy_by_its_seed() -> None:
    late, prompt = make_environment("cartpole-p?delay=1"), make_environment("cartpole-p")
    first, _ = prompt.reset(seed=1)
    assert np.array_equal(late.reset(seed=1)[0], first)
    prompt.step(1)
    assert np.array_equal(late.step(1)[0], first)
    noisy = make_environment("cartpole-p?noise=0.1")
    courses = [[noisy.reset(seed=3)[0], noisy.step(0)[0]] for _ in range(2)]
    assert np.array_equal(*courses)
    assert not np.array_equal(courses[0][0], make_environment("cartpole-p").reset(seed=3)[0])


def test_gymnasium_makes_described_tasks_with_their_time_limit() -> None:
    env = gymnasium.make("grsn_edge/Task-v0", task="tmaze?length=5&delay=1")
    env.reset(seed=0)
    ends = [env.step(1)[3] for _ in range(24)]
    assert ends == [False] * 23 + [True]
