"""Imitation: a student learns what its teacher does, in floats and in integers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from grsn_edge.cli.main import main
from grsn_edge.errors import CheckpointError, TrainingError, UsageError
from grsn_edge.policy import dumps
from grsn_edge.runtime import StreamingPolicy, play_episodes
from grsn_edge.tasks import BatchedEnv, task
from grsn_edge.tasks.environments import make_environment
from grsn_edge.training.critic import Critic
from grsn_edge.training.evaluate import play
from grsn_edge.training.head import Head
from grsn_edge.training.imitation import imitation, student_share
from grsn_edge.training.pipeline import Outcome, resume, train
from grsn_edge.training.progress import Progress
from grsn_edge.training.recipes import Recipe, recipe
from grsn_edge.training.rollout import Collector
from grsn_edge.training.session import Session
from grsn_edge.training.teacher import load_teacher

MODELS = Path(__file__).parents[2] / "models"
CARTPOLE, PENDULUM = (str(MODELS / f"{name}-p.grsn") for name in ("cartpole", "pendulum"))


def student(name: str = "cartpole-p", teacher: str = CARTPOLE, updates: int = 3) -> Recipe:
    return recipe(
        name,
        hidden=8,
        teacher=teacher,
        envs=16,
        steps=8,
        epochs=2,
        minibatches=2,
        float_steps=updates * 128,
        quieten_steps=3 * 128,
        tune_steps=3 * 128,
        evaluate_every=3,
        evaluate_episodes=4,
        spike_rate=0.05,
    )


def finished(outcome: Outcome) -> tuple[bytes, bytes]:
    assert outcome.policies is not None
    return dumps(outcome.policies.post_training), dumps(outcome.policies.fine_tuned)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return train(student(), seed=3, folder=tmp_path_factory.mktemp("whole"))


# ---- the teacher ---------------------------------------------------------------------------------


def test_a_teacher_that_acts_alone_plays_as_well_as_its_card_says() -> None:
    found = task("cartpole-p")
    teacher = load_teacher(CARTPOLE, found, 8)
    keep = iter([np.zeros((8, 1), np.float32)])
    on = np.ones((8, 1), np.float32)
    returns = play(lambda seen: teacher.label(seen, next(keep, on)), found, 8, seed=0).returns
    assert returns.mean() > 490.0


def test_only_the_rows_of_begun_episodes_forget() -> None:
    teacher = load_teacher(CARTPOLE, task("cartpole-p"), 2)
    start = teacher.snapshot()
    seen = np.asarray([[0.5, 0.1], [0.5, 0.1]], np.float32)
    on = np.ones((2, 1), np.float32)
    for _ in range(3):
        teacher.label(seen, on)
    teacher.label(seen, np.asarray([[0.0], [1.0]], np.float32))
    forgot = teacher.snapshot()
    teacher.restore(start)
    teacher.label(seen, on)
    once = teacher.snapshot()
    assert all((forgot[name][0] == once[name][0]).all() for name in once)
    assert any((forgot[name][1] != once[name][1]).any() for name in once)


def test_continuous_labels_are_in_the_units_of_the_loss() -> None:
    found = task("pendulum-p")
    teacher = load_teacher(PENDULUM, found, 64)
    env = BatchedEnv(found, 64)
    seen = env.reset(np.random.default_rng(0))
    label = teacher.label(seen, np.zeros((64, 1), np.float32))
    assert label.shape == (64, 1)
    assert label.dtype == np.float32
    assert 0.2 < np.abs(label).max() <= 1.0


def test_the_teacher_leads_the_episodes_that_are_not_the_students() -> None:
    wanted = student()
    rng, found = np.random.default_rng(0), task("cartpole-p")
    teacher = load_teacher(CARTPOLE, found, 16)
    collector = Collector(BatchedEnv(found, 16), wanted, rng, teacher)
    session = Session(wanted, 0)
    collector.begin(session.actor)
    collector.share = 0.25
    critic = Critic(len(found.dynamics.full_scale), rng, 8)
    batch = collector.collect(session.actor, Head(found, 0.0), critic, session.sense)
    assert batch.label is not None
    same = batch.action == batch.label
    assert same[:, :12].all()
    assert not same[:, 12:].all()


def test_the_student_acts_alone_from_the_middle_of_the_first_phase() -> None:
    assert [student_share(done) for done in (0.0, 0.25, 0.5, 1.0)] == [0.0, 0.5, 1.0, 1.0]


# ---- the loss ------------------------------------------------------------------------------------


def test_discrete_imitation_is_cross_entropy_and_agreement_counts_choices() -> None:
    values = torch.tensor([[[4.0, 0.0], [4.0, 0.0]]])
    loss, agreement = imitation(task("cartpole-p"), values, torch.tensor([[0, 1]]))
    expected = -torch.tensor([4.0, 0.0]).log_softmax(0).mean()
    assert torch.isclose(loss, expected)
    assert agreement == 0.5


def test_continuous_imitation_still_has_a_gradient_where_the_student_overshoots() -> None:
    values = torch.tensor([[[3.0], [3.0]]], requires_grad=True)
    loss, agreement = imitation(task("pendulum-p"), values, torch.tensor([[[0.0], [1.0]]]))
    loss.backward()
    assert values.grad is not None
    assert values.grad[0, 0, 0] > 0.0
    assert agreement == 0.5


def test_a_student_comes_to_agree_with_its_teacher() -> None:
    heard: list[Progress] = []
    train(student(updates=30), seed=0, watch=heard.append)
    agreement = [p.scalars["agreement"] for p in heard if p.phase == "float"]
    assert np.mean(agreement[-5:]) > np.mean(agreement[:2]) + 0.2
    assert np.mean(agreement[-5:]) > 0.75


# ---- runs ----------------------------------------------------------------------------------------


def test_a_student_goes_through_all_phases(whole: Outcome) -> None:
    assert list(whole.results) == ["float", "quieten", "freeze", "tune"]


@pytest.mark.parametrize("after", [2, 5, 8])
def test_an_interrupted_student_ends_where_an_uninterrupted_one_does(
    after: int, whole: Outcome, tmp_path: Path
) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.env_steps == after * 128:
            raise KeyboardInterrupt

    assert not train(student(), seed=3, folder=tmp_path, watch=interrupt).finished
    assert finished(resume(tmp_path)) == finished(whole)


def test_the_same_seed_gives_the_same_student(whole: Outcome) -> None:
    assert finished(train(student(), seed=3)) == finished(whole)
    assert finished(train(student(), seed=4)) != finished(whole)


def test_continuous_actions_are_imitated_through_the_integers_too() -> None:
    heard: list[Progress] = []
    train(student("pendulum-p", PENDULUM), seed=0, watch=heard.append)
    assert {"imitation", "agreement", "rate"} <= set(heard[-1].scalars)
    assert heard[-1].phase == "tune"


# ---- logs ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Ten episodes of the shipped policy, as ``run --task`` prints them."""
    path = tmp_path_factory.mktemp("log") / "cartpole.jsonl"
    lines: list[str] = []
    with StreamingPolicy.load(CARTPOLE) as policy:
        note = lambda seen, did: lines.append(  # noqa: E731
            json.dumps({"observation": np.asarray(seen).tolist(), "action": int(did)})
        )
        env = make_environment("cartpole-p")
        lines.extend("{}" for _ in play_episodes(policy, env, 10, 0, 60, note))
    path.write_text("\n".join(lines))
    return str(path)


def from_log(task_name: str, log: str | None, updates: int = 3) -> Recipe:
    return replace(student(task_name, updates=updates), teacher=None, log=log)


@pytest.mark.parametrize("simulated", [True, False])
def test_a_student_of_a_log_goes_through_all_phases_and_resumes(
    simulated: bool, log: str, tmp_path: Path
) -> None:
    wanted = from_log("cartpole-p", log) if simulated else from_log(f"log:{log}", None)

    def interrupt(progress: Progress) -> None:
        if progress.env_steps == 5 * 128:
            raise KeyboardInterrupt

    whole = train(wanted, seed=3)
    assert list(whole.results) == ["float", "quieten", "freeze", "tune"]
    assert all(e.agreement is not None for e in whole.evaluations)
    assert not train(wanted, seed=3, folder=tmp_path, watch=interrupt).finished
    assert finished(resume(tmp_path)) == finished(whole)


def test_without_a_simulation_the_return_is_the_agreement(log: str) -> None:
    result = train(from_log(f"log:{log}", None), seed=0).results["tune"]
    assert result.agreement == pytest.approx(result.mean / 100)


def test_enough_agreement_ends_the_first_phase(log: str) -> None:
    wanted = replace(from_log("cartpole-p", log, updates=30), stop_agreement=0.4)
    heard: list[Progress] = []
    train(wanted, seed=0, watch=heard.append)
    assert sum(p.phase == "float" for p in heard) < 30


def test_a_run_is_not_resumed_with_another_log(log: str, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(Path(log).read_text())
    train(from_log("cartpole-p", str(path)), seed=0, folder=tmp_path / "run")
    path.write_text("\n".join(Path(log).read_text().splitlines()[:-70]))
    with pytest.raises(CheckpointError, match="not the one that the run began with"):
        resume(tmp_path / "run")


def test_agreement_without_anyone_to_agree_with_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to agree with"):
        Session(replace(student(), teacher=None, stop_agreement=0.9), 0)
    with pytest.raises(UsageError, match="not from both"):
        replace(student(), log="a.csv")


# ---- errors --------------------------------------------------------------------------------------


def test_a_teacher_of_another_task_is_refused_with_the_names_of_its_channels() -> None:
    with pytest.raises(
        TrainingError, match=r"the teacher observes .*, but task 'cartpole-v' shows"
    ):
        load_teacher(CARTPOLE, task("cartpole-v"), 1)


def test_a_missing_teacher_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="there is no teacher"):
        load_teacher(str(tmp_path / "none.grsn"), task("cartpole-p"), 1)


def test_a_run_is_not_resumed_with_another_teacher(tmp_path: Path) -> None:
    path = tmp_path / "teacher.grsn"
    path.write_bytes(Path(CARTPOLE).read_bytes())
    folder = tmp_path / "run"
    outcome = train(student(teacher=str(path)), seed=0, folder=folder)
    path.write_bytes(finished(train(student(updates=1), seed=0))[1])
    assert outcome.finished
    with pytest.raises(CheckpointError, match="not the one that the run began with"):
        resume(folder)


def test_the_command_line_takes_a_teacher(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "cartpole-v", "--teacher", CARTPOLE, "--out", str(tmp_path)]
    assert main(arguments) != 0
    assert "choose a teacher that was trained on this task" in capsys.readouterr().err
