r"""GRSN, the gated recurrent spiking neuron (arXiv 2404.15597, Eq. 16-18).

With primes for the previous step, element-wise products, and ``[·]`` for 1 or 0::

    F  = σ(W_f g + b_f)              forget gate
    I  = ReLU(W_i g + b_i)           candidate current
    c  = F c' + (1 - F) I            gated current
    u  = β û' + (1 - β)(W x + b + c) membrane, charged
    o  = [u >= θ]                    spike
    û  = u - θ o                     membrane after the soft reset

Form B, ``gates="spikes"``, the paper's: the gates see the last spikes, ``g = o'``, so both gate
products are additions of weight columns of the neurons that fired.  Form A, ``gates="input"``, the
authors' first code: the gates see the input, ``g = x``, and ``W x + b`` is absent.

One step is one environment step (temporal alignment paradigm); û, c and o are the memory.  With
``inner_steps`` > 1, the paper's comparison without alignment, the neuron takes that many steps on
the same input, and its output is the mean of their spikes (rate coding).  Inner steps are unrolled.

Integers: the membrane of neuron ``i`` counts in units ``s_u[i]`` chosen so that its input weights
need no requantisation (``W x`` is added as it is, or shifted by one exponent per layer); the
current ``c`` counts in one unit per layer; F is Q15 from a table; β and the current's multiplier
are Q``coefficient_shift``, summed in int32 and rounded once.  With a power of two for the leak, all
``s_u[i]`` are one power of two times the current's unit, and the charged membrane is
``û + shr(W x + b + c - û, k)``: F is what is left to multiply with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    ScanGradients,
    ScanTape,
    Signal,
    SpikeFunction,
    States,
    exact,
    exponent_to_fill,
    membrane_range,
    reach,
)
from grsn_edge.neurons.coefficients import LeakyCell, bounds, kept, leak_slope, leaky
from grsn_edge.neurons.leaks import LeakInit, check_leak_init, initial_leaks
from grsn_edge.neurons.membrane import (
    BIAS_LIMIT,
    MOST_INNER_STEPS,
    coefficient_shift,
    drive_integers,
    drive_plan,
    mean_of,
    numbered,
    rate,
)
from grsn_edge.program import Builder, IntArray, Value

__all__ = ["Grsn"]

_GATE_REACH = 8.0  # the sigmoid table spans at least [-8, 8): σ(8) is one Q11 step from 1
_MEMORY = {"hold": (1.0, 1.0), "relay": (-2.0, 2.0)}
"""Initial bias of the forget gates, and strength of the candidate currents' weights."""


@dataclass(frozen=True)
class Grsn(LeakyCell):
    """Gated recurrent spiking neurons; see the module's equations.

    Args:
        gates: ``spikes`` (form B) or ``input`` (form A).
        theta: threshold θ, in the unit of the float membrane.
        beta_init: how the leaks β are drawn, ``uniform``, ``log``, ``gamma`` or ``fast``.
        memory: what the gates begin as: ``hold``, forget gates that keep a current, or ``relay``,
            gates that replace it at each step, so that a spike hands on what came before it; the
            second learns sequences, the first integrates.
        inner_steps: neuron steps in one environment step; above 1 the output is their mean.
    """

    kind: ClassVar[str] = "grsn"
    summary: ClassVar[str] = "gated recurrent spiking neuron (the seed); forms A and B"

    gates: Literal["spikes", "input"] = "spikes"
    theta: float = 0.5
    beta_init: LeakInit = "uniform"
    memory: Literal["hold", "relay"] = "hold"
    inner_steps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gates not in ("spikes", "input") or not self.theta > 0:
            raise UsageError("grsn: gates is 'spikes' or 'input', theta is positive")
        if self.memory not in ("hold", "relay"):
            raise UsageError(f"grsn: memory is 'hold' or 'relay', not '{self.memory}'")
        check_leak_init(self.kind, self.beta_init)
        if not 1 <= self.inner_steps <= MOST_INNER_STEPS:
            raise UsageError(f"grsn: 1 to {MOST_INNER_STEPS} inner steps, not {self.inner_steps}")

    @property
    def spikes(self) -> bool:
        """Always: the output is ``o``, or the mean of several."""
        return True

    @property
    def _recurrent(self) -> bool:
        return self.gates == "spikes"

    @property
    def _gate_steps(self) -> int:
        """How often the gates' products are computed: the input's stay during the inner steps."""
        return self.inner_steps if self._recurrent else 1

    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """Rows of F and I; columns of neurons in form B, of inputs in form A."""
        gates = {"w_gates": ("nn", "n" if self._recurrent else "x"), "b_gates": ("nn",)}
        drive = {"w_in": ("n", "x"), "b_in": ("n",)} if self._recurrent else {}
        return {**gates, "leak": ("n",), **drive}

    # ---- float half --------------------------------------------------------------------------

    def init(self, rng: np.random.Generator) -> dict[str, npt.NDArray[np.float64]]:
        """Normal weights, leaks as ``beta_init`` says, gates as ``memory`` says."""
        n_gate = self.size if self._recurrent else self.n_in
        spread = 1.0 / np.sqrt(self.size) if self._recurrent else 2.0 / np.sqrt(self.n_in)
        leak = initial_leaks(rng, self.size, self.beta_init)
        kept, strength = _MEMORY[self.memory]
        gates = rng.normal(0.0, spread, (2 * self.size, n_gate))
        gates[self.size :] *= strength
        params = {
            "w_gates": gates,
            "b_gates": np.repeat([kept, 0.0], self.size),
            "leak": leak,
        }
        if self._recurrent:
            params["w_in"] = rng.normal(0.0, 2.0 / np.sqrt(self.n_in), (self.size, self.n_in))
            params["b_in"] = rng.uniform(-1.0, 1.0, self.size)
        return params

    def state_sizes(self) -> Mapping[str, int]:
        """û and c, and in form B also o."""
        names = ("u", "c", "o") if self._recurrent else ("u", "c")
        return dict.fromkeys(names, self.size)

    def float_step(
        self, p: Params, x: Array, state: Mapping[str, Array], spike: SpikeFunction
    ) -> tuple[Array, States]:
        """One step of the module's equations, or ``inner_steps`` of them."""
        spikes, now = [], dict(state)
        for _ in range(self.inner_steps):
            o, now = self._inner_step(p, x, now, spike)
            spikes.append(o)
        return mean_of(spikes), now

    def _inner_step(
        self, p: Params, x: Array, state: Mapping[str, Array], spike: SpikeFunction
    ) -> tuple[Array, States]:
        gate_input = state["o"] if self._recurrent else x
        gates = p["b_gates"].addmm(gate_input, p["w_gates"].T)
        forget = gates[:, : self.size].sigmoid()
        candidate = gates[:, self.size :].relu()
        c = candidate + forget * (state["c"] - candidate)
        current = p["b_in"].addmm(x, p["w_in"].T) + c if self._recurrent else c
        u = current + self.beta(p) * (state["u"] - current)
        o = spike(u - self.theta)
        after = {"u": u - self.theta * o.detach(), "c": c}
        if self._recurrent:
            after["o"] = o
        return o, after

    def scan_backward(
        self,
        p: Params,
        tape: ScanTape,
        grad_out: Array,
        grad_final: Mapping[str, Array],
        surrogate: Callable[[Array], Array],
    ) -> ScanGradients | None:
        """Reverse of :meth:`float_step` over a sequence; what needs no order runs at once."""
        if not self._recurrent or self.inner_steps > 1:
            return None
        H = self.size
        x, before, keep = tape.x, tape.before, tape.keep
        gates = before["o"] @ p["w_gates"].T + p["b_gates"]
        forget, candidate = gates[..., :H].sigmoid(), gates[..., H:].relu()
        beta = self.beta(p)
        current = x @ p["w_in"].T + p["b_in"] + tape.after["c"]
        spike_slope = surrogate(current + beta * (before["u"] - current) - self.theta)
        slopes = (
            (before["c"] - candidate) * forget * (1.0 - forget),
            (1.0 - forget) * (candidate > 0),
        )
        grad_u, grad_gates = x.new_empty(grad_out.shape), x.new_empty(gates.shape)
        du, dc, do = grad_final["u"], grad_final["c"], grad_final["o"]
        for t in range(x.shape[0] - 1, -1, -1):
            at_u = grad_u[t].copy_(du).addcmul_(do + grad_out[t], spike_slope[t])
            at_c = dc + at_u * (1.0 - beta)
            grad_gates[t, :, :H] = at_c * slopes[0][t]
            grad_gates[t, :, H:] = at_c * slopes[1][t]
            du = at_u * beta * keep[t]
            dc = at_c * forget[t] * keep[t]
            do = (grad_gates[t] @ p["w_gates"]) * keep[t]
        flat_gates, flat_o = grad_gates.flatten(0, 1), before["o"].flatten(0, 1)
        flat_drive = (grad_u * (1.0 - beta)).flatten(0, 1)
        leak = (grad_u * (before["u"] - current)).sum((0, 1)) * leak_slope(p["leak"])
        params = {
            "w_gates": flat_gates.T @ flat_o,
            "b_gates": flat_gates.sum(0),
            "w_in": flat_drive.T @ x.flatten(0, 1),
            "b_in": flat_drive.sum(0),
            "leak": leak,
        }
        grad_x = (grad_u * (1.0 - beta)) @ p["w_in"]
        return ScanGradients(grad_x, params, {"u": du, "c": dc, "o": do})

    # ---- from float to integers ----------------------------------------------------------------

    def plan(self, p: Params, x: Signal, record: Record) -> Plan:
        """Scales from the weights and from the largest membrane of the roll-outs."""
        H, limit = self.size, self.weight_limit
        gate_input = Signal.spikes() if self._recurrent else x
        forget_unit = _layer_reach(p["w_gates"][:H], limit) * gate_input.scale / limit
        spanned = _GATE_REACH / (128.0 * forget_unit)
        forget_shift = int(np.clip(np.ceil(np.log2(spanned)), 0, 30))
        candidate_unit = _layer_reach(p["w_gates"][H:], limit) * gate_input.scale / limit
        most = _row_bound(p["w_gates"][H:], p["b_gates"][H:], candidate_unit, gate_input)
        candidate_exponent = exponent_to_fill(most)
        fired = (record.out > 0) * self.theta
        reached = membrane_range(self.theta, record.after["u"], record.after["u"] + fired)
        reached *= self.headroom
        plan: Plan = {
            "forget_unit": exact(forget_unit),
            "forget_shift": exact(forget_shift),
            "candidate_unit": exact(candidate_unit),
            "candidate_exponent": exact(candidate_exponent),
            "c_unit": exact(candidate_unit * 2.0**-candidate_exponent),
            "u_unit": reached / INT16_MAX,
            "input_scale": exact(x.scale),
            "gate_scale": exact(gate_input.scale),
        }
        keep, shifts = self.keep_plan(p)
        if shifts:
            return plan | shifts | self._one_unit(p, plan, keep, x)
        if self._recurrent:
            plan |= drive_plan(p["w_in"], keep, x, reached, limit)
        gain = keep * plan["c_unit"] / plan["u_unit"]
        plan["coefficient_shift"] = exact(coefficient_shift(gain))
        return plan

    def _one_unit(self, p: Params, plan: Plan, keep: npt.NDArray[np.float64], x: Signal) -> Plan:
        """One membrane unit for the layer, a power of two of the current's."""
        c_unit, needed = float(plan["c_unit"]), float(plan["u_unit"].max())
        exponent = np.floor(np.log2(c_unit / needed))
        found: Plan = {}
        if self._recurrent:
            unit = np.full(self.size, c_unit * 2.0**-exponent)
            found = drive_plan(p["w_in"], keep, x, unit * INT16_MAX, self.weight_limit)
            exponent -= np.ceil(np.log2(float((found["u_unit"] / unit).max())) - 1e-9)
        unit = np.full(self.size, c_unit * 2.0**-exponent)
        return {**found, "u_unit": unit, "gain_exponent": exact(exponent)}

    def integers(self, p: Params, plan: Plan, q: Quantiser) -> Integers:
        """Weights, coefficients Q``coefficient_shift``, thresholds in membrane units."""
        H = self.size
        keep = kept(p, plan, q)
        f_unit, i_unit = float(plan["forget_unit"]), float(plan["candidate_unit"])
        g_scale = float(plan["gate_scale"])
        w, bias = p["w_gates"], p["b_gates"]
        limit = self.weight_limit
        gates = {
            "forget.weight": q.round(w[:H] * (g_scale / f_unit), -limit, limit),
            "forget.bias": q.round(bias[:H] / f_unit, -BIAS_LIMIT, BIAS_LIMIT),
            "candidate.weight": q.round(w[H:] * (g_scale / i_unit), -limit, limit),
            "candidate.bias": q.round(bias[H:] / i_unit, -BIAS_LIMIT, BIAS_LIMIT),
        }
        k = {
            f"{numbered(name, i)}.{constant}": value
            for i in range(self._gate_steps)
            for (name, constant), value in ((key.split("."), v) for key, v in gates.items())
        }
        unit = q.constant(plan["u_unit"], like=keep)
        if "coefficient_shift" in plan:
            one = 1 << int(plan["coefficient_shift"])
            k["leak.value"] = q.round((1.0 - keep) * float(one), 0, min(one, INT16_MAX))
            gain = keep * float(plan["c_unit"]) / unit
            k["gain.value"] = q.round(gain * float(one), 0, INT16_MAX)
        k["theta.value"] = q.round(self.theta / unit, 1, INT16_MAX)
        if self._recurrent:
            k |= drive_integers(p["w_in"], p["b_in"], keep, plan, q, limit)
        return k

    def output(self, plan: Plan) -> Signal:
        """Spikes, or a count of them."""
        return rate(self.inner_steps)

    def spike_scales(self, plan: Plan) -> Mapping[str, npt.NDArray[np.float64]]:
        """The membrane's unit."""
        names = (numbered("spike", i) for i in range(self.inner_steps))
        return dict.fromkeys(names, plan["u_unit"])

    # ---- integer half --------------------------------------------------------------------------

    def step(self, b: Builder, k: Mapping[str, IntArray], plan: Plan, x: Value) -> Value:
        """The module's equations in integers."""
        lo, hi = bounds(plan)
        u = b.state("u", self.size, lo=lo, hi=hi)
        c = b.state("c", self.size, lo=0, hi=INT16_MAX)
        fired = b.state("o", self.size, lo=0, hi=1) if self._recurrent else None
        rest, current, count = u, c, None
        gate_input = x if fired is None else fired
        gated = cache(lambda i: self._gates(b, k, plan, gate_input, i))
        constant = cache(lambda name: b.const(k[f"{name}.value"], name=name))
        drive = cache(lambda: b.matvec(k["drive.weight"], x, k["drive.bias"], name="drive"))
        for i in range(self.inner_steps):
            F, I = gated(i if self._recurrent else 0)  # noqa: E741
            current = I + (F * (current - I)).shr(15)
            u_now = self._charged(plan, rest, current, drive, constant)
            o = b.apply("ge", u_now, constant("theta"), name=numbered("spike", i))
            rest, count = u_now - constant("theta") * o, o if count is None else count + o
            gate_input = o if self._recurrent else x
        assert count is not None
        b.next(u, rest)
        b.next(c, current)
        if fired is not None:
            b.next(fired, o)
        return count

    def _charged(
        self,
        plan: Plan,
        rest: Value,
        current: Value,
        drive: Callable[[], Value],
        constant: Callable[[str], Value],
    ) -> Value:
        """``β û + (1 - β)(W x + b + c)``, saturated."""
        if "leak_shift" in plan:
            given = current.scale_by_power_of_two(int(plan["gain_exponent"]))
            if self._recurrent:
                given = given + drive().scale_by_power_of_two(int(plan["drive_exponent"]))
            charged = leaky(plan, rest, given, partial(constant, "leak"))
        else:
            beta, gain = constant("leak"), constant("gain")
            charged = (rest * beta + current * gain).shr(int(plan["coefficient_shift"]))
            if self._recurrent:
                charged = charged + drive().scale_by_power_of_two(int(plan["drive_exponent"]))
        return charged.clip(*bounds(plan))

    def _gates(
        self, b: Builder, k: Mapping[str, IntArray], plan: Plan, gate_input: Value, i: int
    ) -> tuple[Value, Value]:
        """F and I of inner step ``i``."""
        name = numbered("forget", i)
        forget = b.matvec(k[f"{name}.weight"], gate_input, k[f"{name}.bias"], name=name)
        index = forget.shr(int(plan["forget_shift"])).clip(-128, 127)
        F = b.lut(index, _sigmoid_table(plan), name=numbered("sigmoid", i))
        name = numbered("candidate", i)
        candidate = b.matvec(k[f"{name}.weight"], gate_input, k[f"{name}.bias"], name=name)
        exponent = int(plan["candidate_exponent"])
        return F, candidate.scale_by_power_of_two(exponent).clip(0, INT16_MAX)


def _layer_reach(weight: Array, limit: int) -> float:
    """As :func:`reach`, one for all rows."""
    return float(reach(np.asarray(weight).reshape(1, -1), limit)[0])


def _sigmoid_table(plan: Plan) -> IntArray:
    """Q15 sigmoid of the table index times its real step, ``(256,)``."""
    step = float(plan["forget_unit"]) * 2.0 ** int(plan["forget_shift"])
    values = 2.0**15 / (1.0 + np.exp(-np.arange(-128, 128) * step))
    return np.asarray(np.clip(np.rint(values), 0, INT16_MAX), dtype=np.int64)


def _row_bound(weight: Array, bias: Array, unit: float, x: Signal) -> float:
    """Largest integer that a row of ``weight @ x + bias`` can reach, rounding included."""
    upward = np.maximum(weight * x.lo, weight * x.hi) * x.scale / unit
    rounding = 0.5 * (x.magnitude * weight.shape[1] + 1)
    return float((upward.sum(axis=1) + bias / unit).max() + rounding)
