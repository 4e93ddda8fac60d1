r"""First-to-spike read-out: a race of membranes; the earliest spike is the action.

Within one environment step each action's membrane takes ``ticks`` small steps on the same input
(first-to-spike coding, arXiv 2404.17719; single spike times, arXiv 2003.11837)::

    u[k] = κ u[k-1] + (1 - κ)(W x + b)     membrane; u[0] is what the last step left
    f[k] = f[k-1] or [u[k] >= θ]           whether it has fired
    y    = sum of f[1 .. ticks] + min(max(u / 4 θ, -1/2), 1/2)

The sum is the number of ticks since the spike: the earliest spike has the greatest y.  Where
several neurons fire in the same tick, or none does, the higher membrane decides.  A neuron that
fired starts the next step at 0.

Integers: one unit for all actions, θ a power of two; κ is Q15 or a power of two.  A straight line
of operations has no early exit: every tick is paid for.

One action and step costs one addition per neuron below that fired, per tick 1 multiplication and
1 comparison, 2 bytes of state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import UsageError
from grsn_edge.neurons.base import (
    INT16_MAX,
    Array,
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
from grsn_edge.neurons.coefficients import LeakyCell, bounds, kept, leak_integers, leaky
from grsn_edge.neurons.membrane import BIAS_LIMIT, numbered
from grsn_edge.program import Builder, IntArray, Value

__all__ = ["FirstSpike"]

_TICK = 2**11  # of the output; a membrane adds at most half of it
_MOST_TICKS = 12


@dataclass(frozen=True)
class FirstSpike(LeakyCell):
    """First-to-spike read-out; see the module's equations.

    Args:
        ticks: small steps in one environment step.
        theta: threshold θ.
    """

    kind: ClassVar[str] = "first_spike"
    summary: ClassVar[str] = "first-to-spike read-out: the earliest spike is the action"

    ticks: int = 8
    theta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (2 <= self.ticks <= _MOST_TICKS and self.theta > 0):
            raise UsageError(f"first_spike: 2 to {_MOST_TICKS} ticks, theta is positive")

    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """Rows of actions."""
        return {"weight": ("n", "x"), "bias": ("n",), "leak": ("n",)}

    # ---- float half --------------------------------------------------------------------------

    def init(self, rng: np.random.Generator) -> dict[str, npt.NDArray[np.float64]]:
        """Small weights, so that no action is ahead; κ = 0.73."""
        spread = 0.1 * np.sqrt(2.0 / self.n_in)
        return {
            "weight": rng.normal(0.0, spread, (self.size, self.n_in)),
            "bias": np.full(self.size, 0.75 * self.theta),
            "leak": np.full(self.size, 1.0),
        }

    def state_sizes(self) -> Mapping[str, int]:
        """u."""
        return {"u": self.size}

    def float_step(
        self, p: Params, x: Array, state: Mapping[str, Array], spike: SpikeFunction
    ) -> tuple[Array, States]:
        """One step of the module's equations."""
        drive, kappa = p["bias"].addmm(x, p["weight"].T), self.beta(p)
        u, fired, since = state["u"], 0.0 * drive, 0.0 * drive
        for _ in range(self.ticks):
            u = drive + kappa * (u - drive)
            fired = (fired + spike(u - self.theta)).clamp(max=1.0)
            since = since + fired
        value = since + (u * (0.25 / self.theta)).clamp(-0.5, 0.5)
        return value, {"u": u * (1.0 - fired.detach())}

    # ---- from float to integers ----------------------------------------------------------------

    def plan(self, p: Params, x: Signal, record: Record) -> Plan:
        """One unit in which θ is a power of two and int16 holds twice the largest drive."""
        drive = record.x @ p["weight"].T + p["bias"]
        most = max(2.0 * float(np.abs(drive).max(initial=0.0)), 2.0 * self.theta)
        most *= self.headroom
        bits = int(np.clip(np.floor(np.log2(INT16_MAX * self.theta / most)), 9, 14))
        unit = self.theta * 2.0**-bits
        keep, shifts = self.keep_plan(p)
        layer = (p["weight"] * keep[:, None]).reshape(1, -1)
        finest = float(reach(layer, self.weight_limit)[0]) * x.scale / self.weight_limit
        exponent = int(np.clip(np.ceil(np.log2(max(finest, 1e-9) / unit)), -30, 10))
        return {
            "bits": exact(bits),
            "unit": exact(unit),
            "exponent": exact(exponent),
            "input_scale": exact(x.scale),
            **shifts,
        }

    def integers(self, p: Params, plan: Plan, q: Quantiser) -> Integers:
        """Weights, leaks."""
        limit = self.weight_limit
        gain = kept(p, plan, q) / (float(plan["unit"]) * 2.0 ** float(plan["exponent"]))
        weight = p["weight"] * (gain * float(plan["input_scale"]))[:, None]
        return {
            **leak_integers(p, plan, q),
            "drive.weight": q.round(weight, -limit, limit),
            "drive.bias": q.round(p["bias"] * gain, -BIAS_LIMIT, BIAS_LIMIT),
        }

    def output(self, plan: Plan) -> Signal:
        """Ticks since the first spike, and a fraction of the membrane."""
        half = _TICK // 2
        return Signal(1.0 / _TICK, -half, self.ticks * _TICK + half - 1)

    def spike_scales(self, plan: Plan) -> Mapping[str, npt.NDArray[np.float64]]:
        """The membrane's unit, at every tick."""
        names = (numbered("spike", i) for i in range(self.ticks))
        return dict.fromkeys(names, np.full(self.size, float(plan["unit"])))

    # ---- integer half --------------------------------------------------------------------------

    def step(self, b: Builder, k: Mapping[str, IntArray], plan: Plan, x: Value) -> Value:
        """The module's equations in integers."""
        bits = int(plan["bits"])
        lo, hi = bounds(plan)
        left = b.state("u", self.size, lo=lo, hi=hi)
        drive = b.matvec(k["drive.weight"], x, k["drive.bias"], name="drive")
        charge = drive.scale_by_power_of_two(int(plan["exponent"]))
        kappa = cache(lambda: b.const(k["leak.value"], name="leak"))
        theta = b.const(1 << bits, name="theta")
        u, fired, since = left, None, None
        for i in range(self.ticks):
            u = leaky(plan, u, charge, kappa).clip(lo, hi)
            spike = b.apply("ge", u, theta, name=numbered("spike", i))
            fired = spike if fired is None else (fired + spike).clip(0, 1)
            since = fired if since is None else since + fired
        assert fired is not None
        assert since is not None
        b.next(left, u * (1 - fired))
        finest = _TICK.bit_length() - 3  # u / 4 θ in units of a tick is u · 2^(finest - bits)
        part = u.scale_by_power_of_two(finest - bits).clip(-(_TICK // 2), _TICK // 2 - 1)
        return since * _TICK + part
