"""TD3, SAC and discrete SAC: replayed sequences, losses, and runs that can be interrupted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from grsn_edge.errors import TrainingError, UsageError
from grsn_edge.policy import dumps
from grsn_edge.tasks import Task, task
from grsn_edge.training.actor import mean_action
from grsn_edge.training.checkpoint import load_session
from grsn_edge.training.offpolicy import OffPolicy
from grsn_edge.training.pipeline import CHECKPOINT, Outcome, resume, train
from grsn_edge.training.progress import Progress
from grsn_edge.training.recipes import Recipe, recipe
from grsn_edge.training.session import Session

pytest.importorskip("torchrl")

KINDS = [("pendulum-p", "td3"), ("pendulum-v", "sac"), ("cartpole-p", "sac")]
SMALL = OffPolicy(capacity=20 * 8, batch=6, updates=2, burn_in=2)


def tiny(name: str, algorithm: str, **changes: Any) -> Recipe:
    """Two updates a phase; the replay of 20 segments is full, and goes round, after three."""
    sizes: dict[str, Any] = {
        "hidden": 6,
        "envs": 8,
        "steps": 8,
        "float_steps": 2 * 64,
        "quieten_steps": 2 * 64,
        "tune_steps": 2 * 64,
        "evaluate_every": 1,
        "evaluate_episodes": 2,
        "spike_rate": 0.05,
        "off_policy": SMALL,
    }
    return recipe(name, algorithm=algorithm, **{**sizes, **changes})


@pytest.fixture(autouse=True)
def short_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes of 20 steps: quantised actors play slowly."""

    def short(name: str) -> Task:
        return replace(task(name), max_steps=20)

    monkeypatch.setattr("grsn_edge.training.session.task", short)


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[1]}-{kind[0]}")
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    with closing(Session(tiny(*request.param), seed=0)) as made:
        yield made


def collect(session: Session) -> Any:
    return session.collector.collect(session.actor, session.head, session.critic, session.sense)


class Interrupt:
    """Stops after so many updates."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, progress: Progress) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def finished(outcome: Outcome) -> tuple[bytes, bytes]:
    assert outcome.policies is not None
    return dumps(outcome.policies.post_training), dumps(outcome.policies.fine_tuned)


@pytest.mark.parametrize(("name", "algorithm"), KINDS)
def test_a_run_interrupted_in_every_phase_ends_where_an_uninterrupted_one_does(
    name: str, algorithm: str, tmp_path: Path
) -> None:
    wanted = tiny(name, algorithm)
    whole = train(wanted, seed=3, folder=tmp_path / "whole")
    folder = tmp_path / "interrupted"
    again = train(wanted, seed=3, folder=folder, watch=Interrupt(1))
    for after in (2, 2, 9):
        assert not again.finished
        again = resume(folder, watch=Interrupt(after))
    assert finished(again) == finished(whole)
    assert list(whole.results) == ["float", "quieten", "freeze", "tune"]
    assert again.evaluations == whole.evaluations
    sessions = [load_session(f / CHECKPOINT) for f in (folder, tmp_path / "whole")]
    for part in ("collector", "learner"):
        mine, theirs = (getattr(s, part).snapshot() for s in sessions)
        assert mine.keys() == theirs.keys()
        assert all(np.array_equal(mine[k], theirs[k]) for k in mine)


def test_another_seed_gives_another_policy() -> None:
    short = tiny("pendulum-p", "td3", quieten_steps=0, tune_steps=0, spike_rate=None)
    assert finished(train(short, seed=1)) != finished(train(short, seed=2))


def test_the_critics_come_to_fit_what_is_replayed(session: Session) -> None:
    replay = collect(session)
    session.learner.settings = replace(SMALL, updates=20, delay=20)
    session.learner.optimiser.param_groups[1]["lr"] = 5e-3
    seen = [session.learner.update(replay, 1e-3, 0.0, session.rng)["value"] for _ in range(2)]
    assert seen[1] < 0.5 * seen[0]


def test_every_weight_of_actor_critics_and_temperature_is_trained(session: Session) -> None:
    before = session.tensors()
    session.learner.update(collect(session), 1e-3, 0.0, session.rng)
    after = session.tensors()
    still = {name for name, value in before.items() if torch.equal(value, after[name])}
    unused = (
        {"head.log_std"} if session.recipe.algorithm == "td3" or session.task.is_discrete else set()
    )
    assert still == unused


def test_the_actor_comes_to_choose_what_the_critics_value() -> None:
    with closing(Session(tiny("pendulum-p", "td3"), seed=0)) as session:
        replay = collect(session)
        session.learner.settings = replace(SMALL, updates=20, delay=1, batch=32)
        session.learner.optimiser.param_groups[1]["lr"] = 0.0  # the critics stay as they are
        seen = [session.learner.update(replay, 1e-2, 0.0, session.rng)["policy"] for _ in range(2)]
        assert seen[1] < seen[0]


def test_a_spike_penalty_lowers_the_firing_rate() -> None:
    rates = {}
    for penalty in (0.0, 50.0):
        with closing(Session(tiny("pendulum-p", "td3"), seed=0)) as session:
            replay = collect(session)
            session.learner.settings = replace(SMALL, updates=12, delay=1)
            for _ in range(2):
                rates[penalty] = session.learner.update(replay, 1e-2, penalty, session.rng)["rate"]
    assert rates[50.0] < 0.8 * rates[0.0]


def test_from_its_stored_state_an_actor_does_again_what_it_did() -> None:
    with closing(Session(tiny("pendulum-p", "td3", log_std=-30.0), seed=0)) as session:
        collect(session)  # the first roll-out acts at random
        replay = collect(session)
        segments = replay.sample(200)
        with torch.no_grad():
            values = segments.run(session.actor, 0).values[:-1]
        did = (segments.action - mean_action(session.task, values)).abs().amax((0, 2))
        assert torch.all((did < 1e-6) | (did > 0.1))
        assert 0.3 < float((did < 1e-6).float().mean()) < 0.7


def test_burn_in_brings_the_state_up_to_date_without_gradients() -> None:
    with closing(Session(tiny("pendulum-p", "td3"), seed=0)) as session:
        segments = collect(session).sample(5)
        whole, rest = (segments.run(session.actor, skip).values for skip in (0, 3))
        assert torch.allclose(whole[3:], rest, atol=1e-6)
        assert segments.transitions(rest, rest, 3).batch_size == torch.Size([5 * 5])


def test_what_would_have_followed_a_time_limit_is_not_guessed() -> None:
    with closing(Session(tiny("pendulum-p", "td3"), seed=0)) as session:
        session.collector.env.elapsed[:] = session.task.max_steps - 4
        segments = collect(session).sample(6)
        assert segments.whole[:, :, 0].sum(0).tolist() == [7] * 6
        assert not segments.whole[3].any()
        losses = []
        for shift in (0.0, 100.0):
            full = segments.full.clone()
            full[4] += shift
            batch = replace(segments, full=full, x=segments.x)
            rows = batch.transitions(None, torch.zeros(9, 6, 1), 0)
            rows["full"][4 * 6 : 5 * 6] = segments.full[4]
            torch.manual_seed(0)
            losses.append(session.critic.value_loss(rows)[0].item())
        assert losses[0] == losses[1]


def test_a_terminated_episode_is_worth_nothing_more() -> None:
    with closing(Session(tiny("cartpole-p", "sac"), seed=0)) as session:
        segments = collect(session).sample(6)
        over = replace(segments, terminated=torch.ones_like(segments.terminated))
        losses = []
        for scale in (0.0, 50.0):
            rows = over.transitions(torch.zeros(9, 6, 2), scale * torch.ones(9, 6, 2), 0)
            losses.append(session.critic.qvalue_loss(rows)[0].item())
        assert losses[0] == losses[1]


def test_the_replay_is_a_ring_whose_bytes_are_known(session: Session) -> None:
    for _ in range(4):
        replay = collect(session)
    recipe_, task_ = session.recipe, session.task
    per_step = len(task_.observations) + 1 + len(task_.dynamics.full_scale)
    action = 2 if task_.is_discrete else len(task_.actions)  # an index has 8 bytes
    states = sum(sum(cell.state_sizes().values()) for cell in recipe_.network.cells)
    segment = 4 * per_step * 9 + (4 * action + 4 + 2) * 8 + 4 * states
    assert len(replay) == 20
    assert replay.nbytes == 20 * segment


def test_a_quantised_actor_begins_replayed_segments_from_its_reset_state(
    session: Session,
) -> None:
    replay = collect(session)
    before = replay.sample(1)
    session._consider(session.evaluate(0))
    session.begin_to_tune()
    after = replay.sample(4)
    reset = session.actor.initial_state(4)
    for cell, wanted in zip(after.start, reset, strict=True):
        assert cell.keys() == wanted.keys()
        assert all(torch.equal(cell[name], wanted[name]) for name in cell)
    assert before.x.shape[0] == after.x.shape[0] == 9
    assert len(collect(session)) == 16


def test_a_bound_stops_only_what_would_lead_further_out() -> None:
    from grsn_edge.training.replay_learner import bounded

    values = torch.tensor([-2.0, -2.0, 0.5, 2.0, 2.0], requires_grad=True)
    action = bounded(task("pendulum-p"), values)
    action.backward(torch.tensor([1.0, -1.0, 3.0, 1.0, -1.0]))
    assert action.tolist() == [-1.0, -1.0, 0.5, 1.0, 1.0]
    assert values.grad is not None
    assert values.grad.tolist() == [0.0, -1.0, 3.0, 1.0, 0.0]


def test_nothing_here_moves_the_global_generators(session: Session) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    session.learner.update(collect(session), 1e-3, 0.1, session.rng)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_algorithm_that_cannot_train_on_a_task_says_which_can() -> None:
    with pytest.raises(UsageError, match=r"td3 needs continuous actions.*use sac"):
        recipe("cartpole-p", algorithm="td3")
    with pytest.raises(UsageError, match="no algorithm 'ddpg'; there are: ppo, td3, sac"):
        recipe("pendulum-p", algorithm="ddpg")
    with pytest.raises(UsageError, match="imitation replaces sac's rewards"):
        recipe("cartpole-p", algorithm="sac", teacher="some.grsn")


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="does not hold one roll-out of 64"):
        tiny("pendulum-p", "td3", off_policy=OffPolicy(capacity=63))
    with pytest.raises(UsageError, match="a burn-in of 8 leaves nothing of 8 steps"):
        tiny("pendulum-p", "td3", off_policy=OffPolicy(burn_in=8))
    with pytest.raises(UsageError, match="tau is above 0"):
        OffPolicy(tau=0.0)


def test_without_torchrl_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchrl.objectives", None)
    wanted = tiny("pendulum-p", "td3")
    with pytest.raises(TrainingError, match=r"install grsn-edge\[offpolicy\]"):
        Session(wanted, 0)


def test_a_recipe_comes_back_from_its_configuration() -> None:
    wanted = tiny("pendulum-p", "td3")
    assert Recipe.from_config(wanted.config()) == wanted


def test_only_an_actor_that_has_learned_nothing_acts_at_random() -> None:
    with closing(Session(tiny("pendulum-p", "td3", log_std=-30.0), seed=0)) as session:
        session.begin_from(session.tensors())
        segments = collect(session).sample(20)
        with torch.no_grad():
            values = segments.run(session.actor, 0).values[:-1]
        assert torch.allclose(segments.action, mean_action(session.task, values), atol=1e-6)
