"""LunarLander with positions only or velocities only: gymnasium's LunarLander-v3, masked."""

from __future__ import annotations

from grsn_edge.policy import Channel
from grsn_edge.tasks.base import Package, Task
from grsn_edge.tasks.simulator import Simulator

__all__ = ["TASKS"]

_CLIP = 2.0

_TABLE: tuple[tuple[str, str, float, float], ...] = (
    ("horizontal position", "1", 0.0, 0.75),
    ("height", "1", 0.75, 0.625),
    ("horizontal velocity", "1", 0.0, 1.0),
    ("vertical velocity", "1", 0.0, 1.0),
    ("angle", "rad", 0.0, 0.8),
    ("angular velocity", "1", 0.0, 1.25),
    ("left leg touches", "1", 0.5, 0.5),
    ("right leg touches", "1", 0.5, 0.5),
)
"""Name, unit, offset and scale by index; lengths are in half widths of the view."""

_ACTIONS = tuple(
    Channel(name, "1", float(i), float(i))
    for i, name in enumerate(("nothing", "left engine", "main engine", "right engine"))
)
_WORLD = Simulator(
    environment="LunarLander-v3",
    scale=tuple(abs(offset) + scale for _, _, offset, scale in _TABLE),
    packages=(Package("Box2D", "box2d"), Package("pygame", "pygame-ce")),
)


def _masked(suffix: str, summary: str, observed: tuple[int, ...]) -> Task:
    rows = [_TABLE[i] for i in observed]
    return Task(
        name=f"lunarlander-{suffix.lower()}",
        environment=f"grsn_edge/LunarLander-{suffix}-v0",
        summary=summary,
        dynamics=_WORLD,
        observed=observed,
        observations=tuple(Channel(n, u, o - _CLIP * s, o + _CLIP * s) for n, u, o, s in rows),
        actions=_ACTIONS,
        decoder="argmax",
        period_s=0.02,
        offset=tuple(row[2] for row in rows),
        scale=tuple(row[3] for row in rows),
        clip=_CLIP,
        max_steps=1000,
    )


TASKS = (
    _masked("P", "land on the moon, seeing positions and leg contacts only", (0, 1, 4, 6, 7)),
    _masked("V", "land on the moon, seeing velocities and leg contacts only", (2, 3, 5, 6, 7)),
)
