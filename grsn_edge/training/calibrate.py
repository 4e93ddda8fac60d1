"""Calibration: what every cell of a float actor sees and does while it plays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from grsn_edge.neurons import Record
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks import Task
from grsn_edge.training.actor import Actor, greedy
from grsn_edge.training.evaluate import play
from grsn_edge.training.scan import spike

__all__ = ["Recorder", "record"]

_Parts = dict[str, list[npt.NDArray[np.float64]]]


def record(
    actor: Actor, task: Task, *, seed: int, episodes: int = 64, samples: int = 4096
) -> list[Record]:
    """Records of all cells from greedy episodes, at most ``samples`` steps of them.

    Args:
        actor: in floats.
        task: what it plays.
        seed: of the episodes and of the choice of samples.
        episodes: played side by side.
        samples: steps to keep, drawn without regard to time or episode.
    """
    recorder = Recorder(actor, task, episodes)
    play(recorder, task, episodes, seed, watch=recorder.watch)
    return recorder.records(np.random.default_rng(seed), samples)


class Recorder:
    """An actor as :data:`Act` that steps its cells one by one, and keeps what they see and do.

    Args:
        actor: in floats.
        task: whose channels and decoder are used.
        episodes: rows of a batch.
    """

    def __init__(self, actor: Actor, task: Task, episodes: int) -> None:
        self.actor = actor
        self.task = task
        self._state = actor.initial_state(episodes)
        self._running = np.ones(episodes, bool)
        self._parts: list[_Parts] = [{} for _ in actor.network.cells]

    def watch(self, observation: FloatArray, running: npt.NDArray[np.bool_]) -> None:
        """Which rows ``(episodes,)`` still count; to be told before each step."""
        self._running = running

    @torch.no_grad()
    def __call__(self, observation: FloatArray) -> npt.NDArray[Any]:
        value = torch.from_numpy(self.task.normalise(observation))
        for i, cell in enumerate(self.actor.network.cells):
            x, before = value, self._state[i]
            params = dict(self.actor.cells[i].named_parameters())
            value, after = cell.float_step(params, x, before, spike)
            self._state[i] = after
            self._keep(self._parts[i], "x", {"": x})
            self._keep(self._parts[i], "before", before)
            self._keep(self._parts[i], "after", after)
            self._keep(self._parts[i], "out", {"": value})
        action = greedy(self.task, value).numpy()
        return action if self.task.is_discrete else self.task.in_units(action)

    def records(self, rng: np.random.Generator, samples: int) -> list[Record]:
        """One per cell, of at most ``samples`` steps drawn by ``rng``."""
        total = sum(len(part) for part in self._parts[0]["x."])
        chosen = np.sort(rng.permutation(total)[:samples])
        return [self._record(parts, chosen) for parts in self._parts]

    def _keep(self, parts: _Parts, kind: str, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            rows = tensor.numpy()[self._running].astype(np.float64)
            parts.setdefault(f"{kind}.{name}", []).append(rows)

    @staticmethod
    def _record(parts: _Parts, chosen: npt.NDArray[np.int64]) -> Record:
        rows = {name: np.concatenate(values)[chosen] for name, values in parts.items()}
        named = {
            kind: {n.split(".", 1)[1]: v for n, v in rows.items() if n.startswith(f"{kind}.")}
            for kind in ("before", "after")
        }
        return Record(rows["x."], named["before"], named["after"], rows["out."])
