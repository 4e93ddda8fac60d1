"""Jobs in processes of this machine, one thread each.

A process per job: one that crashes, or is killed for its memory, takes no other with it.  Stopping
is asked for by an event that a job sees between two updates, so that Ctrl-C in a terminal, which
reaches every process of the group, saves each run exactly once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from grsn_edge.errors import GrsnEdgeError, UsageError
from grsn_edge.scoreboard.job import run_job
from grsn_edge.scoreboard.runner import Event, Outcomes, Watch
from grsn_edge.scoreboard.store import job_key
from grsn_edge.scoreboard.suites import Job

__all__ = ["run_here", "usable_cores"]

_LOOK_S = 1.0
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GRSN_EDGE_WORKERS")


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_here(jobs: Sequence[Job], out: Path, side_by_side: int, watch: Watch) -> Outcomes:
    """Do jobs in processes, ``side_by_side`` at a time.

    Ctrl-C lets every running job save and end; a second one ends them at once, and what each
    saved last stays.

    Args:
        jobs: what to do, in this order.
        out: folder of results.
        side_by_side: processes.
        watch: told of everything.

    Raises:
        UsageError: fewer than one process.
    """
    if side_by_side < 1:
        raise UsageError(f"jobs run in at least 1 process, not {side_by_side}")
    context = multiprocessing.get_context("spawn")
    stop, outcomes = context.Event(), Outcomes()
    waiting, running = list(jobs), list[_Running]()
    before = _one_thread_each()
    try:
        while running or (waiting and not stop.is_set()):
            try:
                while waiting and not stop.is_set() and len(running) < side_by_side:
                    running.append(_start(context, waiting.pop(0), out, stop))
                    _tell(watch, outcomes, Event(running[-1].job, "begun"))
                running = _heard(running, watch, outcomes)
            except KeyboardInterrupt:
                if stop.is_set():
                    raise
                stop.set()
                outcomes.interrupted = True
    except KeyboardInterrupt:
        outcomes.interrupted = True
    finally:
        for one in running:
            one.process.terminate()
            one.process.join()
        os.environ.update({name: value for name, value in before.items() if value is not None})
        for name in (name for name, value in before.items() if value is None):
            os.environ.pop(name, None)
    return outcomes


@dataclass(frozen=True, eq=False)
class _Running:
    job: Job
    process: SpawnProcess
    line: Connection


def _one_thread_each() -> dict[str, str | None]:
    """Set what a child reads when it imports its libraries; returns what was there."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    return before


def _start(context: Any, job: Job, out: Path, stop: Any) -> _Running:
    here, there = context.Pipe(duplex=False)
    process = context.Process(
        target=_child, args=(job, job_key(job), out, there, stop), name=job.title
    )
    process.start()
    there.close()
    return _Running(job, process, here)


def _heard(running: list[_Running], watch: Watch, outcomes: Outcomes) -> list[_Running]:
    """Pass on what the processes say; returns those that still run."""
    ready = wait([one.line for one in running], timeout=_LOOK_S)
    ended = set[int]()
    for one in running:
        if one.line not in ready:
            continue
        try:
            kind, text, left_s = one.line.recv()
        except (EOFError, OSError):
            one.process.join()
            kind, left_s = "failed", 0.0
            text = f"its process ended with status {one.process.exitcode}"
        _tell(watch, outcomes, Event(one.job, kind, text, left_s))
        if kind != "doing":
            ended.add(id(one))
            one.line.close()
            one.process.join()
    return [one for one in running if id(one) not in ended]


def _tell(watch: Watch, outcomes: Outcomes, event: Event) -> None:
    outcomes.note(event)
    watch(event)


# ---- in the process ------------------------------------------------------------------------------


def _child(job: Job, key: str, out: Path, line: Connection, stop: Any) -> None:
    """Do one job, and say how it went; without anybody to hear it, save and end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def tell(doing: str, left_s: float) -> None:
        try:
            line.send(("doing", doing, left_s))
        except OSError:
            raise KeyboardInterrupt from None
        if stop.is_set():
            raise KeyboardInterrupt

    try:
        done = run_job(job, out, tell, key)
        last = ("interrupted" if done is None else "done", "", 0.0)
    except KeyboardInterrupt:
        last = ("interrupted", "", 0.0)
    except GrsnEdgeError as error:
        last = ("failed", f"{type(error).__name__}: {error}", 0.0)
    except Exception:
        last = ("failed", traceback.format_exc(limit=-6), 0.0)
    line.send(last)
