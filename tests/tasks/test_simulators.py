"""Simulators in processes: gymnasium's own observations, exact resumption, clean ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from tasks.simulators import SIMULATED, skip_without_packages

from grsn_edge.errors import TaskError, UsageError
from grsn_edge.tasks import BatchedEnv, task
from grsn_edge.tasks.environments import make_environment
from grsn_edge.tasks.pool import workers
from grsn_edge.tasks.simulator import SimulatorWorlds

BATCH = 3
DOCUMENTED = {
    "hopper-p": range(5),
    "hopper-v": range(5, 11),
    "walker2d-p": range(8),
    "walker2d-v": range(8, 17),
    "halfcheetah-p": range(8),
    "halfcheetah-v": range(8, 17),
    "ant-p": range(13),
    "ant-v": range(13, 27),
    "lunarlander-p": (0, 1, 4, 6, 7),
    "lunarlander-v": (2, 3, 5, 6, 7),
}
FAIR = "gym:tasks.odd_worlds:Fair-v0"


def action(name: str, rng: np.random.Generator, n: int) -> np.ndarray[Any, Any]:
    known = task(name)
    if known.is_discrete:
        return rng.integers(0, len(known.actions), n)
    return known.in_units(rng.normal(0.0, 0.7, (n, len(known.actions))))


def worlds(env: BatchedEnv) -> SimulatorWorlds:
    assert isinstance(env.worlds, SimulatorWorlds)
    return env.worlds


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def test_all_simulated_tasks_are_documented() -> None:
    assert set(DOCUMENTED) == set(SIMULATED)
    page = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
    for name, indices in DOCUMENTED.items():
        assert f"| `{name}` | {', '.join(map(str, indices))} |" in page


@pytest.mark.parametrize("name", SIMULATED)
def test_an_observation_is_the_documented_channels_of_gymnasiums_own(name: str) -> None:
    skip_without_packages(name)
    known = task(name)
    base = gymnasium.make(known.dynamics.environment)  # type: ignore[attr-defined]
    masked = make_environment(name)
    full, seen = base.reset(seed=5)[0], masked.reset(seed=5)[0]
    rng = np.random.default_rng(0)
    for _ in range(30):
        wanted = np.asarray(full, np.float32)[list(DOCUMENTED[name])]
        assert seen.dtype == np.float32
        assert np.array_equal(seen, wanted)
        assert len(full) == len(known.dynamics.full_scale)
        chosen = action(name, rng, 1)[0]
        full, reward, terminated, *_ = base.step(chosen)
        seen, *rest = masked.step(chosen)
        assert rest[:2] == [reward, terminated]
        if terminated:
            break
    period = getattr(base.unwrapped, "dt", known.period_s)
    assert known.period_s == pytest.approx(period)
    assert base.spec is not None
    assert known.max_steps == base.spec.max_episode_steps


@pytest.mark.parametrize("name", ["gym:Hopper-v5", "lunarlander-v"])
def test_a_batch_plays_what_single_environments_play(name: str) -> None:
    skip_without_packages(name)
    rng = np.random.default_rng(2)
    with BatchedEnv(task(name), BATCH) as env:
        seen = env.reset(rng)
        singles = [make_environment(name) for _ in range(BATCH)]
        for single, seed, row in zip(singles, worlds(env).seeds, seen, strict=True):
            assert np.array_equal(single.reset(seed=int(seed))[0], row)
        alive = dict(enumerate(singles))
        for _ in range(60):
            chosen = action(name, rng, BATCH)
            step = env.step(chosen)
            for i, single in list(alive.items()):
                observation, reward, terminated, _, _ = single.step(chosen[i])
                assert np.array_equal(observation, step.observation[i])
                assert (reward, terminated) == (step.reward[i], step.terminated[i])
                if terminated:
                    del alive[i]


@pytest.mark.parametrize("name", ["ant-v", "lunarlander-p", "gym:Acrobot-v1?mask=0,1&delay=2"])
def test_a_restored_batch_goes_on_exactly(name: str) -> None:
    skip_without_packages(name)
    rng = np.random.default_rng(3)

    def turn(env: BatchedEnv, chosen: Any, rng: np.random.Generator) -> list[Any]:
        step = env.step(chosen)
        seen = env.reset(rng, step.done) if step.done.any() else step.observation
        return [seen, step.observation, step.reward, step.done, step.full]

    with BatchedEnv(task(name), BATCH) as env:
        env.reset(rng)
        env.stagger(rng)
        env.elapsed[0] = task(name).max_steps - 20
        for _ in range(90):
            turn(env, action(name, rng, BATCH), rng)
        saved = env.snapshot()
        later = [action(name, rng, BATCH) for _ in range(25)]
        first = [turn(env, chosen, np.random.default_rng(9)) for chosen in later]
    with BatchedEnv(task(name), BATCH) as fresh:
        fresh.restore(saved)
        again = [turn(fresh, chosen, np.random.default_rng(9)) for chosen in later]
    for a, b in zip(first, again, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_an_environment_that_is_no_function_of_its_seed_cannot_be_restored() -> None:
    known = task("gym:tasks.odd_worlds:Unrepeatable-v0")
    with BatchedEnv(known, 2) as env:
        env.reset(np.random.default_rng(0))
        env.step(np.zeros(2, np.int64))
        with pytest.raises(TaskError, match="not a function of them"):
            env.restore(env.snapshot())


def test_the_number_of_processes_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for count in ("1", "3"):
        monkeypatch.setenv("GRSN_EDGE_WORKERS", count)
        rng = np.random.default_rng(0)
        with BatchedEnv(task("gym:Acrobot-v1"), 5) as env:
            env.reset(rng)
            steps = [env.step(rng.integers(0, 3, 5)) for _ in range(10)]
        seen.append(np.stack([step.full for step in steps]))
    assert np.array_equal(*seen)


def test_a_number_of_processes_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRSN_EDGE_WORKERS", "many")
    with pytest.raises(UsageError, match="GRSN_EDGE_WORKERS is a number of processes"):
        workers()


def test_an_ended_episode_rests_until_it_is_begun_again() -> None:
    rng = np.random.default_rng(0)
    with BatchedEnv(task(FAIR), 2) as env:
        env.reset(rng)
        step = env.step(np.array([1, 0]))
        assert step.truncated.tolist() == [True, False]
        assert env.step(np.array([0, 0])).reward.tolist() == [0.0, 1.0]
        env.reset(rng, np.array([True, False]))
        assert env.step(np.array([0, 0])).reward.tolist() == [1.0, 1.0]
        assert worlds(env).taken.tolist() == [1, 3]


def test_two_batches_share_the_processes_and_the_last_one_ends_them() -> None:
    with BatchedEnv(task(FAIR), 2) as env:
        env.reset(np.random.default_rng(0))
        pool = worlds(env)._pool
        with BatchedEnv(task(FAIR), 2) as other:
            other.reset(np.random.default_rng(0))
            assert worlds(other)._pool is pool
        assert not pool.is_closed
        running = [process.pid for process in pool._processes.values()]
        assert all(is_running(pid) for pid in running)
    assert pool.is_closed
    assert not any(is_running(pid) for pid in running)


@pytest.mark.parametrize(
    ("kind", "said"),
    [("Raises", "the wheel came off"), ("Dies", "ended with status 3")],
)
def test_a_failing_simulator_is_an_error_and_leaves_no_process(kind: str, said: str) -> None:
    with BatchedEnv(task(f"gym:tasks.odd_worlds:{kind}-v0"), 2) as env:
        env.reset(np.random.default_rng(0))
        running = [process.pid for process in worlds(env)._pool._processes.values()]
        with pytest.raises(TaskError, match=said):
            env.step(np.array([0, 1]))
        assert not any(is_running(pid) for pid in running)
        with pytest.raises(TaskError, match="have been ended"):
            env.step(np.array([0, 0]))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_whoever_is_interrupted(how: signal.Signals) -> None:
    code = (
        "import numpy as np\n"
        "from grsn_edge.tasks import BatchedEnv, task\n"
        "with BatchedEnv(task('gym:Acrobot-v1'), 4) as env:\n"
        "    env.reset(np.random.default_rng(0))\n"
        "    print(*(p.pid for p in env.worlds._pool._processes.values()), flush=True)\n"
        "    while True:\n"
        "        env.step(np.zeros(4, np.int64))\n"
    )
    trainer = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert trainer.stdout is not None
    running = [int(pid) for pid in trainer.stdout.readline().split()]
    assert running
    os.killpg(trainer.pid, how)
    trainer.wait(20)
    trainer.stdout.close()
    until = time.monotonic() + 20
    while any(is_running(pid) for pid in running) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(is_running(pid) for pid in running)


@pytest.mark.parametrize(
    ("name", "module", "install"),
    [("hopper-p", "mujoco", "'mujoco>=3'"), ("lunarlander-v", "Box2D", "'box2d'")],
)
def test_a_missing_package_is_named(
    name: str, module: str, install: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import util

    found = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda m: None if m == module else found(m))
    assert install.strip("'") in task(name).missing
    with pytest.raises(TaskError, match=f"pip install .*{install}"):
        BatchedEnv(task(name), 1)
    with pytest.raises(TaskError, match=f"pip install .*{install}"):
        make_environment(name)
