"""What the leaky cells share: the input drive in membrane units and the coefficients' format."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import FreezeError
from grsn_edge.neurons.base import (
    INT16_MAX,
    Array,
    Integers,
    Plan,
    Quantiser,
    Signal,
    exact,
    largest,
)

__all__ = ["BIAS_LIMIT", "WEIGHT_LIMIT", "coefficient_shift", "drive_integers", "drive_plan"]

WEIGHT_LIMIT = 127
"""Weights are symmetric int8."""
BIAS_LIMIT = 2**23
"""Largest bias in accumulator units; far above any useful one, far below int32."""

_FINE_ENOUGH = -2  # a drive at most four times too coarse costs fewer bits than a shift costs time


def drive_plan(
    weight: npt.NDArray[np.float64],
    keep: npt.NDArray[np.float64],
    x: Signal,
    reached: npt.NDArray[np.float64],
) -> Plan:
    """Units of a membrane that takes ``keep · (weight @ x)`` without requantisation.

    The unit of neuron ``i`` is the larger of what its range needs in int16 (``reached``, real,
    ``(size,)``) and what its largest weight needs in int8.  ``drive_exponent`` moves all drives
    of the layer by one power of two, where int8 products are far from the membrane's scale.
    """
    needed = reached / INT16_MAX
    finest = keep * largest(weight) * x.scale / WEIGHT_LIMIT
    exponent = int(np.clip(np.floor(np.median(np.log2(finest / needed))), -30, 10))
    exponent = 0 if _FINE_ENOUGH <= exponent <= 0 else exponent
    return {
        "drive_exponent": exact(exponent),
        "u_unit": np.maximum(needed, finest * 2.0**-exponent),
        "input_scale": exact(x.scale),
    }


def drive_integers(weight: Array, bias: Array, keep: Array, plan: Plan, q: Quantiser) -> Integers:
    """``drive.weight`` int8 and ``drive.bias``, in membrane units times 2^-``drive_exponent``."""
    unit = q.constant(plan["u_unit"] * 2.0 ** float(plan["drive_exponent"]), like=keep)
    scale = keep / unit
    w = weight * (scale * float(plan["input_scale"]))[:, None]
    return {
        "drive.weight": q.round(w, -WEIGHT_LIMIT, WEIGHT_LIMIT),
        "drive.bias": q.round(bias * scale, -BIAS_LIMIT, BIAS_LIMIT),
    }


def coefficient_shift(gain: npt.NDArray[np.float64]) -> int:
    """The finest Q format, at most Q15, in which every gain fits int16.

    Raises:
        FreezeError: a gain of 2048 or more; the current is far coarser than the membrane.
    """
    shift = int(min(15, np.floor(np.log2(INT16_MAX / max(float(np.max(gain)), 1e-9)))))
    if shift < 4:
        raise FreezeError(
            f"a current's gain of {float(np.max(gain)):.0f} membrane units leaves no precision; "
            "train with a smaller threshold or larger input weights"
        )
    return shift
