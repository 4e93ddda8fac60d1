"""How a session chooses: what it keeps, when a phase ends, how hard it presses on spikes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grsn_edge.training.progress import Evaluation
from grsn_edge.training.recipes import recipe
from grsn_edge.training.session import Session


@pytest.fixture
def session() -> Session:
    small = recipe("cartpole-p", hidden=4, envs=8, steps=4, minibatches=1, epochs=1)
    return Session(replace(small, spike_rate=0.1, float_steps=320, evaluate_every=1), seed=0)


def evaluation(mean: float, rate: float = 0.0) -> Evaluation:
    return Evaluation("quieten", 0, mean, 0.0, rate)


def kept(session: Session, *seen: Evaluation) -> Evaluation:
    session.best = None
    for one in seen:
        session._consider(one)
    assert session.best is not None
    return session.best.evaluation


def test_the_float_phase_keeps_the_highest_return(session: Session) -> None:
    assert kept(session, evaluation(10.0), evaluation(30.0), evaluation(20.0)).mean == 30.0


def test_quietening_keeps_the_quietest_that_holds_the_return(session: Session) -> None:
    session.phase, session.hold = "quieten", 495.0
    loud, quiet, broken = evaluation(500.0, 0.5), evaluation(496.0, 0.2), evaluation(300.0, 0.01)
    assert kept(session, loud, quiet, broken) == quiet


def test_below_the_target_rate_the_return_decides(session: Session) -> None:
    session.phase, session.hold = "quieten", 495.0
    assert kept(session, evaluation(496.0, 0.02), evaluation(500.0, 0.09)).mean == 500.0


def test_the_penalty_rises_while_the_return_holds_and_backs_off_when_it_falls(
    session: Session,
) -> None:
    session.phase, session.hold, session.penalty = "quieten", 495.0, 0.2
    session.evaluations = [evaluation(500.0)]
    session._steer_penalty(0.3, None)
    raised = session.penalty
    session._steer_penalty(0.05, None)
    held = session.penalty
    session._steer_penalty(0.3, evaluation(400.0))
    assert raised > 0.2
    assert held == raised
    assert session.penalty == raised / 2


def test_the_first_phase_ends_early_once_the_task_is_learned(session: Session) -> None:
    session.recipe = replace(session.recipe, stop_at=5.0, quieten_steps=0, tune_steps=32)
    session.advance()
    assert (session.phase, session.update, session.env_steps) == ("tune", 0, 32)
    assert session.results["freeze"].phase == "freeze"


def test_a_network_without_spikes_is_not_quietened() -> None:
    assert Session(recipe("cartpole-p", "mlp", spike_rate=0.1), 0).updates("quieten") == 0
