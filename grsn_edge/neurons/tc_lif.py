r"""TC-LIF, the two-compartment spiking neuron (arXiv 2307.07231, AAAI 2024).

With primes for the previous step; the soma takes the dendrite of the same step::

    d  = d̂' - σ(a_1) ŝ' + W x + V o' + b   dendrite
    s  = ŝ' + σ(a_2) d                     soma
    o  = [s >= θ]                          spike
    ŝ  = s - θ o,  d̂ = d - γ o             soft reset of both

There is no leak: the two compartments swing around each other, and that is the memory.  a_1 and
a_2 are trained: two numbers per layer, as in the paper, or two per neuron, so that the layer holds
many periods.  ``V o'`` is the paper's recurrent variant.

Integers: both compartments of neuron ``i`` count in one unit, chosen as a LIF membrane's, and
saturate at int16; nothing else bounds them.  The couplings are Q15.

One neuron and step costs ``n_in`` multiply-accumulates, one addition per neuron that fired where
recurrent, 2 multiplications, 4 to 5 bytes of state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

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
    exact,
    membrane_range,
    reach,
)
from grsn_edge.neurons.membrane import drive_integers, drive_plan
from grsn_edge.program import Builder, IntArray, Value

__all__ = ["TcLif"]


@dataclass(frozen=True)
class TcLif(Cell):
    """Two-compartment leaky integrate-and-fire neurons; see the module's equations.

    Args:
        recurrent: whether the dendrites see the layer's last spikes.
        shared: whether all neurons of the layer have the same a_1 and a_2.
        theta: threshold θ of the soma.
        gamma: what a spike takes from the dendrite.
    """

    kind: ClassVar[str] = "tc_lif"
    summary: ClassVar[str] = "two-compartment neuron: dendrite and soma, no leak"

    recurrent: bool = True
    shared: bool = True
    theta: float = 1.0
    gamma: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.theta > 0 and self.gamma >= 0):
            raise UsageError("tc_lif: theta is positive, gamma not negative")

    @property
    def spikes(self) -> bool:
        """Always: the output is ``o``."""
        return True

    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """Couplings are the layer's where they are shared."""
        found = {
            "w_in": ("n", "x"),
            "b_in": ("n",),
            "coupling": ("-", "-" if self.shared else "n"),
        }
        return found | ({"w_rec": ("n", "n")} if self.recurrent else {})

    # ---- float half --------------------------------------------------------------------------

    def init(self, rng: np.random.Generator) -> dict[str, npt.NDArray[np.float64]]:
        """Normal weights; a_1 and a_2 are 0 where shared, as in the paper, else in [-1.4, 1.4]."""
        H = self.size
        params = {
            "w_in": rng.normal(0.0, 1.0 / np.sqrt(self.n_in), (H, self.n_in)),
            "b_in": rng.uniform(-0.5, 0.5, H),
            "coupling": np.zeros((2, 1)) if self.shared else rng.uniform(-1.4, 1.4, (2, H)),
        }
        if self.recurrent:
            params["w_rec"] = rng.normal(0.0, 0.5 / np.sqrt(H), (H, H))
        return params

    def state_sizes(self) -> Mapping[str, int]:
        """d̂ and ŝ, and o where recurrent."""
        return dict.fromkeys(("d", "s", "o") if self.recurrent else ("d", "s"), self.size)

    def float_step(
        self, p: Params, x: Array, state: Mapping[str, Array], spike: SpikeFunction
    ) -> tuple[Array, States]:
        """One step of the module's equations."""
        couplings = p["coupling"].sigmoid()
        drive = p["b_in"].addmm(x, p["w_in"].T)
        if self.recurrent:
            drive = drive + state["o"] @ p["w_rec"].T
        d = state["d"] - couplings[0] * state["s"] + drive
        s = state["s"] + couplings[1] * d
        o = spike(s - self.theta)
        fired = o.detach()
        after = {"d": d - self.gamma * fired, "s": s - self.theta * fired}
        return o, after | ({"o": o} if self.recurrent else {})

    # ---- from float to integers ----------------------------------------------------------------

    def plan(self, p: Params, x: Signal, record: Record) -> Plan:
        """Scales from the weights and from the largest compartments of the roll-outs."""
        d, s, fired = record.after["d"], record.after["s"], record.out
        charged = (s + self.theta * fired, d + self.gamma * fired)
        reached = membrane_range(max(self.theta, self.gamma), d, s, *charged)
        plan = drive_plan(p["w_in"], np.ones(self.size), x, reached, self.weight_limit)
        if self.recurrent:
            finest = reach(p["w_rec"], self.weight_limit) / self.weight_limit
            exponent = np.ceil(np.log2(np.max(finest / plan["u_unit"])))
            plan["recurrent_exponent"] = exact(float(np.clip(exponent, -30, 8)))
        return plan

    def integers(self, p: Params, plan: Plan, q: Quantiser) -> Integers:
        """Weights, couplings Q15, thresholds in the neuron's unit."""
        couplings, limit = q.sigmoid(p["coupling"]), self.weight_limit
        unit = q.constant(plan["u_unit"], like=couplings)
        k = {
            "from_soma.value": q.round(couplings[0] * 2.0**15, 0, INT16_MAX),
            "to_soma.value": q.round(couplings[1] * 2.0**15, 0, INT16_MAX),
            "theta.value": q.round(self.theta / unit, 1, INT16_MAX),
            "gamma.value": q.round(self.gamma / unit, 0, INT16_MAX),
            **drive_integers(
                p["w_in"], p["b_in"], q.constant(np.ones(self.size), like=unit), plan, q, limit
            ),
        }
        if self.recurrent:
            scale = 2.0 ** -float(plan["recurrent_exponent"]) / unit
            rows = p["w_rec"] * scale[:, None]
            k["recurrent.weight"] = q.round(rows, -limit, limit)
        return k

    def output(self, plan: Plan) -> Signal:
        """Spikes."""
        return Signal.spikes()

    def spike_scales(self, plan: Plan) -> Mapping[str, npt.NDArray[np.float64]]:
        """The soma's unit."""
        return {"spike": plan["u_unit"]}

    # ---- integer half --------------------------------------------------------------------------

    def step(self, b: Builder, k: Mapping[str, IntArray], plan: Plan, x: Value) -> Value:
        """The module's equations in integers."""
        d = b.state("d", self.size, lo=-(2**15), hi=INT16_MAX)
        s = b.state("s", self.size, lo=-(2**15), hi=INT16_MAX)
        fired = b.state("o", self.size, lo=0, hi=1) if self.recurrent else None
        drive = b.matvec(k["drive.weight"], x, k["drive.bias"], name="drive")
        charge = drive.scale_by_power_of_two(int(plan["drive_exponent"]))
        if fired is not None:
            recurrent = b.matvec(k["recurrent.weight"], fired, name="recurrent")
            charge = charge + recurrent.scale_by_power_of_two(int(plan["recurrent_exponent"]))
        back = (s * b.const(k["from_soma.value"], name="from_soma")).shr(15)
        d_now = (d - back + charge).clip(-(2**15), INT16_MAX)
        forth = (d_now * b.const(k["to_soma.value"], name="to_soma")).shr(15)
        s_now = (s + forth).clip(-(2**15), INT16_MAX)
        theta = b.const(k["theta.value"], name="theta")
        o = b.apply("ge", s_now, theta, name="spike")
        b.next(s, s_now - theta * o)
        taken = d_now - b.const(k["gamma.value"], name="gamma") * o
        b.next(d, taken.clip(-(2**15), INT16_MAX))
        if fired is not None:
            b.next(fired, o)
        return o
