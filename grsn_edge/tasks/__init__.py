"""Tasks: masked control problems, batched in NumPy and registered with gymnasium.

Importing this package registers them: ``gymnasium.make("grsn_edge/CartPole-P-v0")``, or without an
import of one's own ``gymnasium.make("grsn_edge.tasks:grsn_edge/CartPole-P-v0")``.
"""

from __future__ import annotations

from grsn_edge.tasks.base import BatchedEnv, Dynamics, Step, Task
from grsn_edge.tasks.registry import register_environments, task, task_names

__all__ = [
    "BatchedEnv",
    "Dynamics",
    "Step",
    "Task",
    "register_environments",
    "task",
    "task_names",
]

register_environments()
