"""Every task by its name: a task is an entry of ``TASKS`` in any module of this folder."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

from grsn_edge.errors import TaskError
from grsn_edge.tasks.anything import PREFIX, gym_task, imported_by
from grsn_edge.tasks.base import Task
from grsn_edge.tasks.describe import ANY_TASK, Family, impaired, spell, split
from grsn_edge.tasks.logged import LOG_PREFIX, log_task

__all__ = [
    "asks_for",
    "described",
    "is_playable",
    "register_environments",
    "task",
    "task_names",
    "task_options",
]

_NOT_TASKS = (
    "base",
    "batched",
    "describe",
    "environments",
    "log_file",
    "mujoco_worlds",
    "physics",
    "pool",
    "record",
    "registry",
    "sensors",
    "simulator",
    "worker",
)


@cache
def _modules() -> tuple[ModuleType, ...]:
    package = __name__.rpartition(".")[0]
    names = (info.name for info in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return tuple(importlib.import_module(f"{package}.{n}") for n in names if n not in _NOT_TASKS)


@cache
def _tasks() -> Mapping[str, Task]:
    found = {entry.name: entry for module in _modules() for entry in module.TASKS}
    return dict(sorted(found.items()))


@cache
def _families() -> Mapping[str, Family]:
    return {
        name: family
        for module in _modules()
        for name, family in getattr(module, "FAMILIES", {}).items()
    }


def task_names() -> tuple[str, ...]:
    """The names of all tasks that need no description, sorted."""
    return tuple(_tasks())


def task_options(name: str) -> tuple[str, ...]:
    """Options that a description of this task may have."""
    own = (_families()[name].option,) if name in _families() else ()
    return (*own, "delay", "noise")


@cache
def task(name: str) -> Task:
    """The task of this name or description.

    Raises:
        TaskError: unknown, with options that it does not have, or of an environment that
            cannot be made.
    """
    if name in _tasks():
        return _tasks()[name]
    base, options = split(name)
    if base.startswith(PREFIX):
        found, own = gym_task(base, options)
    elif base.startswith(LOG_PREFIX):
        found, own = log_task(base, options)
    elif base in _families():
        found, own = _families()[base].member(options)
    elif base in _tasks():
        found, own = _tasks()[base], {}
    else:
        raise TaskError(
            f"no task '{base}'; there are: {', '.join(task_names())}, {PREFIX}ID for any "
            f"environment of gymnasium, and {LOG_PREFIX}FILE for recorded data"
        )
    return impaired(found, own, options)


def described(name: str, options: Mapping[str, str | None]) -> str:
    """The full name of a task with further options; those that are None are left out.

    Raises:
        TaskError: as :func:`task`, or an option is given twice.
    """
    base, own = split(name)
    further = {key: value for key, value in options.items() if value is not None}
    if twice := [key for key in further if key in own]:
        raise TaskError(f"'{name}' says already what '{twice[0]}' is")
    return task(spell(base, {**own, **further})).name


def is_playable(name: object) -> bool:
    """Whether a file's task can be played: its packages are there, and it asks for nothing else.

    A file may name any module (``gym:MODULE:ID``) or log (``log:FILE``); only a person's word
    imports or reads it.
    """
    try:
        return isinstance(name, str) and not asks_for(name) and not task(name).missing
    except TaskError:
        return False


def asks_for(name: str) -> str | None:
    """What making this task would do that only a person may ask for, in words; None: nothing."""
    if module := imported_by(name):
        return f"import the module '{module}'"
    path = name.partition("?")[0].removeprefix(LOG_PREFIX)
    return f"read the file '{path}'" if name.startswith(LOG_PREFIX) else None


def register_environments() -> None:
    """Make every task known to gymnasium, if that is installed; may be called again."""
    if importlib.util.find_spec("gymnasium") is None:
        return
    from gymnasium.envs.registration import register, registry

    if ANY_TASK not in registry:
        register(ANY_TASK, entry_point="grsn_edge.tasks.environments:make_limited")
    for name, entry in _tasks().items():
        if entry.environment not in registry:
            register(
                entry.environment,
                entry_point="grsn_edge.tasks.environments:make_environment",
                max_episode_steps=entry.max_steps,
                kwargs={"task": name},
            )
