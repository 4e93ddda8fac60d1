"""The compiled extension: the virtual machine of ``firmware/``, one type a file of
``firmware/python/``.

Buffers are contiguous and of this machine's byte order.  Objects of these types are not pickled:
send the policy, or ``state_get()``, instead.
"""

from collections.abc import Callable
from typing import Any, final

import numpy.typing as npt

LOWERING: str
"""Which compilation of the step runs here: ``avx2`` or ``generic``."""

@final
class Model:
    """A policy image, checked once, immutable; any number of streams share it.

    Raises:
        BackendError: the image cannot be trusted; the text says why.
    """

    observation_n: int
    action_n: int
    state_size: int
    scratch_size: int
    saved_size: int
    period_us: int
    golden_steps: int
    is_discrete: bool | None
    """Whether the action is an index; None for a program without encoder and decoder."""
    model_hash: bytes
    def __new__(cls, image: bytes) -> Model: ...

@final
class Stream:
    """One state of a model.

    Args:
        model: an opened image.
        convert: called with an observation that is no list of numbers and no float array; gives a
            contiguous float32 array or raises.
        action: a float32 array ``(action_n,)`` that :meth:`act` of a policy with continuous actions
            decodes into and returns a copy of.
    """

    def __new__(
        cls,
        model: Model,
        convert: Callable[[Any], npt.NDArray[Any]] | None = None,
        action: npt.NDArray[Any] | None = None,
    ) -> Stream: ...
    def step(self, observation: npt.NDArray[Any], action: npt.NDArray[Any]) -> None:
        """One step on int32 buffers of ``observation_n`` and ``action_n`` elements; inputs outside
        their range count as its nearer end."""
    def act(self, observation: npt.ArrayLike) -> Any:
        """One step from floats ``(n,)``: an index, or a fresh float32 array."""
    def act_into(self, observation: npt.ArrayLike, action: npt.NDArray[Any]) -> None:
        """One step from floats, the action written to float32 or float64 ``(m,)``, or the index to
        one int32 or int64."""
    def reset(self) -> None:
        """Begin an episode."""
    def state_get(self) -> bytes:
        """The state's integers, in order of declaration, in their storage types, little-endian."""
    def state_set(self, saved: bytes) -> None:
        """Take back what :meth:`state_get` gave; raises :class:`StateError`, changing nothing."""
    def selftest(self) -> int:
        """Replay the golden vectors, then reset; -1, or the first step that differs."""

@final
class Batch:
    """``rows`` states of one model; threads may step different ``parts`` of them at once.

    Raises:
        UsageError: fewer rows than 0, fewer parts than 1, or a thread is in the batch (in every
            method).
    """

    rows: int
    parts: int
    def __new__(cls, model: Model, rows: int, parts: int = 1) -> Batch: ...
    def step(
        self, observations: npt.NDArray[Any], actions: npt.NDArray[Any], part: int = 0, /
    ) -> None:
        """One step of the part's rows, on int32 buffers of all rows."""
    def encode(self, observations: npt.NDArray[Any], /) -> None:
        """The codes of all rows from float32 or float64 ``(rows, n)``, for :meth:`advance`."""
    def advance(self, actions: npt.NDArray[Any], part: int = 0, /) -> None:
        """One step of the part's rows from the encoded codes; writes their rows of float32 or
        float64 ``(rows, m)``, or of int32 or int64 ``(rows,)``."""
    def reset(self, row: int = ..., /) -> None:
        """Begin an episode of one row, or of all."""
    def state_get(self) -> bytes:
        """Every row's state, one after the other."""
    def state_set(self, saved: bytes, /) -> None:
        """Take back what :meth:`state_get` gave; raises :class:`StateError`, changing nothing."""

@final
class Supervisor:
    """The supervisor of ``firmware/include/grsn_supervisor.h``, whose functions these are; times in
    microseconds modulo 2^32.

    Args:
        section: of :func:`grsn_edge.policy.supervisor_section`; empty for the default times and no
            limits.
        period_us: sampling period, where there is no section.
        action_n: integers of the action.
        now: the time.

    Raises:
        UsageError: the section cannot be, or is for another number of integers.
    """

    state: int
    reaction: int
    overrun_run: int
    invalid_run: int
    conditions: int
    reasons: int
    steps: int
    input_us: int
    overruns: int
    invalid: int
    holds: int
    safes: int
    clipped: int
    slewed: int
    longest_us: int
    def __new__(cls, section: bytes, period_us: int, action_n: int, now: int = 0) -> Supervisor: ...
    def report(self, conditions: int, /) -> None:
        """Conditions hold from now on."""
    def clear(self, conditions: int, /) -> None:
        """They hold no longer."""
    def arm(self, now: int, /) -> int:
        """Ask for the policy to act; the state."""
    def disarm(self, now: int, /) -> int:
        """Ask for it to stop; the state."""
    def update(self, now: int, /) -> int:
        """Look at the clock; the state."""
    def observation(self, now: int, quality: int, /) -> None:
        """An observation came."""
    def step(self, took_us: int, /) -> None:
        """A policy step ended so long after it was due."""
    def safe(self, action: npt.NDArray[Any], /) -> None:
        """Write the safe action to int32 ``(action_n,)``."""
    def output(self, wanted: npt.NDArray[Any] | None, action: npt.NDArray[Any], /) -> None:
        """``action`` holds the last action and takes the next; both int32 ``(action_n,)``."""
