"""What the project set out to reach, checked against a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from grsn_edge.scoreboard.table import Row, Scoreboard

__all__ = ["Target", "targets"]

_LEAST_RETURN = {
    "cartpole-p": 495.0,
    "cartpole-v": 495.0,
    "pendulum-p": -180.0,
    "lunarlander-p": 200.0,
}
_MOST_SPIKES = {"cartpole-p": 0.05, "cartpole-v": 0.05}
_PENDULUM_V, _PUBLISHED = "pendulum-v", -218.0
_WALKERS, _SHARE_OF_FLOAT = ("hopper", "walker2d", "halfcheetah", "ant"), 0.95
_SHARE_OF_GRU, _SEEDS = 0.1, 3


@dataclass(frozen=True, slots=True)
class Target:
    """One target: what was asked for, what was reached, and whether that is enough.

    ``met`` is None where it does not apply, or the table has fewer than three seeds.
    """

    task: str
    wanted: str
    reached: str
    met: bool | None

    @property
    def verdict(self) -> str:
        """In a word."""
        return "does not apply" if self.met is None else "met" if self.met else "missed"


def targets(board: Scoreboard) -> tuple[Target, ...]:
    """Every target that concerns a task of the table."""
    return tuple(one for task in board.tasks for one in _of_task(board, task))


def _of_task(board: Scoreboard, task: str) -> Iterator[Target]:
    ours = board.ours(task)
    if ours is None:
        return
    if task in _LEAST_RETURN:
        yield _return(ours, _LEAST_RETURN[task], "")
    if task in _MOST_SPIKES and ours.rate is not None:
        most, rate = _MOST_SPIKES[task], ours.rate
        reached = f"{100 * rate.value:.2f} % ({100 * rate.least:.1f} to {100 * rate.most:.1f} %)"
        yield _target(ours, f"spikes ≤ {100 * most:g} %", reached, rate.value <= most)
    if task == _PENDULUM_V:
        floats = {n: r for n in ("gru", "lstm") if (r := board.row(task, n)) is not None}
        best = max([_PUBLISHED, *(row.floats.value for row in floats.values())])
        named = ", ".join([f"float {n}" for n in floats] + [f"{_PUBLISHED:g}"])
        yield _return(ours, best, f" (the best of {named})")
    if task.partition("-")[0] in _WALKERS and (gru := board.row(task, "gru")) is not None:
        share = ours.int8.value / gru.floats.value
        wanted = f"int8 return ≥ {_SHARE_OF_FLOAT:g} × float gru's"
        reached = f"{ours.int8.value:,.1f} of {gru.floats.value:,.1f}: {share:.3f} ×"
        yield _target(ours, wanted, reached, ours.int8.value >= _SHARE_OF_FLOAT * gru.floats.value)
    yield from _costs(board, task, ours)


def _return(ours: Row, least: float, remark: str) -> Target:
    reached = f"{ours.int8.value:.1f} ± {ours.int8.error:.1f}"
    if ours.int8.value < least:
        reached += f", {least - ours.int8.value:.1f} short"
    return _target(ours, f"return ≥ {least:.1f}{remark}", reached, ours.int8.value >= least)


def _costs(board: Scoreboard, task: str, ours: Row) -> Iterator[Target]:
    for network, share in (("gru", _SHARE_OF_GRU), ("mlp", 1.0)):
        other = board.row(task, network)
        if other is None or other.instructions is None or ours.instructions is None:
            continue
        ratio = ours.instructions.value / other.instructions.value
        wanted = f"instructions ≤ {share:g} × {network}'s at equal return"
        reached = (
            f"{ours.instructions.value:,.0f} of {other.instructions.value:,.0f}: {ratio:.3f} ×"
        )
        if network == "mlp" and not _equals(other, ours):
            yield Target(task, wanted, f"{reached}; it does not reach our return", None)
        elif not _equals(ours, other):
            yield _target(ours, wanted, f"{reached}; but our return is lower", False)
        else:
            yield _target(ours, wanted, reached, ratio <= share)


def _equals(row: Row, other: Row) -> bool:
    """Whether a row reaches the other's return, within one standard error of the difference."""
    error = float(np.hypot(row.int8.error, other.int8.error))
    return row.int8.value >= other.int8.value - error


def _target(ours: Row, wanted: str, reached: str, met: bool) -> Target:
    if len(ours.seeds) < _SEEDS:
        return Target(ours.task, wanted, f"{reached} ({len(ours.seeds)} seeds)", None)
    return Target(ours.task, wanted, reached, met)
