"""Greedy play and calibration."""

from __future__ import annotations

import numpy as np
import torch

from grsn_edge.tasks import task
from grsn_edge.training.actor import Actor
from grsn_edge.training.calibrate import record
from grsn_edge.training.evaluate import ActorAct, play
from grsn_edge.training.recipes import recipe


def test_an_episode_ends_where_the_pole_falls_and_the_others_go_on() -> None:
    pushes = iter(range(500))

    def act(observation: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        push = np.full(3, next(pushes) % 2)
        push[1] = 1
        return push

    result = play(act, task("cartpole-p"), 3, seed=0)
    assert result.returns.tolist() == result.lengths.tolist()
    assert result.lengths[1] == result.lengths.min() < 15
    assert result.mean == result.returns.mean()


def test_the_same_seed_plays_the_same_episodes() -> None:
    def act(observation: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return np.zeros((5, 1), np.float32)

    plays = [play(act, task("pendulum-p"), 5, seed).returns.tolist() for seed in (1, 1, 2)]
    assert plays[0] == plays[1] != plays[2]
    assert all(-16.3 * 200 < value < 0 for value in plays[0])


def test_an_actor_at_play_counts_its_spikes() -> None:
    actor = Actor(recipe("cartpole-p", hidden=8).network, np.random.default_rng(0))
    known = task("cartpole-p")
    act = ActorAct(actor, known, lambda o: torch.from_numpy(known.normalise(o)), 4)
    play(act, known, 4, seed=0)
    assert 0.0 < act.rate < 1.0


def test_records_hold_what_each_cell_saw_and_did() -> None:
    actor = Actor(recipe("cartpole-v", hidden=8).network, np.random.default_rng(0))
    hidden, readout = record(actor, task("cartpole-v"), seed=0, episodes=6, samples=40)
    assert hidden.x.shape == (40, 2)
    assert {k: v.shape for k, v in hidden.before.items()} == dict.fromkeys("uco", (40, 8))
    assert set(np.unique(hidden.out)) <= {0.0, 1.0}
    assert np.array_equal(readout.x, hidden.out)
    assert np.array_equal(hidden.after["o"], hidden.out)
    assert np.array_equal(readout.after["v"], readout.out)
    assert np.abs(hidden.x).max() <= task("cartpole-v").clip


def test_records_leave_out_episodes_that_have_ended() -> None:
    actor = Actor(recipe("cartpole-p", hidden=8).network, np.random.default_rng(0))
    (hidden, _) = record(actor, task("cartpole-p"), seed=0, episodes=6)
    assert np.abs(hidden.x).max() < 1.0
