"""Tasks: partially observed problems, in batches and registered with gymnasium.

Importing this package registers them: ``gymnasium.make("grsn_edge/CartPole-P-v0")``, or without an
import of one's own ``gymnasium.make("grsn_edge.tasks:grsn_edge/CartPole-P-v0")``.
"""

from __future__ import annotations

from grsn_edge.tasks.base import Step, Task, World, Worlds
from grsn_edge.tasks.batched import BatchedEnv
from grsn_edge.tasks.describe import folder_name
from grsn_edge.tasks.logged import Logged, ReplayWorlds, agrees, held_out, lessons
from grsn_edge.tasks.physics import Dynamics
from grsn_edge.tasks.registry import (
    asks_for,
    described,
    is_playable,
    register_environments,
    task,
    task_names,
    task_options,
)
from grsn_edge.tasks.simulator import Simulator

__all__ = [
    "BatchedEnv",
    "Dynamics",
    "Logged",
    "ReplayWorlds",
    "Simulator",
    "Step",
    "Task",
    "World",
    "Worlds",
    "agrees",
    "asks_for",
    "described",
    "folder_name",
    "held_out",
    "is_playable",
    "lessons",
    "register_environments",
    "task",
    "task_names",
    "task_options",
]

register_environments()
