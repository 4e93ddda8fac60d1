"""A frozen policy as an object with a state: observation in, action out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.backends import Act, ActInto, Values, backend
from grsn_edge.closing import Closing
from grsn_edge.errors import IntegrityError, ObservationError, UsageError
from grsn_edge.policy import ACTION, OBSERVATION, Channel, Policy, load, model_hash
from grsn_edge.program import IntArray

__all__ = ["PolicySpec", "StateSpec", "StreamingPolicy", "check_action", "default_backend"]

_PREFERRED = ("native", "c", "numpy")


def default_backend() -> str:
    """The first of ``native``, ``c`` and ``numpy`` that works here.

    ``native`` needs no compiler on the user's machine, and its first step comes at once.
    """
    return next(name for name in _PREFERRED if backend(name).unavailable() is None)


@dataclass(frozen=True, slots=True)
class StateSpec:
    """One state: its name, length, storage type and inclusive range."""

    name: str
    n: int
    dtype: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """What one must know to use a policy.

    ``observations`` and ``actions`` describe each channel (for a discrete policy: each choice);
    ``period_s`` is the sampling period in seconds: call :meth:`StreamingPolicy.step` once in each.
    """

    name: str
    observations: tuple[Channel, ...]
    actions: tuple[Channel, ...]
    is_discrete: bool
    period_s: float
    states: tuple[StateSpec, ...]
    model_hash: str


class StreamingPolicy(Closing):
    """A policy with its state.

    Example::

        policy = StreamingPolicy.load("model.grsn")
        policy.reset()
        action = policy.step(observation)

    Args:
        policy: a frozen policy.
        backend: a name, or ``auto`` for :func:`default_backend`.

    Raises:
        BackendUnavailable: the backend cannot be used here; the text says what to install.
    """

    step: Act
    """``step(observation) -> action``: advance one sampling period.

    ``observation``: ``(n,)`` numbers in the units of ``spec.observations``.  The action is an index
    for a discrete policy, otherwise a fresh float32 array ``(m,)`` in the units of
    ``spec.actions``.  Raises :class:`ObservationError` for a wrong shape, and for NaN and
    infinities where the policy's encoder refuses them; the state is then as before.
    """

    step_into: ActInto
    """``step_into(observation, action)``: as :attr:`step`, for tight loops.

    The action is written to a contiguous array of the caller's: float32 or float64 ``(m,)``, or for
    a discrete policy one int32 or int64, ``(1,)`` or ``()``.  On the backend ``native`` that is one
    call of C, which allocates nothing: a third faster than :attr:`step` where that makes an array.
    For a discrete policy :attr:`step` is the faster one: NumPy takes longer to lend the memory of a
    second array than Python to make a small integer.  Raises also :class:`UsageError` for an array
    that cannot take the action; the state is then as before.
    """

    def __init__(self, policy: Policy, backend: str = "auto") -> None:
        self.policy = policy
        self.backend = default_backend() if backend == "auto" else backend
        self._runner = _backend(self.backend).load(policy.program)
        self.step = self._runner.fuse(policy) or self._step
        self.step_into = self._runner.fuse_into(policy) or self._step_into

    @classmethod
    def load(cls, path: str | os.PathLike[str], backend: str = "auto") -> StreamingPolicy:
        """Read a ``.grsn`` file; raises :class:`PolicyFileError` where it cannot be trusted."""
        return cls(load(path), backend)

    def reset(self) -> None:
        """Begin an episode: every state takes its initial value."""
        self._runner.reset()

    @property
    def state(self) -> dict[str, IntArray]:
        """A copy of the state, integers ``(n,)`` by name: a snapshot to set again later."""
        return self._runner.get_state()

    @state.setter
    def state(self, state: Values) -> None:
        """Replace the state; raises :class:`StateError` where it does not fit, changing nothing."""
        self._runner.set_state(state)

    @cached_property
    def spec(self) -> PolicySpec:
        """Names, units, ranges and states."""
        policy = self.policy
        states = tuple(
            StateSpec(s.name, s.n, s.dtype, s.interval.low, s.interval.high)
            for s in policy.program.states
        )
        return PolicySpec(
            policy.name,
            policy.observations,
            policy.actions,
            policy.decoder.is_discrete,
            policy.period_s,
            states,
            model_hash(policy),
        )

    def verify(self) -> int:
        """Replay the file's golden vectors on this backend, with ``==``; steps replayed.

        The state is as before afterwards.

        Raises:
            IntegrityError: a step's action or the final state differs.
        """
        golden = self.policy.golden
        if golden is None:
            return 0
        before = self.state
        try:
            self.reset()
            for t, code in enumerate(golden.code):
                found = self._runner.step({OBSERVATION: code})[ACTION]
                if not np.array_equal(found, golden.action[t]):
                    raise IntegrityError(
                        f"backend '{self.backend}': golden step {t} gives {found.tolist()}, "
                        f"recorded is {golden.action[t].tolist()}"
                    )
            self._check_final(golden.state)
        finally:
            self.state = before
        return golden.steps

    def close(self) -> None:
        """Give back what the backend holds."""
        self._runner.close()

    def step_integers(self, observation: npt.ArrayLike) -> IntArray:
        """As :attr:`step`, but the integers of the program's action, int64 ``(m,)``, undecoded."""
        code = self.policy.encoder.encode(observation)
        if code.ndim != 1:
            raise ObservationError(
                f"one step takes one observation of {code.shape[-1]} channels, "
                f"not the shape {code.shape}"
            )
        return self._runner.step({OBSERVATION: code})[ACTION]

    def _step(self, observation: npt.ArrayLike) -> Any:
        return self.policy.decoder.decode(self.step_integers(observation))

    def _step_into(self, observation: npt.ArrayLike, action: npt.NDArray[Any]) -> None:
        check_action(self.policy, action, ())
        action[...] = self.step(observation)

    def _check_final(self, recorded: Mapping[str, IntArray]) -> None:
        for name, value in self._runner.get_state().items():
            if not np.array_equal(value, recorded[name]):
                raise IntegrityError(
                    f"backend '{self.backend}': state '{name}' after the golden vectors differs"
                )


def check_action(policy: Policy, action: npt.NDArray[Any], rows: tuple[int, ...]) -> None:
    """Raise :class:`UsageError` unless actions of ``rows`` can be written to the array ``action``.

    What is taken: see :attr:`StreamingPolicy.step_into`; ``rows`` is ``()`` or ``(n,)``.
    """
    discrete = policy.decoder.is_discrete
    types = ("int32", "int64") if discrete else ("float32", "float64")
    shape = rows if discrete else (*rows, policy.decoder.n)
    fits = isinstance(action, np.ndarray) and (
        action.shape == shape or (discrete and action.shape == (*rows, 1))
    )
    if not fits or action.dtype.name not in types or not action.dtype.isnative:
        found = f"{action.dtype} {action.shape}" if isinstance(action, np.ndarray) else type(action)
        raise UsageError(f"actions are written to {' or '.join(types)} {shape}, not to {found}")
    if not (action.flags.c_contiguous and action.flags.writeable):
        raise UsageError("actions are written to a contiguous, writable array")


_backend = backend  # the constructor's argument of the same name hides the function
