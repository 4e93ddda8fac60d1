"""Leaks in integers: Q15 factors, one per neuron, or one power of two per layer, which is a shift.

A leak is trained as the logit of β, and β acts as ``β v + (1 - β) drive``.  With ``pow2`` the part
``1 - β`` is one power of two for all neurons of the layer, 2^-k with k = 1 … 7, so β is 1/2, 3/4, …
127/128, and a step is ``v + shr(drive - v, k)``: no multiplication.  In floats a straight-through
projector gives every neuron the power of two nearest to the geometric mean of the layer's
``1 - β``; when a policy is frozen, k becomes part of the plan, and of the program.  Such a v takes
15 bits, so that differences stay in 16.

One k per layer, because a shift by as much as each neuron's own constant is slower than a
multiplication where a processor cannot shift by more than one place (AVR), and sorting the neurons
into groups costs more loops and copies than it saves (``docs/quantisation.md``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import UsageError
from grsn_edge.neurons.base import (
    INT16_MAX,
    Array,
    Cell,
    Integers,
    Params,
    Plan,
    Quantiser,
    exact,
)
from grsn_edge.program import Value

__all__ = [
    "Coefficients",
    "LeakyCell",
    "bounds",
    "kept",
    "leak_integers",
    "leak_slope",
    "leaks",
    "leaky",
]

Coefficients = Literal["q15", "pow2"]
"""How leaks are represented."""

_FASTEST, _SLOWEST = 1, 7  # k


@dataclass(frozen=True)
class LeakyCell(Cell):
    """A cell with a leak for each neuron, the parameter ``leak``.

    Args:
        coefficients: leaks in ``q15``, or one power of two for the layer, ``pow2``; by name only.
    """

    coefficients: Coefficients = field(default="q15", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.coefficients not in ("q15", "pow2"):
            raise UsageError(
                f"{self.kind}: coefficients are 'q15' or 'pow2', not '{self.coefficients}'"
            )

    def beta(self, p: Params) -> Array:
        """β as the float step uses it, a tensor ``(size,)``."""
        return leaks(p["leak"], self.coefficients)

    @property
    def headroom(self) -> float:
        """How much more than in int16 what leaks must leave free."""
        return 1.0 if self.coefficients == "q15" else 2.0

    def keep_plan(self, p: Params) -> tuple[npt.NDArray[np.float64], Plan]:
        """What the drive is multiplied with beforehand, ``(size,)``, and what the plan keeps.

        ``1 - β`` and nothing; or 1, because the shift comes behind the drive, and k.
        """
        keep = 1.0 - 1.0 / (1.0 + np.exp(-np.asarray(p["leak"], np.float64)))
        if self.coefficients == "q15":
            return keep, {}
        shift = float(np.clip(-np.rint(np.log2(keep).mean()), _FASTEST, _SLOWEST))
        return np.ones(keep.shape), {"leak_shift": exact(shift)}


# ---- in floats -----------------------------------------------------------------------------------


def leaks(leak: Array, coefficients: Coefficients) -> Array:
    """β of logits, tensors; the gradient passes straight through the projector."""
    beta = leak.sigmoid()
    if coefficients == "q15":
        return beta
    mean = (1.0 - beta.detach()).log2().mean().round().clamp(-_SLOWEST, -_FASTEST)
    return 1.0 - mean.exp2() + (beta - beta.detach())


def leak_slope(leak: Array) -> Array:
    """The derivative of β, that of the projected one included."""
    beta = leak.sigmoid()
    return beta * (1.0 - beta)


# ---- from float to integers ----------------------------------------------------------------------


def bounds(plan: Plan) -> tuple[int, int]:
    """Least and greatest integer of what leaks."""
    bits = 14 if "leak_shift" in plan else 15
    return -(1 << bits), (1 << bits) - 1


def kept(p: Params, plan: Plan, q: Quantiser) -> Array:
    """What the drive is multiplied with, as in :meth:`LeakyCell.keep_plan`."""
    beta = q.sigmoid(p["leak"])
    if "leak_shift" not in plan:
        return 1.0 - beta
    return q.constant(np.ones(beta.shape), like=beta)


def leak_integers(p: Params, plan: Plan, q: Quantiser) -> Integers:
    """``leak.value``, β in Q15; nothing where the leak is a shift."""
    if "leak_shift" in plan:
        return {}
    return {"leak.value": q.round(q.sigmoid(p["leak"]) * 2.0**15, 0, INT16_MAX)}


# ---- the integer step ----------------------------------------------------------------------------


def leaky(plan: Plan, v: Value, drive: Value, leak: Callable[[], Value]) -> Value:
    """``shr(β v, 15) + drive`` with the constant β from ``leak``, or ``v + shr(drive - v, k)``.

    The factor 1 makes the latter the convex combination whose range is proven to be that of its
    operands (``docs/SPEC.md`` §3).
    """
    if "leak_shift" not in plan:
        return (v * leak()).shr(15) + drive
    return v + ((drive - v) * 1).shr(int(plan["leak_shift"]))
