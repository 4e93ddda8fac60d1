"""``tasks``: what can be trained on."""

from __future__ import annotations

import argparse

from grsn_edge.cli.result import Result, columns

SUMMARY = "list the tasks"
EXAMPLE = "grsn-edge tasks"


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(args: argparse.Namespace) -> Result:
    """Names, environments, periods."""
    from grsn_edge.tasks import task, task_names

    found = [task(name) for name in task_names()]
    data = {
        t.name: {
            "environment": t.environment,
            "observations": [c.name for c in t.observations],
            "actions": [c.name for c in t.actions],
            "period_s": t.period_s,
            "summary": t.summary,
        }
        for t in found
    }
    rows = [(t.name, t.environment, f"{t.period_s} s", t.summary) for t in found]
    return Result(data, columns(rows))
