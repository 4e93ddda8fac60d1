r"""LIF, the leaky integrate-and-fire neuron: the baseline without gates.

With primes for the previous step::

    u  = β û' + (1 - β)(W x + b)     membrane, charged
    o  = [u >= θ]                    spike
    û  = u - θ o   or   u (1 - o)    soft reset, or hard reset to 0

One step is one environment step (temporal alignment paradigm).  With ``inner_steps`` > 1, the
comparison without it, the neuron takes that many steps on the same input, and its output is the
mean of their spikes (rate coding).

Integers: as in :mod:`grsn_edge.neurons.grsn`: the membrane's unit is the one in which ``W x`` needs
no requantisation; β is Q15 or a power of two.  Inner steps are unrolled; their spikes are counted.

One neuron and step costs ``n_in`` multiply-accumulates (additions where the input is spikes), and
per inner step 1 multiplication, 2 bytes of state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import ClassVar, Literal

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
    membrane_range,
)
from grsn_edge.neurons.coefficients import LeakyCell, bounds, kept, leak_integers, leaky
from grsn_edge.neurons.leaks import LeakInit, check_leak_init, initial_leaks
from grsn_edge.neurons.membrane import (
    MOST_INNER_STEPS,
    drive_integers,
    drive_plan,
    mean_of,
    numbered,
    rate,
)
from grsn_edge.program import Builder, IntArray, Value

__all__ = ["Lif"]


@dataclass(frozen=True)
class Lif(LeakyCell):
    """Leaky integrate-and-fire neurons; see the module's equations.

    Args:
        reset: ``soft`` subtracts the threshold, ``hard`` sets the membrane to 0.
        theta: threshold θ, in the unit of the float membrane.
        beta_init: how the leaks β are drawn, ``uniform``, ``log`` or ``gamma``.
        inner_steps: neuron steps in one environment step; above 1 the output is their mean.
    """

    kind: ClassVar[str] = "lif"
    summary: ClassVar[str] = "leaky integrate-and-fire neuron, the baseline without gates"

    reset: Literal["soft", "hard"] = "soft"
    theta: float = 0.5
    beta_init: LeakInit = "uniform"
    inner_steps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reset not in ("soft", "hard") or not self.theta > 0:
            raise UsageError("lif: reset is 'soft' or 'hard', theta is positive")
        check_leak_init(self.kind, self.beta_init)
        if not 1 <= self.inner_steps <= MOST_INNER_STEPS:
            raise UsageError(f"lif: 1 to {MOST_INNER_STEPS} inner steps, not {self.inner_steps}")

    @property
    def spikes(self) -> bool:
        """Always: the output is ``o``, or the mean of several."""
        return True

    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """Rows of neurons."""
        return {"w_in": ("n", "x"), "b_in": ("n",), "leak": ("n",)}

    def init(self, rng: np.random.Generator) -> dict[str, npt.NDArray[np.float64]]:
        """Normal weights; leaks as ``beta_init`` says."""
        leak = initial_leaks(rng, self.size, self.beta_init)
        return {
            "w_in": rng.normal(0.0, 2.0 / np.sqrt(self.n_in), (self.size, self.n_in)),
            "b_in": rng.uniform(-1.0, 1.0, self.size),
            "leak": leak,
        }

    def state_sizes(self) -> Mapping[str, int]:
        """û."""
        return {"u": self.size}

    def float_step(
        self, p: Params, x: Array, state: Mapping[str, Array], spike: SpikeFunction
    ) -> tuple[Array, States]:
        """One step of the module's equations."""
        drive = p["b_in"].addmm(x, p["w_in"].T)
        beta, rest, spikes = self.beta(p), state["u"], []
        for _ in range(self.inner_steps):
            u = drive + beta * (rest - drive)
            o = spike(u - self.theta)
            fired = o.detach()
            rest = u - self.theta * fired if self.reset == "soft" else u * (1.0 - fired)
            spikes.append(o)
        return mean_of(spikes), {"u": rest}

    def plan(self, p: Params, x: Signal, record: Record) -> Plan:
        """Scales from the weights and from the largest membrane of the roll-outs."""
        keep, shifts = self.keep_plan(p)
        u = record.after["u"]
        reached = membrane_range(self.theta, u, u + (record.out > 0) * self.theta)
        reached *= self.headroom
        return shifts | drive_plan(p["w_in"], keep, x, reached, self.weight_limit)

    def integers(self, p: Params, plan: Plan, q: Quantiser) -> Integers:
        """Weights, leaks, thresholds in membrane units."""
        keep = kept(p, plan, q)
        unit = q.constant(plan["u_unit"], like=keep)
        return {
            **leak_integers(p, plan, q),
            "theta.value": q.round(self.theta / unit, 1, INT16_MAX),
            **drive_integers(p["w_in"], p["b_in"], keep, plan, q, self.weight_limit),
        }

    def output(self, plan: Plan) -> Signal:
        """Spikes, or a count of them."""
        return rate(self.inner_steps)

    def spike_scales(self, plan: Plan) -> Mapping[str, npt.NDArray[np.float64]]:
        """The membrane's unit."""
        names = (numbered("spike", i) for i in range(self.inner_steps))
        return dict.fromkeys(names, plan["u_unit"])

    def step(self, b: Builder, k: Mapping[str, IntArray], plan: Plan, x: Value) -> Value:
        """The module's equations in integers."""
        lo, hi = bounds(plan)
        u = b.state("u", self.size, lo=lo, hi=hi)
        drive = b.matvec(k["drive.weight"], x, k["drive.bias"], name="drive")
        charge = drive.scale_by_power_of_two(int(plan["drive_exponent"]))
        constant = cache(lambda name: b.const(k[f"{name}.value"], name=name))
        rest, count = u, None
        for i in range(self.inner_steps):
            u_now = leaky(plan, rest, charge, partial(constant, "leak")).clip(lo, hi)
            o = b.apply("ge", u_now, constant("theta"), name=numbered("spike", i))
            rest = u_now - constant("theta") * o if self.reset == "soft" else u_now * (1 - o)
            count = o if count is None else count + o
        assert count is not None
        b.next(u, rest)
        return count
