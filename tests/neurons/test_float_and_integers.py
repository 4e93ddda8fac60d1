"""The integers of a cell do what its floats do, on inputs such as a robot sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from cell_courses import CODES, codes, drawn, frozen, in_floats, in_integers

from grsn_edge.neurons import Cell, cell

SIZES = {"n_in": 4, "size": 32}
ANALOG: tuple[tuple[Cell, float], ...] = (
    (cell("gru", **SIZES), 0.015),
    (cell("lstm", **SIZES), 0.02),
    (cell("elm", **SIZES), 0.02),
    (cell("dense", **SIZES), 0.015),
    (cell("readout", **SIZES), 0.01),
    (cell("first_spike", **SIZES), 0.01),
    (cell("stochastic", **SIZES), 0.001),
    (cell("readout", **SIZES, coefficients="pow2"), 0.01),
    (cell("first_spike", **SIZES, coefficients="pow2"), 0.01),
    (cell("gru", **SIZES, weight_bits=6), 0.05),
    (cell("lstm", **SIZES, weight_bits=4), 0.2),
    (cell("elm", **SIZES, weight_bits=6), 0.1),
    (cell("dense", **SIZES, weight_bits=4), 0.12),
    (cell("readout", **SIZES, weight_bits=4), 0.2),
)
"""Cells and the mean error that they may have, in standard deviations of their output."""

SPIKING: tuple[tuple[Cell, float], ...] = (
    (cell("grsn", **SIZES), 0.03),
    (cell("grsn", **SIZES, gates="input"), 0.02),
    (cell("grsn", **SIZES, inner_steps=4), 0.02),
    (cell("grsn", **SIZES, beta_init="gamma"), 0.05),
    (cell("lif", **SIZES), 0.02),
    (cell("lif", **SIZES, inner_steps=4, beta_init="log"), 0.02),
    (cell("rlif", **SIZES), 0.05),
    (cell("tc_lif", **SIZES), 0.12),
    (cell("tc_lif", **SIZES, recurrent=False), 0.04),
    (cell("mf_psn", **SIZES), 0.002),
    (cell("mf_psn", **SIZES, order=2, dilation=3), 0.002),
    (cell("pmsn", **SIZES), 0.04),
    (cell("grsn", **SIZES, coefficients="pow2"), 0.03),
    (cell("grsn", **SIZES, coefficients="pow2", gates="input", inner_steps=2), 0.03),
    (cell("lif", **SIZES, coefficients="pow2", beta_init="log"), 0.02),
    (cell("rlif", **SIZES, coefficients="pow2"), 0.05),
    (cell("grsn", **SIZES, weight_bits=6), 0.06),
    (cell("grsn", **SIZES, weight_bits=4), 0.2),
    (cell("rlif", **SIZES, weight_bits=4), 0.2),
    (cell("mf_psn", **SIZES, weight_bits=4), 0.1),
)
"""Cells and the mean difference of spikes; without a leak, an early spike is never forgotten."""


def name(value: Any) -> str:
    given = value.config().values() if isinstance(value, Cell) else (value,)
    return "-".join(str(v) for v in given if isinstance(v, str | bool) or v in (4, 6))


def mean_error(c: Cell) -> tuple[float, float, float]:
    """Mean difference of integers and floats; the floats' standard deviation and mean."""
    params, x = drawn(c), codes(c.n_in)
    course = in_floats(c, params, torch.from_numpy(x * CODES.scale))
    found = in_integers(frozen(c, params, course.record), x)
    scale = c.output(c.plan(params, CODES, course.record)).scale
    difference = np.abs(found * scale - course.out)
    return float(difference.mean()), float(course.out.std()), float(course.out.mean())


@pytest.mark.parametrize(("c", "limit"), ANALOG, ids=name)
def test_integers_of_analog_cells_follow_the_floats(c: Cell, limit: float) -> None:
    error, spread, _ = mean_error(c)
    assert error < limit * spread


@pytest.mark.parametrize(("c", "limit"), SPIKING, ids=name)
def test_integers_of_spiking_cells_fire_where_the_floats_do(c: Cell, limit: float) -> None:
    error, _, rate = mean_error(c)
    assert 0.05 < rate < 0.6
    assert error < limit


@pytest.mark.parametrize("c", [cell("gru", **SIZES), cell("lstm", **SIZES)], ids=name)
def test_the_baselines_are_those_of_torch(c: Cell) -> None:
    """Same outputs as ``torch.nn``, whose LSTM orders its gates i, f, g, o."""
    params, x = drawn(c), codes(c.n_in)
    given = torch.from_numpy(x * CODES.scale)
    H, order = c.size, np.arange((3 if c.kind == "gru" else 4) * c.size)
    if c.kind == "lstm":
        order = np.concatenate([order[: 2 * H], order[3 * H :], order[2 * H : 3 * H]])
    theirs = getattr(torch.nn, c.kind.upper())(c.n_in, H, dtype=torch.float64)
    bias_h = np.zeros(order.size)
    if c.kind == "gru":
        bias_h[2 * H :] = params["bias_h"] = np.random.default_rng(3).normal(size=H)
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(torch.from_numpy(params["w_x"][order]))
        theirs.weight_hh_l0.copy_(torch.from_numpy(params["w_h"][order]))
        theirs.bias_ih_l0.copy_(torch.from_numpy(params["bias"][order]))
        theirs.bias_hh_l0.copy_(torch.from_numpy(bias_h))
        expected, _ = theirs(given)
    assert np.allclose(in_floats(c, params, given).out, expected.numpy(), atol=1e-12)
