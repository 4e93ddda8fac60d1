"""Leaks in integers: Q15 factors, or powers of two, which are shifts.

A leak is trained as the logit of β, and β acts as ``β v + (1 - β) drive``.  With ``pow2`` the part
``1 - β`` is a power of two, 2^-k with k = 0 … 7, so β is 0, 1/2, 3/4, … 127/128, and ``β v`` is
``v - shr(v, k)``: no multiplication.  In floats a straight-through projector rounds ``1 - β``; when
a policy is frozen, each k becomes part of the plan.

Neurons with equal k that stand side by side are shifted together; :func:`leak_order` sorts them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import UsageError
from grsn_edge.neurons.base import INT16_MAX, Array, Integers, Params, Plan, Quantiser
from grsn_edge.neurons.quantise import NumpyQuantiser, power_of_two
from grsn_edge.program import Builder, IntArray, Value

__all__ = [
    "Coefficients",
    "check_coefficients",
    "decayed",
    "keep_plan",
    "kept",
    "leak_integers",
    "leak_order",
    "leak_slope",
    "leaks",
]

Coefficients = Literal["q15", "pow2"]
"""How leaks are represented."""

_LEAST, _MOST = -7, 0  # exponents of 1 - β


def check_coefficients(kind: str, coefficients: str) -> None:
    """Raise :class:`UsageError` where it is none of :data:`Coefficients`."""
    if coefficients not in ("q15", "pow2"):
        raise UsageError(f"{kind}: coefficients are 'q15' or 'pow2', not '{coefficients}'")


# ---- in floats -----------------------------------------------------------------------------------


def leaks(leak: Array, coefficients: Coefficients) -> Array:
    """β of logits, tensors; the gradient passes straight through the rounding."""
    beta = leak.sigmoid()
    return beta if coefficients == "q15" else 1.0 - power_of_two(1.0 - beta, _LEAST, _MOST)


def leak_slope(leak: Array) -> Array:
    """The derivative of β, that of the projected one included."""
    beta = leak.sigmoid()
    return beta * (1.0 - beta)


# ---- from float to integers ----------------------------------------------------------------------


def keep_plan(p: Params, coefficients: Coefficients) -> tuple[npt.NDArray[np.float64], Plan]:
    """``1 - β`` of NumPy parameters, and the exponents to keep in the plan, if any."""
    keep = 1.0 - 1.0 / (1.0 + np.exp(-np.asarray(p["leak"], np.float64)))
    if coefficients == "q15":
        return keep, {}
    keep = NumpyQuantiser().power_of_two(keep, _LEAST, _MOST)
    return keep, {"leak_shift": -np.log2(keep)}


def leak_order(p: Params, coefficients: Coefficients) -> IntArray | None:
    """The order of the neurons that puts equal shifts side by side; None: as they are."""
    shifts = keep_plan(p, coefficients)[1].get("leak_shift")
    return None if shifts is None else np.asarray(np.argsort(shifts, kind="stable"), np.int64)


def kept(p: Params, plan: Plan, q: Quantiser) -> Array:
    """``1 - β`` as the integers will have it: trained, or the plan's powers of two."""
    if "leak_shift" in plan:
        return q.constant(2.0 ** -plan["leak_shift"], like=p["leak"])
    return 1.0 - q.sigmoid(p["leak"])


def leak_integers(p: Params, plan: Plan, q: Quantiser) -> Integers:
    """``leak.value``, β in Q15; nothing where leaks are shifts."""
    if "leak_shift" in plan:
        return {}
    return {"leak.value": q.round(q.sigmoid(p["leak"]) * 2.0**15, 0, INT16_MAX)}


# ---- the integer step ----------------------------------------------------------------------------


def decayed(b: Builder, plan: Plan, v: Value, leak: Callable[[], Value]) -> Value:
    """``shr(β v, 15)`` with the constant β from ``leak``, or ``v - shr(v, k)``."""
    if "leak_shift" not in plan:
        return (v * leak()).shr(15)
    return v - _shifted(b, v, plan["leak_shift"].astype(np.int64))


def _shifted(b: Builder, v: Value, shifts: IntArray) -> Value:
    """``shr(v[i], shifts[i])``: one shift for each run of equal ones."""
    cuts = [0, *(np.flatnonzero(np.diff(shifts)) + 1).tolist(), shifts.size]
    runs = [(v if len(cuts) == 2 else v[i:j]).shr(int(shifts[i])) for i, j in pairwise(cuts)]
    return runs[0] if len(runs) == 1 else b.concat(*runs)
