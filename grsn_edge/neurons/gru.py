r"""GRU, the gated recurrent unit (arXiv 1406.1078; this form arXiv 1412.3555): an opponent.

With primes for the previous step and element-wise products::

    r = σ(W_r x + U_r h' + b_r)                   reset gate
    z = σ(W_z x + U_z h' + b_z)                   update gate
    n = tanh(W_n x + b_n + r (U_n h' + c_n))      candidate
    h = (1 - z) n + z h'                          state and output

The reset gate acts on the product ``U_n h'``, as in cuDNN and ``torch.nn.GRU``.

Integers: weights int8 with one scale per row, sums int32, one multiplier per row.  The state is
int16 (Q15); its upper 8 bits are what the products and the layer above read.  Gates are Q15 from
tables of 256 entries that span what the roll-outs reached.

One neuron and step costs ``3 (n_in + size)`` multiply-accumulates, 6 multiplications, 3 table
look-ups, 2 bytes of state.
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

__all__ = ["Gru"]

_OUT = Signal(1.0 / 128, -127, 127)
_GATES, _NEW_H, _NEW_X = Rows(("gates_h", "gates_x")), Rows(("new_h",)), Rows(("new_x",))
_SIGMOID, _TANH = Table(sigmoid, 2.0**15), Table(np.tanh, 2.0**15)
_FINE = 256  # units of a candidate's sum in one step of its table


@dataclass(frozen=True)
class Gru(Cell):
    """Gated recurrent units; see the module's equations."""

    kind: ClassVar[str] = "gru"
    summary: ClassVar[str] = "int8 gated recurrent unit (baseline)"

    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """Rows of r, z and n."""
        return {"w_x": ("nnn", "x"), "w_h": ("nnn", "n"), "bias": ("nnn",), "bias_h": ("n",)}

    # ---- float half --------------------------------------------------------------------------

    def init(self, rng: np.random.Generator) -> dict[str, npt.NDArray[np.float64]]:
        """Normal weights; update gates that keep the state for some steps."""
        H = self.size
        return {
            "w_x": rng.normal(0.0, 1.0 / np.sqrt(self.n_in), (3 * H, self.n_in)),
            "w_h": rng.normal(0.0, 1.0 / np.sqrt(H), (3 * H, H)),
            "bias": np.concatenate([np.zeros(H), np.ones(H), np.zeros(H)]),
            "bias_h": np.zeros(H),
        }

    def state_sizes(self) -> Mapping[str, int]:
        """h."""
        return {"h": self.size}

    def float_step(
        self, p: Params, x: Array, state: Mapping[str, Array], spike: SpikeFunction
    ) -> tuple[Array, States]:
        """One step of the module's equations."""
        H, h = self.size, state["h"]
        from_x = p["bias"].addmm(x, p["w_x"].T)
        from_h = h @ p["w_h"].T
        gates = (from_x[:, : 2 * H] + from_h[:, : 2 * H]).sigmoid()
        reset, update = gates[:, :H], gates[:, H:]
        new = (from_x[:, 2 * H :] + reset * (from_h[:, 2 * H :] + p["bias_h"])).tanh()
        h = new + update * (h - new)
        return h, {"h": h}

    def scan_backward(
        self,
        p: Params,
        tape: ScanTape,
        grad_out: Array,
        grad_final: Mapping[str, Array],
        surrogate: Callable[[Array], Array],
    ) -> ScanGradients | None:
        """Reverse of :meth:`float_step` over a sequence; what needs no order runs at once."""
        H, x, h, keep = self.size, tape.x, tape.before["h"], tape.keep
        from_x, from_h = x @ p["w_x"].T + p["bias"], h @ p["w_h"].T
        gates = (from_x[..., : 2 * H] + from_h[..., : 2 * H]).sigmoid()
        reset, update = gates[..., :H], gates[..., H:]
        inner = from_h[..., 2 * H :] + p["bias_h"]
        new = (from_x[..., 2 * H :] + reset * inner).tanh()
        at_new = (1.0 - update) * (1.0 - new * new)
        slopes = x.new_empty(*h.shape[:2], 3, H)  # of each row of U h' to h
        slopes[..., 0, :] = at_new * inner * reset * (1.0 - reset)
        slopes[..., 1, :] = (h - new) * update * (1.0 - update)
        slopes[..., 2, :] = at_new * reset
        grad_h, dh = x.new_empty(grad_out.shape), grad_final["h"]
        for t in range(x.shape[0] - 1, -1, -1):
            at_h = grad_h[t].copy_(dh).add_(grad_out[t])
            rows = (at_h[:, None] * slopes[t]).flatten(1)
            dh = (at_h * update[t]).addmm_(rows, p["w_h"]) * keep[t]
        grad_rows = grad_h[..., None, :] * slopes
        flat_h = grad_rows.flatten(0, 1).flatten(1).clone()
        grad_rows[..., 2, :] = grad_h * at_new
        flat_x = grad_rows.flatten(0, 1).flatten(1)
        params = {
            "w_x": flat_x.T @ x.flatten(0, 1),
            "w_h": flat_h.T @ h.flatten(0, 1),
            "bias": flat_x.sum(0),
            "bias_h": flat_h[:, 2 * H :].sum(0),
        }
        grad_x = (flat_x @ p["w_x"]).unflatten(0, x.shape[:2])
        return ScanGradients(grad_x, params, {"h": dh})

    # ---- from float to integers ----------------------------------------------------------------

    def plan(self, p: Params, x: Signal, record: Record) -> Plan:
        """Scales from the weights; tables as wide as the roll-outs' sums."""
        H, w_x, w_h, bias = self.size, p["w_x"], p["w_h"], p["bias"]
        from_x, from_h = record.x @ w_x.T + bias, record.before["h"] @ w_h.T
        gates, new_h = from_x[:, : 2 * H] + from_h[:, : 2 * H], from_h[:, 2 * H :] + p["bias_h"]
        gate_step, limit = span(gates, 8.0) / 128, self.weight_limit
        parts = np.stack([from_x[:, 2 * H :], new_h])
        new_step = span(np.concatenate([parts, parts.sum(axis=0, keepdims=True)]), 8.0) / 128
        plan = {
            "gate_step": exact(gate_step),
            "new_step": exact(new_step),
            **_GATES.plan(bias[: 2 * H], (w_h[: 2 * H], w_x[: 2 * H]), (_OUT, x), limit),
            **_NEW_H.plan(p["bias_h"], (w_h[2 * H :],), (_OUT,), limit),
            **_NEW_X.plan(bias[2 * H :], (w_x[2 * H :],), (x,), limit),
        }
        fine = new_step / _FINE
        plan |= requantise_plan("gates", _GATES.unit(plan), gate_step, 128)
        plan |= requantise_plan("new_h", _NEW_H.unit(plan), fine, INT16_MAX)
        plan |= requantise_plan("new_x", _NEW_X.unit(plan), fine, INT16_MAX)
        return plan

    def integers(self, p: Params, plan: Plan, q: Quantiser) -> Integers:
        """Weights, biases in the units of their rows."""
        H, w_x, w_h, bias = self.size, p["w_x"], p["w_h"], p["bias"]
        limit = self.weight_limit
        return {
            **_GATES.integers(bias[: 2 * H], (w_h[: 2 * H], w_x[: 2 * H]), plan, q, limit),
            **_NEW_H.integers(p["bias_h"], (w_h[2 * H :],), plan, q, limit),
            **_NEW_X.integers(bias[2 * H :], (w_x[2 * H :],), plan, q, limit),
        }

    def output(self, plan: Plan) -> Signal:
        """The state's upper 8 bits."""
        return _OUT

    # ---- integer half --------------------------------------------------------------------------

    def step(self, b: Builder, k: Mapping[str, IntArray], plan: Plan, x: Value) -> Value:
        """The module's equations in integers."""
        H = self.size
        h = b.state("h", H, lo=-INT16_MAX, hi=INT16_MAX)
        h8 = h.shr(8).clip(_OUT.lo, _OUT.hi)
        index = requantise(b, plan, "gates", _GATES.step(b, k, plan, (h8, x)))
        gates = _SIGMOID.look_up(b, index, float(plan["gate_step"]), "sigmoid")
        reset, update = gates[:H], gates[H:]

        new_h = requantise(b, plan, "new_h", _NEW_H.step(b, k, plan, (h8,)))
        new_x = requantise(b, plan, "new_x", _NEW_X.step(b, k, plan, (x,)))
        gated = (reset * new_h.clip(-INT16_MAX, INT16_MAX)).shr(15)
        index = (gated + new_x).shr(_FINE.bit_length() - 1)
        new = _TANH.look_up(b, index, float(plan["new_step"]), "tanh")

        h_now = new + (update * (h - new)).shr(15)
        b.next(h, h_now)
        return h_now.shr(8).clip(_OUT.lo, _OUT.hi)
