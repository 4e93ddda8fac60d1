"""Tasks for teams: what agents are given, and worlds that a seed decides."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from grsn_edge.errors import TaskError
from grsn_edge.tasks.base import Package
from grsn_edge.teams import Layout, TeamTask, team_task, team_task_names
from grsn_edge.teams.battle import ATTACKS, MOVES, nearest_enemy
from grsn_edge.teams.battle_view import CHANNELS, Side, observe

SIZE = 16


def need(name: str) -> TeamTask:
    pytest.importorskip("magent2" if name.startswith("battle") else "vmas")
    return team_task(name)


def side(*cells: tuple[int, int], hp: tuple[float, ...] | None = None) -> Side:
    return Side(np.array([cells]), np.array([hp or (1.0,) * len(cells)]))


def played(task: TeamTask, seed: int, worlds: object = None) -> list[np.ndarray]:
    worlds = worlds or task.open(3)
    rng = np.random.default_rng(0)
    seen = [worlds.begin(seed).observation]
    for _ in range(8):
        step = worlds.step(rng.integers(0, task.layout.actions, (3, task.layout.agents)))
        seen += [step.view.observation, step.view.state, step.reward, step.terminated]
    return [array.copy() for array in seen]


@pytest.mark.parametrize("name", ["battle", "battle?opponent=random", "navigation-p"])
def test_a_seed_decides_the_episodes_also_in_worlds_that_were_used_before(name: str) -> None:
    task = need(name)
    worlds = task.open(3)
    first, other, again = (played(task, seed, worlds) for seed in (5, 6, 5))
    fresh = played(task, 5)
    for a, b, c in zip(first, again, fresh, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("name", team_task_names())
def test_a_task_is_described_and_shaped_as_it_says(name: str) -> None:
    task = need(name)
    layout, view = task.layout, task.open(2).begin(0)
    assert view.observation.shape == (2, layout.agents, layout.seen)
    assert view.state.shape == (2, task.world.state_size)
    assert view.alive.all()
    assert np.abs(view.state).max() <= 1
    inputs = layout.inputs(view.observation, np.full((2, layout.agents), -1))
    assert inputs.shape[-1] == len(task.member.observations)
    assert np.abs(task.member.normalise(inputs)).max() <= task.member.clip


def test_names_are_known_without_the_packages_and_opening_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Package, "is_missing", property(lambda self: True))
    for name in team_task_names():
        with pytest.raises(TaskError, match=r"pip install 'grsn-edge\[teams\]'"):
            team_task(name).open(1)
    with pytest.raises(TaskError, match=r"pip install 'grsn-edge\[teams\]'"):
        team_task("vmas:balance")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("battel", "there are: battle, navigation-p, vmas:SCENARIO"),
        ("battle?agents=99", "from 2 to 14"),
        ("battle?opponent=me", "nearest or random"),
        ("navigation-p?agents=4", "'vmas:navigation' has"),
    ],
)
def test_bad_names_say_what_there_is(name: str, says: str) -> None:
    with pytest.raises(TaskError, match=says.replace("?", r"\?")):
        team_task(name)


def test_any_vmas_scenario_of_equal_agents_can_be_masked() -> None:
    task = need("vmas:navigation?agents=2&mask=0,1,4,5")
    assert task.layout == Layout(agents=2, seen=4, actions=9)
    assert task.world.state_size == 2 * 18
    for name in ("nothing", "../navigation", "simple_tag", "navigation?color=red"):
        with pytest.raises(TaskError):
            team_task(f"vmas:{name}")


def test_one_agent_alone_cannot_be_in_a_teams_world() -> None:
    with pytest.raises(TaskError, match="for a team"):
        team_task("battle").member.dynamics.open(1, 1)


def test_agents_are_given_what_they_see_what_they_did_and_who_they_are() -> None:
    layout = Layout(agents=2, seen=1, actions=3)
    inputs = layout.inputs([[0.5], [-0.5]], np.array([2, -1]))
    np.testing.assert_array_equal(inputs, [[0.5, 0, 0, 1, 1, 0], [-0.5, 0, 0, 0, 0, 1]])


def test_a_fighter_sees_near_enemies_and_the_weakest_but_none_beyond_six_cells() -> None:
    ours = side((5, 5), (1, 5))
    theirs = side((6, 5), (5, 9), (12, 5), hp=(0.9, 0.2, 0.1))
    view = dict(zip([c.name for c in CHANNELS], observe(ours, theirs, SIZE)[0].T, strict=True))
    assert view["hit points of an enemy at +1,+0"].tolist() == pytest.approx([0.9, 0.0])
    assert view["nearest enemy x"].tolist() == pytest.approx([1 / 6, 5 / 6])
    assert view["weakest enemy y"].tolist() == pytest.approx([4 / 6, 4 / 6])
    assert view["weakest enemy's hit points"].tolist() == pytest.approx([0.2, 0.2])
    assert view["enemies in sight"].tolist() == pytest.approx([1.0, 1.0])
    assert view["middle of friends x"].tolist() == pytest.approx([-4 / 6, 4 / 6])


def test_who_is_out_sees_nothing_and_is_not_seen() -> None:
    seen = observe(side((5, 5), (6, 5), hp=(0.0, 1.0)), side((5, 6), hp=(0.0,)), SIZE)
    assert not seen[0, 0].any()
    assert not seen[0, 1, 3:].any()


def test_the_scripted_team_attacks_who_is_beside_it_and_else_walks_to_the_nearest() -> None:
    own, enemy = side((5, 5), (9, 9)), side((5, 4), (15, 9))
    beside, far = nearest_enemy(own, enemy)[0]
    assert ATTACKS[beside - len(MOVES)].tolist() == [0, -1]
    assert MOVES[far].tolist() == [2, 0]


def test_a_battle_is_won_by_who_is_left() -> None:
    task = need("battle?agents=2&opponent=random")
    worlds = task.open(8)
    worlds.begin(0)
    for _ in range(120):
        step = worlds.step(nearest_enemy(*worlds.sides))
    assert step.terminated.any()
    assert step.ahead[step.terminated].all()
    after = worlds.step(nearest_enemy(*worlds.sides))
    assert not after.reward[step.terminated].any()


def test_teams_are_imported_without_torch() -> None:
    code = "import sys, grsn_edge.teams; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
