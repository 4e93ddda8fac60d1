"""The privileged critic: it sees the whole state, and exists in training only."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["Critic"]


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


def _orthogonal(rng: np.random.Generator, rows: int, columns: int) -> nn.Parameter:
    """Orthogonal rows or columns; numpy draws them, so that no global generator is touched."""
    tall = rng.normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))
    matrix = q if rows >= columns else q.T
    return nn.Parameter(torch.from_numpy(np.ascontiguousarray(matrix)).float())
