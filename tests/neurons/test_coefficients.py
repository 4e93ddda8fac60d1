"""Narrow weights and leaks that are shifts: what is left in the program."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cell_courses import codes, drawn, frozen, in_floats

from grsn_edge.errors import UsageError
from grsn_edge.neurons import Cell, cell, cell_kinds
from grsn_edge.neurons.base import largest, reach
from grsn_edge.neurons.coefficients import leaks
from grsn_edge.program import Program, operations

LEAKY = ("grsn", "lif", "rlif", "readout", "first_spike", "stochastic")


def program_of(c: Cell) -> Program:
    params = drawn(c)
    record = in_floats(c, params, torch.from_numpy(codes(c.n_in)[:60] / 127.0)).record
    return frozen(c, params, record)


def made(kind: str, **options: object) -> Program:
    return program_of(cell(kind, n_in=3, size=12, **options))


@pytest.mark.parametrize("kind", LEAKY)
def test_a_leak_that_is_a_power_of_two_is_no_multiplication(kind: str) -> None:
    before, after = made(kind), made(kind, coefficients="pow2")
    saved = operations(before).total.multiplications - operations(after).total.multiplications
    per_neuron = {"grsn": 2, "first_spike": 8}.get(kind, 1)
    assert saved == per_neuron * 12
    assert not any(node.name.endswith("leak") for node in after)


def test_what_is_left_to_multiply_in_grsn_is_the_gate() -> None:
    assert operations(made("grsn", coefficients="pow2")).total.multiplications == 12


@pytest.mark.parametrize("kind", ["grsn", "lif", "rlif"])
def test_a_membrane_that_is_shifted_takes_15_bits_and_is_proven_to_stay_there(kind: str) -> None:
    program = made(kind, coefficients="pow2")
    (u,) = (state for state in program.states if state.name == "u")
    assert (u.interval.low, u.interval.high) == (-(2**14), 2**14 - 1)


def test_all_neurons_leak_by_the_power_of_two_nearest_to_their_geometric_mean() -> None:
    keep = torch.tensor([0.5, 0.25, 0.125, 0.0625])
    leak = (torch.log1p(-keep) - keep.log()).requires_grad_()
    found = leaks(leak, "pow2")
    assert found.tolist() == [1.0 - 2.0**-2] * 4 or found.tolist() == [1.0 - 2.0**-3] * 4
    found.sum().backward()
    assert leak.grad is not None
    assert torch.allclose(leak.grad, keep * (1.0 - keep))


def test_leaks_stay_between_a_half_and_127_of_128() -> None:
    for logit, beta in ((-9.0, 0.5), (9.0, 127 / 128)):
        assert leaks(torch.full((3,), logit), "pow2").tolist() == [beta] * 3


def test_coefficients_are_q15_or_pow2() -> None:
    with pytest.raises(UsageError, match="coefficients are 'q15' or 'pow2', not 'q7'"):
        cell("lif", n_in=2, size=3, coefficients="q7")


# ---- weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [6, 4])
@pytest.mark.parametrize("kind", [kind for kind in cell_kinds() if kind not in ("frames", "toy")])
def test_every_weight_of_every_cell_has_so_many_bits_and_uses_them(kind: str, bits: int) -> None:
    limit = 2 ** (bits - 1) - 1
    weights = [node.attrs["weight"] for node in made(kind, weight_bits=bits) if node.op == "matvec"]
    assert weights
    for weight in weights:
        assert np.abs(weight).max() <= limit
    assert max(np.abs(weight).max() for weight in weights) == limit


def test_weights_have_8_6_or_4_bits() -> None:
    with pytest.raises(UsageError, match="weights have 8, 6 or 4 bits, not 5"):
        cell("lif", n_in=2, size=3, weight_bits=5)


def test_the_scale_of_few_bits_loses_less_than_that_of_the_largest_weight() -> None:
    weight = np.random.default_rng(0).normal(size=(20, 64))

    def error(most: np.ndarray) -> np.ndarray:
        unit = (most / 7)[:, None]
        return np.square(np.clip(np.rint(weight / unit), -7, 7) * unit - weight).sum(axis=1)

    assert np.array_equal(reach(weight, 127), largest(weight))
    assert np.all(error(reach(weight, 7)) <= error(largest(weight)))
    assert error(reach(weight, 7)).sum() < 0.9 * error(largest(weight)).sum()
