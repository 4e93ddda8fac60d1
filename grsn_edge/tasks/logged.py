"""Logged data as a task: ``log:FILE?act=…&see=…``; the world replays what was recorded.

The policy sees what was logged, whatever it does, and its return is the share of steps, in per
cent, in which it does what was done.  Of the recorded episodes a fifth is held out: training sees
the others, and evaluation these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import TaskError
from grsn_edge.policy import Channel
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks.base import BoolArray, DoubleArray, Task, World, Worlds, normalised
from grsn_edge.tasks.describe import ANY_TASK, integer
from grsn_edge.tasks.log_file import Log, read_log

__all__ = [
    "CLOSE",
    "LOG_PREFIX",
    "TASKS",
    "Logged",
    "ReplayWorlds",
    "agrees",
    "held_out",
    "lessons",
    "log_task",
]

LOG_PREFIX = "log:"
TASKS: tuple[Task, ...] = ()

CLOSE = 0.05
"""Share of an action's range within which two continuous actions agree."""

_OWN = ("act", "see", "kind", "part", "steps")
_PARTS = ("test", "train", "all")
_FIFTH = 5
_CLIP = 1.25
_STEPS, _PERIOD_S = 500, 0.02  # where neither the description nor the log says


@dataclass(frozen=True, eq=False)
class Logged(World):
    """Recorded episodes, in pieces that are played from their beginnings.

    Args:
        observation: float32 ``(N, n)``, in units.
        label: what was done: int64 ``(N,)``, or float32 ``(N, m)`` in [-1, 1].
        low, high: of each continuous action, in its unit; empty for a choice.
        episodes: int64 ``(k, 2)``: of each piece the first row, and the row after the last.
        held_out: bool ``(k,)``.
        part: which of them are played: ``test`` (held out), ``train`` or ``all``.
        digest: SHA-256 of the log.
    """

    observation: FloatArray
    label: npt.NDArray[Any]
    low: FloatArray
    high: FloatArray
    episodes: npt.NDArray[np.int64]
    held_out: BoolArray
    part: str
    digest: str

    @property
    def pieces(self) -> npt.NDArray[np.int64]:
        """Those of ``part``, ``(k, 2)``."""
        if self.part == "all":
            return self.episodes
        chosen: npt.NDArray[np.int64] = self.episodes[self.held_out == (self.part == "test")]
        return chosen

    @property
    def full_scale(self) -> tuple[float, ...]:
        largest = np.abs(self.observation).max(axis=0)
        choices = max(float(self.label.max()), 1.0) if self.label.ndim == 1 else 1.0
        labels = 1 if self.label.ndim == 1 else self.label.shape[1]
        return (*np.where(largest > 0, largest, 1.0).tolist(), *[choices] * labels)

    @property
    def longest(self) -> int:
        """Steps of the longest piece."""
        return int((self.pieces[:, 1] - self.pieces[:, 0]).max())

    def open(self, batch: int, max_steps: int) -> ReplayWorlds:
        """Replays of ``batch`` pieces."""
        return ReplayWorlds(self, batch)

    def single(self, render_mode: str | None = None) -> Any:
        """A gymnasium environment that replays one piece at a time."""
        from gymnasium import spaces

        from grsn_edge.tasks.environments import WorldEnv

        if self.label.ndim == 1:
            return WorldEnv(self, spaces.Discrete(int(self.label.max()) + 1))
        return WorldEnv(self, spaces.Box(self.low, self.high, dtype=np.float32))


class ReplayWorlds(Worlds):
    """Rows of a log, one per episode of the batch."""

    def __init__(self, logged: Logged, batch: int) -> None:
        self.logged = logged
        self.row = np.zeros(batch, np.int64)
        self.piece = np.zeros(batch, np.int64)

    def start(self, rng: np.random.Generator, chosen: BoolArray) -> None:
        """Pieces in random order, none twice before all others were played."""
        order = rng.permutation(len(self.logged.pieces))
        self.piece[chosen] = np.resize(order, int(chosen.sum()))
        self.row[chosen] = self.logged.pieces[self.piece[chosen], 0]

    def advance(self, action: npt.NDArray[Any]) -> tuple[DoubleArray, BoolArray, BoolArray]:
        """The reward is 100 / (steps of the piece) where the action is what was done."""
        begin, end = self.logged.pieces[self.piece].T
        reward = 100.0 * self._agrees(action) / (end - begin)
        ended = self.row + 1 >= end
        self.row = np.minimum(self.row + 1, end - 1)
        return reward, ended, np.zeros(len(ended), bool)

    def _agrees(self, action: npt.NDArray[Any]) -> BoolArray:
        label, given = self.label(), np.asarray(action)
        discrete = label.ndim == 1
        if not discrete:
            given = normalised(given, self.logged.low, self.logged.high)
        return np.asarray(agrees(given, label, discrete))

    def label(self) -> npt.NDArray[Any]:
        """What was done at the present rows: int64 ``(batch,)``, or float32 ``(batch, m)``."""
        return self.logged.label[self.row]

    def full(self) -> FloatArray:
        label = self.label().astype(np.float32).reshape(len(self.row), -1)
        return np.concatenate([self.logged.observation[self.row], label], axis=1)

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        return {"row": self.row.copy(), "piece": self.piece.copy()}

    def restore(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        pieces = self.logged.pieces
        row, piece = snapshot["row"].astype(np.int64), snapshot["piece"].astype(np.int64)
        known = (piece >= 0) & (piece < len(pieces))
        inside = known.all() and ((row >= pieces[piece, 0]) & (row < pieces[piece, 1])).all()
        if not inside:
            raise TaskError("a snapshot of a log names rows that it does not have")
        self.row, self.piece = row, piece


def log_task(base: str, options: dict[str, str]) -> tuple[Task, dict[str, str]]:
    """The task of a log, and its own options as they are spelt.

    Args:
        base: ``log:`` and the path of the file.
        options: ``act``, ``see`` (columns), ``kind`` (``choice`` or ``number``), ``part``
            (``test``, ``train`` or ``all``; ``test`` unless said) and ``steps`` (length of the
            pieces that longer episodes are cut into) are taken out.

    Raises:
        TaskError: the file cannot be read as a log, or an option has no such value.
    """
    spelt = {key: value for key, value in options.items() if key in _OWN}
    act, see = (_columns(options, key) for key in ("act", "see"))
    part = _one_of(options, "part", _PARTS) or "test"
    kind = _one_of(options, "kind", ("choice", "number"))
    steps = integer(options, "steps", _STEPS, 2, 1_000_000)
    log = read_log(base.removeprefix(LOG_PREFIX), see, act)
    choice = log.integers if kind is None else kind == "choice"
    if spelt.get("part") == "test":
        del spelt["part"]
    return _task(base, log, choice, part, steps), spelt


def lessons(task: Task, path: str | None) -> Task | None:
    """The recorded episodes to train on, as a task; None where there are none.

    Args:
        task: what is learned.  Where it is a log itself, its training part is meant.
        path: of a log of this task's observations and actions, or None.

    Raises:
        TaskError: the log is of other channels, or both are given.
    """
    if isinstance(task.dynamics, Logged):
        if path is not None:
            raise TaskError(f"task '{task.name}' is a log already; leave --log out")
        part = "all" if task.dynamics.part == "all" else "train"
        return replace(task, dynamics=replace(task.dynamics, part=part))
    if path is None:
        return None
    names = [c.name for c in task.observations]
    logged = _logged(_matching(path, task, names), task.actions, task.is_discrete, "train", _STEPS)
    return replace(
        task,
        name=f"{LOG_PREFIX}{path}",
        dynamics=logged,
        observed=tuple(range(len(names))),
        sees_action=False,
        delay=0,
        noise=0.0,
        max_steps=logged.longest,
    )


def held_out(task: Task, lessons: Task) -> Task:
    """The recorded episodes that were not learned from: ``task`` itself, where it replays them.

    Args:
        task: what is learned.
        lessons: its :func:`lessons`.
    """
    assert isinstance(lessons.dynamics, Logged)
    part = "all" if lessons.dynamics.part == "all" else "test"
    if isinstance(task.dynamics, Logged) and task.dynamics.part == part:
        return task
    return replace(lessons, dynamics=replace(lessons.dynamics, part=part))


def agrees(action: Any, label: Any, discrete: bool) -> Any:
    """Whether actions are what was taught, ``(...)``, of arrays or tensors.

    Choices agree where they are equal, continuous actions within 5 % of their ranges.

    Args:
        action, label: indices ``(...)``, or numbers ``(..., m)`` in [-1, 1].
        discrete: which of them.
    """
    return action == label if discrete else (abs(action - label) <= 2.0 * CLOSE).all(-1)


def _matching(path: str, task: Task, names: list[str]) -> Log:
    """The log, its columns in the task's order."""
    log = read_log(path)
    if log.observed is not None:
        acted = ["action"] if task.is_discrete else [c.name for c in task.actions]
        if not set(acted) <= set(log.acted or ()):
            acted = list(log.acted or ())
        log = read_log(path, names, acted)
    found = (log.observation.shape[1], log.action.shape[1])
    wanted = (len(names), 1 if task.is_discrete else len(task.actions))
    if found != wanted:
        raise TaskError(
            f"the log '{path}' has {found[0]} observations and {found[1]} actions; task "
            f"'{task.name}' has {wanted[0]} ({', '.join(names)}) and {wanted[1]}"
        )
    return log


# ---- from rows to a world ------------------------------------------------------------------------


def _task(base: str, log: Log, choice: bool, part: str, steps: int) -> Task:
    n, m = log.observation.shape[1], log.action.shape[1]
    observed = log.observed or tuple(f"observation {i}" for i in range(n))
    acted = log.acted or tuple(f"action {i}" for i in range(m))
    actions = _choices(log) if choice else _bounds(log, acted)
    logged = _logged(log, actions, choice, part, steps)
    low = logged.observation.min(axis=0).astype(np.float64)
    high = logged.observation.max(axis=0).astype(np.float64)
    offset, half = (low + high) / 2, np.where(high > low, (high - low) / 2, 1.0)
    rows = list(zip(observed, offset.tolist(), half.tolist(), strict=True))
    return Task(
        name=base,
        environment=ANY_TASK,
        summary=f"do what was done in {len(log.observation)} recorded steps",
        dynamics=logged,
        observed=tuple(range(n)),
        observations=tuple(Channel(x, "1", o - _CLIP * h, o + _CLIP * h) for x, o, h in rows),
        actions=actions,
        decoder="argmax" if choice else "clip",
        period_s=log.period_s or _PERIOD_S,
        offset=tuple(o for _, o, _ in rows),
        scale=tuple(h for _, _, h in rows),
        clip=_CLIP,
        max_steps=logged.longest,
    )


def _choices(log: Log) -> tuple[Channel, ...]:
    if not log.integers:
        raise TaskError(
            f"the log '{log.path}' has actions that are no choices: one column of integers from "
            "0 to 63"
        )
    count = int(log.action.max()) + 1
    if count < 2:
        raise TaskError(f"in the log '{log.path}' every action is 0: nothing can be learned")
    return tuple(Channel(f"action {i}", "1", float(i), float(i)) for i in range(count))


def _bounds(log: Log, names: tuple[str, ...]) -> tuple[Channel, ...]:
    low, high = log.action.min(axis=0).tolist(), log.action.max(axis=0).tolist()
    for name, smallest, largest in zip(names, low, high, strict=True):
        if smallest == largest:
            raise TaskError(
                f"in the log '{log.path}' '{name}' is always {smallest:g}: leave it out"
            )
    return tuple(Channel(*row) for row in zip(names, ["1"] * len(names), low, high, strict=True))


def _logged(log: Log, actions: tuple[Channel, ...], choice: bool, part: str, steps: int) -> Logged:
    pieces, held_out = _pieces(log, steps)
    low = np.asarray([] if choice else [c.low for c in actions], np.float32)
    high = np.asarray([] if choice else [c.high for c in actions], np.float32)
    return Logged(
        observation=log.observation,
        label=_index(log, len(actions)) if choice else _unit(log, low, high),
        low=low,
        high=high,
        episodes=pieces,
        held_out=held_out,
        part=part,
        digest=log.digest,
    )


def _index(log: Log, choices: int) -> npt.NDArray[np.int64]:
    if not log.integers or log.action.max() >= choices:
        raise TaskError(
            f"the log '{log.path}' has actions that are no choices from 0 to {choices - 1}"
        )
    return log.action[:, 0].astype(np.int64)


def _unit(log: Log, low: FloatArray, high: FloatArray) -> FloatArray:
    return normalised(log.action, low, high).clip(-1.0, 1.0).astype(np.float32)


def _pieces(log: Log, steps: int) -> tuple[npt.NDArray[np.int64], BoolArray]:
    """Rows ``(k, 2)`` of each piece, and which are held out.

    Every fifth episode; with fewer than five, the last fifth of each.
    """
    begins = np.flatnonzero(log.first)
    spans = list(zip(begins.tolist(), [*begins[1:].tolist(), len(log.first)], strict=True))
    if len(spans) >= _FIFTH:
        parts = [(begin, end, i % _FIFTH == _FIFTH - 1) for i, (begin, end) in enumerate(spans)]
    else:
        cuts = [(begin, end - max((end - begin) // _FIFTH, 1), end) for begin, end in spans]
        parts = [p for begin, cut, end in cuts for p in ((begin, cut, False), (cut, end, True))]
    pieces = [
        (row, min(row + steps, end), held)
        for begin, end, held in parts
        for row in range(begin, end, steps)
    ]
    if {held for *_, held in pieces} != {False, True}:
        raise TaskError(f"the log '{log.path}' is too short: it needs at least 2 steps")
    rows = np.array([(begin, end) for begin, end, _ in pieces], np.int64)
    return rows, np.array([held for *_, held in pieces])


# ---- options -------------------------------------------------------------------------------------


def _columns(options: dict[str, str], key: str) -> tuple[str, ...] | None:
    text = options.pop(key, None)
    return None if text is None else tuple(text.split(","))


def _one_of(options: dict[str, str], key: str, known: tuple[str, ...]) -> str | None:
    text = options.pop(key, None)
    if text is not None and text not in known:
        raise TaskError(f"{key}={text}: must be one of {', '.join(known)}")
    return text
