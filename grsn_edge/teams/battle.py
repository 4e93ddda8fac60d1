"""A battle in the manner of StarCraft: magent2's battle, a small map, a fixed opponent.

Two equal teams stand on either side of a walled square.  The opponents see the whole map and are
scripted; our agents see six cells far, and get what :mod:`grsn_edge.teams.battle_view` leaves of
it.  The team's reward is the mean of what magent2 gives to its agents.  More survivors win.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from grsn_edge.errors import TaskError
from grsn_edge.tasks.base import Package
from grsn_edge.tasks.describe import integer, spell
from grsn_edge.teams.base import Actions, TeamStep, TeamTask, TeamWorld, TeamWorlds, View, make_task
from grsn_edge.teams.battle_view import CHANNELS, Side, observe, whole_state

__all__ = ["Battle", "Battles", "battle_task", "nearest_enemy"]

SIZE = 16  # cells, with the walls
_OURS, _THEIRS = (2, 3, 4), (11, 12, 13)  # columns where the teams begin
_MAX_STEPS = 60
_HP = 2  # channel of magent2's view that holds the hit points of one's own team

MOVES = np.array(
    [(x, y) for y in range(-2, 3) for x in range(-2, 3) if x**2 + y**2 <= 4], dtype=np.int64
)
"""Displacements ``(x, y)`` of magent2's first actions; those that follow attack."""
ATTACKS = np.array([(-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1)])
"""Displacements of the cells that the actions from ``len(MOVES)`` on attack."""

Opponent = Literal["nearest", "random"]


@dataclass(frozen=True)
class Battle(TeamWorld):
    """The world of a battle.

    Args:
        agents: on each side.
        opponent: ``nearest`` walks to the nearest of ours and attacks it; ``random``.
    """

    agents: int
    opponent: Opponent

    @property
    def requires(self) -> tuple[Package, ...]:
        """magent2."""
        return (Package("magent2", "grsn-edge[teams]"),)

    @property
    def state_size(self) -> int:
        """Position, hit points and presence of everyone."""
        return 2 * self.agents * 4

    def teams(self, batch: int) -> Battles:
        """As many grid worlds."""
        return Battles(self, batch)


class Battles(TeamWorlds):
    """A batch of battles; ``sides``: ours and theirs at this moment."""

    sides: tuple[Side, Side]

    def __init__(self, battle: Battle, batch: int) -> None:
        self._battle = battle
        self._fields = [_Field(battle.agents) for _ in range(batch)]
        self._rng = np.random.default_rng(0)

    def begin(self, seed: int) -> View:
        self._rng = np.random.default_rng(seed)
        for field in self._fields:
            field.begin(self._rng)
        return self._view()

    def step(self, action: Actions) -> TeamStep:
        answers = self._answers()
        pairs = zip(self._fields, action, answers, strict=True)
        reward = np.array([field.step(ours, theirs) for field, ours, theirs in pairs])
        view = self._view()
        ours, theirs = (side.alive.sum(1) for side in self.sides)
        return TeamStep(view, reward, (ours == 0) | (theirs == 0), ours > theirs)

    def _answers(self) -> Actions:
        ours, theirs = self.sides
        if self._battle.opponent == "nearest":
            return nearest_enemy(theirs, ours)
        return self._rng.integers(0, len(MOVES) + len(ATTACKS), theirs.hp.shape)

    def _view(self) -> View:
        def side(i: int) -> Side:
            return Side(
                np.stack([field.position[i] for field in self._fields]),
                np.stack([field.hp[i] for field in self._fields]),
            )

        self.sides = ours, theirs = side(0), side(1)
        return View(observe(ours, theirs, SIZE), whole_state(ours, theirs, SIZE), ours.alive)


class _Field:
    """One grid world of magent2; who is out has no hit points and stays where it fell."""

    def __init__(self, agents: int) -> None:
        import magent2
        from magent2.environments.battle import battle

        rewards = {
            "step_reward": -0.005,
            "dead_penalty": -0.1,
            "attack_penalty": 0.0,
            "attack_opponent_reward": 0.2,
        }
        config = battle.get_config(SIZE, False, 0, **rewards)
        self._world: Any = magent2.GridWorld(config, map_size=SIZE)
        self._teams = self._world.get_handles()
        self._agents = agents
        self._over = False
        self._who = [np.arange(agents), np.arange(agents)]
        self.position = np.zeros((2, agents, 2), np.int64)
        self.hp = np.zeros((2, agents))

    def begin(self, rng: np.random.Generator) -> None:
        """Both teams anywhere in their columns."""
        self._over = False
        self._world.reset()
        self._world.set_seed(int(rng.integers(2**31)))
        for team, columns in zip(self._teams, (_OURS, _THEIRS), strict=True):
            cells = [(x, y, 0) for x in columns for y in range(1, SIZE - 1)]
            chosen = rng.choice(len(cells), self._agents, replace=False)
            self._world.add_agents(team, method="custom", pos=[cells[i] for i in chosen])
        self._look()

    def step(self, ours: Actions, theirs: Actions) -> float:
        """The mean of our agents' rewards; 0 once the battle is over."""
        if self._over:
            return 0.0
        for i, action in enumerate((ours, theirs)):
            self._world.set_action(self._teams[i], action[self._who[i]].astype(np.int32))
        self._world.step()
        reward = float(self._world.get_reward(self._teams[0]).sum()) / self._agents
        self._world.clear_dead()
        self._look()
        self._over = bool((self.hp.max(axis=1) == 0).any())
        return reward

    def _look(self) -> None:
        self.hp[:] = 0.0
        for i, team in enumerate(self._teams):
            if not self._world.get_num(team):
                continue
            # magent2 counts its agents over both teams.
            ids = self._world.get_agent_id(team)
            who = self._who[i] = np.asarray(ids, np.int64) - i * self._agents
            view, _ = self._world.get_observation(team)
            middle = view.shape[1] // 2
            self.hp[i, who] = view[:, middle, middle, _HP]
            self.position[i, who] = self._world.get_pos(team)


def nearest_enemy(own: Side, enemy: Side) -> Actions:
    """What the scripted team does, ``(batch, agents)``.

    Each attacks the nearest of the enemies if it is beside it, else goes where it comes nearest to
    it, without regard to who stands in between; of equal choices the first is taken.
    """
    offset = enemy.position[:, None] - own.position[:, :, None]
    distance = np.where(enemy.alive[:, None], (offset**2).sum(-1), 10**6)
    nearest = distance.argmin(-1)
    to = np.take_along_axis(offset, nearest[..., None, None], axis=2)[:, :, 0]
    left = ((to[..., None, :] - MOVES) ** 2).sum(-1)
    attack = (to[..., None, :] == ATTACKS).all(-1)
    chosen = np.where(attack.any(-1), len(MOVES) + attack.argmax(-1), left.argmin(-1))
    return np.asarray(chosen, np.int64)


def battle_task(options: dict[str, str]) -> TeamTask:
    """The battle; options ``agents`` (6) on each side and ``opponent`` (nearest).

    Raises:
        TaskError: a bad value, or another option.
    """
    spelt = dict(options)
    agents = integer(options, "agents", 6, 2, 14)
    opponent = options.pop("opponent", "nearest")
    if opponent not in ("nearest", "random") or options:
        raise TaskError("battle has the options agents=2…14 and opponent=nearest or random")
    moves = [f"go {x:+d},{y:+d}" for x, y in MOVES]
    return make_task(
        spell("battle", spelt),
        f"{agents} against {agents} in a walled square, against a scripted team ({opponent})",
        Battle(agents, "nearest" if opponent == "nearest" else "random"),
        agents=agents,
        seen=CHANNELS,
        actions=[*moves, *(f"attack {x:+d},{y:+d}" for x, y in ATTACKS)],
        period_s=0.1,
        scale=[1.0] * len(CHANNELS),
        clip=1.0,
        max_steps=_MAX_STEPS,
        has_winner=True,
    )
