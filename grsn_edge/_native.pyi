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
