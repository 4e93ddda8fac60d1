"""How many steps a second the batched tasks make, with random actions: ``docs/tasks.md``.

python tools/bench_tasks.py [TASK ...]
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.tasks import BatchedEnv, Simulator, Task, task, task_names

SECONDS = 3.0


def main(names: list[str]) -> None:
    """One line of a Markdown table per task."""
    print("| task | batch | steps/s |\n|---|---|---|")
    for name in names:
        known = task(name)
        batch = 32 if isinstance(known.dynamics, Simulator) else 512
        found = "not installed" if known.missing else f"{rate(known, batch):,.0f}"
        print(f"| `{known.name}` | {batch} | {found} |", flush=True)


def rate(known: Task, batch: int) -> float:
    """Environment steps per second, after the simulators have been started."""
    rng = np.random.default_rng(0)
    with BatchedEnv(known, batch) as env:
        env.reset(rng)
        begin, rounds = time.perf_counter(), 0
        while (seconds := time.perf_counter() - begin) < SECONDS:
            step = env.step(actions(known, batch, rng))
            if step.done.any():
                env.reset(rng, step.done)
            rounds += 1
    return batch * rounds / seconds


def actions(known: Task, batch: int, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Uniform choices, or normal continuous ones."""
    if known.is_discrete:
        return rng.integers(0, len(known.actions), batch)
    return known.in_units(rng.standard_normal((batch, len(known.actions))))


if __name__ == "__main__":
    main(sys.argv[1:] or [*task_names(), "gym:Acrobot-v1"])
