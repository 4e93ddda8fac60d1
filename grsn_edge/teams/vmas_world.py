"""Scenarios of vmas: robots in a plane, batched on torch (Bettini et al., arXiv 2207.03530).

``vmas:SCENARIO?agents=N&mask=I,J&steps=T`` is any scenario whose agents are alike.  A team's reward
is the mean of its agents'; its state is what all agents could see, without the mask.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import TaskError
from grsn_edge.policy import Channel
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks.base import Package
from grsn_edge.tasks.describe import channels, integer, spell
from grsn_edge.teams.base import Actions, TeamStep, TeamTask, TeamWorld, TeamWorlds, View, make_task

__all__ = ["NAMED", "Scenario", "named_task", "scenario_task"]

_PACKAGE = Package("vmas", "grsn-edge[teams]")
_PERIOD_S = 0.1  # of a vmas world
_CLIP = 2.0  # metres and metres per second: the codes are finest where the robots are
_STEERING = ("stay", "back", "ahead")  # an axis' choices, in the order of vmas


@dataclass(frozen=True)
class Scenario(TeamWorld):
    """A scenario of vmas with discrete actions.

    Args:
        scenario: its name in vmas.
        agents: how many.
        channels: of an agent's whole observation.
        observed: those that it sees.
        is_sized: whether the scenario is told how many agents there are.
    """

    scenario: str
    agents: int
    channels: int
    observed: tuple[int, ...]
    is_sized: bool = True

    @property
    def requires(self) -> tuple[Package, ...]:
        """vmas."""
        return (_PACKAGE,)

    @property
    def state_size(self) -> int:
        """Everything that any agent could see."""
        return self.agents * self.channels

    def teams(self, batch: int) -> TeamWorlds:
        """One environment of vmas, with ``batch`` worlds in it."""
        agents = self.agents if self.is_sized else None
        return _Worlds(self, _environment(self.scenario, agents, batch))


class _Worlds(TeamWorlds):
    def __init__(self, scenario: Scenario, env: Any) -> None:
        self._scenario = scenario
        self._env = env
        self._alive = np.ones((env.num_envs, scenario.agents), bool)

    def begin(self, seed: int) -> View:
        return self._view(self._env.reset(seed=seed))

    def step(self, action: Actions) -> TeamStep:
        import torch

        given = [torch.from_numpy(np.ascontiguousarray(one[:, None])) for one in action.T]
        observations, rewards, done, _ = self._env.step(given)
        reward = torch.stack(rewards).mean(0).double().numpy()
        ended = done.numpy().astype(bool)
        return TeamStep(self._view(observations), reward, ended, np.zeros(len(ended), bool))

    def _view(self, observations: Sequence[Any]) -> View:
        import torch

        whole: FloatArray = torch.stack(list(observations), dim=1).numpy().astype(np.float32)
        state = np.clip(whole.reshape(len(whole), -1) / _CLIP, -1.0, 1.0)
        return View(whole[..., list(self._scenario.observed)], state, self._alive)


def _environment(scenario: str, agents: int | None, batch: int) -> Any:
    import vmas

    if not re.fullmatch(r"\w+", scenario):
        raise TaskError(f"'{scenario}' is not the name of a scenario of vmas")
    options = {} if agents is None else {"n_agents": agents}
    try:
        return vmas.make_env(scenario, batch, continuous_actions=False, seed=0, **options)
    except (AssertionError, TypeError, ValueError) as error:
        raise TaskError(f"vmas cannot make the scenario '{scenario}': {error}") from None


# ---- tasks ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Named:
    """A scenario whose channels are described, so that it is known without vmas."""

    scenario: str
    summary: str
    agents: int
    channels: int
    seen: tuple[tuple[int, str, str], ...]
    max_steps: int


def _pairs(first: int, *names: str) -> tuple[tuple[int, str, str], ...]:
    """Channels x and y of positions, from this index on."""
    return tuple(
        (first + 2 * i + j, f"{name} {axis}", "m")
        for i, name in enumerate(names)
        for j, axis in enumerate("xy")
    )


NAMED = {
    "navigation-p": _Named(
        "navigation",
        "three robots go to their goals without colliding; they do not see velocities",
        agents=3,
        channels=18,
        seen=(
            *_pairs(0, "own"),
            *_pairs(4, "from goal"),
            *((6 + i, f"nearness of another in direction {i} of 12", "m") for i in range(12)),
        ),
        max_steps=60,
    ),
}
"""Tasks by name."""


def named_task(name: str) -> TeamTask:
    """A task of :data:`NAMED`."""
    known = NAMED[name]
    world = Scenario(
        known.scenario, known.agents, known.channels, tuple(index for index, _, _ in known.seen)
    )
    seen = [Channel(text, unit, -_CLIP, _CLIP) for _, text, unit in known.seen]
    return _task(name, known.summary, world, seen, _choices(2), known.max_steps)


def scenario_task(scenario: str, options: dict[str, str]) -> TeamTask:
    """The task of any scenario whose agents are alike; it is opened once to see its sizes.

    Raises:
        TaskError: vmas is missing or does not know it, or agents differ, or a bad option.
    """
    if _PACKAGE.is_missing:
        raise TaskError(f"vmas: tasks need a package: pip install '{_PACKAGE.install}'")
    spelt = dict(options)
    agents = integer(options, "agents", 3, 1, 64) if "agents" in options else None
    steps = integer(options, "steps", 100, 1, 100_000)
    env = _environment(scenario, agents, 1)
    if agents is not None and env.n_agents != agents:
        raise TaskError(f"the scenario '{scenario}' has {env.n_agents} agents, and not {agents}")
    sizes = {tuple(one.shape) for one in env.observation_space.spaces}
    choices = {int(one.n) for one in env.action_space.spaces}
    if len(sizes) != 1 or len(choices) != 1:
        raise TaskError(f"the agents of '{scenario}' differ, and cannot share one policy")
    ((count,),) = sizes
    observed = channels(options, count)
    if options:
        raise TaskError(f"a vmas: task has agents, mask and steps, not '{next(iter(options))}'")
    (n,) = choices
    names = _choices(2) if n == len(_STEERING) ** 2 else [f"action {i}" for i in range(n)]
    world = Scenario(scenario, env.n_agents, count, observed, agents is not None)
    seen = [Channel(f"channel {i}", "", -_CLIP, _CLIP) for i in observed]
    name = spell(f"vmas:{scenario}", spelt)
    return _task(name, f"the scenario '{scenario}' of vmas", world, seen, names, steps)


def _task(
    name: str,
    summary: str,
    world: Scenario,
    seen: Sequence[Channel],
    actions: Sequence[str],
    max_steps: int,
) -> TeamTask:
    return make_task(
        name,
        summary,
        world,
        agents=world.agents,
        seen=seen,
        actions=actions,
        period_s=_PERIOD_S,
        scale=np.ones(len(seen)).tolist(),
        clip=_CLIP,
        max_steps=max_steps,
    )


def _choices(axes: int) -> list[str]:
    """Names of the choices for a force in the plane: the first axis turns slowest."""
    grid: npt.NDArray[np.int64] = np.indices((len(_STEERING),) * axes).reshape(axes, -1).T
    return [" ".join(f"{'xy'[j]}:{_STEERING[k]}" for j, k in enumerate(row)) for row in grid]
