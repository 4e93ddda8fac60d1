"""How many steps a second the batched tasks make, with random actions: ``docs/tasks.md``.

python tools/bench_tasks.py [TASK ...]

Beside the rate, which other work on the machine lowers, the processor time of a step, on all cores
together: of threads, and of processes, without their start.
"""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.tasks import BatchedEnv, Simulator, Task, task, task_names

SECONDS = 3.0


def main(names: list[str]) -> None:
    """One line of a Markdown table per task."""
    print("| task | batch | steps/s | CPU µs/step |\n|---|---|---|---|")
    for name in names:
        known = task(name)
        batch = 32 if isinstance(known.dynamics, Simulator) else 512
        print(f"| `{known.name}` | {batch} | {cost(known, batch)} |", flush=True)


def cost(known: Task, batch: int) -> str:
    """Environment steps per second, and microseconds of processor time of each."""
    if known.missing:
        return "not installed | "
    start, _, _ = play(known, batch, 0.0)
    spent, rounds, seconds = play(known, batch, SECONDS)
    steps = batch * rounds
    return f"{steps / seconds:,.0f} | {1e6 * (spent - start) / steps:,.1f}"


def play(known: Task, batch: int, least: float) -> tuple[float, int, float]:
    """Processor seconds in all, rounds, and their seconds; one round at least."""
    rng, before = np.random.default_rng(0), processor_seconds()
    with BatchedEnv(known, batch) as env:
        env.reset(rng)
        env.step(actions(known, batch, rng))  # the first one starts what is not yet started
        begin, rounds = time.perf_counter(), 0
        while not rounds or time.perf_counter() - begin < least:
            step = env.step(actions(known, batch, rng))
            if step.done.any():
                env.reset(rng, step.done)
            rounds += 1
        seconds = time.perf_counter() - begin
    return processor_seconds() - before, rounds, seconds


def processor_seconds() -> float:
    """Of this process and of those that it has ended."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(who) for who in whose]
    return sum(use.ru_utime + use.ru_stime for use in used)


def actions(known: Task, batch: int, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Uniform choices, or normal continuous ones."""
    if known.is_discrete:
        return rng.integers(0, len(known.actions), batch)
    return known.in_units(rng.standard_normal((batch, len(known.actions))))


if __name__ == "__main__":
    main(sys.argv[1:] or [*task_names(), "gym:Acrobot-v1"])
