r"""Dense layer with ReLU: the int8 MLP that every spiking policy is compared with.

``y = ReLU(W x + b)``, no state.  Integers: int8 weights and activations with one scale per output
neuron, int32 accumulators, and one rounding: ``clip(shr(acc · m, s), 0, 127)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import FreezeError
from grsn_edge.neurons.base import (
    Array,
    Cell,
    Integers,
    Params,
    Plan,
    Quantiser,
    Record,
    Signal,
    SpikeFunction,
    States,
    exact,
    reach,
)
from grsn_edge.program import Builder, IntArray, Value

__all__ = ["Dense"]

_ACTIVATION_MAX = 127
_PRODUCT_MAX = 2**30  # accumulator times multiplier, with room for the rounding half


@dataclass(frozen=True)
class Dense(Cell):
    """Dense layer with ReLU; see the module's text."""

    kind: ClassVar[str] = "dense"
    summary: ClassVar[str] = "int8 dense layer with ReLU (MLP baseline), no state"

    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """Rows of neurons."""
        return {"weight": ("n", "x"), "bias": ("n",)}

    def init(self, rng: np.random.Generator) -> dict[str, npt.NDArray[np.float64]]:
        """He-normal weights, zero biases."""
        return {
            "weight": rng.normal(0.0, np.sqrt(2.0 / self.n_in), (self.size, self.n_in)),
            "bias": np.zeros(self.size),
        }

    def state_sizes(self) -> Mapping[str, int]:
        """None."""
        return {}

    def float_step(
        self, p: Params, x: Array, state: Mapping[str, Array], spike: SpikeFunction
    ) -> tuple[Array, States]:
        """``ReLU(W x + b)``."""
        return p["bias"].addmm(x, p["weight"].T).relu(), {}

    def plan(self, p: Params, x: Signal, record: Record) -> Plan:
        """Scales from the weights and from the largest activation of the roll-outs."""
        unit = reach(p["weight"], self.weight_limit) * x.scale / self.weight_limit
        out_scale = max(float(record.out.max(initial=0.0)), 1e-6) / _ACTIVATION_MAX
        # Twice the present bound, so that weights may still move while they are fine-tuned.
        sums = np.abs(p["weight"]).sum(axis=1) * x.magnitude * x.scale + np.abs(p["bias"])
        bound = 2.0 * (sums / unit) + x.magnitude * self.n_in
        ratio = unit / out_scale
        shift = int(np.clip(np.floor(np.log2(np.min(_PRODUCT_MAX / (bound * ratio)))), 0, 24))
        if shift < 4:
            raise FreezeError(
                f"dense: {self.n_in} inputs of up to {x.magnitude} leave no room to requantise "
                "in int32; use an int8 observation or fewer inputs"
            )
        return {
            "unit": unit,
            "out_scale": exact(out_scale),
            "input_scale": exact(x.scale),
            "shift": exact(shift),
            "limit": np.floor(_PRODUCT_MAX / np.maximum(np.rint(ratio * 2.0**shift), 1.0)),
        }

    def integers(self, p: Params, plan: Plan, q: Quantiser) -> Integers:
        """Weights, biases in accumulator units, multipliers Q``shift``."""
        unit = q.constant(plan["unit"], like=p["weight"])
        multiplier = plan["unit"] / plan["out_scale"] * 2.0 ** float(plan["shift"])
        weight = p["weight"] * (float(plan["input_scale"]) / unit)[:, None]
        return {
            "dot.weight": q.round(weight, -self.weight_limit, self.weight_limit),
            "dot.bias": q.round(p["bias"] / unit, -(2**23), 2**23),
            "multiplier.value": q.round(q.constant(multiplier, like=unit), 1, 2**24),
        }

    def output(self, plan: Plan) -> Signal:
        """Activations 0…127."""
        return Signal(float(plan["out_scale"]), 0, _ACTIVATION_MAX)

    def step(self, b: Builder, k: Mapping[str, IntArray], plan: Plan, x: Value) -> Value:
        """``clip(shr(acc · m, s), 0, 127)``."""
        acc = b.matvec(k["dot.weight"], x, k["dot.bias"], name="dot")
        limit = int(plan["limit"].min())
        scaled = acc.clip(-limit, limit) * b.const(k["multiplier.value"], name="multiplier")
        return scaled.shr(int(plan["shift"])).clip(0, _ACTIVATION_MAX)
