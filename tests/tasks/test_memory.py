"""Memory tasks: their rules, and the same in a batch and alone."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from grsn_edge.tasks import BatchedEnv, task

FORWARD, BACK, LEFT, RIGHT = range(4)


@pytest.mark.parametrize("name", ["tmaze", "tmaze?length=5", "repeat-previous?k=7"])
def test_a_batch_plays_what_single_environments_play(name: str) -> None:
    known, rng = task(name), np.random.default_rng(4)
    env = BatchedEnv(known, 6)
    seen = env.reset(rng)
    singles = [gymnasium.make("grsn_edge/Task-v0", task=name) for _ in range(6)]
    for i, single in enumerate(singles):
        single.reset(seed=i)
        single.unwrapped.env.worlds.state = env.worlds.state[i : i + 1].copy()  # type: ignore[attr-defined]
    alive = dict(enumerate(singles))
    for _ in range(known.max_steps):
        chosen = rng.integers(0, 4, 6)
        step = env.step(chosen)
        for i, single in list(alive.items()):
            observation, reward, terminated, truncated, _ = single.step(chosen[i])
            assert np.array_equal(observation, step.observation[i])
            assert reward == step.reward[i]
            assert terminated == step.terminated[i]
            assert (terminated or truncated) == step.done[i]
            if step.done[i]:
                del alive[i]
    assert not alive
    assert seen.shape == (6, len(known.observations))


def test_the_same_seed_starts_a_single_environment_the_same_way() -> None:
    env = gymnasium.make("grsn_edge/RepeatPrevious-v0")
    courses = [[env.reset(seed=2)[0], *(env.step(0)[0] for _ in range(9))] for _ in range(2)]
    assert np.array_equal(*courses)


@pytest.mark.parametrize("length", [5, 12])
def test_the_maze_shows_its_cue_only_at_the_start_and_pays_for_the_turn(length: int) -> None:
    env = BatchedEnv(task(f"tmaze?length={length}"), 64)
    seen = [env.reset(np.random.default_rng(0))]
    cue = seen[0][:, 0].copy()
    assert set(cue.tolist()) == {-1.0, 1.0}
    for _ in range(length):
        step = env.step(np.full(64, FORWARD))
        assert not step.reward.any()
        seen.append(step.observation)
    assert not np.stack(seen[1:])[:, :, 0].any()
    assert [bool(s[0, 1]) for s in seen] == [False] * length + [True]
    end = env.step(np.where(cue > 0, LEFT, RIGHT))
    assert end.terminated.all()
    assert set(end.reward.tolist()) == {4.0}


def test_the_maze_charges_for_every_step_that_leads_nowhere_and_for_the_wrong_turn() -> None:
    env = BatchedEnv(task("tmaze?length=5"), 1)
    side = env.reset(np.random.default_rng(0))[0, 0]
    assert [float(env.step(np.array([a])).reward[0]) for a in (BACK, LEFT, RIGHT)] == [-0.1] * 3
    for _ in range(5):
        env.step(np.array([FORWARD]))
    assert env.step(np.array([FORWARD])).reward[0] == -0.1
    wrong = env.step(np.array([RIGHT if side > 0 else LEFT]))
    assert wrong.terminated[0]
    assert wrong.reward[0] == -0.1


@pytest.mark.parametrize("k", [4, 9])
def test_who_names_the_symbol_of_k_steps_before_gets_one_in_all(k: int) -> None:
    env = BatchedEnv(task(f"repeat-previous?k={k}"), 32)
    shown = [env.reset(np.random.default_rng(0)).argmax(1)]
    total, done = np.zeros(32), np.zeros(32, bool)
    steps = 0
    while not done.any():
        answer = shown[-1 - k] if len(shown) > k else np.zeros(32, np.int64)
        step = env.step(answer)
        total, done, steps = total + step.reward, step.terminated, steps + 1
        shown.append(step.observation.argmax(1))
    assert done.all()
    assert steps == 48 + k == env.task.max_steps
    assert np.allclose(total, 1.0)


def test_a_critic_sees_the_answer_that_the_policy_has_to_remember() -> None:
    env = BatchedEnv(task("repeat-previous"), 8)
    shown = [env.reset(np.random.default_rng(0)).argmax(1)]
    shown += [env.step(np.zeros(8, np.int64)).observation.argmax(1) for _ in range(10)]
    assert np.array_equal(env.full()[:, 4:].argmax(1), shown[-5])
    assert len(env.task.observations) == 4


def test_random_play_earns_nothing_from_repetition() -> None:
    env, rng = BatchedEnv(task("repeat-previous"), 512), np.random.default_rng(0)
    env.reset(rng)
    total: Any = sum(env.step(rng.integers(0, 4, 512)).reward for _ in range(env.task.max_steps))
    assert abs(total.mean() + 0.5) < 0.05
