"""Descriptions of tasks: ``NAME?OPTION=VALUE&…``, such as ``tmaze?length=20&noise=0.05``.

A description is a task's name: a run, a checkpoint and a policy's provenance hold it, and
:func:`grsn_edge.tasks.task` makes the task of it again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from grsn_edge.errors import TaskError
from grsn_edge.tasks.base import Task

__all__ = [
    "ANY_TASK",
    "Family",
    "channels",
    "folder_name",
    "impaired",
    "integer",
    "spell",
    "split",
]

ANY_TASK = "grsn_edge/Task-v0"
"""gymnasium's id of every task, also of those that only a description names."""


@dataclass(frozen=True)
class Family:
    """Tasks that differ by one integer.

    Args:
        make: the task for this integer, named as without options.
        option: what the integer is called.
        default: of the task without options.
        low, high: the integer's range.
    """

    make: Callable[[int], Task]
    option: str
    default: int
    low: int
    high: int

    def member(self, options: dict[str, str]) -> tuple[Task, dict[str, str]]:
        """The task, and its own options as they are spelt; taken out of ``options``."""
        value = integer(options, self.option, self.default, self.low, self.high)
        return self.make(value), {self.option: str(value)} if value != self.default else {}


def split(name: str) -> tuple[str, dict[str, str]]:
    """Base and options of a description.

    Raises:
        TaskError: not of the form ``NAME?OPTION=VALUE&…``.
    """
    base, mark, query = name.partition("?")
    if not mark:
        return base, {}
    pairs = [part.partition("=") for part in query.split("&")]
    options = {key: value for key, _, value in pairs}
    if not all(key and value for key, _, value in pairs) or len(options) < len(pairs):
        raise TaskError(f"'{name}' is not of the form NAME?OPTION=VALUE&OPTION=VALUE")
    return base, options


def spell(base: str, options: Mapping[str, str]) -> str:
    """The description of this base and these options, in their order."""
    query = "&".join(f"{key}={value}" for key, value in options.items())
    return f"{base}?{query}" if query else base


def folder_name(name: str) -> str:
    """A description as the name of a folder: ``gym:A/B-v0?mask=0,1`` is ``gym-A-B-v0-mask-0,1``."""
    return re.sub(r"[^A-Za-z0-9_.,-]", "-", name)


def impaired(task: Task, own: Mapping[str, str], options: dict[str, str]) -> Task:
    """The task with its full name, and late or noisy as ``options`` say.

    Args:
        task: as its base and its own options make it.
        own: those options, as spelt.
        options: what is left: ``delay`` and ``noise``.

    Raises:
        TaskError: a bad value, or an option that the task does not have.
    """
    delay = integer(options, "delay", 0, 0, 1000)
    noise = _number(options, "noise")
    if options:
        unknown, known = next(iter(options)), ", ".join((*own, "delay", "noise"))
        raise TaskError(f"task '{task.name}' has no option '{unknown}' here; it has: {known}")
    spelt = {
        **own,
        **({"delay": str(delay)} if delay else {}),
        **({"noise": f"{noise:g}"} if noise else {}),
    }
    late = f", {delay} steps late" if delay else ""
    noisy = f", with noise of {noise:g} full scales" if noise else ""
    return replace(
        task,
        name=spell(task.name, spelt),
        environment=ANY_TASK if spelt else task.environment,
        summary=f"{task.summary}{late}{noisy}",
        delay=delay,
        noise=noise,
    )


def integer(options: dict[str, str], key: str, default: int, low: int, high: int) -> int:
    """Take an integer out of ``options``; raises :class:`TaskError` outside ``low``..``high``."""
    text = options.pop(key, str(default))
    if not text.isdigit() or not low <= int(text) <= high:
        raise TaskError(f"{key}={text}: must be an integer from {low} to {high}")
    return int(text)


def channels(options: dict[str, str], count: int) -> tuple[int, ...]:
    """Take ``mask`` out of ``options``: indices below ``count``; all of them without it."""
    text = options.pop("mask", None)
    if text is None:
        return tuple(range(count))
    parts = text.split(",")
    if not all(part.isdigit() and int(part) < count for part in parts):
        raise TaskError(f"mask={text}: must be indices from 0 to {count - 1}, such as 0,1")
    if len({int(part) for part in parts}) < len(parts):
        raise TaskError(f"mask={text}: names an index twice")
    return tuple(int(part) for part in parts)


def _number(options: dict[str, str], key: str) -> float:
    text = options.pop(key, "0")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise TaskError(f"{key}={text}: must be a number of full scales, at least 0")
    return value
