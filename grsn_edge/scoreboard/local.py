"""Jobs in processes of this machine, one thread each.

A process per job: one that crashes, or is killed for its memory, takes no other with it.  Stopping
is asked for by an event that a job sees between two updates, so that Ctrl-C in a terminal, which
reaches every process of the group, saves each run exactly once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Any

from grsn_edge.errors import GrsnEdgeError, UsageError
from grsn_edge.scoreboard.runner import Event, Outcomes, Watch
from grsn_edge.scoreboard.store import job_key
from grsn_edge.scoreboard.suites import Job

__all__ = ["Work", "run_here", "usable_cores"]

Work = Callable[[Job, Path, Callable[[str, float], None], str], Any]
"""As :func:`~grsn_edge.scoreboard.job.run_job`; a process must be able to import it."""

_LOOK_S = 1.0
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GRSN_EDGE_WORKERS")


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_here(
    jobs: Sequence[Job], out: Path, side_by_side: int, watch: Watch, work: Work | None = None
) -> Outcomes:
    """Do jobs in processes, ``side_by_side`` at a time.

    Ctrl-C lets every running job save and end; a second one ends them at once, and what each
    saved last stays.

    Args:
        jobs: what to do, in this order.
        out: folder of results.
        side_by_side: processes.
        watch: told of everything.
        work: what a process does; None: ``run_job``.

    Raises:
        UsageError: fewer than one process.
    """
    if side_by_side < 1:
        raise UsageError(f"jobs run in at least 1 process, not {side_by_side}")
    context = multiprocessing.get_context("spawn")
    stop, outcomes = context.Event(), Outcomes()
    waiting, running = list(jobs), list[_Running]()
    try:
        with _one_thread_each(), _asked() as asked:
            while running or (waiting and not asked.is_set()):
                if asked.is_set():
                    stop.set()
                while waiting and not asked.is_set() and len(running) < side_by_side:
                    running.append(_start(context, waiting.pop(0), out, stop, work))
                    _tell(watch, outcomes, Event(running[-1].job, "begun"))
                running = _heard(running, watch, outcomes)
            outcomes.interrupted = outcomes.interrupted or bool(waiting)
    except KeyboardInterrupt:
        outcomes.interrupted = True
    finally:
        for one in running:
            one.process.terminate()
            one.process.join()
    return outcomes


@contextmanager
def _asked() -> Iterator[threading.Event]:
    """Set by the first Ctrl-C; the second interrupts."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Set what a child reads when it imports its libraries."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            os.environ |= {} if value is None else {name: value}


@dataclass(frozen=True, eq=False)
class _Running:
    job: Job
    process: SpawnProcess
    line: Connection


def _start(context: Any, job: Job, out: Path, stop: Any, work: Work | None) -> _Running:
    here, there = context.Pipe(duplex=False)
    given = (job, job_key(job), out, there, stop, work)
    process = context.Process(target=_child, args=given, name=job.title)
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


def _child(job: Job, key: str, out: Path, line: Connection, stop: Any, work: Work | None) -> None:
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
        done = (work or _default())(job, out, tell, key)
        last = ("interrupted" if done is None else "done", "", 0.0)
    except KeyboardInterrupt:
        last = ("interrupted", "", 0.0)
    except GrsnEdgeError as error:
        last = ("failed", f"{type(error).__name__}: {error}", 0.0)
    except Exception:
        last = ("failed", traceback.format_exc(limit=-6), 0.0)
    with suppress(OSError):  # nobody may be there any more
        line.send(last)


def _default() -> Work:
    """Imported here, in the process: it brings torch."""
    from grsn_edge.scoreboard.job import run_job

    return run_job
