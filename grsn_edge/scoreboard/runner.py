"""Jobs side by side: what every runner tells, and the estimate of what is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from grsn_edge.scoreboard.suites import Job

__all__ = ["Board", "Event", "Outcomes", "Watch"]

Kind = Literal["begun", "doing", "done", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a job.

    Args:
        job: whose.
        kind: ``begun``, ``doing``, ``done``, ``failed`` or ``interrupted``.
        text: what it does, or why it failed.
        left_s: of what it is doing, in seconds.
    """

    job: Job
    kind: Kind
    text: str = ""
    left_s: float = 0.0


Watch = Callable[[Event], None]


@dataclass
class Outcomes:
    """How jobs ended; ``failed`` holds the reason by the job's title."""

    done: list[Job] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False

    def note(self, event: Event) -> None:
        """Remember how a job ended."""
        if event.kind == "done":
            self.done.append(event.job)
        elif event.kind == "failed":
            self.failed[event.job.title] = event.text
        elif event.kind == "interrupted":
            self.interrupted = True


class Board:
    """What runs, and how long the whole will take: takes events, answers :meth:`left_s`.

    A waiting job is expected to take as long as the finished ones of its task and network, or
    else as all finished and begun ones in the mean.

    Args:
        jobs: all that are to be done.
        side_by_side: how many run at a time.
    """

    def __init__(self, jobs: Sequence[Job], side_by_side: int) -> None:
        self.total, self.ended = len(jobs), 0
        self._side_by_side = max(1, side_by_side)
        self._waiting = {job.title: job for job in jobs}
        self._began: dict[str, float] = {}
        self._left: dict[str, float] = {}
        self._took: dict[tuple[str, str], list[float]] = {}

    def take(self, event: Event, now: float | None = None) -> None:
        """Note an event; ``now``: seconds of a monotonic clock."""
        now = time.monotonic() if now is None else now
        title, job = event.job.title, event.job
        if event.kind == "begun":
            self._waiting.pop(title, None)
            self._began[title] = now
        elif event.kind == "doing":
            self._left[title] = event.left_s
        else:
            began = self._began.pop(title, now)
            self._left.pop(title, None)
            self.ended += 1
            if event.kind == "done":
                self._took.setdefault((job.task, job.network), []).append(now - began)

    def left_s(self, now: float | None = None) -> float | None:
        """Seconds until all are done, or None where nothing is known yet."""
        now = time.monotonic() if now is None else now
        whole = {title: now - self._began[title] + left for title, left in self._left.items()}
        known = [seconds for few in self._took.values() for seconds in few] + list(whole.values())
        if not known:
            return None
        usual = sum(known) / len(known)
        ahead = sum(self._expected(job, usual) for job in self._waiting.values())
        running = [self._left.get(title, usual) for title in self._began]
        return max(max(running, default=0.0), (ahead + sum(running)) / self._side_by_side)

    def _expected(self, job: Job, usual: float) -> float:
        few = self._took.get((job.task, job.network))
        return sum(few) / len(few) if few else usual

    @property
    def running(self) -> Mapping[str, float]:
        """Seconds that are left of what each begun job is doing, by title."""
        return {title: self._left.get(title, 0.0) for title in self._began}
