"""``tasks``: what can be trained on."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from grsn_edge.cli.result import Result, columns

if TYPE_CHECKING:
    from grsn_edge.tasks import Task

SUMMARY = "list the tasks, and what is missing to use them"
EXAMPLE = "grsn-edge tasks"

_FORMS = """\
any environment of gymnasium:  gym:ID?mask=0,2&scale=1,0.5&steps=N (options at will)
recorded data:                 log:FILE?act=COLUMN,COLUMN (see docs/imitation.md)
any of them late or noisy:     NAME?delay=K&noise=S, K in steps, S in full scales
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(args: argparse.Namespace) -> Result:
    """Names, environments, periods, options, missing packages."""
    from grsn_edge.tasks import task, task_names, task_options

    found = [task(name) for name in task_names()]
    data = {t.name: _described(t, task_options(t.name)) for t in found}
    rows = [
        (
            t.name,
            t.environment,
            f"{t.period_s:g} s",
            _readiness(t),
            _summary(t, task_options(t.name)),
        )
        for t in found
    ]
    return Result(data, f"{columns(rows)}\n\n{_FORMS}".rstrip())


def _described(task: Task, options: tuple[str, ...]) -> dict[str, Any]:
    return {
        "environment": task.environment,
        "observations": [c.name for c in task.observations],
        "actions": [c.name for c in task.actions],
        "period_s": task.period_s,
        "max_steps": task.max_steps,
        "options": list(options),
        "missing": list(task.missing),
        "summary": task.summary,
    }


def _readiness(task: Task) -> str:
    if not task.missing:
        return "ready"
    return "needs: pip install " + " ".join(f"'{name}'" for name in task.missing)


def _summary(task: Task, options: tuple[str, ...]) -> str:
    own = [option for option in options if option not in ("delay", "noise")]
    return f"{task.summary} (?{own[0]}=N)" if own else task.summary
