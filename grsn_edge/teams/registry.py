"""Team tasks by name."""

from __future__ import annotations

from grsn_edge.errors import TaskError
from grsn_edge.tasks.describe import split
from grsn_edge.teams.base import TeamTask
from grsn_edge.teams.battle import battle_task
from grsn_edge.teams.vmas_world import NAMED, named_task, scenario_task

__all__ = ["team_task", "team_task_names"]

_VMAS = "vmas:"


def team_task_names() -> tuple[str, ...]:
    """Tasks that have a name of their own; ``vmas:SCENARIO`` are further ones."""
    return ("battle", *sorted(NAMED))


def team_task(name: str) -> TeamTask:
    """The task of a name or description, such as ``battle?agents=4`` or ``vmas:navigation``.

    Raises:
        TaskError: unknown, or a bad option; the text says what there is.
    """
    base, options = split(name)
    if base == "battle":
        return battle_task(options)
    if base.startswith(_VMAS):
        return scenario_task(base[len(_VMAS) :], options)
    if base not in NAMED:
        there = ", ".join((*team_task_names(), "vmas:SCENARIO"))
        raise TaskError(f"no team task '{base}'; there are: {there}")
    if options:
        raise TaskError(f"'{base}' has no options; 'vmas:{NAMED[base].scenario}' has")
    return named_task(base)
