"""What a frozen policy sees in its own task: codes of closed-loop episodes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from grsn_edge.backends import backend
from grsn_edge.policy import ACTION, OBSERVATION, Policy
from grsn_edge.program import IntArray
from grsn_edge.tasks.base import Task
from grsn_edge.tasks.batched import BatchedEnv

__all__ = ["closed_loop"]


def closed_loop(
    policy: Policy, task: Task, *, streams: int, rounds: int, seed: int
) -> Iterator[tuple[dict[str, IntArray] | None, dict[str, IntArray]]]:
    """For each step None (the state goes on) and the codes ``(streams, n)`` that it then sees.

    Episodes that end begin again; the policy's state is kept through it, as a comparison of
    backends wants long trajectories.

    Args:
        policy: who acts.
        task: where.
        streams: episodes side by side.
        rounds: steps of each.
        seed: of the starts.
    """
    rng = np.random.default_rng(seed)
    runner = backend("numpy").load(policy.program, batch=streams)
    with BatchedEnv(task, streams) as env:
        observation = env.reset(rng)
        for _ in range(rounds):
            code = policy.encoder.encode(observation)
            yield None, {OBSERVATION: code}
            action = policy.decoder.decode(runner.step({OBSERVATION: code})[ACTION])
            step = env.step(np.asarray(action))
            observation = env.reset(rng, step.done) if step.done.any() else step.observation
