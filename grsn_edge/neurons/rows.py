"""What the gated and dense cells share: rows of ``W x + U h + b``, requantised, and tables.

A row ``i`` of a sum over several operands counts in one unit ``unit[i]``: int8 weights with one
scale per row, int32 sums, and then one multiplier per row to whatever the next operation takes.
The multipliers belong to the plan, so that fine-tuning moves weights under fixed proofs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
from grsn_edge.neurons.membrane import BIAS_LIMIT, WEIGHT_LIMIT
from grsn_edge.program import Builder, IntArray, Value

__all__ = ["Rows", "Table", "requantise", "requantise_plan", "span"]

Floats = npt.NDArray[np.float64]

_SPREAD = 16.0  # a row with smaller weights shares a coarser unit: multipliers keep their precision
_PRODUCT_MAX = 2**30  # sum times multiplier, with room for the rounding half
_SUM_MAX = 2**19  # a sum worth multiplying; finer ones are shifted down first


@dataclass(frozen=True)
class Rows:
    """Rows ``sum over j of W_j x_j + b``, all in one unit per row.

    Args:
        names: of the ``matvec`` of each operand ``x_j``; the first one holds the bias.
    """

    names: tuple[str, ...]

    def plan(
        self,
        bias: Array,
        weights: Sequence[Array],
        signals: Sequence[Signal],
        limit: int = WEIGHT_LIMIT,
    ) -> Plan:
        """Units from the weights; operands far finer or coarser than the first get an exponent."""
        finest = [reach(w, limit) * s.scale / limit for w, s in zip(weights, signals, strict=True)]
        distance = [float(np.median(np.log2(unit / finest[0]))) for unit in finest]
        exponents = [
            0.0 if abs(d) <= 2.0 else float(np.clip(np.rint(d), -30, 10)) for d in distance
        ]
        unit = np.max([u * 2.0**-e for u, e in zip(finest, exponents, strict=True)], axis=0)
        unit = np.maximum(unit, unit.max() / _SPREAD)
        unit = np.maximum(unit, np.abs(bias).max() / (0.5 * BIAS_LIMIT))
        return {
            f"{self.names[0]}.unit": unit,
            f"{self.names[0]}.exponents": np.asarray(exponents),
            f"{self.names[0]}.scales": np.asarray([s.scale for s in signals]),
        }

    def unit(self, plan: Plan) -> Floats:
        """Real value of one unit of each row's sum."""
        return plan[f"{self.names[0]}.unit"]

    def integers(
        self,
        bias: Array,
        weights: Sequence[Array],
        plan: Plan,
        q: Quantiser,
        limit: int = WEIGHT_LIMIT,
    ) -> Integers:
        """Weights in ±``limit`` and the bias."""
        unit = q.constant(self.unit(plan), like=bias)
        k = {f"{self.names[0]}.bias": q.round(bias / unit, -BIAS_LIMIT, BIAS_LIMIT)}
        coarseness = plan[f"{self.names[0]}.scales"] * 2.0 ** -plan[f"{self.names[0]}.exponents"]
        for name, weight, scale in zip(self.names, weights, coarseness, strict=True):
            rows = weight * (float(scale) / unit)[:, None]
            k[f"{name}.weight"] = q.round(rows, -limit, limit)
        return k

    def step(
        self, b: Builder, k: Mapping[str, IntArray], plan: Plan, operands: Sequence[Value]
    ) -> Value:
        """The sums, int32."""
        total: Value | None = None
        exponents = plan[f"{self.names[0]}.exponents"]
        for name, x, exponent in zip(self.names, operands, exponents, strict=True):
            part = b.matvec(k[f"{name}.weight"], x, k.get(f"{name}.bias"), name=name)
            part = part.scale_by_power_of_two(int(exponent))
            total = part if total is None else total + part
        assert total is not None
        return total


def requantise_plan(name: str, unit: Floats, out_unit: Floats | float, out_limit: int) -> Plan:
    """Multipliers that bring sums in ``unit`` to ``out_unit``; results saturate at ``out_limit``.

    Args:
        name: prefix of the plan's keys.
        unit: of the sums, ``(rows,)``.
        out_unit: of the results, ``(rows,)`` or one for all.
        out_limit: no result beyond it is needed.
    """
    ratio = unit / out_unit
    bound = out_limit / ratio.min()
    down = max(0, int(np.ceil(np.log2(bound / _SUM_MAX))))
    ratio, bound = ratio * 2.0**down, bound * 2.0**-down
    shift = int(np.clip(np.floor(np.log2(_PRODUCT_MAX / (bound * ratio.max()))), 1, 24))
    multiplier = np.maximum(np.rint(ratio * 2.0**shift), 1.0)
    return {
        f"{name}.multiplier": multiplier,
        f"{name}.down": exact(down),
        f"{name}.shift": exact(shift),
        f"{name}.limit": exact(np.floor(_PRODUCT_MAX / multiplier.max())),
    }


def requantise(b: Builder, plan: Plan, name: str, total: Value) -> Value:
    """``shr(clip(shr(total, down)) · multiplier, shift)``."""
    limit = int(plan[f"{name}.limit"])
    multiplier = b.const(plan[f"{name}.multiplier"].astype(np.int64), name=f"{name}_multiplier")
    bounded = total.shr(int(plan[f"{name}.down"])).clip(-limit, limit)
    return (bounded * multiplier).shr(int(plan[f"{name}.shift"]))


@dataclass(frozen=True)
class Table:
    """A function of one number as 256 int16 entries, ``index · step`` apart.

    Args:
        function: what it holds.
        full: the integer that means 1.
    """

    function: Callable[[Floats], Floats]
    full: float

    def entries(self, step: float) -> IntArray:
        """``full · function(index · step)``, rounded, within ±(2^15 - 1)."""
        values = self.full * self.function(np.arange(-128.0, 128.0) * step)
        return np.asarray(np.clip(np.rint(values), -INT16_MAX, INT16_MAX), dtype=np.int64)

    def look_up(self, b: Builder, index: Value, step: float, name: str) -> Value:
        """The entry of an index, which saturates at the table's ends."""
        return b.lut(index.clip(-128, 127), self.entries(step), name=name)


def span(reached: Floats, most: float) -> float:
    """Half the width of a table: a quarter more than the roll-outs reached, 1 to ``most``."""
    return float(np.clip(1.25 * np.abs(reached).max(initial=0.0), 1.0, most))


def sigmoid(x: Floats) -> Floats:
    """Logistic function."""
    return np.asarray(1.0 / (1.0 + np.exp(-x)), dtype=np.float64)
