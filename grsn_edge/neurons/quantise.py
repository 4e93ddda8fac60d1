"""The NumPy quantiser; its torch twin, with straight-through gradients, lives in training."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from grsn_edge.neurons.base import Array

__all__ = ["NumpyQuantiser", "power_of_two"]


class NumpyQuantiser:
    """Float arrays to int64 arrays."""

    def round(self, x: Array, lo: int, hi: int) -> Array:
        """Round half to even, then clamp to ``[lo, hi]``."""
        return np.clip(np.rint(x), lo, hi).astype(np.int64)

    def power_of_two(self, x: Array, lo: int, hi: int) -> Array:
        """The sign of x times the nearest power of two, its exponent in ``[lo, hi]``."""
        exponent = np.clip(np.rint(np.log2(np.maximum(np.abs(x), 2.0 ** (lo - 1)))), lo, hi)
        return np.where(np.asarray(x) < 0, -1.0, 1.0) * 2.0**exponent

    def sigmoid(self, x: Array) -> Array:
        """Logistic function."""
        return 1.0 / (1.0 + np.exp(-np.asarray(x)))

    def exp(self, x: Array) -> Array:
        """Exponential function."""
        return np.exp(x)

    def cos(self, x: Array) -> Array:
        """Cosine."""
        return np.cos(x)

    def sin(self, x: Array) -> Array:
        """Sine."""
        return np.sin(x)

    def constant(self, value: npt.NDArray[np.float64], *, like: Array) -> Array:
        """``value`` itself."""
        return value


def power_of_two(x: Array, lo: int, hi: int) -> Array:
    """A tensor's signs times the nearest powers of two; the gradient passes all of it."""
    exponent = x.detach().abs().clamp(min=2.0 ** (lo - 1)).log2().round().clamp(lo, hi)
    sign = (x.detach() >= 0) * 2.0 - 1.0
    return sign * exponent.exp2() + (x - x.detach())
