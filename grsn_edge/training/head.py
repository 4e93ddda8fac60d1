"""From read-out values to actions that explore, and their probabilities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from grsn_edge.tasks import Task
from grsn_edge.training.actor import mean_action

__all__ = ["Head"]


class Head(nn.Module):
    """Categorical over choices, or Gaussian around continuous actions.

    Args:
        task: whose decoder is used.
        log_std: initial log standard deviation, the same in every state; trained.
    """

    def __init__(self, task: Task, log_std: float) -> None:
        super().__init__()
        self.task = task
        size = 0 if task.is_discrete else len(task.actions)
        self.log_std = nn.Parameter(torch.full((size,), log_std))

    def sample(self, values: Tensor, rng: np.random.Generator) -> Tensor:
        """An action drawn by ``rng``: int64 ``(...)``, or ``(..., m)``."""
        if self.task.is_discrete:
            gumbel = torch.from_numpy(rng.gumbel(size=tuple(values.shape)))
            return (values + gumbel).argmax(-1)
        normal = torch.from_numpy(rng.standard_normal(tuple(values.shape), dtype=np.float32))
        return mean_action(self.task, values) + self.log_std.exp() * normal

    def log_prob(self, values: Tensor, action: Tensor) -> Tensor:
        """Log probability (density) of an action, ``(...)``."""
        if self.task.is_discrete:
            return values.log_softmax(-1).gather(-1, action[..., None])[..., 0]
        z = (action - mean_action(self.task, values)) * (-self.log_std).exp()
        return (-0.5 * z.square() - self.log_std - 0.5 * math.log(2 * math.pi)).sum(-1)

    def entropy(self, values: Tensor) -> Tensor:
        """Mean entropy, 0-d."""
        if self.task.is_discrete:
            log_p = values.log_softmax(-1)
            return -(log_p.exp() * log_p).sum(-1).mean()
        return (self.log_std + 0.5 * math.log(2 * math.pi * math.e)).sum()

    def applied(self, action: Tensor) -> npt.NDArray[Any]:
        """The action as the environment takes it: indices, or float32 in units."""
        array: npt.NDArray[Any] = action.numpy()
        return array if self.task.is_discrete else self.task.in_units(array)
