"""Imitation: how far a student's actions are from its teacher's (DAgger, arXiv 1011.0686)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from grsn_edge.tasks import Task, agrees
from grsn_edge.training.actor import greedy, mean_action

__all__ = ["imitation", "student_share"]

_OWN = 0.5  # of the first phase's budget, until the student acts alone


def student_share(done: float) -> float:
    """The share of episodes in which the student acts itself; the teacher acts in the others.

    ``done``: the part of the first phase that is over, 0 to 1.
    """
    return min(done / _OWN, 1.0)


def imitation(task: Task, values: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, and the share of steps in which student and teacher agree; both 0-d.

    Cross-entropy on discrete actions, Huber on continuous ones; agreement as :func:`agrees` says.

    Args:
        task: whose decoder is used.
        values: the student's read-out, ``(T, batch, actions)``.
        label: the teacher's actions, int64 ``(T, batch)`` or ``(T, batch, m)`` in [-1, 1].
    """
    agreed = agrees(greedy(task, values.detach()), label, task.is_discrete).float().mean()
    if task.is_discrete:
        return functional.cross_entropy(values.flatten(0, 1), label.flatten()), agreed
    return functional.huber_loss(_reachable(task, values, label), label, delta=0.5), agreed


def _reachable(task: Task, values: Tensor, label: Tensor) -> Tensor:
    """Actions with a gradient everywhere but beyond a bound that is the teacher's action."""
    action = mean_action(task, values)
    return action if task.decoder == "tanh" else torch.where(action == label, label, values)
