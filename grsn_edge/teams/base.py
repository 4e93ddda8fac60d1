"""Tasks for teams: what each agent senses and does, and the world they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import TaskError
from grsn_edge.policy import Channel
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks import Task, World, Worlds

__all__ = ["Layout", "TeamStep", "TeamTask", "TeamWorld", "TeamWorlds", "View", "make_task"]

Actions = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Layout:
    """What an agent's policy is given: what it sees, what it did last, and which agent it is.

    Args:
        agents: in a team.
        seen: channels of an agent's own observation.
        actions: choices of an agent.
    """

    agents: int
    seen: int
    actions: int

    def __post_init__(self) -> None:
        if min(self.agents, self.seen, self.actions) < 1:
            raise TaskError(f"a team has agents, channels and actions, not {asdict(self)}")

    @property
    def channels(self) -> int:
        """Length of a policy's observation."""
        return self.seen + self.actions + self.agents

    def inputs(self, observation: npt.ArrayLike, last: Actions) -> FloatArray:
        """Observations of the policy, float32 ``(..., agents, channels)``.

        Args:
            observation: ``(..., agents, seen)``.
            last: actions one step before, int64 ``(..., agents)``; -1 where there is none.
        """
        seen = np.asarray(observation, np.float32)
        did = last[..., None] == np.arange(self.actions)
        who = np.broadcast_to(np.eye(self.agents, dtype=np.float32), (*last.shape, self.agents))
        return np.concatenate([seen, did.astype(np.float32), who], axis=-1)


@dataclass(frozen=True, slots=True)
class View:
    """What there is to see at one moment, in a batch of teams.

    ``observation``: float32 ``(batch, agents, seen)``, zeros for an agent that is out;
    ``state``: float32 ``(batch, k)``, the whole world, normalised, for training only;
    ``alive``: ``(batch, agents)``, which agents still act.
    """

    observation: FloatArray
    state: FloatArray
    alive: BoolArray


@dataclass(frozen=True, slots=True)
class TeamStep:
    """What one step gave: the view after it, the team's reward, and how episodes stand.

    ``reward``: float64 ``(batch,)``; ``terminated``: the world ended the episode; ``ahead``:
    whether the team would have won, were this the end.
    """

    view: View
    reward: npt.NDArray[np.float64]
    terminated: BoolArray
    ahead: BoolArray


class TeamWorlds(ABC):
    """A batch of worlds that begin together; an ended one is stepped on, and not looked at."""

    @abstractmethod
    def begin(self, seed: int) -> View:
        """New episodes in all worlds; the same seed gives the same ones."""

    @abstractmethod
    def step(self, action: Actions) -> TeamStep:
        """One step of all worlds; ``action`` is ``(batch, agents)``."""


class TeamWorld(World):
    """A world that a team shares; one agent alone cannot be in it."""

    @property
    @abstractmethod
    def state_size(self) -> int:
        """Length of the whole world's state."""

    @abstractmethod
    def teams(self, batch: int) -> TeamWorlds:
        """``batch`` worlds, not yet begun; raises :class:`TaskError` where packages are missing."""

    @property
    def full_scale(self) -> tuple[float, ...]:
        """The state is normalised already."""
        return (1.0,) * self.state_size

    def open(self, batch: int, max_steps: int) -> Worlds:
        """Refused: a team's world has no place for single robots."""
        raise TaskError("this is a task for a team; see: grsn-edge team --help")

    def single(self, render_mode: str | None = None) -> Any:
        """Refused, as :meth:`open`."""
        return self.open(1, 1)


@dataclass(frozen=True, eq=False)
class TeamTask:
    """A cooperative task.

    Args:
        layout: agents, channels and actions.
        member: the task as one agent's policy sees it: its channels are those of
            :meth:`Layout.inputs`, its actions an agent's choices, its world a :class:`TeamWorld`.
        has_winner: whether an episode is won or lost.
    """

    layout: Layout
    member: Task
    has_winner: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.member.dynamics, TeamWorld) or not self.member.is_discrete:
            raise TaskError(f"team task '{self.name}' needs a TeamWorld and discrete actions")
        if len(self.member.observations) != self.layout.channels:
            raise TaskError(
                f"team task '{self.name}': its agents are given {self.layout.channels} channels, "
                f"and {len(self.member.observations)} are described"
            )

    @property
    def name(self) -> str:
        """Such as ``battle``."""
        return self.member.name

    @property
    def world(self) -> TeamWorld:
        """What the team acts in."""
        assert isinstance(self.member.dynamics, TeamWorld)
        return self.member.dynamics

    def open(self, batch: int) -> TeamWorlds:
        """A batch of worlds; raises :class:`TaskError`, saying what to install."""
        self.member.check_installed()
        return self.world.teams(batch)


def make_task(
    name: str,
    summary: str,
    world: TeamWorld,
    *,
    agents: int,
    seen: Sequence[Channel],
    actions: Sequence[str],
    period_s: float,
    scale: Sequence[float],
    clip: float,
    max_steps: int,
    has_winner: bool = False,
) -> TeamTask:
    """A team's task, with the channels for last action and agent added.

    Args:
        seen: an agent's own channels, each normalised by its entry of ``scale``.
        actions: names of an agent's choices.
        name, summary, period_s, clip, max_steps: as of a :class:`~grsn_edge.tasks.Task`.
        world, agents, has_winner: as of a :class:`TeamTask`.
    """
    layout = Layout(agents, len(seen), len(actions))
    flags = [f"did {action}" for action in actions] + [f"is agent {i}" for i in range(agents)]
    member = Task(
        name=name,
        environment="",
        summary=summary,
        dynamics=world,
        observed=tuple(range(layout.channels)),
        observations=(*seen, *(Channel(flag, "", 0.0, 1.0) for flag in flags)),
        actions=tuple(Channel(action, "", 0.0, 1.0) for action in actions),
        decoder="argmax",
        period_s=period_s,
        offset=(0.0,) * layout.channels,
        scale=(*scale, *(1.0 for _ in flags)),
        clip=clip,
        max_steps=max_steps,
    )
    return TeamTask(layout, member, has_winner)
