r"""ELM, the expressive leaky memory neuron (arXiv 2306.16922), as a layer of memories.

With primes for the previous step, and ``φ(z) = 1.7159 tanh(2 z / 3)``::

    s = x + k_s (s' - x)                       synaptic traces, one per input
    h = ReLU(W_s s + W_m (k_m m') + b_h)       the small network's hidden layer, 2 per memory
    m = k_m m' + (1 - k_m) λ φ(W_h h + b_m)    slow memories, and the output

One ELM neuron is many memories behind one small network; the layer above reads them, as the
paper's ``W_y m + b`` does.  The time constants of k_m start evenly spaced in their logarithm and
are trained; k_s is fixed.  Each input is a synapse and a branch of its own, so that the synapse's
weight is part of W_s.

Integers: the traces and memories are int16 in one unit each; both keep their range by convexity,
without a clip.  The hidden layer is int8.  Weights are int8 with one scale per row, sums int32.

One memory and step costs ``2 (n_in + size) + 2 size`` multiply-accumulates, 4 multiplications,
1 table look-up, 2 bytes of state.
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
)
from grsn_edge.neurons.rows import Rows, Table, requantise, requantise_plan, span
from grsn_edge.program import Builder, IntArray, Value

__all__ = ["Elm"]

_AMPLITUDE, _STEEPNESS = 1.7159, 2.0 / 3.0
_ACTIVATION_MAX = 127
_HIDDEN, _CHANGE = Rows(("hidden_m", "hidden_s")), Rows(("change",))
_TABLE = Table(lambda z: np.asarray(np.tanh(_STEEPNESS * z)), INT16_MAX)


@dataclass(frozen=True)
class Elm(Cell):
    """Expressive leaky memories; see the module's equations.

    Args:
        tau_s: time constant of the synaptic traces, in steps.
        tau_min, tau_max: of the memories at the start, in steps.
        gain: λ; a memory reaches ±1.7159 λ at most.
    """

    kind: ClassVar[str] = "elm"
    summary: ClassVar[str] = "expressive leaky memory: slow memories behind a small network"

    tau_s: float = 1.0
    tau_min: float = 1.0
    tau_max: float = 100.0
    gain: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.tau_s > 0 and 0 < self.tau_min <= self.tau_max and self.gain > 0):
            raise UsageError("elm: time constants and gain are positive, tau_min <= tau_max")

    @property
    def _trace(self) -> float:
        return float(np.exp(-1.0 / self.tau_s))

    @property
    def _memory_unit(self) -> float:
        return self.gain * _AMPLITUDE / INT16_MAX

    # ---- float half --------------------------------------------------------------------------

    def init(self, rng: np.random.Generator) -> dict[str, npt.NDArray[np.float64]]:
        """Normal weights; time constants evenly spaced in their logarithm."""
        H = self.size
        k = np.exp(-1.0 / np.geomspace(self.tau_min, self.tau_max, H))
        return {
            "w_s": rng.normal(0.0, 1.0 / np.sqrt(self.n_in), (2 * H, self.n_in)),
            "w_m": rng.normal(0.0, 1.0 / (self.gain * np.sqrt(H)), (2 * H, H)),
            "b_h": np.zeros(2 * H),
            "w_h": rng.normal(0.0, 1.0 / np.sqrt(H), (H, 2 * H)),
            "b_m": np.zeros(H),
            "leak": np.log(k / (1.0 - k)),
        }

    def state_sizes(self) -> Mapping[str, int]:
        """s and m."""
        return {"s": self.n_in, "m": self.size}

    def float_step(
        self, p: Params, x: Array, state: Mapping[str, Array], spike: SpikeFunction
    ) -> tuple[Array, States]:
        """One step of the module's equations."""
        k, m = p["leak"].sigmoid(), state["m"]
        s = x + self._trace * (state["s"] - x)
        hidden = (p["b_h"].addmm(s, p["w_s"].T) + (k * m) @ p["w_m"].T).relu()
        change = p["b_m"].addmm(hidden, p["w_h"].T)
        goal = self.gain * _AMPLITUDE * (_STEEPNESS * change).tanh()
        m = goal + k * (m - goal)
        return m, {"s": s, "m": m}

    # ---- from float to integers ----------------------------------------------------------------

    def plan(self, p: Params, x: Signal, record: Record) -> Plan:
        """Scales from the weights and from the sums of the roll-outs."""
        k = 1.0 / (1.0 + np.exp(-p["leak"]))
        limit = self.weight_limit
        fine = 7 if x.magnitude <= _ACTIVATION_MAX else 0
        s_unit = x.scale * 2.0**-fine
        m = Signal(self._memory_unit, -INT16_MAX, INT16_MAX)
        s = Signal(s_unit, x.lo << fine, x.hi << fine)
        hidden = record.after["s"] @ p["w_s"].T + (k * record.before["m"]) @ p["w_m"].T + p["b_h"]
        hidden = np.maximum(hidden, 0.0)
        hidden_unit = max(float(hidden.max(initial=0.0)), 1e-3) / _ACTIVATION_MAX
        step = span(hidden @ p["w_h"].T + p["b_m"], 6.0) / 128
        plan = {
            "fine": exact(fine),
            "lo": exact(s.lo),
            "hi": exact(s.hi),
            "hidden_unit": exact(hidden_unit),
            "step": exact(step),
            **_HIDDEN.plan(p["b_h"], (p["w_m"] * k, p["w_s"]), (m, s), limit),
            **_CHANGE.plan(
                p["b_m"], (p["w_h"],), (Signal(hidden_unit, 0, _ACTIVATION_MAX),), limit
            ),
        }
        plan |= requantise_plan("hidden", _HIDDEN.unit(plan), hidden_unit, _ACTIVATION_MAX)
        plan |= requantise_plan("change", _CHANGE.unit(plan), step, 128)
        return plan

    def integers(self, p: Params, plan: Plan, q: Quantiser) -> Integers:
        """Weights, leaks Q15; the memories' own leak is part of their weights."""
        k, limit = q.sigmoid(p["leak"]), self.weight_limit
        return {
            "leak.value": q.round(k * 2.0**15, 0, INT16_MAX),
            **_HIDDEN.integers(p["b_h"], (p["w_m"] * k, p["w_s"]), plan, q, limit),
            **_CHANGE.integers(p["b_m"], (p["w_h"],), plan, q, limit),
        }

    def output(self, plan: Plan) -> Signal:
        """m, int16."""
        return Signal(self._memory_unit, -INT16_MAX, INT16_MAX)

    # ---- integer half --------------------------------------------------------------------------

    def step(self, b: Builder, k: Mapping[str, IntArray], plan: Plan, x: Value) -> Value:
        """The module's equations in integers."""
        s = b.state("s", self.n_in, lo=int(plan["lo"]), hi=int(plan["hi"]))
        m = b.state("m", self.size, lo=-INT16_MAX, hi=INT16_MAX)
        fine = x.scale_by_power_of_two(int(plan["fine"]))
        s_now = fine + ((s - fine) * round(self._trace * 2**15)).shr(15)
        hidden = requantise(b, plan, "hidden", _HIDDEN.step(b, k, plan, (m, s_now)))
        active = hidden.clip(0, _ACTIVATION_MAX)
        index = requantise(b, plan, "change", _CHANGE.step(b, k, plan, (active,)))
        goal = _TABLE.look_up(b, index, float(plan["step"]), "goal")
        m_now = goal + ((m - goal) * b.const(k["leak.value"], name="leak")).shr(15)
        b.next(s, s_now)
        b.next(m, m_now)
        return m_now
