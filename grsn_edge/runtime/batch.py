"""Many streams of one policy, stepped together: teams of agents, or many environments."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.backends import Values, backend
from grsn_edge.closing import Closing
from grsn_edge.errors import ObservationError, UsageError
from grsn_edge.policy import ACTION, OBSERVATION, Policy, load
from grsn_edge.program import IntArray
from grsn_edge.runtime.streaming import check_action, default_backend

__all__ = ["PolicyBatch"]


class PolicyBatch(Closing):
    """``streams`` independent streams of one policy, each with its own state.

    Every stream gives what a :class:`StreamingPolicy` of its own would give.

    Example::

        team = PolicyBatch.load("model.grsn", streams=64, threads=2)
        actions = team.step(observations)  # (64, n) -> (64,) or (64, m)
        team.reset([3])  # the episode of stream 3 begins again

    Args:
        policy: a frozen policy.
        streams: how many, 0 or more.
        backend: a name, or ``auto`` for :func:`default_backend`.
        threads: how many threads share the streams, on the backend ``native``; others use one.  It
            pays from about a thousand streams.

    Raises:
        BackendUnavailable: the backend cannot be used here; the text says what to install.
        UsageError: a negative number of streams, or no thread.
    """

    def __init__(
        self, policy: Policy, streams: int, *, backend: str = "auto", threads: int = 1
    ) -> None:
        if streams < 0 or threads < 1:
            raise UsageError("a batch has 0 streams or more, and 1 thread or more")
        self.policy = policy
        self.streams = streams
        self.backend = default_backend() if backend == "auto" else backend
        self._runner = _backend(self.backend).load(policy.program, batch=streams)
        self._fused = self._runner.fuse_into(policy, threads)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        streams: int,
        *,
        backend: str = "auto",
        threads: int = 1,
    ) -> PolicyBatch:
        """Read a ``.grsn`` file; raises :class:`PolicyFileError` where it cannot be trusted."""
        return cls(load(path), streams, backend=backend, threads=threads)

    def step(self, observations: npt.ArrayLike) -> npt.NDArray[Any]:
        """Advance every stream one sampling period.

        Args:
            observations: ``(streams, n)`` numbers in the units of the policy's channels.

        Returns:
            Fresh actions: int64 ``(streams,)`` for a discrete policy, else float32
            ``(streams, m)``.

        Raises:
            ObservationError: a wrong shape, or NaN or infinity in any stream where the policy's
                encoder refuses them; no stream was advanced.
        """
        decoder = self.policy.decoder
        shape = (self.streams,) if decoder.is_discrete else (self.streams, decoder.n)
        actions = np.empty(shape, np.int64 if decoder.is_discrete else np.float32)
        self.step_into(observations, actions)
        return actions

    def step_into(self, observations: npt.ArrayLike, actions: npt.NDArray[Any]) -> None:
        """As :meth:`step`, with the actions written to an array of the caller's.

        Args:
            observations: ``(streams, n)``; contiguous float32 or float64 arrays are not copied.
            actions: int32 or int64 ``(streams,)`` for a discrete policy, else float32 or float64
                ``(streams, m)``; contiguous.

        Raises:
            ObservationError: as :meth:`step`.
            UsageError: ``actions`` cannot take the actions; no stream was advanced.
        """
        check_action(self.policy, actions, (self.streams,))
        if self._fused is not None:
            self._fused(observations, actions)
        else:
            actions[...] = self._decoded(observations).reshape(actions.shape)

    def reset(self, streams: Sequence[int] | None = None) -> None:
        """Begin an episode in the given streams, or in all of them.

        Raises:
            UsageError: an index outside ``0 … streams - 1``; no stream was reset.
        """
        if streams is None:
            self._runner.reset()
            return
        chosen = [int(index) for index in streams]
        wrong = [index for index in chosen if not 0 <= index < self.streams]
        if wrong:
            raise UsageError(f"no stream {wrong[0]}: there are {self.streams}, from 0")
        self._runner.reset_rows(chosen)

    @property
    def state(self) -> dict[str, IntArray]:
        """A copy of every state, integers ``(streams, n)`` by name."""
        return self._runner.get_state()

    @state.setter
    def state(self, state: Values) -> None:
        """Replace all; raises :class:`StateError` where they do not fit, changing nothing."""
        self._runner.set_state(state)

    def close(self) -> None:
        """End the threads and give back what the backend holds."""
        self._runner.close()

    def _decoded(self, observations: npt.ArrayLike) -> npt.NDArray[Any]:
        code = self.policy.encoder.encode(observations)
        wanted = (self.streams, self.policy.encoder.n)
        if code.shape != wanted:
            raise ObservationError(f"a batch takes observations {wanted}, not {code.shape}")
        return np.asarray(
            self.policy.decoder.decode(self._runner.step({OBSERVATION: code})[ACTION])
        )


_backend = backend  # the constructor's argument of the same name hides the function
