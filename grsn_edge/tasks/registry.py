"""Every task by its name: a task is an entry of ``TASKS`` in any module of this folder."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from grsn_edge.errors import TaskError
from grsn_edge.tasks.base import Task

__all__ = ["register_environments", "task", "task_names"]

_NOT_TASKS = ("base", "registry", "environments", "record")


@cache
def _tasks() -> Mapping[str, Task]:
    package = __name__.rpartition(".")[0]
    names = (info.name for info in pkgutil.iter_modules([str(Path(__file__).parent)]))
    modules = [importlib.import_module(f"{package}.{n}") for n in names if n not in _NOT_TASKS]
    found = {entry.name: entry for module in modules for entry in module.TASKS}
    return dict(sorted(found.items()))


def task_names() -> tuple[str, ...]:
    """The names of all tasks, sorted."""
    return tuple(_tasks())


def task(name: str) -> Task:
    """The task of this name; raises :class:`TaskError` for an unknown one."""
    if name not in _tasks():
        raise TaskError(f"no task '{name}'; there are: {', '.join(task_names())}")
    return _tasks()[name]


def register_environments() -> None:
    """Make every task known to gymnasium, if that is installed; may be called again."""
    if importlib.util.find_spec("gymnasium") is None:
        return
    from gymnasium.envs.registration import register, registry

    for name, entry in _tasks().items():
        if entry.environment not in registry:
            register(
                entry.environment,
                entry_point="grsn_edge.tasks.environments:make_environment",
                max_episode_steps=entry.max_steps,
                kwargs={"task": name},
            )
