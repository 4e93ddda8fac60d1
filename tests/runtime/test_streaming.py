"""StreamingPolicy on every backend: actions, state, refusals, golden vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_policy import toy_policy

from grsn_edge.backends import backend, backend_names
from grsn_edge.errors import BackendUnavailable, IntegrityError, ObservationError, StateError
from grsn_edge.policy import save
from grsn_edge.runtime import StreamingPolicy, default_backend

USABLE = [name for name in backend_names() if backend(name).unavailable() is None]


@pytest.fixture(params=USABLE)
def policy(request: pytest.FixtureRequest) -> StreamingPolicy:
    return StreamingPolicy(toy_policy(), request.param)


def observations(n: int = 50) -> np.ndarray:
    return np.random.default_rng(0).normal(0.5, 1.0, (n, 2)).astype(np.float32)


def test_actions_are_those_of_the_reference(policy: StreamingPolicy) -> None:
    reference = StreamingPolicy(toy_policy(), "numpy")
    assert [policy.step(x) for x in observations()] == [reference.step(x) for x in observations()]


def test_a_snapshot_brings_the_same_future_back(policy: StreamingPolicy) -> None:
    for x in observations(10):
        policy.step(x)
    snapshot = policy.state
    first = [policy.step(x) for x in observations()]
    policy.state = snapshot
    assert [policy.step(x) for x in observations()] == first


def test_reset_begins_again(policy: StreamingPolicy) -> None:
    first = [policy.step(x) for x in observations()]
    policy.reset()
    assert [policy.step(x) for x in observations()] == first


@pytest.mark.parametrize("bad", [[np.nan, 0.0], [np.inf, 0.0], [1.0], [[1.0, 2.0]], "ab", None])
def test_a_bad_observation_is_refused_and_changes_nothing(policy: StreamingPolicy, bad) -> None:
    policy.step([0.5, 0.5])
    before = policy.state
    with pytest.raises(ObservationError):
        policy.step(bad)
    for name, value in policy.state.items():
        assert np.array_equal(value, before[name])


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(policy: StreamingPolicy) -> None:
    policy.step([0.5, 0.5])
    before = policy.state
    (name,) = before
    for bad in ({}, {name: [1, 2]}, {name: [10**6] * 4}, {name: [0.5] * 4}, {"x": [0] * 4}):
        with pytest.raises(StateError):
            policy.state = bad
    assert np.array_equal(policy.state[name], before[name])


def test_golden_vectors_are_replayed_and_leave_the_state(policy: StreamingPolicy) -> None:
    policy.step([0.5, 0.5])
    before = policy.state
    assert policy.verify() == policy.policy.golden.steps
    for name, value in policy.state.items():
        assert np.array_equal(value, before[name])


def test_a_wrong_golden_step_is_named() -> None:
    policy = toy_policy()
    action = policy.golden.action.copy()
    action[3] = (action[3] + 1) % 3
    wrong = replace(policy, golden=replace(policy.golden, action=action))
    with pytest.raises(IntegrityError, match="golden step 3"):
        StreamingPolicy(wrong, "numpy").verify()


def test_the_spec_says_what_goes_in_and_out(tmp_path: Path) -> None:
    save(toy_policy(), tmp_path / "toy.grsn")
    with StreamingPolicy.load(tmp_path / "toy.grsn", backend="numpy") as policy:
        spec = policy.spec
    assert [channel.unit for channel in spec.observations] == ["m", "m/s"]
    assert spec.is_discrete
    assert spec.period_s == 0.02
    assert [(s.name, s.n, s.dtype) for s in spec.states] == [("layer0.u", 4, "int16")]
    assert len(spec.model_hash) == 64


def test_the_default_backend_works_and_an_unknown_one_is_refused() -> None:
    assert default_backend() in ("native", "c", "numpy")
    with pytest.raises(BackendUnavailable, match="abacus"):
        StreamingPolicy(toy_policy(), "abacus")
