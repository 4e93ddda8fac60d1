r"""Read-out: a leaky integrator per action, fed by the layer below.

``v = κ v' + (1 - κ)(W x + b)``, one learnable κ per action; without ``leaky``, ``v = W x + b``.
Fed by spikes, the product is again an addition of weight columns.

Integers: all actions count in one unit, so that they compare; κ is Q15 or a power of
two; the weights, already times ``1 - κ``, are integers times one power of two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from grsn_edge.neurons.base import (
    INT16_MAX,
    Array,
    Integers,
    Params,
    Plan,
    Quantiser,
    Record,
    ScanGradients,
    ScanTape,
    Signal,
    SpikeFunction,
    States,
    exact,
    reach,
)
from grsn_edge.neurons.coefficients import LeakyCell, bounds, kept, leak_integers, leak_slope, leaky
from grsn_edge.neurons.membrane import BIAS_LIMIT
from grsn_edge.program import Builder, IntArray, Value

__all__ = ["Readout"]


@dataclass(frozen=True)
class Readout(LeakyCell):
    """Leaky-integrator read-out; see the module's text.

    Args:
        leaky: whether values are integrated over time; False reads the layer directly.
    """

    kind: ClassVar[str] = "readout"
    summary: ClassVar[str] = "leaky-integrator read-out, one value per action"

    leaky: bool = True

    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """Rows of actions."""
        found = {"weight": ("n", "x"), "bias": ("n",)}
        return found | ({"leak": ("n",)} if self.leaky else {})

    def init(self, rng: np.random.Generator) -> dict[str, npt.NDArray[np.float64]]:
        """Small weights, so that the first policy is near uniform; κ = 0.27."""
        spread = 0.1 * np.sqrt(2.0 / self.n_in)
        params = {
            "weight": rng.normal(0.0, spread, (self.size, self.n_in)),
            "bias": np.zeros(self.size),
        }
        return params | ({"leak": np.full(self.size, -1.0)} if self.leaky else {})

    def state_sizes(self) -> Mapping[str, int]:
        """v, where it is leaky."""
        return {"v": self.size} if self.leaky else {}

    def float_step(
        self, p: Params, x: Array, state: Mapping[str, Array], spike: SpikeFunction
    ) -> tuple[Array, States]:
        """One step of the module's equation."""
        drive = p["bias"].addmm(x, p["weight"].T)
        if not self.leaky:
            return drive, {}
        v = drive + self.beta(p) * (state["v"] - drive)
        return v, {"v": v}

    def scan_backward(
        self,
        p: Params,
        tape: ScanTape,
        grad_out: Array,
        grad_final: Mapping[str, Array],
        surrogate: Callable[[Array], Array],
    ) -> ScanGradients | None:
        """Reverse of :meth:`float_step` over a sequence."""
        x, grad_v = tape.x, grad_out.clone()
        grad_drive, params, state = grad_v, {}, {}
        if self.leaky:
            kappa, after = self.beta(p), grad_final["v"]
            for t in range(x.shape[0] - 1, -1, -1):
                grad_v[t] += after
                after = grad_v[t] * kappa * tape.keep[t]
            drive = x @ p["weight"].T + p["bias"]
            slope = leak_slope(p["leak"])
            params["leak"] = (grad_v * (tape.before["v"] - drive)).sum((0, 1)) * slope
            grad_drive, state["v"] = grad_v * (1.0 - kappa), after
        flat = grad_drive.flatten(0, 1)
        params |= {"weight": flat.T @ x.flatten(0, 1), "bias": flat.sum(0)}
        return ScanGradients(grad_drive @ p["weight"], params, state)

    def plan(self, p: Params, x: Signal, record: Record) -> Plan:
        """One unit for all actions, from the largest weight and the largest recorded value."""
        keep, shifts = self.keep_plan(p) if self.leaky else (np.ones(self.size), {})
        layer = (p["weight"] * keep[:, None]).reshape(1, -1)
        finest = float(reach(layer, self.weight_limit)[0]) * x.scale / self.weight_limit
        needed = max(2.0 * float(np.abs(record.out).max(initial=0.0)), 1.0) / INT16_MAX
        needed *= self.headroom if self.leaky else 1.0
        exponent = int(np.clip(np.floor(np.log2(max(finest, 1e-9) / needed)), -30, 10))
        unit = max(needed, finest * 2.0**-exponent)
        return {
            "exponent": exact(exponent),
            "unit": exact(unit),
            "input_scale": exact(x.scale),
            **shifts,
        }

    def integers(self, p: Params, plan: Plan, q: Quantiser) -> Integers:
        """Weights, leaks."""
        unit = float(plan["unit"]) * 2.0 ** float(plan["exponent"])
        scale, weight, bias = float(plan["input_scale"]) / unit, p["weight"], p["bias"]
        k: Integers = {}
        if self.leaky:
            keep = kept(p, plan, q)
            weight, bias = weight * keep[:, None], bias * keep
            k |= leak_integers(p, plan, q)
        k["drive.weight"] = q.round(weight * scale, -self.weight_limit, self.weight_limit)
        k["drive.bias"] = q.round(bias / unit, -BIAS_LIMIT, BIAS_LIMIT)
        return k

    def output(self, plan: Plan) -> Signal:
        """Values in int16."""
        return Signal(float(plan["unit"]), *bounds(plan))

    def step(self, b: Builder, k: Mapping[str, IntArray], plan: Plan, x: Value) -> Value:
        """``v = clip(κ v' + drive)``."""
        drive = b.matvec(k["drive.weight"], x, k["drive.bias"], name="drive")
        value = drive.scale_by_power_of_two(int(plan["exponent"]))
        if not self.leaky:
            return value.clip(-(2**15), INT16_MAX)
        lo, hi = bounds(plan)
        v = b.state("v", self.size, lo=lo, hi=hi)
        v_now = leaky(plan, v, value, lambda: b.const(k["leak.value"], name="leak")).clip(lo, hi)
        b.next(v, v_now)
        return v_now
