"""A process with some simulators in it: ``python -m grsn_edge.tasks.worker``, for ``pool.py``.

It answers each request on its standard input with one reply on its standard output, and ends with
its input.  What simulators print goes to standard error.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

__all__ = ["Host", "main"]


class Host:
    """Simulators by their number, made when they are first needed.

    Args:
        environment, options: for ``gymnasium.make``.
    """

    def __init__(self, environment: str, options: dict[str, Any]) -> None:
        self._make = environment, options
        self._envs: dict[int, Any] = {}

    def start(self, slots: list[int], seeds: list[int]) -> npt.NDArray[np.float32]:
        """First observations ``(n, k)`` of new episodes with these seeds."""
        return np.stack([self._env(i).reset(seed=s)[0] for i, s in zip(slots, seeds, strict=True)])

    def step(self, slots: list[int], actions: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
        """Observations ``(n, k)``, rewards, terminations and truncations ``(n,)``."""
        rows = [self._env(i).step(a) for i, a in zip(slots, actions, strict=True)]
        full, reward, terminated, truncated, _ = zip(*rows, strict=True)
        ends = np.array(terminated, bool), np.array(truncated, bool)
        return np.stack(full), np.array(reward, np.float64), *ends

    def replay(
        self, slots: list[int], seeds: list[int], histories: list[npt.NDArray[Any]]
    ) -> npt.NDArray[np.float32]:
        """Observations ``(n, k)`` after the same seeds and the same actions as before."""
        full = self.start(slots, seeds)
        for row, (slot, history) in enumerate(zip(slots, histories, strict=True)):
            for action in history:
                full[row] = self._env(slot).step(action)[0]
        return full

    def _env(self, slot: int) -> Any:
        if slot not in self._envs:
            from grsn_edge.tasks.environments import make_flat

            environment, options = self._make
            self._envs[slot] = make_flat(environment, **options)
        return self._envs[slot]


def main() -> None:
    """Serve until the input ends."""
    requests, replies = _channels()
    host = None
    while True:
        try:
            name, arguments = pickle.load(requests)
        except EOFError:
            return
        try:
            if host is None:
                sys.path[:] = arguments.pop("path")
                host = Host(**arguments)
            reply = (True, getattr(host, name)(**arguments) if name != "open" else None)
        except Exception:
            reply = (False, traceback.format_exc(limit=-3).strip())
        pickle.dump(reply, replies, protocol=pickle.HIGHEST_PROTOCOL)
        replies.flush()


def _channels() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the pool; whatever else prints to standard output is sent to standard error."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, replies


if __name__ == "__main__":
    main()
