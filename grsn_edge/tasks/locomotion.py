"""MuJoCo's walkers with positions only or velocities only: gymnasium's v5 environments, masked.

``docs/tasks.md`` lists the observations index by index, and how the masks came from those of the
older Bullet environments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from grsn_edge.policy import Channel
from grsn_edge.tasks.base import BoolArray, DoubleArray, Package, Task
from grsn_edge.tasks.mujoco_worlds import Rules, Walker

__all__ = ["TASKS"]

_CLIP = 2.0
_PACKAGES = (Package("mujoco", "mujoco>=3"), Package("imageio", "imageio"))


class _Row(NamedTuple):
    name: str
    unit: str
    offset: float
    scale: float

    def channel(self) -> Channel:
        reach = _CLIP * self.scale
        return Channel(self.name, self.unit, self.offset - reach, self.offset + reach)


class _Robot(NamedTuple):
    """A robot's observation: positions, velocities, and what only a critic sees."""

    name: str
    positions: tuple[_Row, ...]
    velocities: tuple[_Row, ...]
    motors: tuple[str, ...]
    period_s: float
    verb: str
    rules: Rules
    forces: int = 0


def _angles(names: Sequence[str], offset: float, scale: float) -> tuple[_Row, ...]:
    return tuple(_Row(f"{name} angle", "rad", offset, scale) for name in names)


def _rates(names: Sequence[str], scale: float) -> tuple[_Row, ...]:
    return tuple(_Row(f"{name} angular velocity", "rad/s", 0.0, scale) for name in names)


def _speeds(names: Sequence[str], scale: float) -> tuple[_Row, ...]:
    return tuple(_Row(f"{name} velocity", "m/s", 0.0, scale) for name in names)


_LEG = ("thigh", "leg", "foot")
_LEGS = (*(f"right {part}" for part in _LEG), *(f"left {part}" for part in _LEG))
_CHEETAH = tuple(f"{end} {part}" for end in ("back", "front") for part in ("thigh", "shin", "foot"))
_ANT = tuple(f"{joint} {i}" for i in (1, 2, 3, 4) for joint in ("hip", "ankle"))
_ANT_MOTORS = tuple(f"{joint} {i}" for i in (4, 1, 2, 3) for joint in ("hip", "ankle"))


def _leg_angles(side: str) -> tuple[_Row, ...]:
    return (
        *_angles([f"{side}thigh", f"{side}leg"], -0.75, 0.75),
        *_angles([f"{side}foot"], 0.0, 0.4),
    )


def _hopper_stands(position: DoubleArray, velocity: DoubleArray) -> BoolArray:
    """Height above 0.7 m, torso within 0.2 rad, and no number beyond 100."""
    state = np.concatenate([position[:, 2:], velocity], axis=1)
    upright = (position[:, 1] > 0.7) & (np.abs(position[:, 2]) < 0.2)
    healthy: BoolArray = upright & (np.abs(state) < 100.0).all(axis=1)
    return healthy


def _walker_stands(position: DoubleArray, velocity: DoubleArray) -> BoolArray:
    """Height between 0.8 and 2 m, torso within 1 rad."""
    height, angle = position[:, 1], position[:, 2]
    healthy: BoolArray = (height > 0.8) & (height < 2.0) & (np.abs(angle) < 1.0)
    return healthy


def _ant_stands(position: DoubleArray, velocity: DoubleArray) -> BoolArray:
    """Height from 0.2 to 1 m, and all numbers finite."""
    finite = np.isfinite(np.concatenate([position, velocity], axis=1)).all(axis=1)
    healthy: BoolArray = finite & (position[:, 2] >= 0.2) & (position[:, 2] <= 1.0)
    return healthy


_HOPPER = _Robot(
    "Hopper",
    (_Row("height", "m", 1.25, 0.25), *_angles(["torso"], 0.0, 0.1), *_leg_angles("")),
    (*_speeds(["forward", "vertical"], 2.5), *_rates(["torso"], 2.5), *_rates(_LEG, 5.0)),
    _LEG,
    0.008,
    "hop",
    Rules(control_cost=0.001, healthy=_hopper_stands, noise=0.005, fastest=10.0),
)
_WALKER = _Robot(
    "Walker2d",
    (
        _Row("height", "m", 1.25, 0.25),
        *_angles(["torso"], 0.0, 0.5),
        *_leg_angles("right "),
        *_leg_angles("left "),
    ),
    (*_speeds(["forward", "vertical"], 2.5), *_rates(["torso"], 2.5), *_rates(_LEGS, 5.0)),
    _LEGS,
    0.008,
    "walk on two legs",
    Rules(control_cost=0.001, healthy=_walker_stands, noise=0.005, fastest=10.0),
)
_HALF_CHEETAH = _Robot(
    "HalfCheetah",
    (
        _Row("height above start", "m", 0.0, 0.3),
        *_angles(["torso"], 0.0, 1.0),
        *_angles(_CHEETAH, 0.0, 0.5),
    ),
    (*_speeds(["forward", "vertical"], 5.0), *_rates(["torso"], 5.0), *_rates(_CHEETAH, 12.5)),
    _CHEETAH,
    0.05,
    "run on two legs",
    Rules(control_cost=0.1, healthy=None, noise=0.1, normal=True),
)


def _ant_joint(name: str) -> tuple[_Row, ...]:
    bent = {"ankle 1": 0.65, "ankle 2": -0.65, "ankle 3": -0.65, "ankle 4": 0.65}
    return _angles([name], bent.get(name, 0.0), 0.35)


_ANT_ROBOT = _Robot(
    "Ant",
    (
        _Row("height", "m", 0.6, 0.25),
        *(_Row(f"orientation {part}", "1", 0.0, 0.5) for part in "wxyz"),
        *(row for name in _ANT for row in _ant_joint(name)),
    ),
    (
        *_speeds(["x", "y", "z"], 2.5),
        *_rates(["torso x", "torso y", "torso z"], 5.0),
        *_rates(_ANT, 7.5),
    ),
    _ANT_MOTORS,
    0.05,
    "walk on four legs",
    Rules(0.5, _ant_stands, noise=0.1, hidden=2, normal=True, contact_cost=5e-4),
    forces=78,
)


def _masked(robot: _Robot, suffix: str) -> Task:
    rows = robot.positions if suffix == "P" else robot.velocities
    first = 0 if suffix == "P" else len(robot.positions)
    whole = [abs(row.offset) + row.scale for row in (*robot.positions, *robot.velocities)]
    kind = "positions" if suffix == "P" else "velocities"
    return Task(
        name=f"{robot.name.lower()}-{suffix.lower()}",
        environment=f"grsn_edge/{robot.name}-{suffix}-v0",
        summary=f"{robot.verb}, seeing {kind} only",
        dynamics=Walker(
            environment=f"{robot.name}-v5",
            scale=(*whole, *(1.0 for _ in range(robot.forces))),
            action_shape=(len(robot.motors),),
            packages=_PACKAGES,
            rules=robot.rules,
        ),
        observed=tuple(range(first, first + len(rows))),
        observations=tuple(row.channel() for row in rows),
        actions=tuple(Channel(f"{name} motor", "1", -1.0, 1.0) for name in robot.motors),
        decoder="clip",
        period_s=robot.period_s,
        offset=tuple(row.offset for row in rows),
        scale=tuple(row.scale for row in rows),
        clip=_CLIP,
        max_steps=1000,
    )


TASKS = tuple(
    _masked(robot, suffix)
    for robot in (_HOPPER, _WALKER, _HALF_CHEETAH, _ANT_ROBOT)
    for suffix in "PV"
)
