"""Advantages, exploration, losses and updates of PPO."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from grsn_edge.tasks import BatchedEnv, task
from grsn_edge.training.actor import Actor, greedy
from grsn_edge.training.critic import Critic
from grsn_edge.training.head import Head
from grsn_edge.training.ppo import Learner
from grsn_edge.training.recipes import Recipe, recipe
from grsn_edge.training.rollout import Batch, Collector, advantages

SMALL = {"hidden": 8, "envs": 16, "steps": 8, "epochs": 2, "minibatches": 2}


def column(*values: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.array(values, np.float32)[:, None]


def test_advantages_of_three_steps_by_hand() -> None:
    advantage, target = advantages(
        column(1.0, 1.0, 1.0),
        np.zeros((3, 1), bool),
        column(2.0, 2.0, 2.0),
        np.array([4.0], np.float32),
        gamma=0.5,
        gae=0.5,
    )
    # deltas 0, 0, 1; each advantage is its delta and a quarter of the next
    assert advantage.ravel().tolist() == [0.0625, 0.25, 1.0]
    assert target.ravel().tolist() == [2.0625, 2.25, 3.0]


def test_no_advantage_flows_back_over_the_end_of_an_episode() -> None:
    done = np.array([[False], [True], [False]])
    reward, value = column(0.0, 0.0, 5.0), column(0.0, 0.0, 0.0)
    advantage, _ = advantages(reward, done, value, np.array([9.0], np.float32), 1.0, 1.0)
    assert advantage.ravel().tolist() == [0.0, 0.0, 14.0]


def collected(name: str) -> tuple[Recipe, Collector, Learner, Batch]:
    found, rng = recipe(name, **SMALL), np.random.default_rng(0)
    known = task(name)
    actor, head = Actor(found.network, rng), Head(known, -0.5)
    critic = Critic(len(known.dynamics.full_scale), rng)
    collector = Collector(BatchedEnv(known, found.envs), found, rng)
    collector.begin(actor)

    def sense(observation: np.ndarray) -> torch.Tensor:  # type: ignore[type-arg]
        return torch.from_numpy(known.normalise(observation))

    batch = collector.collect(actor, head, critic, sense)
    return found, collector, Learner(actor, head, critic, found), batch


@pytest.mark.parametrize("name", ["cartpole-p", "pendulum-v"])
def test_the_learner_sees_the_probabilities_with_which_the_collector_acted(name: str) -> None:
    _, _, learner, batch = collected(name)
    with torch.no_grad():
        out = learner.actor(batch.x, batch.keep, batch.start)
        log_prob = learner.head.log_prob(out.values, batch.action)
    assert torch.equal(log_prob, batch.log_prob)


def test_a_part_of_a_batch_is_the_same_episodes_over_all_steps() -> None:
    _, _, _, batch = collected("cartpole-p")
    part = batch.part(torch.tensor([3, 1]))
    assert part.x.shape == (8, 2, 2)
    assert torch.equal(part.action[:, 0], batch.action[:, 3])
    assert torch.equal(part.start[0]["u"][1], batch.start[0]["u"][1])


def test_a_time_limit_is_bootstrapped_and_a_fall_is_not() -> None:
    found, collector, learner, _ = collected("cartpole-p")
    env = collector.env
    env.worlds.state[:] = 0.0
    env.worlds.state[0, 2] = 1.0  # has fallen
    env.elapsed[:] = 0
    env.elapsed[1] = 499  # out of time
    step = env.step(np.zeros(16, np.int64))
    with torch.no_grad():
        reward = collector.scaled_rewards(step, learner.critic)
        value = learner.critic(torch.from_numpy(step.full[1]))
    assert reward[0] == np.float32(found.reward_scale)
    assert reward[1] == pytest.approx(found.reward_scale + found.gamma * float(value))


def test_one_update_raises_the_probability_of_what_was_better_than_expected() -> None:
    _, _, learner, batch = collected("cartpole-p")
    learner.update(batch, 1e-3, 0.0, np.random.default_rng(0))
    with torch.no_grad():
        out = learner.actor(batch.x, batch.keep, batch.start)
        after = learner.head.log_prob(out.values, batch.action)
    better = batch.advantage > batch.advantage.median()
    moved = after - batch.log_prob
    assert moved[better].mean() > moved[~better].mean()


def test_a_spike_penalty_lowers_the_firing_rate() -> None:
    rates = {}
    for penalty in (0.0, 50.0):
        _, _, learner, batch = collected("cartpole-p")
        for _ in range(20):
            learner.update(batch, 3e-3, penalty, np.random.default_rng(0))
        with torch.no_grad():
            rates[penalty] = float(learner.actor(batch.x, batch.keep, batch.start).activity[0])
    assert rates[50.0] < 0.8 * rates[0.0]


def test_a_gaussians_log_probability_and_entropy() -> None:
    head = Head(task("pendulum-p"), 0.0)
    at_mean = head.log_prob(torch.tensor([[0.25]]), torch.tensor([[0.25]]))
    assert float(at_mean.detach()) == pytest.approx(-0.5 * math.log(2 * math.pi))
    assert float(head.entropy(torch.zeros(1, 1)).detach()) == pytest.approx(1.4189385)


def test_choices_are_drawn_with_their_probabilities() -> None:
    head = Head(task("cartpole-p"), 0.0)
    values = torch.tensor([0.0, math.log(3.0)]).expand(20_000, 2)
    drawn = head.sample(values, np.random.default_rng(0))
    assert float(drawn.double().mean()) == pytest.approx(0.75, abs=0.01)
    assert float(head.log_prob(values[:1], torch.tensor([1])).exp()) == pytest.approx(0.75)


def test_greedy_actions_are_the_largest_value_or_the_clamped_mean() -> None:
    assert greedy(task("cartpole-p"), torch.tensor([[0.1, 0.3]])).tolist() == [1]
    assert greedy(task("pendulum-p"), torch.tensor([[-1.5], [0.5]])).tolist() == [[-1.0], [0.5]]


def test_nothing_here_touches_the_global_generators() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    _, _, learner, batch = collected("pendulum-p")
    learner.update(batch, 1e-3, 0.1, np.random.default_rng(0))
    assert torch.equal(before, torch.get_rng_state())
