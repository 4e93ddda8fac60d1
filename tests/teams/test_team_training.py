"""A team from training to its file: exact resume, the same integers together and apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_policy import toy_policy

from grsn_edge.cli.main import main
from grsn_edge.errors import (
    CheckpointError,
    ObservationError,
    TrainingError,
    UsageError,
)
from grsn_edge.policy import Policy, load, save
from grsn_edge.runtime import StreamingPolicy
from grsn_edge.teams import TeamPolicy, team_task
from grsn_edge.teams.pipeline import freeze_team_run, resume_team, train_team
from grsn_edge.teams.play import play_team
from grsn_edge.teams.recipes import TeamRecipe, team_network_kinds, team_recipe
from grsn_edge.training.pipeline import CHECKPOINT, Outcome
from grsn_edge.training.progress import Progress

SMALL = {
    "hidden": 8,
    "envs": 4,
    "batch": 4,
    "learn": 2,
    "copy_every": 3,
    "replay": 6,
    "evaluate_every": 2,
    "evaluate_episodes": 6,
    "tune_updates": 1,
}


def small(**changes: Any) -> TeamRecipe:
    pytest.importorskip("torchrl")
    pytest.importorskip("vmas")
    # Of the 50 steps' cost most is vmas itself: the shortest scenario that moves is enough.
    return team_recipe("vmas:navigation?agents=2&steps=6&mask=0,1,4,5", **{**SMALL, **changes})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    folder = tmp_path_factory.mktemp("team")
    outcome = train_team(small(updates=3), seed=3, folder=folder, provenance={"command": "here"})
    assert outcome.policies is not None
    save(outcome.policies.fine_tuned, folder / "model.grsn")
    return folder, outcome


@pytest.fixture
def policy(run: tuple[Path, Outcome]) -> Policy:
    return load(run[0] / "model.grsn")


def stop_after(updates: int) -> Any:
    seen: list[Progress] = []

    def watch(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == updates:
            raise KeyboardInterrupt

    return watch


def test_an_interrupted_run_reaches_the_very_same_policy(
    run: tuple[Path, Outcome], tmp_path: Path
) -> None:
    """Stopped within ``float``, and again where ``tune`` has just begun."""
    train_team(small(updates=3), seed=3, folder=tmp_path, watch=stop_after(1))
    stopped = resume_team(tmp_path, watch=stop_after(2))
    fine_tuned = freeze_team_run(tmp_path)
    assert fine_tuned.provenance["quantisation"] == "fine-tuned"
    assert not stopped.finished
    resumed = resume_team(tmp_path, provenance={"command": "here"})
    whole = run[1]
    assert resumed.policies is not None
    assert whole.policies is not None
    assert resumed.results == whole.results
    assert resumed.evaluations == whole.evaluations
    save(resumed.policies.fine_tuned, tmp_path / "model.grsn")
    assert (tmp_path / "model.grsn").read_bytes() == (run[0] / "model.grsn").read_bytes()


def test_a_run_is_not_overwritten_and_a_damaged_one_is_refused(
    run: tuple[Path, Outcome], tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="another run"):
        train_team(small(updates=3), folder=run[0])
    whole = (run[0] / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="damaged"):
        resume_team(tmp_path)


def test_the_file_plays_what_tuning_measured(run: tuple[Path, Outcome], policy: Policy) -> None:
    measured = run[1].results["tune"]
    task = team_task(str(policy.provenance["task"]))
    with TeamPolicy(policy, 6, backend="numpy") as team:
        assert play_team(team, task, 6, 2_000_003).mean == measured.mean


def test_a_team_does_what_each_agent_would_do_alone(policy: Policy) -> None:
    task = team_task(str(policy.provenance["task"]))
    layout, worlds = task.layout, task.open(3)
    alone = [[StreamingPolicy(policy, "numpy") for _ in range(layout.agents)] for _ in range(3)]
    last = np.full((3, layout.agents), -1)
    view = worlds.begin(0)
    with TeamPolicy(policy, 3, backend="numpy") as team:
        for _ in range(12):
            together = team.step(view.observation)
            inputs = layout.inputs(view.observation, last)
            last = np.array(
                [[alone[e][a].step(inputs[e, a]) for a in range(layout.agents)] for e in range(3)]
            )
            np.testing.assert_array_equal(together, last)
            view = worlds.step(together).view


def test_a_team_begins_again_without_the_others(policy: Policy) -> None:
    rng = np.random.default_rng(0)
    seen = rng.uniform(-1, 1, (20, 2, 2, 4)).astype(np.float32)
    with TeamPolicy(policy, 2, backend="numpy") as team:
        before = [team.step(one) for one in seen]
        team.reset([0])
        after = [team.step(one) for one in seen]
        team.reset()
        again = [team.step(one) for one in seen]
    np.testing.assert_array_equal(np.array(before)[:, 0], np.array(after)[:, 0])
    np.testing.assert_array_equal(before, again)


def test_wrong_observations_and_policies_are_refused(policy: Policy) -> None:
    with (
        TeamPolicy(policy, 2, backend="numpy") as team,
        pytest.raises(ObservationError, match=r"\(2, 2, 4\)"),
    ):
        team.step(np.zeros((2, 4)))
    with pytest.raises(UsageError, match="not the policy of a team"):
        TeamPolicy(toy_policy())


def test_recipes_name_what_they_do_not_know() -> None:
    recipe = team_recipe("battle", "gru", updates=30)
    assert TeamRecipe.from_config(json.loads(json.dumps(recipe.config()))) == recipe
    assert {"grsn", "gru", "lstm", "lif", "mlp"} <= set(team_network_kinds())
    for change in ({"kind": "cnn"}, {"colour": 1}, {"replay": 1}, {"epsilon": 2.0}):
        with pytest.raises(UsageError):
            team_recipe("battle", **change)


def test_the_second_phase_is_shortened_with_the_first() -> None:
    own = team_recipe("battle")
    assert team_recipe("battle", updates=own.updates) == own
    assert team_recipe("battle", updates=own.updates // 2).tune_updates == own.tune_updates // 2
    assert team_recipe("battle", updates=1).tune_updates == 1
    assert team_recipe("navigation-p", tune_updates=9).tune_updates == 9


def test_a_run_that_has_only_begun_can_be_frozen(tmp_path: Path, capsys: Any) -> None:
    train_team(small(updates=3), seed=3, folder=tmp_path, watch=stop_after(1))
    before = (tmp_path / CHECKPOINT).read_bytes()
    assert main(["team", "freeze", str(tmp_path)]) == 0
    assert "post-training" in capsys.readouterr().out
    assert load(tmp_path / "model.grsn").golden is not None
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_the_verb_lists_and_plays(run: tuple[Path, Outcome], capsys: Any) -> None:
    assert main(["team", "list", "--json"]) == 0
    names = [task["name"] for task in json.loads(capsys.readouterr().out)["tasks"]]
    assert "battle" in names
    model = str(run[0] / "model.grsn")
    rest = ["--run", str(run[0]), "--random", "--episodes", "8", "--json"]
    assert main(["team", "eval", model, *rest]) == 0
    data = json.loads(capsys.readouterr().out)
    assert {"frozen", "float", "random"} <= set(data)
    assert data["frozen"]["standard_error"] > 0
    assert main(["team", "eval"]) == 1
