"""The trainable policy in floats, and what PPO needs of any policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from grsn_edge.policy import Network
from grsn_edge.tasks import Task
from grsn_edge.training.scan import scan

__all__ = ["Actor", "ActorLike", "ActorOutput", "States", "greedy", "mean_action"]

States = list[dict[str, Tensor]]
"""States of each cell by name, ``(batch, n)``."""


@dataclass(frozen=True, slots=True)
class ActorOutput:
    """What a policy computed over ``T`` steps.

    ``values``: the read-out's ``(T, batch, actions)``; ``activity``: per spiking layer the mean
    firing rate, 0-d, with gradients; ``state``: after the last step.
    """

    values: Tensor
    activity: list[Tensor]
    state: States


class ActorLike(Protocol):
    """A policy that PPO can train: in floats, or in exact integers."""

    network: Network
    cells: nn.ModuleList

    def initial_state(self, batch: int) -> States:
        """States after a reset."""

    def __call__(self, x: Tensor, keep: Tensor, state: States) -> ActorOutput:
        """Run ``T`` steps, from ``x`` ``(T, batch, n)`` and ``keep`` ``(T, batch, 1)``."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Of all cells, in a fixed order."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The same with their names."""


class Actor(nn.Module):
    """A network in float32.

    Args:
        network: the cells.
        rng: draws the parameters.
    """

    def __init__(self, network: Network, rng: np.random.Generator) -> None:
        super().__init__()
        self.network = network
        self.cells = nn.ModuleList(
            nn.ParameterDict(
                {
                    name: nn.Parameter(torch.from_numpy(np.asarray(value)).float())
                    for name, value in cell.init(rng).items()
                }
            )
            for cell in network.cells
        )

    def initial_state(self, batch: int) -> States:
        """Zeros, ``(batch, n)`` by name, for each cell."""
        return [
            {name: torch.zeros(batch, n) for name, n in cell.state_sizes().items()}
            for cell in self.network.cells
        ]

    def forward(self, x: Tensor, keep: Tensor, state: States) -> ActorOutput:
        """Run ``T`` steps.

        Args:
            x: normalised observations ``(T, batch, n)``.
            keep: ``(T, batch, 1)``, 0 where an episode begins.
            state: before the first step.
        """
        value, activity, after = x.float(), [], []
        for cell, params, before in zip(self.network.cells, self.cells, state, strict=True):
            value, end = scan(cell, dict(params.named_parameters()), value, keep, before)
            after.append(end)
            if cell.spikes:
                activity.append(value.mean())
        return ActorOutput(value, activity, after)


def mean_action(task: Task, values: Tensor) -> Tensor:
    """Read-out values as continuous actions in [-1, 1], ``(..., m)``."""
    return values.tanh() if task.decoder == "tanh" else values.clamp(-1.0, 1.0)


def greedy(task: Task, values: Tensor) -> Tensor:
    """The action without exploration: int64 ``(...)``, or ``(..., m)`` in [-1, 1]."""
    return values.argmax(-1) if task.is_discrete else mean_action(task, values)
