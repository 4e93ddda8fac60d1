"""Training, freezing and going on, in every kind of world: a few updates, end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tasks.simulators import skip_without_packages

from grsn_edge.policy import Policy, dumps
from grsn_edge.runtime import StreamingPolicy, play_episodes
from grsn_edge.tasks import task
from grsn_edge.tasks.environments import make_environment
from grsn_edge.training.pipeline import CHECKPOINT, resume, train
from grsn_edge.training.progress import Progress
from grsn_edge.training.recipes import Recipe, recipe

LATE = "gym:CartPole-v1?mask=0,2&scale=2.4,0.21&steps=60&delay=1&noise=0.01"


def tiny(name: str) -> Recipe:
    return recipe(
        name, hidden=8, updates=2, envs=8, steps=16, evaluate_every=1, evaluate_episodes=4
    )


def plays(policy: Policy, name: str) -> float:
    environment = make_environment(name)
    streaming = StreamingPolicy(policy, "numpy")
    return next(play_episodes(streaming, environment, 1, 0, 20)).ret


@pytest.mark.parametrize("name", ["tmaze", "repeat-previous?k=5", LATE])
def test_a_policy_of_any_world_is_trained_and_frozen(name: str) -> None:
    outcome = train(tiny(name))
    assert outcome.policies is not None
    policy = outcome.policies.fine_tuned
    assert policy.provenance["task"] == task(name).name
    assert np.isfinite(plays(policy, str(policy.provenance["task"])))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lunarlander-p", "hopper-v", "ant-p"])
def test_a_policy_of_a_physics_engine_is_trained_and_frozen(name: str) -> None:
    skip_without_packages(name)
    outcome = train(tiny(name))
    assert outcome.policies is not None
    assert np.isfinite(plays(outcome.policies.fine_tuned, name))


def test_a_run_in_simulators_goes_on_to_the_policy_that_it_would_have_reached(
    tmp_path: Path,
) -> None:
    whole = train(tiny(LATE))

    def interrupt(progress: Progress) -> None:
        if progress.phase == "float" and progress.update == 1:
            raise KeyboardInterrupt

    stopped = train(tiny(LATE), folder=tmp_path, watch=interrupt)
    assert not stopped.finished
    assert (tmp_path / CHECKPOINT).exists()
    rest = resume(tmp_path)
    assert rest.policies is not None
    assert whole.policies is not None
    assert dumps(rest.policies.fine_tuned) == dumps(whole.policies.fine_tuned)


def test_updates_shorten_every_phase_in_proportion() -> None:
    whole, short = recipe("tmaze"), recipe("tmaze", updates=50)
    assert short.float_steps == 50 * short.steps_per_update == whole.float_steps // 2
    assert short.tune_steps == whole.tune_steps // 2
    assert short.quieten_steps == whole.quieten_steps // 2
