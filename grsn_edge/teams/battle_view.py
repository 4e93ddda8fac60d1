"""What an agent of a battle sees: 21 numbers in place of magent2's 13 × 13 × 5 picture.

A picture of 845 numbers would cost a microcontroller more than the whole policy.  These are
computed from what lies within the picture's circle: six cells far, walls hide nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grsn_edge.policy import Channel
from grsn_edge.policy.encoder import FloatArray

__all__ = ["CHANNELS", "REACH", "Side", "observe", "whole_state"]

REACH = 6  # cells, the radius of magent2's view

_AROUND = [(-1, -1), (0, -1), (1, -1), (-1, 0), (1, 0), (-1, 1), (0, 1), (1, 1)]
_NAMES = [
    ("own hit points", 0.0),
    ("own x", 0.0),
    ("own y", 0.0),
    *((f"hit points of an enemy at {x:+d},{y:+d}", 0.0) for x, y in _AROUND),
    ("nearest enemy x", -1.0),
    ("nearest enemy y", -1.0),
    ("nearest enemy's hit points", 0.0),
    ("weakest enemy x", -1.0),
    ("weakest enemy y", -1.0),
    ("weakest enemy's hit points", 0.0),
    ("enemies in sight", 0.0),
    ("friends in sight", 0.0),
    ("middle of friends x", -1.0),
    ("middle of friends y", -1.0),
]
CHANNELS = tuple(Channel(name, "", low, 1.0) for name, low in _NAMES)
"""Hit points as a part of all; places relative to the agent as a part of :data:`REACH`; own place
as a part of the map; numbers as a part of a team.  What is not in sight is 0."""


@dataclass(frozen=True, eq=False)
class Side:
    """One team in a batch of battles.

    ``position``: cells ``(batch, agents, 2)``; ``hp``: hit points as a part of all
    ``(batch, agents)``, 0 for who is out.
    """

    position: npt.NDArray[np.int64]
    hp: npt.NDArray[np.float64]

    @property
    def alive(self) -> npt.NDArray[np.bool_]:
        """Who is not out, ``(batch, agents)``."""
        return np.asarray(self.hp > 0)


def observe(ours: Side, theirs: Side, size: int) -> FloatArray:
    """The channels of every one of ours, float32 ``(batch, agents, 21)``; 0 for who is out.

    Args:
        ours, theirs: the teams.
        size: cells on an edge of the map.
    """
    to_enemy = theirs.position[:, None] - ours.position[:, :, None]
    to_friend = ours.position[:, None] - ours.position[:, :, None]
    distance = (to_enemy**2).sum(-1)
    enemy = theirs.alive[:, None] & (distance <= REACH**2)
    oneself = np.eye(ours.hp.shape[1], dtype=bool)
    friend = ours.alive[:, None] & ((to_friend**2).sum(-1) <= REACH**2) & ~oneself
    hp = np.broadcast_to(theirs.hp[:, None], distance.shape)
    friends = friend.sum(-1)
    middle = (to_friend * friend[..., None]).sum(2) / np.maximum(friends, 1)[..., None]
    columns = [
        ours.hp[..., None],
        ours.position / (size - 1),
        _beside(to_enemy, hp * enemy),
        _one_enemy(np.where(enemy, distance, 1000), to_enemy, hp, enemy),
        _one_enemy(np.where(enemy, 1000 * hp + distance, 10**6), to_enemy, hp, enemy),
        np.stack([enemy.sum(-1), friends], axis=-1) / ours.hp.shape[1],
        middle / REACH,
    ]
    seen = np.concatenate(columns, axis=-1) * ours.alive[..., None]
    return seen.astype(np.float32)


def whole_state(ours: Side, theirs: Side, size: int) -> FloatArray:
    """Position, hit points and presence of everyone, float32 ``(batch, k)``, in [-1, 1]."""
    parts = [
        np.concatenate(
            [
                (2.0 * side.position / (size - 1) - 1.0) * side.alive[..., None],
                side.hp[..., None],
                side.alive[..., None],
            ],
            axis=-1,
        )
        for side in (ours, theirs)
    ]
    return np.concatenate(parts, axis=1).reshape(len(ours.hp), -1).astype(np.float32)


def _beside(
    to_enemy: npt.NDArray[np.int64], hp: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Hit points of the enemy in each of the cells around, ``(batch, agents, 8)``."""
    offset = to_enemy[..., None, :] - np.array(_AROUND)
    there = np.asarray(np.abs(offset).sum(-1) == 0, np.float64)
    return np.asarray((there * hp[..., None]).sum(2), np.float64)


def _one_enemy(
    order: npt.NDArray[np.float64],
    to_enemy: npt.NDArray[np.int64],
    hp: npt.NDArray[np.float64],
    enemy: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    """Place and hit points of the enemy that is first in ``order``, ``(batch, agents, 3)``."""
    first = order.argmin(-1)[..., None]
    place = np.take_along_axis(to_enemy, first[..., None], axis=2)[:, :, 0] / REACH
    strength = np.take_along_axis(hp, first, axis=2)
    some = np.asarray(enemy.any(-1), np.float64)[..., None]
    return np.concatenate([place, strength], axis=-1) * some
