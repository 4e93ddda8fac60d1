"""MuJoCo's walkers side by side: gymnasium's own environments, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tasks.simulators import skip_without_packages

from grsn_edge.tasks import BatchedEnv, task
from grsn_edge.tasks.mujoco_worlds import MujocoWorlds

ROBOTS = ("hopper-p", "walker2d-v", "halfcheetah-v", "ant-p")
BATCH = 3


@pytest.fixture(params=ROBOTS)
def name(request: pytest.FixtureRequest) -> str:
    skip_without_packages(request.param)
    return str(request.param)


def worlds(env: BatchedEnv) -> MujocoWorlds:
    assert isinstance(env.worlds, MujocoWorlds)
    return env.worlds


def action(name: str, rng: np.random.Generator, n: int = BATCH) -> np.ndarray[Any, Any]:
    """Some beyond their bounds."""
    return rng.normal(0.0, 0.7, (n, len(task(name).actions))).astype(np.float32)


def test_whole_episodes_are_gymnasiums_to_the_bit(name: str) -> None:
    known, rng = task(name), np.random.default_rng(2)
    with BatchedEnv(known, BATCH) as env:
        env.reset(rng)
        alive = {i: known.dynamics.single() for i in range(BATCH)}
        for i, single in alive.items():
            first = single.reset(seed=int(worlds(env).seeds[i]))[0]
            assert np.array_equal(first, worlds(env).full()[i])
        for _ in range(400):
            chosen = action(name, rng)
            step, full = env.step(chosen), worlds(env).full()
            for i, single in list(alive.items()):
                observation, reward, terminated, truncated, _ = single.step(chosen[i])
                assert np.array_equal(observation, full[i])
                assert (reward, terminated) == (step.reward[i], step.terminated[i])
                assert not truncated
                if terminated:
                    del alive[i]


def test_an_environment_begun_again_is_a_fresh_one(name: str) -> None:
    known = task(name)
    with BatchedEnv(known, 2) as used, BatchedEnv(known, 2) as fresh:
        used.reset(np.random.default_rng(0))
        for _ in range(20):
            used.step(action(name, np.random.default_rng(1), 2))
        for env in (used, fresh):
            env.reset(np.random.default_rng(5))
        for _ in range(20):
            chosen = action(name, np.random.default_rng(3), 2)
            a, b = used.step(chosen), fresh.step(chosen)
            assert np.array_equal(a.full, b.full)
            assert np.array_equal(a.reward, b.reward)


def test_a_restored_batch_goes_on_exactly(name: str) -> None:
    known, rng = task(name), np.random.default_rng(3)
    with BatchedEnv(known, BATCH) as env:
        env.reset(rng)
        for _ in range(15):
            env.step(action(name, rng))
        saved = env.snapshot()
        later = [action(name, rng) for _ in range(25)]
        first = [env.step(chosen) for chosen in later]
    with BatchedEnv(known, BATCH) as other:
        other.restore(saved)
        for before, chosen in zip(first, later, strict=True):
            again = other.step(chosen)
            assert np.array_equal(before.full, again.full)
            assert np.array_equal(before.reward, again.reward)
            assert np.array_equal(before.done, again.done)


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without_packages("hopper-v")
    seen = []
    for count in ("1", "3"):
        monkeypatch.setenv("GRSN_EDGE_WORKERS", count)
        rng = np.random.default_rng(0)
        with BatchedEnv(task("hopper-v"), 5) as env:
            env.reset(rng)
            steps = [env.step(action("hopper-v", rng, 5)) for _ in range(10)]
        seen.append(np.stack([step.full for step in steps]))
    assert np.array_equal(seen[0], seen[1])


def test_an_ended_episode_rests_until_it_is_begun_again() -> None:
    skip_without_packages("hopper-p")
    rng, push = np.random.default_rng(0), np.ones((BATCH, 3), np.float32)
    with BatchedEnv(task("hopper-p"), BATCH) as env:
        env.reset(rng)
        while not (step := env.step(push)).terminated.all():
            pass
        fallen, taken = worlds(env).full(), worlds(env).taken.copy()
        step = env.step(push)
        assert np.array_equal(worlds(env).full(), fallen)
        assert step.reward.tolist() == [0.0] * BATCH
        env.reset(rng, np.array([True, False, False]))
        env.step(push)
        assert worlds(env).taken.tolist() == [1, *taken[1:]]
