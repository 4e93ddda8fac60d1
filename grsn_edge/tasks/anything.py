"""Any gymnasium environment as a task: ``gym:ID?mask=…&scale=…&steps=…``."""

from __future__ import annotations

import os
import sys
from math import ceil, floor, inf, log10
from typing import Any

import numpy as np

from grsn_edge.errors import TaskError
from grsn_edge.policy import Channel
from grsn_edge.tasks.base import DoubleArray, Package, Task
from grsn_edge.tasks.describe import ANY_TASK, channels, integer
from grsn_edge.tasks.simulator import GYMNASIUM, Simulator

__all__ = ["PREFIX", "TASKS", "gym_task", "imported_by"]

PREFIX = "gym:"
TASKS: tuple[Task, ...] = ()

_CLIP = 2.0
_OWN = ("mask", "scale", "steps")
_WIDEST = 1e4  # bounds beyond it say nothing about usual values
_PROBE_STEPS = 1000
_STEPS, _PERIOD_S = 1000, 0.02  # where the environment does not say


def imported_by(name: str) -> str | None:
    """The module that making this task imports by name: of ``gym:MODULE:ID``, else None."""
    parts = name.partition("?")[0].split(":")
    return parts[1] if name.startswith(PREFIX) and len(parts) > 2 else None


def gym_task(base: str, options: dict[str, str]) -> tuple[Task, dict[str, str]]:
    """The task of a gymnasium environment, and its own options as they are spelt.

    Where the environment bounds a channel, its scale is half the bound's; elsewhere it is the
    largest magnitude in 1000 random steps from seed 0, rounded up to two digits.

    Args:
        base: ``gym:`` and gymnasium's id.
        options: ``mask``, ``scale`` (of the masked channels, in their order) and ``steps`` (time
            limit) are taken out.

    Raises:
        TaskError: the environment cannot be made, or has no form as a task.
    """
    if GYMNASIUM.is_missing:
        raise TaskError(f"task '{base}' needs packages: pip install '{GYMNASIUM.install}'")
    from grsn_edge.tasks.environments import make_flat

    environment = base.removeprefix(PREFIX)
    if imported_by(base):
        _look_in_the_working_directory()
    env = make_flat(environment)
    try:
        offset, scale = _ranges(env)
        texts = {key: value for key, value in options.items() if key in _OWN}
        observed = channels(options, len(scale))
        if "scale" in options:
            given = _scales(options.pop("scale"), len(observed))
            offset[list(observed)], scale[list(observed)] = 0.0, given
        steps = integer(options, "steps", _limit(environment) or _STEPS, 1, 1_000_000)
        return _task(base, env, observed, offset, scale, steps), texts
    finally:
        env.close()


def _look_in_the_working_directory() -> None:
    """Last of all, as ``python -m`` does first: a console script knows only installed modules."""
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)


def _task(
    base: str,
    env: Any,
    observed: tuple[int, ...],
    offset: DoubleArray,
    scale: DoubleArray,
    steps: int,
) -> Task:
    environment = base.removeprefix(PREFIX)
    discrete = hasattr(env.action_space, "n")
    rows = [(f"observation {i}", float(offset[i]), float(scale[i])) for i in observed]
    module = imported_by(base)
    return Task(
        name=base,
        environment=ANY_TASK,
        summary=f"gymnasium's {environment}, {len(observed)} of {len(scale)} channels",
        dynamics=Simulator(
            environment=environment,
            scale=tuple((np.abs(offset) + scale).tolist()),
            action_shape=() if discrete else env.action_space.shape,
            packages=(Package(module, module),) if module else (),
        ),
        observed=observed,
        observations=tuple(Channel(n, "1", o - _CLIP * s, o + _CLIP * s) for n, o, s in rows),
        actions=_actions(env.action_space),
        decoder="argmax" if discrete else "clip",
        period_s=_period(env),
        offset=tuple(o for _, o, _ in rows),
        scale=tuple(s for _, _, s in rows),
        clip=_CLIP,
        max_steps=steps,
    )


def _ranges(env: Any) -> tuple[DoubleArray, DoubleArray]:
    """Offsets and scales ``(k,)`` of the flat observation."""
    from gymnasium.spaces.utils import flatten_space

    space: Any = flatten_space(env.env.observation_space)
    low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    bounded = (low > -_WIDEST) & (high < _WIDEST) & (low < high)
    low, high = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
    scale = (high - low) / 2 / _CLIP
    if not bounded.all():
        scale = np.where(bounded, scale, _measured(env))
    return (low + high) / 2, scale


def _measured(env: Any) -> DoubleArray:
    """Largest magnitudes ``(k,)`` in random play, rounded up to two digits."""
    env.action_space.seed(0)
    seen = [env.reset(seed=0)[0]]
    for _ in range(_PROBE_STEPS):
        full, _, terminated, truncated, _ = env.step(env.action_space.sample())
        seen.append(env.reset()[0] if terminated or truncated else full)
    return np.array([_round_up(float(x)) for x in np.abs(np.stack(seen)).max(axis=0)])


def _round_up(x: float) -> float:
    if not 0 < x < inf:
        return 1.0
    digit = 10.0 ** (floor(log10(x)) - 1)
    return float(f"{ceil(x / digit) * digit:.2g}")


def _scales(text: str, count: int) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count or not all(0 < value < inf for value in values):
        raise TaskError(f"scale={text}: must be {count} positive numbers, such as 1,0.5")
    return values


def _actions(space: Any) -> tuple[Channel, ...]:
    if hasattr(space, "n"):
        return tuple(Channel(f"action {i}", "1", float(i), float(i)) for i in range(int(space.n)))
    ends = zip(space.low.tolist(), space.high.tolist(), strict=True)
    return tuple(Channel(f"action {i}", "1", low, high) for i, (low, high) in enumerate(ends))


def _period(env: Any) -> float:
    """The environment's own step, else its frames' period, else 20 ms."""
    for name in ("dt", "tau"):
        value = getattr(env.unwrapped, name, None)
        if isinstance(value, float) and value > 0:
            return value
    rate = env.metadata.get("render_fps")
    return 1.0 / float(rate) if rate else _PERIOD_S


def _limit(environment: str) -> int | None:
    from gymnasium.envs.registration import spec

    return spec(environment.rpartition(":")[2]).max_episode_steps
