"""The NumPy quantiser; its torch twin, with straight-through gradients, lives in training."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from grsn_edge.neurons.base import Array

__all__ = ["NumpyQuantiser"]


class NumpyQuantiser:
    """Float arrays to int64 arrays."""

    def round(self, x: Array, lo: int, hi: int) -> Array:
        """Round half to even, then clamp to ``[lo, hi]``."""
        return np.clip(np.rint(x), lo, hi).astype(np.int64)

    def sigmoid(self, x: Array) -> Array:
        """Logistic function."""
        return 1.0 / (1.0 + np.exp(-np.asarray(x)))

    def constant(self, value: npt.NDArray[np.float64], *, like: Array) -> Array:
        """``value`` itself."""
        return value
