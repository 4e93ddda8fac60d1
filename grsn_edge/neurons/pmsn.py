r"""PMSN, the parallel multi-compartment spiking neuron (arXiv 2408.14917).

N linear compartments, diagonalised: complex numbers that turn and decay, driven by the current;
an output compartment integrates what is positive and fires.  With primes for the previous step::

    I   = W x + b                            current
    x_n = A_n x_n' + B_n I                   compartments
    y   = sum of Re x_n + D I
    v   = v̂' + min(max(y, 0), 1)             output compartment
    o   = [v >= 1],  v̂ = v - o               spike, soft reset

with ``A_n = exp(a_n Δ)``, ``B_n = g_n (A_n - 1) / a_n`` and ``a_n = -exp(·) + i ω_n``.  The
paper's input and output weights of a compartment act only through their product, here ``g_n``.
Its reset drops whole multiples of the threshold; here y is limited to one threshold per step, so
that one comparison is enough and the parallel form is exact: ``o = floor(V) - floor(V')`` for the
running sum V.

Two modes, one result.  *Parallel* (:meth:`Pmsn.parallel`): x_n is a convolution of I, all steps at
once; the gradients of training take this way.  *Serial*: the step above, in float and integers.
The parallel form costs work and memory in the square of the window; it is for machines that are
wide.  On one core and windows of 32 steps it is 1.4 times slower than the serial steps' gradient.

Integers: compartments int16 in one power of two per layer, v in 2^-14; A_n and B_n are
Q``shift``, the three products of a compartment summed in int32 and rounded once.

One neuron and step costs ``n_in`` multiply-accumulates, ``6 N + 1`` multiplications, ``4 N + 2``
bytes of state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

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
    ScanGradients,
    ScanTape,
    Signal,
    SpikeFunction,
    States,
    exact,
    membrane_range,
)
from grsn_edge.neurons.membrane import coefficient_shift, drive_integers, drive_plan
from grsn_edge.neurons.quantise import NumpyQuantiser
from grsn_edge.program import Builder, IntArray, Value

__all__ = ["Pmsn"]

_ONE = 2**14  # the threshold
_SLOWEST, _FASTEST = 0.01, 0.3  # Δ at the start
_COUPLING = 5.0


@dataclass(frozen=True)
class Pmsn(Cell):
    """Parallel multi-compartment spiking neurons; see the module's equations.

    Args:
        compartments: N.
    """

    kind: ClassVar[str] = "pmsn"
    summary: ClassVar[str] = "multi-compartment neuron, trained in parallel, run serially"

    compartments: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.compartments <= 16:
            raise UsageError(f"pmsn: 1 to 16 compartments, not {self.compartments}")

    @property
    def spikes(self) -> bool:
        """Always: the output is ``o``."""
        return True

    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """All parameters are per neuron, many per compartment too."""
        per_neuron = dict.fromkeys(("b_in", "log_step", "direct"), ("n",))
        compartments = ("log_decay", "turn", "gain_re", "gain_im")
        return {"w_in": ("n", "x"), **per_neuron, **dict.fromkeys(compartments, ("-", "n"))}

    # ---- float half --------------------------------------------------------------------------

    def init(self, rng: np.random.Generator) -> dict[str, npt.NDArray[np.float64]]:
        """The paper's chain of compartments, diagonalised; Δ spread over its logarithm."""
        N, H = self.compartments, self.size
        steps = _COUPLING * np.arange(1, N)
        chain = np.diag(np.full(N, -0.5)) + np.diag(steps, 1) - np.diag(steps, -1)
        values, vectors = np.linalg.eig(chain)
        gain = vectors[-1] * np.linalg.inv(vectors)[:, 0]
        return {
            "w_in": rng.normal(0.0, 2.0 / np.sqrt(self.n_in), (H, self.n_in)),
            "b_in": rng.uniform(-1.0, 1.0, H),
            "log_step": rng.uniform(np.log(_SLOWEST), np.log(_FASTEST), H),
            "log_decay": np.repeat(np.log(-values.real)[:, None], H, axis=1),
            "turn": np.repeat(values.imag[:, None], H, axis=1),
            "gain_re": np.repeat(gain.real[:, None], H, axis=1) + rng.normal(0.0, 0.5, (N, H)),
            "gain_im": np.repeat(gain.imag[:, None], H, axis=1) + rng.normal(0.0, 0.5, (N, H)),
            "direct": rng.normal(0.0, 1.0, H),
        }

    def state_sizes(self) -> Mapping[str, int]:
        """Real and imaginary parts, compartment by compartment, and v̂."""
        n = self.compartments * self.size
        return {"re": n, "im": n, "v": self.size}

    def float_step(
        self, p: Params, x: Array, state: Mapping[str, Array], spike: SpikeFunction
    ) -> tuple[Array, States]:
        """One step of the module's equations."""
        a_re, a_im, b_re, b_im = (part.flatten() for part in _discrete(p, _Methods))
        current = p["b_in"].addmm(x, p["w_in"].T)
        each = current.repeat(1, self.compartments)
        re = a_re * state["re"] - a_im * state["im"] + b_re * each
        im = a_re * state["im"] + a_im * state["re"] + b_im * each
        y = re.view(-1, self.compartments, self.size).sum(1) + p["direct"] * current
        v = state["v"] + y.clamp(0.0, 1.0)
        o = spike(v - 1.0)
        return o, {"re": re, "im": im, "v": v - o.detach()}

    def parallel(
        self, p: Params, x: Array, keep: Array, state: Mapping[str, Array]
    ) -> tuple[Array, States]:
        """All steps at once: the running sums V before any reset, and the last compartments.

        Args:
            p: parameters.
            x: inputs ``(T, batch, n_in)``.
            keep: ``(T, batch, 1)``, 0 where an episode begins.
            state: before the first step.

        Returns:
            V ``(T, batch, size)`` since the episode began, and ``re``, ``im`` after the last step.
        """
        import torch

        N, T = self.compartments, x.shape[0]
        current = x @ p["w_in"].T + p["b_in"]
        together, alive = _episodes(keep)
        a, b = (torch.complex(*pair) for pair in _pairs(_discrete(p, _Methods)))
        powers = a ** torch.arange(T + 1, dtype=x.dtype)[:, None, None]
        kernel = (powers[:T] * b).real.sum(1)
        steps = torch.arange(T)
        lags = kernel[(steps[:, None] - steps).clamp(min=0)]
        start = torch.complex(state["re"], state["im"]).view(-1, N, self.size)
        y = torch.einsum("tsh,tsb,sbh->tbh", lags, together, current)
        left = torch.einsum("tnh,bnh->tbh", powers[1:], start).real
        y = y + alive * left + p["direct"] * current
        summed = torch.einsum("tsb,sbh->tbh", together, y.clamp(0.0, 1.0)) + alive * state["v"]
        given = (together[-1][..., None] * current).to(a.dtype)
        end = torch.einsum("snh,sbh->bnh", powers[:T].flip(0) * b, given)
        end = (end + alive[-1][..., None] * powers[T] * start).flatten(1)
        return summed, {"re": end.real, "im": end.imag}

    def scan_backward(
        self,
        p: Params,
        tape: ScanTape,
        grad_out: Array,
        grad_final: Mapping[str, Array],
        surrogate: Callable[[Array], Array],
    ) -> ScanGradients | None:
        """Gradients through :meth:`parallel`, at the membranes of the serial steps."""
        import torch

        state = {name: values[0] for name, values in tape.before.items()}
        with torch.enable_grad():
            leaves = [t.detach().requires_grad_() for t in (tape.x, *p.values(), *state.values())]
            params = dict(zip(p, leaves[1:], strict=False))
            start = dict(zip(state, leaves[1 + len(params) :], strict=True))
            summed, end = self.parallel(params, leaves[0], tape.keep, start)
        fired = (summed.detach() - tape.after["v"]).round()  # spikes since the episode began
        fired[1:] -= fired[:-1] * tape.keep[1:]
        grad_v = grad_out * surrogate(tape.after["v"] + fired - 1.0)
        grad_v[-1] += grad_final["v"]
        grads = [grad_v, grad_final["re"], grad_final["im"]]
        found = torch.autograd.grad([summed, end["re"], end["im"]], leaves, grads)
        by_state = dict(zip(start, found[1 + len(params) :], strict=True))
        kept = {name: grad * tape.keep[0] for name, grad in by_state.items()}
        return ScanGradients(found[0], dict(zip(params, found[1:], strict=False)), kept)

    # ---- from float to integers ----------------------------------------------------------------

    def plan(self, p: Params, x: Signal, record: Record) -> Plan:
        """Scales from the weights and from the compartments of the roll-outs."""
        _, _, b_re, b_im = _discrete(p, NumpyQuantiser())
        reached = 1.25 * float(np.abs([record.after["re"], record.after["im"]]).max(initial=0.0))
        exponent = int(np.clip(np.ceil(np.log2(max(reached, 1e-6) / 2.0)), -6, 10))
        unit = 2.0**exponent / _ONE
        currents = record.x @ p["w_in"].T + p["b_in"]
        limit = self.weight_limit
        drive = drive_plan(p["w_in"], np.ones(self.size), x, membrane_range(1e-3, currents), limit)
        gain = np.abs([b_re, b_im]).max(axis=(0, 1)) * drive["u_unit"] / unit
        direct = np.abs(p["direct"]) * drive["u_unit"] * _ONE
        return {
            "exponent": exact(exponent),
            "shift": exact(min(14, coefficient_shift(gain))),
            "direct_shift": exact(coefficient_shift(direct)),
            **drive,
        }

    def integers(self, p: Params, plan: Plan, q: Quantiser) -> Integers:
        """Weights, turns and gains Q``shift``, the direct way Q``direct_shift``."""
        a_re, a_im, b_re, b_im = _discrete(p, q)
        one, direct_one = 2.0 ** float(plan["shift"]), 2.0 ** float(plan["direct_shift"])
        current = q.constant(plan["u_unit"], like=p["direct"])
        gain = current * (one * _ONE * 2.0 ** -float(plan["exponent"]))
        direct = p["direct"] * current * (_ONE * direct_one)
        ones = q.constant(np.ones(self.size), like=gain)
        return {
            "a_re.value": q.round((a_re * one).reshape(-1), -int(one), int(one)),
            "a_im.value": q.round((a_im * one).reshape(-1), -int(one), int(one)),
            "b_re.value": q.round((b_re * gain).reshape(-1), -INT16_MAX, INT16_MAX),
            "b_im.value": q.round((b_im * gain).reshape(-1), -INT16_MAX, INT16_MAX),
            "direct.value": q.round(direct, -INT16_MAX, INT16_MAX),
            **drive_integers(p["w_in"], p["b_in"], ones, plan, q, self.weight_limit),
        }

    def output(self, plan: Plan) -> Signal:
        """Spikes."""
        return Signal.spikes()

    def spike_scales(self, plan: Plan) -> Mapping[str, npt.NDArray[np.float64]]:
        """The threshold is 2^14."""
        return {"spike": np.full(self.size, 1.0 / _ONE)}

    # ---- integer half --------------------------------------------------------------------------

    def step(self, b: Builder, k: Mapping[str, IntArray], plan: Plan, x: Value) -> Value:
        """The module's equations in integers."""
        N, H, shift = self.compartments, self.size, int(plan["shift"])
        re = b.state("re", N * H, lo=-INT16_MAX, hi=INT16_MAX)
        im = b.state("im", N * H, lo=-INT16_MAX, hi=INT16_MAX)
        v = b.state("v", H, lo=0, hi=_ONE - 1)
        a_re, a_im, b_re, b_im, direct = (
            b.const(k[f"{name}.value"], name=name)
            for name in ("a_re", "a_im", "b_re", "b_im", "direct")
        )
        drive = b.matvec(k["drive.weight"], x, k["drive.bias"], name="drive")
        current = drive.scale_by_power_of_two(int(plan["drive_exponent"]))
        current = current.clip(-INT16_MAX, INT16_MAX)
        each = b.concat(*[current] * N)
        re_now = (re * a_re - im * a_im + each * b_re).shr(shift).clip(-INT16_MAX, INT16_MAX)
        im_now = (re * a_im + im * a_re + each * b_im).shr(shift).clip(-INT16_MAX, INT16_MAX)
        y = re_now[:H]
        for n in range(1, N):
            y = y + re_now[n * H : (n + 1) * H]
        y = y.scale_by_power_of_two(int(plan["exponent"]))
        y = y + (current * direct).shr(int(plan["direct_shift"]))
        charged = v + y.clip(0, _ONE)
        theta = b.const(_ONE, name="theta")
        o = b.apply("ge", charged, theta, name="spike")
        b.next(re, re_now)
        b.next(im, im_now)
        b.next(v, charged - theta * o)
        return o


class _Methods:
    """Exponential, cosine and sine of tensors, as a quantiser has them."""

    @staticmethod
    def exp(x: Array) -> Array:
        return x.exp()

    @staticmethod
    def cos(x: Array) -> Array:
        return x.cos()

    @staticmethod
    def sin(x: Array) -> Array:
        return x.sin()


def _discrete(p: Params, q: Any) -> tuple[Array, Array, Array, Array]:
    """Real and imaginary parts of A_n and B_n, each ``(N, size)``."""
    step, decay = q.exp(p["log_step"]), q.exp(p["log_decay"])
    size = q.exp(-decay * step)
    a_re, a_im = size * q.cos(p["turn"] * step), size * q.sin(p["turn"] * step)
    # (A - 1) / a  =  (A - 1) conj(a) / |a|^2  with  a = -decay + i turn
    norm = decay * decay + p["turn"] * p["turn"]
    from_re = (-(a_re - 1.0) * decay + a_im * p["turn"]) / norm
    from_im = (-a_im * decay - (a_re - 1.0) * p["turn"]) / norm
    b_re = from_re * p["gain_re"] - from_im * p["gain_im"]
    b_im = from_re * p["gain_im"] + from_im * p["gain_re"]
    return a_re, a_im, b_re, b_im


def _pairs(parts: tuple[Array, Array, Array, Array]) -> tuple[tuple[Array, Array], ...]:
    return parts[:2], parts[2:]


def _episodes(keep: Array) -> tuple[Array, Array]:
    """Whether step s <= t is of t's episode ``(T, T, batch)``; whether that began before the scan.

    The second is ``(T, batch, 1)``.
    """
    began = (1.0 - keep).cumsum(0)
    same = (began[:, None, :, 0] == began[None, :, :, 0]).to(keep.dtype)
    past = same.permute(2, 0, 1).tril().permute(1, 2, 0)
    return past, (began == 0).to(keep.dtype)
