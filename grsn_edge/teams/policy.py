"""One frozen policy for a whole team: every agent has a row, a state and a memory of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from grsn_edge.closing import Closing
from grsn_edge.errors import ObservationError, UsageError
from grsn_edge.policy import Policy, load
from grsn_edge.runtime import PolicyBatch
from grsn_edge.teams.base import Actions, Layout

__all__ = ["TEAM", "TeamPolicy", "layout_of"]

TEAM = "team"
"""Key of a policy's provenance under which its :class:`Layout` stands."""


class TeamPolicy(Closing):
    """A team of agents, or many teams, that run one policy.

    Agents exchange nothing: an agent's action depends on its own observations and actions only,
    and is what that agent alone would choose with the same file.

    Example::

        with TeamPolicy.load("team.grsn") as team:
            actions = team.step(observations)  # (1, agents, seen) -> (1, agents)

    Args:
        policy: a frozen policy that was trained for a team.
        teams: how many, stepped together.
        backend: a name, or ``auto``.

    Raises:
        UsageError: the policy is not a team's.
        BackendUnavailable: the backend cannot be used here; the text says what to install.
    """

    def __init__(self, policy: Policy, teams: int = 1, *, backend: str = "auto") -> None:
        self.layout = layout_of(policy)
        self.teams = teams
        self._batch = PolicyBatch(policy, teams * self.layout.agents, backend=backend)
        self._last = np.full((teams, self.layout.agents), -1, np.int64)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], teams: int = 1, *, backend: str = "auto"
    ) -> TeamPolicy:
        """Read a ``.grsn`` file; raises :class:`PolicyFileError` where it cannot be trusted."""
        return cls(load(path), teams, backend=backend)

    def step(self, observations: npt.ArrayLike) -> Actions:
        """Advance every agent one sampling period.

        Args:
            observations: ``(teams, agents, seen)``, what each agent sees.

        Returns:
            int64 ``(teams, agents)``.

        Raises:
            ObservationError: a wrong shape, or NaN or infinity; no agent was advanced.
        """
        seen = np.asarray(observations, np.float32)
        wanted = (*self._last.shape, self.layout.seen)
        if seen.shape != wanted:
            raise ObservationError(f"this team takes observations {wanted}, not {seen.shape}")
        inputs = self.layout.inputs(seen, self._last)
        rows = self._batch.step(inputs.reshape(-1, self.layout.channels))
        self._last = np.asarray(rows, np.int64).reshape(self._last.shape)
        return self._last.copy()

    def __call__(self, observations: npt.ArrayLike) -> Actions:
        """As :meth:`step`."""
        return self.step(observations)

    def reset(self, teams: Sequence[int] | None = None) -> None:
        """Begin an episode in the given teams, or in all; raises as :meth:`PolicyBatch.reset`."""
        chosen = range(self.teams) if teams is None else [int(team) for team in teams]
        count = self.layout.agents
        self._batch.reset([team * count + i for team in chosen for i in range(count)])
        self._last[list(chosen)] = -1

    def close(self) -> None:
        """Give back what the backend holds."""
        self._batch.close()


def layout_of(policy: Policy) -> Layout:
    """The layout that a policy was trained with; raises :class:`UsageError` where it is none."""
    sizes = _sizes(policy.provenance.get(TEAM))
    if sizes is not None:
        layout = Layout(*sizes)
        if (layout.channels, layout.actions) == (policy.encoder.n, len(policy.actions)):
            return layout
    raise UsageError(f"'{policy.name}' is not the policy of a team; use StreamingPolicy for it")


def _sizes(found: object) -> tuple[int, int, int] | None:
    """Agents, channels and actions from a file's JSON, if they are there."""
    if not isinstance(found, Mapping):
        return None
    agents, seen, actions = (found.get(name) for name in ("agents", "seen", "actions"))
    if isinstance(agents, int) and isinstance(seen, int) and isinstance(actions, int):
        return agents, seen, actions
    return None
