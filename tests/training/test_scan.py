"""A sequence is its steps, bit by bit; gradients by hand are those of automatic differentiation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from grsn_edge.backends.straight_through import atan_slope
from grsn_edge.neurons import Cell, ScanTape, cell
from grsn_edge.training.scan import scan, spike, surrogate_spike

CELLS = (
    cell("grsn", n_in=3, size=5),
    cell("grsn", n_in=3, size=5, gates="input"),
    cell("lif", n_in=3, size=5),
    cell("lif", n_in=3, size=5, reset="hard"),
    cell("dense", n_in=3, size=5),
    cell("frames", n_in=3, size=12),
    cell("readout", n_in=3, size=2),
    cell("readout", n_in=3, size=2, leaky=False),
    cell("grsn", n_in=3, size=5, inner_steps=4, beta_init="log"),
    cell("grsn", n_in=3, size=5, inner_steps=2, gates="input"),
    cell("lif", n_in=3, size=5, inner_steps=4, beta_init="gamma"),
    cell("gru", n_in=3, size=5),
    cell("lstm", n_in=3, size=5),
    cell("rlif", n_in=3, size=5),
    cell("tc_lif", n_in=3, size=5),
    cell("tc_lif", n_in=3, size=5, recurrent=False),
    cell("elm", n_in=3, size=5),
    cell("mf_psn", n_in=3, size=5, dilation=2),
    cell("pmsn", n_in=3, size=5),
    cell("first_spike", n_in=3, size=2),
    cell("stochastic", n_in=3, size=2),
    cell("grsn", n_in=3, size=5, coefficients="pow2"),
    cell("rlif", n_in=3, size=5, coefficients="pow2"),
    cell("readout", n_in=3, size=2, coefficients="pow2"),
)
T, B = 12, 4


def name(c: Cell) -> str:
    return "-".join(str(v) for v in c.config().values() if isinstance(v, str | bool))


def params_of(c: Cell, dtype: torch.dtype) -> dict[str, Tensor]:
    made = c.init(np.random.default_rng(0))
    return {k: torch.from_numpy(np.asarray(v)).to(dtype).requires_grad_() for k, v in made.items()}


def inputs(c: Cell, dtype: torch.dtype) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Inputs, resets in the middle, and a state in the middle of an episode."""
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.normal(0.0, 1.5, (T, B, c.n_in))).to(dtype).requires_grad_()
    keep = torch.from_numpy((rng.random((T, B, 1)) > 0.2).astype(np.float64)).to(dtype)
    state = {
        k: torch.from_numpy(rng.normal(0.0, 0.5, (B, n)).round(1)).to(dtype).requires_grad_()
        for k, n in c.state_sizes().items()
    }
    return x, keep, state


def test_a_spike_is_fired_at_the_threshold_itself() -> None:
    assert spike(torch.tensor([-0.1, 0.0, 0.1])).tolist() == [0.0, 1.0, 1.0]


def test_the_surrogate_gradient_is_atans() -> None:
    z = torch.tensor([0.0, 0.5, -2.0], dtype=torch.float64, requires_grad=True)
    surrogate_spike(z).sum().backward()
    assert z.grad is not None
    expected = [1.0 / (1.0 + (math.pi * v) ** 2) for v in (0.0, 0.5, -2.0)]
    assert z.grad.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("c", CELLS, ids=name)
def test_a_sequence_equals_its_steps_bit_for_bit_with_resets_in_the_middle(c: Cell) -> None:
    p = params_of(c, torch.float32)
    x, keep, state = inputs(c, torch.float32)
    outputs, final = scan(c, p, x, keep, state)
    now, steps = state, []
    for t in range(T):
        with torch.no_grad():
            out, now = scan(c, p, x[t : t + 1], keep[t : t + 1], now)
        steps.append(out[0])
    assert torch.equal(outputs, torch.stack(steps))
    assert set(final) == set(now)
    assert all(torch.equal(final[k], now[k]) for k in now)


@pytest.mark.parametrize("c", CELLS, ids=name)
def test_a_reset_forgets_everything_before_it(c: Cell) -> None:
    p = params_of(c, torch.float32)
    x, keep, state = inputs(c, torch.float32)
    keep = torch.ones_like(keep)
    keep[5] = 0.0
    whole, _ = scan(c, p, x, keep, state)
    fresh = {k: torch.zeros_like(v) for k, v in state.items()}
    tail, _ = scan(c, p, x[5:], keep[5:], fresh)
    assert torch.equal(whole[5:], tail)


@pytest.mark.parametrize("c", CELLS, ids=name)
def test_gradients_equal_those_of_automatic_differentiation(c: Cell) -> None:
    p = params_of(c, torch.float64)
    x, keep, state = inputs(c, torch.float64)
    leaves = [x, *p.values(), *state.values()]

    outputs, final = scan(c, p, x, keep, state)
    by_hand = torch.autograd.grad(loss(outputs, final), leaves)

    now, steps = dict(state), []
    for t in range(T):
        out, now = c.float_step(p, x[t], {k: v * keep[t] for k, v in now.items()}, surrogate_spike)
        steps.append(out)
    automatic = torch.autograd.grad(loss(torch.stack(steps), now), leaves)

    for found, expected in zip(by_hand, automatic, strict=True):
        assert torch.allclose(found, expected, rtol=1e-10, atol=1e-12)


def loss(outputs: Tensor, final: dict[str, Tensor]) -> Tensor:
    """Weighs every output and every final state differently."""
    generator = np.random.default_rng(2)
    total = torch.zeros((), dtype=torch.float64)
    for value in (outputs, *(final[k] for k in sorted(final))):
        total = total + (value * torch.from_numpy(generator.normal(size=tuple(value.shape)))).sum()
    return total


@pytest.mark.parametrize("c", [CELLS[0], CELLS[6]], ids=name)
def test_grsn_and_the_readout_have_gradients_by_hand(c: Cell) -> None:
    p = params_of(c, torch.float64)
    x, keep, state = inputs(c, torch.float64)
    every = {k: v[None].expand(T, *v.shape) for k, v in state.items()}
    grad_out = torch.ones(T, B, c.size, dtype=torch.float64)
    final = {k: torch.zeros_like(v) for k, v in state.items()}
    tape = ScanTape(x, every, every, keep)
    assert c.scan_backward(p, tape, grad_out, final, atan_slope) is not None
