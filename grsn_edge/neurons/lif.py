r"""LIF, the leaky integrate-and-fire neuron: the baseline without gates.

With primes for the previous step::

    u  = β û' + (1 - β)(W x + b)     membrane, charged
    o  = [u >= θ]                    spike
    û  = u - θ o   or   u (1 - o)    soft reset, or hard reset to 0

Integers: as in :mod:`grsn_edge.neurons.grsn`: the membrane's unit is the one in which ``W x`` needs
no requantisation; β is Q15.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

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
    Record,
    Signal,
    SpikeFunction,
    States,
    membrane_range,
)
from grsn_edge.neurons.membrane import drive_integers, drive_plan
from grsn_edge.program import Builder, IntArray, Value

__all__ = ["Lif"]


@dataclass(frozen=True)
class Lif(Cell):
    """Leaky integrate-and-fire neurons; see the module's equations.

    Args:
        reset: ``soft`` subtracts the threshold, ``hard`` sets the membrane to 0.
        theta: threshold θ, in the unit of the float membrane.
    """

    kind: ClassVar[str] = "lif"
    summary: ClassVar[str] = "leaky integrate-and-fire neuron, the baseline without gates"

    reset: Literal["soft", "hard"] = "soft"
    theta: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reset not in ("soft", "hard") or not self.theta > 0:
            raise UsageError("lif: reset is 'soft' or 'hard', theta is positive")

    @property
    def spikes(self) -> bool:
        """Always: the output is ``o``."""
        return True

    def init(self, rng: np.random.Generator) -> dict[str, npt.NDArray[np.float64]]:
        """Normal weights; leaks β spread over 0.1…0.9."""
        beta = rng.uniform(0.1, 0.9, self.size)
        return {
            "w_in": rng.normal(0.0, 2.0 / np.sqrt(self.n_in), (self.size, self.n_in)),
            "b_in": rng.uniform(-1.0, 1.0, self.size),
            "leak": np.log(beta / (1.0 - beta)),
        }

    def state_sizes(self) -> Mapping[str, int]:
        """û."""
        return {"u": self.size}

    def float_step(
        self, p: Params, x: Array, state: Mapping[str, Array], spike: SpikeFunction
    ) -> tuple[Array, States]:
        """One step of the module's equations."""
        drive = p["b_in"].addmm(x, p["w_in"].T)
        u = drive + p["leak"].sigmoid() * (state["u"] - drive)
        o = spike(u - self.theta)
        fired = o.detach()
        return o, {"u": u - self.theta * fired if self.reset == "soft" else u * (1.0 - fired)}

    def plan(self, p: Params, x: Signal, record: Record) -> Plan:
        """Scales from the weights and from the largest membrane of the roll-outs."""
        keep = 1.0 - 1.0 / (1.0 + np.exp(-p["leak"]))
        u = record.after["u"]
        reached = membrane_range(self.theta, u, u + record.out * self.theta)
        return drive_plan(p["w_in"], keep, x, reached)

    def integers(self, p: Params, plan: Plan, q: Quantiser) -> Integers:
        """Weights int8, leaks Q15, thresholds in membrane units."""
        beta = q.sigmoid(p["leak"])
        unit = q.constant(plan["u_unit"], like=beta)
        return {
            "leak.value": q.round(beta * 2.0**15, 0, INT16_MAX),
            "theta.value": q.round(self.theta / unit, 1, INT16_MAX),
            **drive_integers(p["w_in"], p["b_in"], 1.0 - beta, plan, q),
        }

    def output(self, plan: Plan) -> Signal:
        """Spikes."""
        return Signal.spikes()

    def spike_scales(self, plan: Plan) -> Mapping[str, npt.NDArray[np.float64]]:
        """The membrane's unit."""
        return {"spike": plan["u_unit"]}

    def step(self, b: Builder, k: Mapping[str, IntArray], plan: Plan, x: Value) -> Value:
        """The module's equations in integers."""
        u = b.state("u", self.size, lo=-(2**15), hi=INT16_MAX)
        drive = b.matvec(k["drive.weight"], x, k["drive.bias"], name="drive")
        charge = drive.scale_by_power_of_two(int(plan["drive_exponent"]))
        beta = b.const(k["leak.value"], name="leak")
        u_now = ((u * beta).shr(15) + charge).clip(-(2**15), INT16_MAX)
        theta = b.const(k["theta.value"], name="theta")
        o = b.apply("ge", u_now, theta, name="spike")
        b.next(u, u_now - theta * o if self.reset == "soft" else u_now * (1 - o))
        return o
