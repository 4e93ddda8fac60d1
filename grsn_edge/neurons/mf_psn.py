r"""MF-PSN, the multiplication-free channel-wise parallel spiking neuron (arXiv 2501.14490).

A channel without membrane or reset: a filter over its own last currents, with ``[t]`` for steps::

    X[t] = W x[t] + b                                            current
    H[t] = sum over i < order of 2^n_i (±1) X[t - (order-1-i) dilation]
    o[t] = [H[t] >= θ]                                           spike

Every tap is a sign and a power of two, in training too: the nearest one, and the gradient passes
the whole quantiser.  θ is trained, one per channel.  X before the first step is 0.

Integers: X is int16 in the channel's own unit, as a LIF membrane; the delay line is a state that
moves by one place each step.  A tap is a ``mul`` by a constant ±2^n: a shift and a sign where a
processor has no multiplier.  The memory is ``(order - 1) dilation`` steps long and cannot drift.

One neuron and step costs ``n_in`` multiply-accumulates (additions where the input is spikes),
``order`` shifts and additions, ``2 (order - 1) dilation`` bytes of state.
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
    membrane_range,
)
from grsn_edge.neurons.membrane import drive_integers, drive_plan
from grsn_edge.neurons.quantise import power_of_two
from grsn_edge.program import Builder, IntArray, Value

__all__ = ["MfPsn"]

_LEAST, _MOST = -6, 1  # exponents of a tap


@dataclass(frozen=True)
class MfPsn(Cell):
    """Multiplication-free parallel spiking neurons; see the module's equations.

    Args:
        order: taps.
        dilation: steps between two taps.
    """

    kind: ClassVar[str] = "mf_psn"
    summary: ClassVar[str] = "multiplication-free filter neuron: powers of two over a delay line"

    order: int = 4
    dilation: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (2 <= self.order <= 64 and 1 <= self.dilation <= 64):
            raise UsageError("mf_psn: an order is 2 to 64, a dilation 1 to 64")

    @property
    def spikes(self) -> bool:
        """Always: the output is ``o``."""
        return True

    @property
    def _length(self) -> int:
        """Elements of the delay line."""
        return (self.order - 1) * self.dilation * self.size

    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """All parameters are per neuron."""
        return {"w_in": ("n", "x"), "b_in": ("n",), "taps": ("-", "n"), "theta": ("n",)}

    def _places(self) -> list[slice]:
        """Where each tap finds its currents in the line with the newest ones appended."""
        starts = (i * self.dilation * self.size for i in range(self.order))
        return [slice(start, start + self.size) for start in starts]

    # ---- float half --------------------------------------------------------------------------

    def init(self, rng: np.random.Generator) -> dict[str, npt.NDArray[np.float64]]:
        """Normal weights and taps."""
        return {
            "w_in": rng.normal(0.0, 2.0 / np.sqrt(self.n_in), (self.size, self.n_in)),
            "b_in": rng.uniform(-1.0, 1.0, self.size),
            "taps": rng.normal(0.0, 1.0 / np.sqrt(self.order), (self.order, self.size)),
            "theta": np.full(self.size, 0.5),
        }

    def state_sizes(self) -> Mapping[str, int]:
        """The earlier currents, oldest first."""
        return {"line": self._length}

    def float_step(
        self, p: Params, x: Array, state: Mapping[str, Array], spike: SpikeFunction
    ) -> tuple[Array, States]:
        """One step of the module's equations."""
        import torch

        line = torch.cat([state["line"], p["b_in"].addmm(x, p["w_in"].T)], dim=-1)
        taps = power_of_two(p["taps"], _LEAST, _MOST)
        filtered = sum(tap * line[:, at] for tap, at in zip(taps, self._places(), strict=True))
        return spike(filtered - p["theta"]), {"line": line[:, self.size :]}

    # ---- from float to integers ----------------------------------------------------------------

    def plan(self, p: Params, x: Signal, record: Record) -> Plan:
        """Scales from the weights and from the largest current of the roll-outs."""
        currents = record.x @ p["w_in"].T + p["b_in"]
        reached = membrane_range(1e-3, currents)
        return drive_plan(p["w_in"], np.ones(self.size), x, reached, self.weight_limit)

    def integers(self, p: Params, plan: Plan, q: Quantiser) -> Integers:
        """Weights, taps ±2^n, thresholds in units of the smallest tap."""
        unit = q.constant(plan["u_unit"], like=p["theta"])
        ones = q.constant(np.ones(self.size), like=unit)
        taps = q.power_of_two(p["taps"], _LEAST, _MOST) * 2.0**-_LEAST
        most = 2 ** (_MOST - _LEAST)
        return {
            **{f"tap{i}.value": q.round(taps[i], -most, most) for i in range(self.order)},
            "theta.value": q.round(p["theta"] / (unit * 2.0**_LEAST), -(2**30), 2**30),
            **drive_integers(p["w_in"], p["b_in"], ones, plan, q, self.weight_limit),
        }

    def output(self, plan: Plan) -> Signal:
        """Spikes."""
        return Signal.spikes()

    def spike_scales(self, plan: Plan) -> Mapping[str, npt.NDArray[np.float64]]:
        """The current's unit times the smallest tap."""
        return {"spike": plan["u_unit"] * 2.0**_LEAST}

    # ---- integer half --------------------------------------------------------------------------

    def step(self, b: Builder, k: Mapping[str, IntArray], plan: Plan, x: Value) -> Value:
        """The module's equations in integers."""
        earlier = b.state("line", self._length, lo=-(2**15), hi=INT16_MAX)
        drive = b.matvec(k["drive.weight"], x, k["drive.bias"], name="drive")
        current = drive.scale_by_power_of_two(int(plan["drive_exponent"]))
        line = b.concat(earlier, current.clip(-(2**15), INT16_MAX))
        total: Value | None = None
        for i, at in enumerate(self._places()):
            part = line[at] * b.const(k[f"tap{i}.value"], name=f"tap{i}")
            total = part if total is None else total + part
        assert total is not None
        b.next(earlier, line[self.size :])
        return b.apply("ge", total, b.const(k["theta.value"], name="theta"), name="spike")
