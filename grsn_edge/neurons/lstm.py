r"""LSTM, long short-term memory (Hochreiter and Schmidhuber 1997, forget gates 2000): an opponent.

With primes for the previous step and element-wise products::

    i, f, o = σ(W x + U h' + b)        input, forget and output gates
    g = tanh(W_g x + U_g h' + b_g)     candidate
    c = f c' + i g                     memory
    h = o tanh(c)                      output

Integers: weights int8 with one scale per row, sums int32, one multiplier per row; gates Q15 and
candidates from tables of 256 entries that span what the roll-outs reached.  c is int16 in a power
of two of its own table's step; ``f c' + i g`` is summed in int32 and rounded once.  h is int8.

One neuron and step costs ``4 (n_in + size)`` multiply-accumulates, 7 multiplications, 5 table
look-ups, 3 bytes of state.
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
    Cell,
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
)
from grsn_edge.neurons.rows import Rows, Table, requantise, requantise_plan, sigmoid, span
from grsn_edge.program import Builder, IntArray, Value

__all__ = ["Lstm"]

_OUT = Signal(1.0 / 128, -127, 127)
_ROWS = Rows(("gates_h", "gates_x"))
_SIGMOID, _TANH = Table(sigmoid, 2.0**15), Table(np.tanh, 2.0**15)


@dataclass(frozen=True)
class Lstm(Cell):
    """Long short-term memory; see the module's equations."""

    kind: ClassVar[str] = "lstm"
    summary: ClassVar[str] = "int8 long short-term memory (baseline)"

    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """Rows of i, f, o and g."""
        return {"w_x": ("nnnn", "x"), "w_h": ("nnnn", "n"), "bias": ("nnnn",)}

    # ---- float half --------------------------------------------------------------------------

    def init(self, rng: np.random.Generator) -> dict[str, npt.NDArray[np.float64]]:
        """Normal weights; forget gates that keep the memory for some steps."""
        H = self.size
        return {
            "w_x": rng.normal(0.0, 1.0 / np.sqrt(self.n_in), (4 * H, self.n_in)),
            "w_h": rng.normal(0.0, 1.0 / np.sqrt(H), (4 * H, H)),
            "bias": np.concatenate([np.zeros(H), np.ones(H), np.zeros(2 * H)]),
        }

    def state_sizes(self) -> Mapping[str, int]:
        """c and h."""
        return {"c": self.size, "h": self.size}

    def float_step(
        self, p: Params, x: Array, state: Mapping[str, Array], spike: SpikeFunction
    ) -> tuple[Array, States]:
        """One step of the module's equations."""
        H = self.size
        rows = p["bias"].addmm(x, p["w_x"].T) + state["h"] @ p["w_h"].T
        gates, new = rows[:, : 3 * H].sigmoid(), rows[:, 3 * H :].tanh()
        c = gates[:, H : 2 * H] * state["c"] + gates[:, :H] * new
        h = gates[:, 2 * H :] * c.tanh()
        return h, {"c": c, "h": h}

    def scan_backward(
        self,
        p: Params,
        tape: ScanTape,
        grad_out: Array,
        grad_final: Mapping[str, Array],
        surrogate: Callable[[Array], Array],
    ) -> ScanGradients | None:
        """Reverse of :meth:`float_step` over a sequence; what needs no order runs at once."""
        H, x, before, keep = self.size, tape.x, tape.before, tape.keep
        rows = x @ p["w_x"].T + before["h"] @ p["w_h"].T + p["bias"]
        gates, new = rows[..., : 3 * H].sigmoid(), rows[..., 3 * H :].tanh()
        add, forget, out = gates.split(H, dim=-1)
        squashed = tape.after["c"].tanh()
        to_c = out * (1.0 - squashed * squashed)
        slopes = rows  # of each row to c, and of the output gates' to h
        slopes[..., :H] = new * add * (1.0 - add)
        slopes[..., H : 2 * H] = before["c"] * forget * (1.0 - forget)
        slopes[..., 2 * H : 3 * H] = squashed * out * (1.0 - out)
        slopes[..., 3 * H :] = add * (1.0 - new * new)
        dc, dh = grad_final["c"], grad_final["h"]
        for t in range(x.shape[0] - 1, -1, -1):
            at_h = dh + grad_out[t]
            at_c = dc + at_h * to_c[t]
            slopes[t, :, : 2 * H] *= at_c.repeat(1, 2)
            slopes[t, :, 2 * H : 3 * H] *= at_h
            slopes[t, :, 3 * H :] *= at_c
            dc = at_c * forget[t] * keep[t]
            dh = (slopes[t] @ p["w_h"]) * keep[t]
        flat = slopes.flatten(0, 1)
        params = {
            "w_x": flat.T @ x.flatten(0, 1),
            "w_h": flat.T @ before["h"].flatten(0, 1),
            "bias": flat.sum(0),
        }
        return ScanGradients(slopes @ p["w_x"], params, {"c": dc, "h": dh})

    # ---- from float to integers ----------------------------------------------------------------

    def plan(self, p: Params, x: Signal, record: Record) -> Plan:
        """Scales from the weights; tables and memory as wide as in the roll-outs."""
        H = self.size
        rows = record.x @ p["w_x"].T + record.before["h"] @ p["w_h"].T + p["bias"]
        gate_step, new_step = span(rows[:, : 3 * H], 8.0) / 128, span(rows[:, 3 * H :], 4.0) / 128
        reach = span(record.after["c"], 256.0)
        c_step = min(reach, 4.0) / 128
        c_shift = int(np.floor(np.log2(INT16_MAX * c_step / reach)))
        plan = _ROWS.plan(p["bias"], (p["w_h"], p["w_x"]), (_OUT, x), self.weight_limit)
        steps = np.repeat([gate_step, new_step], [3 * H, H])
        return {
            "gate_step": exact(gate_step),
            "new_step": exact(new_step),
            "c_step": exact(c_step),
            "c_shift": exact(c_shift),
            **plan,
            **requantise_plan("gates", _ROWS.unit(plan), steps, 128),
        }

    def integers(self, p: Params, plan: Plan, q: Quantiser) -> Integers:
        """Weights, biases in the units of their rows."""
        return _ROWS.integers(p["bias"], (p["w_h"], p["w_x"]), plan, q, self.weight_limit)

    def output(self, plan: Plan) -> Signal:
        """h, int8."""
        return _OUT

    # ---- integer half --------------------------------------------------------------------------

    def step(self, b: Builder, k: Mapping[str, IntArray], plan: Plan, x: Value) -> Value:
        """The module's equations in integers."""
        H, c_shift = self.size, int(plan["c_shift"])
        c = b.state("c", H, lo=-(2**15), hi=INT16_MAX)
        h = b.state("h", H, lo=_OUT.lo, hi=_OUT.hi)
        index = requantise(b, plan, "gates", _ROWS.step(b, k, plan, (h, x))).clip(-128, 127)
        gates = _SIGMOID.look_up(b, index[: 3 * H], float(plan["gate_step"]), "sigmoid")
        candidate = Table(np.tanh, 2.0**c_shift / float(plan["c_step"]))
        new = candidate.look_up(b, index[3 * H :], float(plan["new_step"]), "candidate")

        kept, added = gates[H : 2 * H] * c, gates[:H] * new
        c_now = (kept + added).shr(15).clip(-(2**15), INT16_MAX)
        squashed = _TANH.look_up(b, c_now.shr(c_shift), float(plan["c_step"]), "tanh")
        h_now = (gates[2 * H :] * squashed).shr(23).clip(_OUT.lo, _OUT.hi)
        b.next(c, c_now)
        b.next(h, h_now)
        return h_now
