r"""Recurrent LIF: leaky integrate-and-fire neurons that see each other's last spikes.

With primes for the previous step::

    u  = β û' + (1 - β)(W x + V o' + b)   membrane, charged
    o  = [u >= θ]                         spike
    û  = u - θ o                          soft reset

The plainest recurrent spiking neuron: what GRSN (:mod:`grsn_edge.neurons.grsn`) adds gates to.
Its leaks may start heterogeneous (``beta_init``; arXiv 2407.06452, doi 10.1038/s41467-021-26022-3)
and are trained.

Integers: as in :mod:`grsn_edge.neurons.lif`; ``V o'`` is an addition of int8 columns of the neurons
that fired, moved by one power of two per layer.

One neuron and step costs ``n_in`` multiply-accumulates, one addition per neuron that fired, 1
multiplication, 3 bytes of state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
    ScanGradients,
    ScanTape,
    Signal,
    SpikeFunction,
    States,
    exact,
    membrane_range,
    reach,
)
from grsn_edge.neurons.coefficients import LeakyCell, bounds, kept, leak_integers, leak_slope, leaky
from grsn_edge.neurons.leaks import LeakInit, check_leak_init, initial_leaks
from grsn_edge.neurons.membrane import drive_integers, drive_plan
from grsn_edge.program import Builder, IntArray, Value

__all__ = ["Rlif"]


@dataclass(frozen=True)
class Rlif(LeakyCell):
    """Recurrent leaky integrate-and-fire neurons; see the module's equations.

    Args:
        theta: threshold θ, in the unit of the float membrane.
        beta_init: how the leaks β are drawn, ``uniform``, ``log`` or ``gamma``.
    """

    kind: ClassVar[str] = "rlif"
    summary: ClassVar[str] = "recurrent leaky integrate-and-fire neuron, without gates"

    theta: float = 0.5
    beta_init: LeakInit = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.theta > 0:
            raise UsageError("rlif: theta is positive")
        check_leak_init(self.kind, self.beta_init)

    @property
    def spikes(self) -> bool:
        """Always: the output is ``o``."""
        return True

    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """Rows of neurons; columns, too, of what they tell each other."""
        return {"w_in": ("n", "x"), "b_in": ("n",), "w_rec": ("n", "n"), "leak": ("n",)}

    # ---- float half --------------------------------------------------------------------------

    def init(self, rng: np.random.Generator) -> dict[str, npt.NDArray[np.float64]]:
        """Normal weights; leaks as ``beta_init`` says."""
        H = self.size
        return {
            "w_in": rng.normal(0.0, 2.0 / np.sqrt(self.n_in), (H, self.n_in)),
            "b_in": rng.uniform(-1.0, 1.0, H),
            "w_rec": rng.normal(0.0, 1.0 / np.sqrt(H), (H, H)),
            "leak": initial_leaks(rng, H, self.beta_init),
        }

    def state_sizes(self) -> Mapping[str, int]:
        """û and o."""
        return {"u": self.size, "o": self.size}

    def float_step(
        self, p: Params, x: Array, state: Mapping[str, Array], spike: SpikeFunction
    ) -> tuple[Array, States]:
        """One step of the module's equations."""
        drive = p["b_in"].addmm(x, p["w_in"].T) + state["o"] @ p["w_rec"].T
        u = drive + self.beta(p) * (state["u"] - drive)
        o = spike(u - self.theta)
        return o, {"u": u - self.theta * o.detach(), "o": o}

    def scan_backward(
        self,
        p: Params,
        tape: ScanTape,
        grad_out: Array,
        grad_final: Mapping[str, Array],
        surrogate: Callable[[Array], Array],
    ) -> ScanGradients | None:
        """Reverse of :meth:`float_step` over a sequence; what needs no order runs at once."""
        x, before, keep = tape.x, tape.before, tape.keep
        drive = x @ p["w_in"].T + p["b_in"] + before["o"] @ p["w_rec"].T
        beta = self.beta(p)
        slope = surrogate(drive + beta * (before["u"] - drive) - self.theta)
        rest, recurrent = beta * keep, (1.0 - beta)[:, None] * p["w_rec"]
        grad_u = x.new_empty(grad_out.shape)
        du, do = grad_final["u"], grad_final["o"]
        for t in range(x.shape[0] - 1, -1, -1):
            at_u = grad_u[t].copy_(du).addcmul_(do + grad_out[t], slope[t])
            du = at_u * rest[t]
            do = (at_u @ recurrent) * keep[t]
        grad_drive = grad_u * (1.0 - beta)
        flat = grad_drive.flatten(0, 1)
        leak = (grad_u * (before["u"] - drive)).sum((0, 1)) * leak_slope(p["leak"])
        params = {
            "w_in": flat.T @ x.flatten(0, 1),
            "b_in": flat.sum(0),
            "w_rec": flat.T @ before["o"].flatten(0, 1),
            "leak": leak,
        }
        return ScanGradients(grad_drive @ p["w_in"], params, {"u": du, "o": do})

    # ---- from float to integers ----------------------------------------------------------------

    def plan(self, p: Params, x: Signal, record: Record) -> Plan:
        """Scales from the weights and from the largest membrane of the roll-outs."""
        keep, shifts = self.keep_plan(p)
        u = record.after["u"]
        reached = membrane_range(self.theta, u, u + record.out * self.theta)
        reached *= self.headroom
        plan = shifts | drive_plan(p["w_in"], keep, x, reached, self.weight_limit)
        finest = keep * reach(p["w_rec"], self.weight_limit) / self.weight_limit
        exponent = np.ceil(np.log2(np.max(finest / plan["u_unit"])))
        return {**plan, "recurrent_exponent": exact(float(np.clip(exponent, -30, 8)))}

    def integers(self, p: Params, plan: Plan, q: Quantiser) -> Integers:
        """Weights, leaks, thresholds in membrane units."""
        keep, limit = kept(p, plan, q), self.weight_limit
        unit = q.constant(plan["u_unit"], like=keep)
        recurrent = keep * 2.0 ** -float(plan["recurrent_exponent"]) / unit
        return {
            **leak_integers(p, plan, q),
            "theta.value": q.round(self.theta / unit, 1, INT16_MAX),
            "recurrent.weight": q.round(p["w_rec"] * recurrent[:, None], -limit, limit),
            **drive_integers(p["w_in"], p["b_in"], keep, plan, q, limit),
        }

    def output(self, plan: Plan) -> Signal:
        """Spikes."""
        return Signal.spikes()

    def spike_scales(self, plan: Plan) -> Mapping[str, npt.NDArray[np.float64]]:
        """The membrane's unit."""
        return {"spike": plan["u_unit"]}

    # ---- integer half --------------------------------------------------------------------------

    def step(self, b: Builder, k: Mapping[str, IntArray], plan: Plan, x: Value) -> Value:
        """The module's equations in integers."""
        lo, hi = bounds(plan)
        u = b.state("u", self.size, lo=lo, hi=hi)
        fired = b.state("o", self.size, lo=0, hi=1)
        drive = b.matvec(k["drive.weight"], x, k["drive.bias"], name="drive")
        charge = drive.scale_by_power_of_two(int(plan["drive_exponent"]))
        recurrent = b.matvec(k["recurrent.weight"], fired, name="recurrent")
        charge = charge + recurrent.scale_by_power_of_two(int(plan["recurrent_exponent"]))
        u_now = leaky(plan, u, charge, lambda: b.const(k["leak.value"], name="leak")).clip(lo, hi)
        theta = b.const(k["theta.value"], name="theta")
        o = b.apply("ge", u_now, theta, name="spike")
        b.next(u, u_now - theta * o)
        b.next(fired, o)
        return o
