"""Which simulators can be run here."""

from __future__ import annotations

import pytest

from grsn_edge.tasks import Simulator, task, task_names

SIMULATED = tuple(n for n in task_names() if isinstance(task(n).dynamics, Simulator))
PHYSICS = tuple(n for n in task_names() if n not in SIMULATED)
MASKED_PHYSICS = ("cartpole-p", "cartpole-v", "pendulum-p", "pendulum-v")
"""Physics that gymnasium has too."""


def skip_without_packages(name: str) -> None:
    """Skip the present test, with a reason, where the task's packages are not installed."""
    if task(name).missing:
        pytest.skip(f"{name} needs {', '.join(task(name).missing)}")
