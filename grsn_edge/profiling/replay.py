"""A played run once more through the reference: what fired at each step, and whether all agreed.

The device reports actions and costs, not spikes.  Because every backend computes the same integers,
the reference's spikes are the device's: exactly, as long as every action agrees, which is checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.policy import ACTION, OBSERVATION, Policy
from grsn_edge.program import IntArray, Program, evaluate

__all__ = ["Replayed", "replay", "spiking_values"]


@dataclass(frozen=True, eq=False)
class Replayed:
    """The first steps of a run, through the reference.

    Args:
        steps: how many were replayed.
        spikes: by value, 0 or 1, uint8 ``(steps, neurons)``.
        differs: first step whose action is not the played one; None where all are equal.
    """

    steps: int
    spikes: Mapping[str, npt.NDArray[np.uint8]]
    differs: int | None

    @property
    def counts(self) -> IntArray:
        """Spikes of all layers, ``(steps,)``."""
        found = np.zeros(self.steps, np.int64)
        for spikes in self.spikes.values():
            found += spikes.sum(axis=1, dtype=np.int64)
        return found


def spiking_values(program: Program) -> tuple[str, ...]:
    """Names of the comparisons that give spikes."""
    return tuple(n.name for n in program if n.op == "ge" and n.name.endswith(".spike"))


def replay(
    policy: Policy,
    observations: Sequence[npt.NDArray[np.float32]],
    episodes: Sequence[int],
    actions: Sequence[Any],
    limit: int = 20_000,
) -> Replayed:
    """Play observations through the NumPy reference.

    Args:
        policy: what was played.
        observations: one per step, float32 ``(n,)``.
        episodes: one per step; the state is reset where it changes.
        actions: what the device answered: indices, or float32 ``(m,)`` in units.
        limit: most steps that are replayed.
    """
    program, names = policy.program, spiking_values(policy.program)
    kept: dict[str, list[npt.NDArray[np.uint8]]] = {name: [] for name in names}
    state, differs = program.initial_state(), None
    steps = min(limit, len(observations))
    for t in range(steps):
        if t and episodes[t] != episodes[t - 1]:
            state = program.initial_state()
        values = evaluate(program, {OBSERVATION: policy.encoder.encode(observations[t])}, state)
        state = {name: values[node] for name, node in program.nexts.items()}
        for name in names:
            kept[name].append(values[name].astype(np.uint8))
        expected = policy.decoder.decode(values[program.outputs[ACTION]])
        if differs is None and not np.array_equal(expected, actions[t]):
            differs = t
    spikes = {
        n: np.stack(v) if v else np.zeros((0, program[n].n), np.uint8) for n, v in kept.items()
    }
    return Replayed(steps, spikes, differs)
