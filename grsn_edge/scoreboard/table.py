"""From results to a table: means over seeds, verdicts, Pareto fronts, targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from grsn_edge.scoreboard.suites import OURS

__all__ = ["Mean", "Row", "Scoreboard", "Verdict", "pareto", "scoreboard", "verdict"]

Verdict = Literal["win", "tie", "loss"]


@dataclass(frozen=True, slots=True)
class Mean:
    """Of several seeds: mean, its standard error, and the least and largest seed.

    Where episodes are behind a seed's value, the error is at least what their spread gives:
    three seeds that happen to agree do not make a mean exact.
    """

    value: float
    error: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float], episodes: Sequence[Sequence[float]] = ()) -> Mean:
        """Of one value per seed, and of the episodes behind each."""
        array = np.asarray(values, np.float64)
        over_seeds = array.std(ddof=1) / np.sqrt(len(array)) if len(array) > 1 else 0.0
        each = [float(np.var(few)) / len(few) for few in episodes]
        over_episodes = np.sqrt(sum(each)) / len(each) if each else 0.0
        error = float(max(over_seeds, over_episodes))
        return cls(float(array.mean()), error, float(array.min()), float(array.max()))


@dataclass(frozen=True)
class Row:
    """One network on one task, over its seeds.

    Args:
        task, network: which.
        hidden: neurons of its first layer that has any.
        seeds: of training.
        int8, floats, post_training: returns: frozen and fine-tuned; in float; frozen as quantised.
        rate: spikes per neuron and step, or None where nothing spikes.
        parameters: trained numbers.
        image_bytes, ram_bytes: what a device stores, and its states and scratch.
        synaptic_operations: additions for spikes, and multiply-accumulates, of a step.
        instructions: mean of a step as generated C on the emulated board, or None.
        worst: most of any step of any seed.
        interpreted: mean of a step in the virtual machine.
        step_nj, period_nj: modelled energy of a step, and of a control period with its sleep.
        cpu_s: of one core, for training, quantising and fine-tuning.
    """

    task: str
    network: str
    hidden: int
    seeds: tuple[int, ...]
    int8: Mean
    floats: Mean
    post_training: Mean
    rate: Mean | None
    parameters: int
    image_bytes: int
    ram_bytes: int
    synaptic_operations: float
    instructions: Mean | None
    worst: int | None
    interpreted: float | None
    step_nj: float | None
    period_nj: float | None
    cpu_s: float


@dataclass(frozen=True)
class Scoreboard:
    """Every row, by task in the suite's order, and what holds for all of them.

    Args:
        rows: (task, network) pairs.
        episodes: that each policy played.
        versions: of sources that the results were made by; one, unless a caller mixed them.
        machines: where the policies were trained.
        board, emulator: where instructions were counted, or None.
        chip, chip_source: whose energy was modelled.
    """

    rows: tuple[Row, ...]
    episodes: int
    versions: tuple[str, ...]
    machines: tuple[str, ...]
    board: str | None
    emulator: str | None
    chip: str
    chip_source: str

    @property
    def tasks(self) -> tuple[str, ...]:
        """In order."""
        return tuple(dict.fromkeys(row.task for row in self.rows))

    def of(self, task: str) -> tuple[Row, ...]:
        """The rows of a task."""
        return tuple(row for row in self.rows if row.task == task)

    def ours(self, task: str) -> Row | None:
        """Our row of a task."""
        return self.row(task, OURS)

    def row(self, task: str, network: str) -> Row | None:
        """One row, or None."""
        return next((r for r in self.of(task) if r.network == network), None)


def scoreboard(results: Iterable[Mapping[str, Any]]) -> Scoreboard:
    """The table of results, in the order of first appearance of task and network.

    Args:
        results: as :func:`~grsn_edge.scoreboard.job.run_job` gives them; at least one.
    """
    found = list(results)
    pairs: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for result in found:
        pairs.setdefault((result["job"]["task"], result["job"]["network"]), []).append(result)
    order = {task: i for i, task in enumerate(dict.fromkeys(task for task, _ in pairs))}
    rows = [_row(*pair, few) for pair, few in pairs.items()]
    counted = [r["price"]["instructions"] for r in found]
    on_board: Mapping[str, Any] = next((c for c in counted if "board" in c), {})
    modelled = found[0]["price"]["modelled"]
    return Scoreboard(
        rows=tuple(sorted(rows, key=lambda row: order[row.task])),
        episodes=min(len(result["play"]["int8"]) for result in found),
        versions=tuple(sorted({str(result["version"]) for result in found})),
        machines=tuple(sorted({_machine(result["machine"]) for result in found})),
        board=on_board.get("board"),
        emulator=on_board.get("emulator"),
        chip=modelled["chip"],
        chip_source=modelled.get("source", ""),
    )


def _row(task: str, network: str, results: Sequence[Mapping[str, Any]]) -> Row:
    def mean(*path: str) -> Mean:
        return Mean.of([_at(result, path) for result in results])

    def returns(name: str) -> Mean:
        played = [result["play"][name] for result in results]
        return Mean.of([float(np.mean(few)) for few in played], played)

    counted = all("mean" in result["price"]["instructions"] for result in results)
    loaded = all("vm_mean" in result["price"]["instructions"] for result in results)
    instructions, modelled = ("price", "instructions"), ("price", "modelled")
    spikes = results[0]["play"]["rate"] is not None
    ram = [r["price"]["state_bytes"] + r["price"]["scratch_bytes"] for r in results]
    cells = results[0]["training"]["recipe"]["network"]["cells"]
    return Row(
        task=task,
        network=network,
        hidden=next(c["size"] for c in cells if c["kind"] != "frames"),
        seeds=tuple(sorted(result["job"]["seed"] for result in results)),
        int8=returns("int8"),
        floats=returns("float"),
        post_training=mean("training", "phases", "freeze", "mean"),
        rate=mean("play", "rate") if spikes else None,
        parameters=results[0]["training"]["parameters"],
        image_bytes=round(mean("price", "image_bytes").value),
        ram_bytes=round(float(np.mean(ram))),
        synaptic_operations=mean("price", "synaptic_operations").value,
        instructions=mean(*instructions, "mean") if counted else None,
        worst=int(mean(*instructions, "worst").most) if counted else None,
        interpreted=mean(*instructions, "vm_mean").value if loaded else None,
        step_nj=1e9 * mean(*modelled, "modelled_step_j").value if counted else None,
        period_nj=1e9 * mean(*modelled, "modelled_period_j").value if counted else None,
        cpu_s=mean("training", "cpu_s").value,
    )


def _at(result: Mapping[str, Any], path: Sequence[str]) -> float:
    value: Any = result
    for name in path:
        value = value[name]
    return float(value)


def _machine(about: Mapping[str, str]) -> str:
    packages = ", ".join(f"{k} {about[k]}" for k in ("grsn-edge", "torch", "numpy", "gymnasium"))
    return f"{about['machine']}, Python {about['python']}, {packages}"


# ---- comparing -----------------------------------------------------------------------------------


def verdict(ours: Mean, other: Mean) -> Verdict:
    """``win`` where ours is larger by more than two standard errors of the difference."""
    difference, error = ours.value - other.value, float(np.hypot(ours.error, other.error))
    if abs(difference) <= 2 * error:
        return "tie"
    return "win" if difference > 0 else "loss"


def pareto(costs: Sequence[float], gains: Sequence[float]) -> tuple[int, ...]:
    """Indices of the points that no other point beats, by rising cost.

    A point is beaten by one that costs no more and gains no less, and is better in one of both.
    """
    order = sorted(range(len(costs)), key=lambda i: (costs[i], -gains[i]))
    front: list[int] = []
    for i in order:
        point, last = (costs[i], gains[i]), front[-1] if front else None
        if last is None or gains[i] > gains[last] or point == (costs[last], gains[last]):
            front.append(i)
    return tuple(front)
