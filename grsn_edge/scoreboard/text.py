"""The table as Markdown and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from grsn_edge.scoreboard.suites import OURS
from grsn_edge.scoreboard.table import Mean, Row, Scoreboard, pareto, verdict
from grsn_edge.scoreboard.targets import Target, targets

__all__ = ["HEAD", "as_json", "cells", "losses", "markdown", "on_front"]

HEAD = (
    "network",
    "neurons",
    "int8 return",
    f"{OURS} is",
    "float return",
    "spikes",
    "instructions a step (worst)",
    f"of {OURS}'s",
    "modelled nJ a step",
    "modelled nJ a period",
    "SynOps",
    "parameters",
    "image, B",
    "RAM, B",
    "training, CPU s",
)
_NONE = "–"


def as_json(board: Scoreboard) -> dict[str, Any]:
    """Everything that the table says, as JSON values."""
    return {
        **asdict(board),
        "front": {task: list(on_front(board, task)) for task in board.tasks},
        "verdicts": {
            task: {r.network: verdict(ours.int8, r.int8) for r in board.of(task) if r != ours}
            for task in board.tasks
            if (ours := board.ours(task)) is not None
        },
        "targets": [{**asdict(one), "verdict": one.verdict} for one in targets(board)],
        "losses": list(losses(board)),
    }


def markdown(board: Scoreboard) -> str:
    """Tables of all tasks, targets, and what the comparison network loses."""
    parts = [part for task in board.tasks for part in _task(board, task)]
    checked = targets(board)
    if checked:
        parts += ["### Targets", _targets(checked)]
    lost = list(losses(board))
    if lost:
        parts += [f"### Where {OURS} loses", "\n".join(f"- {text}" for text in lost)]
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in notes(board))]) + "\n"


def notes(board: Scoreboard) -> Iterator[str]:
    """How to read the figures."""
    yield (
        f"Returns: {board.episodes} fresh episodes per seed, frozen int8 policies step by step in "
        "gymnasium, float networks greedily in the batched form; ± is the standard error over "
        "seeds, and at least what the episodes' spread gives."
    )
    yield (
        f"*{OURS} is*: win or loss where the int8 returns differ by more than two standard errors "
        "of the difference, else a tie. ● : on the task's Pareto front of return against "
        "instructions."
    )
    if board.board is not None:
        yield (
            f"Instructions: exact, of the policy's generated C on {board.board}, emulated by "
            f"{board.emulator}, over the first steps of those episodes; every action equal to the "
            "reference's."
        )
        yield (
            f"Energy is modelled, not measured: those instructions as cycles of the {board.chip} "
            f"({board.chip_source}); a period is a step and the sleep until the next one."
        )
    yield "SynOps: additions for spikes and multiply-accumulates of a step, at the measured rates."
    yield f"Trained on: {'; '.join(board.machines)}. Sources: {', '.join(board.versions)}."


def on_front(board: Scoreboard, task: str) -> tuple[str, ...]:
    """Networks on a task's Pareto front, by rising instructions."""
    rows = [row for row in board.of(task) if row.instructions is not None]
    costs = [row.instructions.value for row in rows if row.instructions is not None]
    return tuple(rows[i].network for i in pareto(costs, [row.int8.value for row in rows]))


def cells(board: Scoreboard, row: Row) -> tuple[str, ...]:
    """A row as text, under :data:`HEAD`."""
    ours = board.ours(row.task)
    counted, own = row.instructions, None if ours is None else ours.instructions
    ratio = None if counted is None or own is None else counted.value / own.value
    mark = " ●" if row.network in on_front(board, row.task) else ""
    return (
        row.network + mark,
        str(row.hidden),
        _mean(row.int8),
        "" if ours is None or row.network == OURS else verdict(ours.int8, row.int8),
        _mean(row.floats),
        _NONE if row.rate is None else f"{100 * row.rate.value:.1f} %",
        _NONE if counted is None else f"{counted.value:,.0f} ({row.worst:,})",
        _NONE if ratio is None or row.network == OURS else f"{ratio:.2f} ×",
        _number(row.step_nj),
        _number(row.period_nj),
        f"{row.synaptic_operations:,.0f}",
        f"{row.parameters:,}",
        f"{row.image_bytes:,}",
        f"{row.ram_bytes:,}",
        f"{row.cpu_s:,.0f}",
    )


def losses(board: Scoreboard) -> Iterator[str]:
    """In words: where another network is better than ours, in return or in cost."""
    for task in board.tasks:
        ours = board.ours(task)
        for row in board.of(task) if ours is not None else ():
            if ours is None or row.network == OURS:
                continue
            found = list(_lost(ours, row))
            if found:
                yield f"`{task}`, {row.network}: {'; '.join(found)}"


def _lost(ours: Row, row: Row) -> Iterator[str]:
    """What a row does better; a cheaper policy counts only where it is not worse."""
    outcome = verdict(ours.int8, row.int8)
    if outcome == "loss":
        yield f"return {_mean(row.int8)}, {OURS} {_mean(ours.int8)}"
    if outcome == "win":
        return
    costs = (
        ("instructions a step", _value(row.instructions), _value(ours.instructions)),
        ("bytes of image", float(row.image_bytes), float(ours.image_bytes)),
        ("bytes of RAM", float(row.ram_bytes), float(ours.ram_bytes)),
        ("CPU seconds of training", row.cpu_s, ours.cpu_s),
    )
    for name, theirs, own in costs:
        if theirs is not None and own is not None and theirs < own:
            yield f"{name} {theirs:,.0f}, {OURS} {own:,.0f}"


def _task(board: Scoreboard, task: str) -> list[str]:
    rows = [cells(board, row) for row in board.of(task)]
    seeds = sorted({seed for row in board.of(task) for seed in row.seeds})
    fewer = [f"{r.network} {len(r.seeds)}" for r in board.of(task) if len(r.seeds) < len(seeds)]
    remark = f"Seeds {', '.join(map(str, seeds))}." + (
        f" Fewer for: {', '.join(fewer)}." if fewer else ""
    )
    return [f"### {task}", _grid(HEAD, rows), remark]


def _targets(found: Sequence[Target]) -> str:
    rows = [(one.task, one.wanted, one.reached, one.verdict) for one in found]
    return _grid(("task", "wanted", "reached", ""), rows)


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _mean(mean: Mean) -> str:
    digits = 1 if abs(mean.value) < 10_000 else 0
    return f"{mean.value:,.{digits}f} ± {mean.error:,.{digits}f}"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.0f}"


def _value(mean: Mean | None) -> float | None:
    return None if mean is None else mean.value
