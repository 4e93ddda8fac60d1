"""The privileged critic: it sees the whole state, and exists in training only."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from grsn_edge.tasks import Task

__all__ = ["ActionCritic", "Critic"]


class Critic(nn.Module):
    """Two tanh layers and one value.

    Args:
        n_in: length of the full observation.
        rng: draws the weights.
        width: of both layers.
    """

    def __init__(self, n_in: int, rng: np.random.Generator, width: int = 64) -> None:
        super().__init__()
        sizes = (n_in, width, width, 1)
        self.weights = nn.ParameterList(
            _orthogonal(rng, above, below) for below, above in pairwise(sizes)
        )
        self.biases = nn.ParameterList(torch.zeros(n) for n in sizes[1:])

    def forward(self, full: Tensor) -> Tensor:
        """Values ``(...)`` of full observations ``(..., n_in)``, normalised."""
        hidden = full
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden = nn.functional.linear(hidden, weight, bias).tanh()
        value: Tensor = nn.functional.linear(hidden, self.weights[-1], self.biases[-1])
        return value[..., 0]


class ActionCritic(nn.Module):
    """Two ReLU layers and the value of a continuous action, or one value for each choice.

    Args:
        task: whose full observations and actions are judged.
        rng: draws the weights.
        width: of both layers.
    """

    def __init__(self, task: Task, rng: np.random.Generator, width: int = 64) -> None:
        super().__init__()
        full, actions = len(task.dynamics.full_scale), len(task.actions)
        n_in, n_out = (full, actions) if task.is_discrete else (full + actions, 1)
        sizes = (n_in, width, width, n_out)
        self.weights = nn.ParameterList(
            _orthogonal(rng, above, below) for below, above in pairwise(sizes)
        )
        self.biases = nn.ParameterList(torch.zeros(n) for n in sizes[1:])

    def forward(self, full: Tensor, action: Tensor | None = None) -> Tensor:
        """Values ``(..., 1)`` of an action in [-1, 1], or ``(..., choices)`` without one."""
        hidden = full if action is None else torch.cat([full, action], -1)
        # not self.weights[:-1]: a slice makes parameters anew, without TorchRL's gradients
        *inner, last = zip(self.weights, self.biases, strict=True)
        for weight, bias in inner:
            hidden = nn.functional.linear(hidden, weight, bias).relu()
        return nn.functional.linear(hidden, *last)


def _orthogonal(rng: np.random.Generator, rows: int, columns: int) -> nn.Parameter:
    """Orthogonal rows or columns; numpy draws them, so that no global generator is touched."""
    tall = rng.normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))
    matrix = q if rows >= columns else q.T
    return nn.Parameter(torch.from_numpy(np.ascontiguousarray(matrix)).float())
