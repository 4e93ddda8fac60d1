"""A few processes that hold many simulators.

gymnasium's ``AsyncVectorEnv`` starts one process per episode and begins ended episodes by itself.
An evaluation plays a hundred episodes that must end once, on as many cores as there are; hence
this small pool: one process per core, any number of simulators in each, kept for the next
evaluation while somebody still trains.
"""

from __future__ import annotations

import heapq
import os
import pickle
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from typing import IO, Any

from grsn_edge.errors import TaskError, UsageError

__all__ = ["WORKERS", "Pool", "lease", "workers"]

WORKERS = "GRSN_EDGE_WORKERS"
"""Environment variable: how many processes simulate; by default one per usable core."""

_PATIENCE_S = 2.0
_TAIL = 600  # characters of a dead process's last words

_POOLS: dict[Any, Pool] = {}


def workers() -> int:
    """Processes that a pool starts at most; raises :class:`UsageError` for a bad ``WORKERS``."""
    text = os.environ.get(WORKERS, "")
    if text and not (text.isdigit() and int(text)):
        raise UsageError(f"{WORKERS} is a number of processes, at least 1, not '{text}'")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return int(text) if text else usable or 1


def lease(environment: str, options: Mapping[str, Any], n: int) -> tuple[Pool, list[int]]:
    """The pool of these environments, opened if there is none, and the numbers of ``n`` of them.

    Give them back with :meth:`Pool.give_back`; the pool ends with the last of them.
    """
    key = (environment, tuple(sorted(options.items())))
    if key not in _POOLS or _POOLS[key].is_closed:
        _POOLS[key] = Pool(environment, options, workers())
    return _POOLS[key], _POOLS[key].take(n)


class Pool:
    """Processes with simulators of one environment; simulator ``i`` lives in process ``i % size``.

    Args:
        environment, options: for ``gymnasium.make``.
        size: processes at most; each is started when it is first needed.
    """

    def __init__(self, environment: str, options: Mapping[str, Any], size: int) -> None:
        self.environment = environment
        self.options = dict(options)
        self.size = size
        self.is_closed = False
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the pool
        self._free: list[int] = []
        self._taken = self._made = 0
        self._end = weakref.finalize(self, _end, self._processes, self._words)

    def take(self, n: int) -> list[int]:
        """Numbers of ``n`` simulators that nobody else uses."""
        self._taken += n
        found = [heapq.heappop(self._free) for _ in range(min(n, len(self._free)))]
        fresh = range(self._made, self._made + n - len(found))
        self._made += len(fresh)
        return [*found, *fresh]

    def give_back(self, slots: Sequence[int]) -> None:
        """Return simulators; with the last of them the processes end."""
        for slot in slots:
            heapq.heappush(self._free, slot)
        self._taken -= len(slots)
        if self._taken == 0:
            self.close()

    def call(self, requests: Mapping[int, tuple[str, Mapping[str, Any]]]) -> dict[int, Any]:
        """Send each process its request, and wait for all replies.

        Args:
            requests: method and arguments of ``worker.Host`` by process.

        Raises:
            TaskError: a simulator raised an error, or its process ended.  The pool is closed
                then, and also where the wait is interrupted: replies would no longer fit.
        """
        if self.is_closed:
            raise TaskError(f"the simulators of '{self.environment}' have been ended")
        try:
            for index, request in requests.items():
                self._send(index, request)
            return {index: self._receive(index) for index in requests}
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all processes; may be called again."""
        self.is_closed = True
        self._end()

    def _send(self, index: int, request: tuple[str, Mapping[str, Any]]) -> None:
        if index not in self._processes:
            self._processes[index] = _launch(self._words)
            start = {"environment": self.environment, "options": self.options, "path": sys.path}
            self._write(index, ("open", start))
            self._receive(index)
        self._write(index, request)

    def _write(self, index: int, message: object) -> None:
        pipe = self._processes[index].stdin
        assert pipe is not None
        try:
            pickle.dump(message, pipe, protocol=pickle.HIGHEST_PROTOCOL)
            pipe.flush()
        except OSError:
            raise self._gone(index) from None

    def _receive(self, index: int) -> Any:
        pipe = self._processes[index].stdout
        assert pipe is not None
        try:
            fine, value = pickle.load(pipe)
        except (EOFError, OSError, pickle.UnpicklingError):
            raise self._gone(index) from None
        if not fine:
            raise TaskError(f"the simulator '{self.environment}' failed:\n{value}")
        return value

    def _gone(self, index: int) -> TaskError:
        try:
            status = self._processes[index].wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            return TaskError(f"a process of the simulator '{self.environment}' does not answer")
        self._words.seek(0)
        tail = self._words.read().decode(errors="replace").strip()[-_TAIL:]
        said = f"; its last words:\n{tail}" if tail else ""
        return TaskError(
            f"a process of the simulator '{self.environment}' ended with status {status}{said}"
        )


def _launch(words: IO[bytes]) -> subprocess.Popen[bytes]:
    """A process of its own session: Ctrl-C reaches whoever trains, not the simulators."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "grsn_edge.tasks.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=words,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(_path())},
        start_new_session=True,
    )


def _path() -> list[str]:
    return [entry for entry in sys.path if entry]


def _end(processes: dict[int, subprocess.Popen[bytes]], words: IO[bytes]) -> None:
    for process in processes.values():
        if process.stdin is not None:
            try:
                process.stdin.close()
            except OSError:  # has died with a request in its pipe
                process.kill()
    for process in processes.values():
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
    processes.clear()
    words.close()
