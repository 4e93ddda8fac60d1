"""Float observation → integers, bit by bit (``docs/SPEC.md`` §4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import ObservationError, UsageError
from grsn_edge.program import IntArray

__all__ = ["LIMITS", "Encoder", "FloatArray"]

FloatArray = npt.NDArray[np.float32]
OnInvalid = Literal["refuse", "clamp"]

LIMITS = {"int8": 127, "int16": 127 * 256}
"""Largest magnitude of a code by storage type.  int16 is 256 times finer at the same clip."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """Per-channel affine quantiser of an observation.

    In IEEE 754 binary32, each operation rounded to nearest even, never contracted::

        code = clamp(round_half_even((x - offset) * gain), -limit, limit)

    Args:
        offset: float32 ``(n,)``, the value that has code 0, in the channel's unit.
        gain: float32 ``(n,)``, codes per unit; positive and finite.
        dtype: ``int8`` (limit 127) or ``int16`` (limit 32512).
        on_invalid: ``refuse`` raises on NaN and infinities and changes nothing; ``clamp`` gives
            NaN the code 0 and infinities the code of the nearer end.
    """

    offset: FloatArray
    gain: FloatArray
    dtype: str = "int8"
    on_invalid: OnInvalid = "refuse"

    def __post_init__(self) -> None:
        for name in ("offset", "gain"):
            object.__setattr__(self, name, _vector(name, getattr(self, name)))
        if self.offset.shape != self.gain.shape or np.any(self.gain <= 0):
            raise UsageError("an encoder needs one offset and one positive gain per channel")
        if self.dtype not in LIMITS or self.on_invalid not in ("refuse", "clamp"):
            raise UsageError("an encoder's dtype is int8 or int16, on_invalid refuse or clamp")

    @property
    def n(self) -> int:
        """Number of observation channels."""
        return int(self.offset.size)

    @property
    def limit(self) -> int:
        """Largest magnitude of a code."""
        return LIMITS[self.dtype]

    def encode(self, observation: npt.ArrayLike) -> IntArray:
        """Codes int64 ``(..., n)`` of a float observation ``(..., n)``.

        Raises:
            ObservationError: wrong shape, or NaN or infinity where ``on_invalid`` is ``refuse``.
        """
        x = self.checked(observation)
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = np.rint((x - self.offset) * self.gain)
        scaled = np.where(np.isnan(x), np.float32(0), scaled)
        return np.clip(scaled, -self.limit, self.limit).astype(np.int64)

    def checked(self, observation: npt.ArrayLike) -> FloatArray:
        """The observation as float32 ``(..., n)``; raises as :meth:`encode` does."""
        try:
            with np.errstate(over="ignore"):
                x = np.asarray(observation, dtype=np.float32)
        except (TypeError, ValueError, OverflowError) as error:
            raise ObservationError(f"an observation is {self.n} numbers: {error}") from None
        if x.ndim == 0 or x.shape[-1] != self.n:
            raise ObservationError(f"an observation has {self.n} channels, not the shape {x.shape}")
        if self.on_invalid == "refuse" and not np.isfinite(x).all():
            channel = int(np.argwhere(~np.isfinite(x))[0][-1])
            raise ObservationError(
                f"observation channel {channel} is NaN or infinite; the state was not advanced"
            )
        return x


def _vector(name: str, value: npt.ArrayLike) -> FloatArray:
    array = np.array(value, dtype=np.float32)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise UsageError(f"'{name}' must be a vector of finite numbers")
    array.setflags(write=False)
    return array
