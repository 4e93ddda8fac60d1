"""A run: the same seed gives the same policies, however often it is interrupted."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from grsn_edge.backends import backend
from grsn_edge.errors import CheckpointError, TrainingError
from grsn_edge.policy import dumps
from grsn_edge.training.checkpoint import load_session, save_session
from grsn_edge.training.evaluate import play, policy_act
from grsn_edge.training.phases import DONE
from grsn_edge.training.pipeline import CHECKPOINT, Outcome, resume, train
from grsn_edge.training.progress import Progress
from grsn_edge.training.recipes import Recipe, recipe
from grsn_edge.training.session import Session


def tiny(name: str = "cartpole-p", kind: str = "grsn") -> Recipe:
    """Three updates a phase: 1 to 3 float, 4 to 6 quieten, 7 to 9 tune."""
    return recipe(
        name,
        kind,
        hidden=6,
        envs=8,
        steps=8,
        epochs=1,
        minibatches=2,
        float_steps=3 * 64,
        quieten_steps=3 * 64,
        tune_steps=3 * 64,
        evaluate_every=2,
        evaluate_episodes=4,
        spike_rate=0.05,
    )


class Interrupt:
    """Presses Ctrl-C after so many updates."""

    def __init__(self, after: int, how: Callable[[], None]) -> None:
        self.left = after
        self.how = how

    def __call__(self, progress: Progress) -> None:
        self.left -= 1
        if self.left == 0:
            self.how()


def raise_interrupt() -> None:
    raise KeyboardInterrupt


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def finished(outcome: Outcome) -> tuple[bytes, bytes]:
    assert outcome.policies is not None
    return dumps(outcome.policies.post_training), dumps(outcome.policies.fine_tuned)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    folder = tmp_path_factory.mktemp("whole")
    return train(tiny(), seed=3, folder=folder), folder


def test_a_run_goes_through_all_phases(whole: tuple[Outcome, Path]) -> None:
    outcome, folder = whole
    assert outcome.finished
    assert list(outcome.results) == ["float", "quieten", "freeze", "tune"]
    assert outcome.env_steps == 9 * 64
    assert outcome.checkpoint == folder / CHECKPOINT
    assert load_session(folder / CHECKPOINT).phase == DONE


@pytest.mark.parametrize(
    ("after", "how"),
    [
        (2, raise_interrupt),
        (3, raise_interrupt),
        (5, press_ctrl_c),
        (7, raise_interrupt),
        (8, press_ctrl_c),
    ],
)
def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(
    after: int, how: Callable[[], None], whole: tuple[Outcome, Path], tmp_path: Path
) -> None:
    stopped = train(tiny(), seed=3, folder=tmp_path, watch=Interrupt(after, how))
    assert not stopped.finished
    assert stopped.env_steps == after * 64
    again = resume(tmp_path)
    assert finished(again) == finished(whole[0])
    assert again.evaluations == whole[0].evaluations
    sessions = [load_session(folder / CHECKPOINT) for folder in (tmp_path, whole[1])]
    for name, value in sessions[0].tensors().items():
        assert torch.equal(value, sessions[1].tensors()[name]), name


def test_a_finished_run_can_be_resumed_for_its_policies(whole: tuple[Outcome, Path]) -> None:
    assert finished(resume(whole[1])) == finished(whole[0])


def test_the_same_seed_gives_the_same_policies_and_another_one_others() -> None:
    runs = [finished(train(tiny("cartpole-v"), seed=seed)) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("kind", ["grsn-a", "lif", "mlp"])
def test_every_kind_of_network_can_be_trained_and_frozen(kind: str) -> None:
    outcome = train(tiny("pendulum-p", kind), seed=0)
    assert outcome.finished
    assert ("quieten" in outcome.results) == (kind != "mlp")


def test_the_frozen_policy_plays_as_the_tuned_actor_did(whole: tuple[Outcome, Path]) -> None:
    session = load_session(whole[1] / CHECKPOINT)
    policy = whole[0].policies.fine_tuned  # type: ignore[union-attr]
    runner = backend("numpy").load(policy.program, batch=4)
    seed = 2_000_000 + session.seed
    played = play(policy_act(policy, runner), session.task, 4, seed)
    assert played.mean == whole[0].results["tune"].mean


def test_watchers_hear_of_every_update_and_what_is_left() -> None:
    heard: list[Progress] = []
    train(tiny(), seed=0, watch=heard.append)
    assert [p.update for p in heard] == [1, 2, 3] * 3
    assert [p.phase for p in heard] == ["float"] * 3 + ["quieten"] * 3 + ["tune"] * 3
    assert heard[0].remaining_s > 0.0 == heard[-1].remaining_s
    assert {"policy", "value", "entropy", "kl", "rate", "lr", "penalty"} <= set(heard[0].scalars)
    assert [p.evaluation is not None for p in heard[:3]] == [False, True, True]


def test_tensorboard_gets_the_curves(whole: tuple[Outcome, Path]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(whole[1] / "tensorboard"))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert {"train/return", "train/rate", "train/entropy", "evaluation/mean"} <= tags
    assert [e.step for e in events.Scalars("train/rate")] == [64 * i for i in range(1, 10)]


def test_a_folder_with_a_checkpoint_is_not_overwritten_unasked(whole: tuple[Outcome, Path]) -> None:
    before = (whole[1] / CHECKPOINT).read_bytes()
    with pytest.raises(TrainingError, match="holds the checkpoint of another run; resume it"):
        train(tiny(), seed=4, folder=whole[1])
    assert (whole[1] / CHECKPOINT).read_bytes() == before


def test_a_missing_or_damaged_checkpoint_is_refused(
    whole: tuple[Outcome, Path], tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        resume(tmp_path)
    data = (whole[1] / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(data[:-100])
    with pytest.raises(CheckpointError, match="is damaged or not a checkpoint"):
        resume(tmp_path)
    (tmp_path / CHECKPOINT).write_bytes(data.replace(b'\\"seed\\"', b'\\"sled\\"'))
    with pytest.raises(CheckpointError, match="not a whole checkpoint"):
        resume(tmp_path)


def test_a_checkpoint_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot write the checkpoint"):
        save_session(Session(tiny(), 0), tmp_path / "missing" / "file")


def test_training_leaves_the_number_of_threads_as_it_was() -> None:
    before = torch.get_num_threads()
    train(tiny(), seed=0)
    assert torch.get_num_threads() == before
    assert np.isfinite(before)
