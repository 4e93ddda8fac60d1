"""Teams: cooperative tasks for several agents, and one frozen policy that all of them run.

A team is trained together (QMIX) and runs apart: every agent steps the same ``.grsn`` policy on
what it sees itself, with a state of its own.
"""

from __future__ import annotations

from grsn_edge.teams.base import Layout, TeamStep, TeamTask, TeamWorld, TeamWorlds, View
from grsn_edge.teams.policy import TeamPolicy
from grsn_edge.teams.registry import team_task, team_task_names

__all__ = [
    "Layout",
    "TeamPolicy",
    "TeamStep",
    "TeamTask",
    "TeamWorld",
    "TeamWorlds",
    "View",
    "team_task",
    "team_task_names",
]
