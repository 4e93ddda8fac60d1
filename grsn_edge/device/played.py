"""A policy on a device in its task, and beside the NumPy reference: what both verbs and tables use.

Equality is ``==`` over integers: an episode through a device is the reference's episode.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from grsn_edge.backends import backend
from grsn_edge.device.client import Device
from grsn_edge.device.policy import DevicePolicy, pack_state
from grsn_edge.policy import ACTION, OBSERVATION, Policy
from grsn_edge.program import IntArray
from grsn_edge.runtime import Episode, StreamingPolicy, play_episodes
from grsn_edge.tasks import Task, is_playable, task
from grsn_edge.tasks.record import closed_loop

__all__ = ["Comparison", "Game", "compared", "played", "reference"]

_PIECE = 50  # steps between two looks at the whole state


@dataclass(frozen=True)
class Game:
    """Episodes that were played.

    ``digest`` is of every action in order; ``counts_mean`` and ``counts_most`` are of the device's
    own counter, for a step (0 for the reference, which has none).
    """

    episodes: tuple[Episode, ...]
    digest: str
    counts_mean: float
    counts_most: int

    @property
    def mean(self) -> float:
        """Mean return."""
        return sum(e.ret for e in self.episodes) / len(self.episodes)


@dataclass(frozen=True)
class Comparison:
    """Steps compared, the digest of the device's actions, and the first difference, if any."""

    steps: int
    digest: str
    difference: str | None


def played(device: Device, policy: Policy, chosen: Task, episodes: int, seed: int) -> Game:
    """Play in gymnasium through a device that runs this policy."""
    counts: list[int] = []

    def note() -> None:
        if device.last is not None:
            counts.append(device.last.counts)

    game = _play(DevicePolicy(device, policy), chosen, episodes, seed, note)
    mean = sum(counts) / max(1, len(counts))
    return Game(game.episodes, game.digest, mean, max(counts, default=0))


def reference(policy: Policy, chosen: Task, episodes: int, seed: int) -> Game:
    """The same with the NumPy reference."""
    return _play(StreamingPolicy(policy, "numpy"), chosen, episodes, seed, lambda: None)


def compared(device: Device, policy: Policy, steps: int) -> Comparison:
    """A device and the reference in lockstep, on what the policy sees in its own task."""
    device.use(policy)
    device.reset()
    runner = backend("numpy").load(policy.program)
    runner.reset()
    digest = hashlib.sha256()
    codes, done = _codes(policy, steps), 0
    while done < steps:
        piece = np.stack(list(islice(codes, min(_PIECE, steps - done))))
        wanted = np.stack([runner.step({OBSERVATION: code})[ACTION] for code in piece])
        found = device.step_many(piece)
        digest.update(found.astype("<i4").tobytes())
        for row in np.flatnonzero((found != wanted).any(axis=1)):
            text = f"{found[row].tolist()}, the reference's {wanted[row].tolist()}"
            return _differs(done + int(row), digest, f"the device's action is {text}")
        done += len(piece)
        if device.state != pack_state(policy.program, runner.get_state()):
            return _differs(done, digest, "the states differ, the actions do not yet")
    return Comparison(done, digest.hexdigest()[:16], None)


def _differs(step: int, digest: hashlib._Hash, text: str) -> Comparison:
    return Comparison(step, digest.hexdigest()[:16], f"step {step}: {text}")


def _codes(policy: Policy, steps: int) -> Iterator[IntArray]:
    """Codes of episodes in the policy's task; for a policy without one, random in their range."""
    name = policy.provenance.get("task")
    if is_playable(name):
        course = closed_loop(policy, task(str(name)), streams=1, rounds=steps, seed=0)
        yield from (inputs[OBSERVATION][0] for _, inputs in course)
        return
    (source,) = policy.program.inputs
    rng = np.random.default_rng(0)
    for _ in range(steps):
        yield rng.integers(source.interval.low, source.interval.high + 1, source.n)


def _play(
    policy: StreamingPolicy, chosen: Task, episodes: int, seed: int, note: Callable[[], None]
) -> Game:
    digest = hashlib.sha256()

    def on_step(_: object, action: object) -> None:
        digest.update(np.asarray(action, "<f4").tobytes())
        note()

    from grsn_edge.tasks.environments import make_environment  # needs gymnasium; comparing does not

    environment = make_environment(chosen.name)
    ended = tuple(play_episodes(policy, environment, episodes, seed, chosen.max_steps, on_step))
    return Game(ended, digest.hexdigest()[:16], 0.0, 0)
