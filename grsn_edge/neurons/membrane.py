"""What the leaky cells share: drive in membrane units, format of coefficients, inner steps."""

from __future__ import annotations

from collections.abc import Sequence

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
    reach,
)

__all__ = [
    "BIAS_LIMIT",
    "MOST_INNER_STEPS",
    "WEIGHT_LIMIT",
    "coefficient_shift",
    "drive_integers",
    "drive_plan",
    "mean_of",
    "numbered",
    "rate",
]

WEIGHT_LIMIT = 127
"""Of weights of 8 bits, which are symmetric."""
BIAS_LIMIT = 2**23
"""Largest bias in accumulator units; far above any useful one, far below int32."""
MOST_INNER_STEPS = 16
"""Neuron steps in one environment step; each is unrolled in the program."""

_FINE_ENOUGH = -2  # a drive at most four times too coarse costs fewer bits than a shift costs time


def drive_plan(
    weight: npt.NDArray[np.float64],
    keep: npt.NDArray[np.float64],
    x: Signal,
    reached: npt.NDArray[np.float64],
    limit: int = WEIGHT_LIMIT,
) -> Plan:
    """Units of a membrane that takes ``keep · (weight @ x)`` without requantisation.

    The unit of neuron ``i`` is the larger of what its range needs in int16 (``reached``, real,
    ``(size,)``) and what its largest weight needs in ±``limit``.  ``drive_exponent`` moves all
    drives of the layer by one power of two, where the products are far from the membrane's scale.
    """
    needed = reached / INT16_MAX
    finest = keep * reach(weight, limit) * x.scale / limit
    exponent = int(np.clip(np.floor(np.median(np.log2(finest / needed))), -30, 10))
    exponent = 0 if _FINE_ENOUGH <= exponent <= 0 else exponent
    return {
        "drive_exponent": exact(exponent),
        "u_unit": np.maximum(needed, finest * 2.0**-exponent),
        "input_scale": exact(x.scale),
    }


def drive_integers(
    weight: Array,
    bias: Array,
    keep: Array,
    plan: Plan,
    q: Quantiser,
    limit: int = WEIGHT_LIMIT,
) -> Integers:
    """``drive.weight`` in ±``limit``, ``drive.bias``: in 2^``drive_exponent`` membrane units."""
    unit = q.constant(plan["u_unit"] * 2.0 ** float(plan["drive_exponent"]), like=keep)
    scale = keep / unit
    w = weight * (scale * float(plan["input_scale"]))[:, None]
    return {
        "drive.weight": q.round(w, -limit, limit),
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


def rate(inner_steps: int) -> Signal:
    """The output of a neuron that steps so often: its spikes counted, each 1 / ``inner_steps``."""
    return Signal(1.0 / inner_steps, 0, inner_steps)


def mean_of(spikes: Sequence[Array]) -> Array:
    """The mean of the spikes of all inner steps; of one step, its spikes themselves."""
    return spikes[0] if len(spikes) == 1 else sum(spikes) / len(spikes)


def numbered(name: str, step: int) -> str:
    """The name of a value of inner step 0, 1, …; the first keeps its own."""
    return name if step == 0 else f"{name}_{step + 1}"
