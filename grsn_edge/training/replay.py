"""Replay of sequences: segments of episodes with the state that the actor began them in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tensordict import TensorDict
from torch import Tensor, nn
from torchrl.data import LazyTensorStorage, ReplayBuffer

from grsn_edge.tasks import BatchedEnv, Step
from grsn_edge.training.actor import ActorLike, ActorOutput, States
from grsn_edge.training.evaluate import Sense
from grsn_edge.training.head import Head
from grsn_edge.training.offpolicy import OffPolicy
from grsn_edge.training.recipes import Recipe
from grsn_edge.training.rollout import Episodes

__all__ = ["Replay", "ReplayCollector", "Segments"]


@dataclass(frozen=True, slots=True)
class Segments:
    """``batch`` pieces of ``T`` steps.

    ``x``, ``keep`` and ``full`` are ``(T + 1, batch, ...)``: they include what followed the last
    step.  ``action``, ``reward``, ``terminated`` and ``whole`` are ``(T, batch, ...)``; ``whole``
    is False where a time limit cut an episode off: what would have followed was never seen.
    """

    x: Tensor
    keep: Tensor
    full: Tensor
    action: Tensor
    reward: Tensor
    terminated: Tensor
    whole: Tensor
    start: States

    def run(self, actor: ActorLike, burn_in: int) -> ActorOutput:
        """The actor over all but the first ``burn_in`` of the ``T + 1`` steps.

        Those bring its state up to date, without gradients.
        """
        start = self.start
        if burn_in:
            with torch.no_grad():
                start = actor(self.x[:burn_in], self.keep[:burn_in], start).state
        return actor(self.x[burn_in:], self.keep[burn_in:], start)

    def transitions(self, values: Tensor | None, following: Tensor, burn_in: int) -> TensorDict:
        """Single transitions as TorchRL's losses take them, flat.

        Args:
            values: the actor's read-out at each step, ``(T + 1 - burn_in, batch, m)``, or None.
            following: the read-out that gives target actions, as long.
            burn_in: first steps to leave out.
        """
        now, then = self.full[burn_in:-1], self.full[burn_in + 1 :]
        terminated = self.terminated[burn_in:]
        rows = {
            "full": now,
            "action": self.action[burn_in:],
            "whole": self.whole[burn_in:],
            **({} if values is None else {"values": values[:-1]}),
        }
        ahead = {
            "full": then,
            "values": following[1:],
            "reward": self.reward[burn_in:],
            "done": terminated,
            "terminated": terminated,
        }
        return TensorDict({**rows, "next": ahead}, batch_size=now.shape[:2]).flatten(0, 1)


class Replay:
    """The latest segments, drawn with replacement; a ring in memory, made by TorchRL.

    Args:
        segments: how many it keeps.
    """

    def __init__(self, segments: int) -> None:
        self.capacity = segments
        self._initial: dict[str, Tensor] = {}
        self._cells = 0
        self._buffer = self._empty()

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the segments in it take."""
        return sum(value.nbytes for value in self._contents().values())

    def begin(self, actor: ActorLike) -> None:
        """Go on with this actor.

        An actor whose states are of another kind (integers instead of floats) cannot begin from
        those that are stored: they become its reset state.
        """
        states = actor.initial_state(1)
        initial, before = _flat(states), self._initial
        self._cells, self._initial = len(states), initial
        if len(self) and _layout(initial) != _layout(before):
            kept = {k: v for k, v in self._contents().items() if not k.startswith(_START)}
            kept |= {k: v.expand(len(self), -1).clone() for k, v in initial.items()}
            self._fill(kept, self._buffer.writer.state_dict())

    def add(self, segments: Segments) -> None:
        """Keep these; the oldest go where there is no room."""
        rows = {name: getattr(segments, name).transpose(0, 1).contiguous() for name in _TIMED}
        self._buffer.extend(_rows({**rows, **_flat(segments.start)}))

    def sample(self, count: int) -> Segments:
        """``count`` segments, drawn by torch's global generator."""
        found = self._buffer.sample(count)
        rows = {name: found[name].transpose(0, 1) for name in _TIMED}
        states: States = [{} for _ in range(self._cells)]
        for key in self._initial:
            cell, name = key[len(_START) :].split(".", 1)
            states[int(cell)][name] = found[key]
        return Segments(**rows, start=states)

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """Everything in it, at its place in the ring."""
        writer = self._buffer.writer.state_dict()
        place = np.array([writer["_cursor"], writer["_write_count"]])
        return {**{k: v.numpy() for k, v in self._contents().items()}, "place": place}

    def restore(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go back to a :meth:`snapshot`."""
        rows = {k: torch.from_numpy(v.copy()) for k, v in snapshot.items() if k != "place"}
        cursor, count = snapshot["place"].tolist()
        self._fill(rows, {"_cursor": cursor, "_write_count": count})

    def _empty(self) -> ReplayBuffer:
        return ReplayBuffer(storage=LazyTensorStorage(self.capacity))

    def _fill(self, rows: Mapping[str, Tensor], writer: Mapping[str, int]) -> None:
        self._buffer = self._empty()
        if rows:
            self._buffer.extend(_rows(rows))
        self._buffer.writer.load_state_dict(dict(writer))

    def _contents(self) -> dict[str, Tensor]:
        return dict(self._buffer[:].items()) if len(self) else {}


_TIMED = ("x", "keep", "full", "action", "reward", "terminated", "whole")
_START = "start."


def _rows(tensors: Mapping[str, Tensor]) -> TensorDict:
    return TensorDict(dict(tensors), batch_size=[len(tensors["x"])])


def _flat(states: States) -> dict[str, Tensor]:
    return {f"{_START}{i}.{k}": v for i, cell in enumerate(states) for k, v in cell.items()}


def _layout(states: Mapping[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (value.shape, value.dtype) for name, value in states.items()}


class ReplayCollector(Episodes):
    """Episodes whose roll-outs go into a replay.

    The first roll-out of an actor that has learned nothing yet acts at random.

    Args:
        env: a fresh batch; it is reset here.
        recipe: steps, reward scale and size of the replay.
        rng: draws starts of episodes and exploration; shared with the learner.
    """

    def __init__(self, env: BatchedEnv, recipe: Recipe, rng: np.random.Generator) -> None:
        super().__init__(env, recipe, rng)
        self.replay = Replay((recipe.off_policy or OffPolicy()).capacity // recipe.steps)
        self._actors = 0

    def begin(self, actor: ActorLike) -> None:
        """Start from a reset state with this actor; episodes and replay go on."""
        super().begin(actor)
        self.replay.begin(actor)
        self._actors += 1

    @torch.no_grad()
    def collect(self, actor: ActorLike, head: Head, critic: nn.Module, sense: Sense) -> Replay:
        """One roll-out more in the replay; the returns of its ended episodes in ``finished``."""
        blind = self._actors == 1 and not len(self.replay)
        kept: dict[str, list[Tensor]] = {name: [] for name in _TIMED}
        start, self.finished = self.state, []
        for _ in range(self.recipe.steps):
            x, keep = self._look(kept, sense)
            out = actor(x, keep, self.state)
            self.state = out.state
            action = self._random(head) if blind else self._explore(head, out.values[0])
            step = self.env.step(head.applied(action))
            self._note(kept, action, step)
            self._turn_over(step)
        self._look(kept, sense)
        stacked = {name: torch.stack(values) for name, values in kept.items()}
        self.replay.add(Segments(**stacked, start=start))
        return self.replay

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """What the replay holds."""
        return self.replay.snapshot()

    def restore(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go back to a :meth:`snapshot`."""
        self.replay.restore(snapshot)

    def _look(self, kept: dict[str, list[Tensor]], sense: Sense) -> tuple[Tensor, Tensor]:
        """Note what is seen now; the same as one step of a sequence."""
        kept["x"].append(sense(self.observation).float())
        kept["keep"].append(torch.from_numpy(self.keep))
        kept["full"].append(torch.from_numpy(self.env.full()))
        return kept["x"][-1][None], kept["keep"][-1][None]

    def _note(self, kept: dict[str, list[Tensor]], action: Tensor, step: Step) -> None:
        reward = (step.reward * self.recipe.reward_scale).astype(np.float32)
        kept["action"].append(action)
        kept["reward"].append(torch.from_numpy(reward)[:, None])
        kept["terminated"].append(torch.from_numpy(step.terminated)[:, None])
        kept["whole"].append(torch.from_numpy(~step.truncated)[:, None])

    def _explore(self, head: Head, values: Tensor) -> Tensor:
        action = head.sample(values, self.rng)
        return action if head.task.is_discrete else action.clamp(-1.0, 1.0)

    def _random(self, head: Head) -> Tensor:
        actions, batch = len(head.task.actions), self.env.batch
        if head.task.is_discrete:
            return torch.from_numpy(self.rng.integers(0, actions, batch))
        return torch.from_numpy(self.rng.uniform(-1.0, 1.0, (batch, actions)).astype(np.float32))
