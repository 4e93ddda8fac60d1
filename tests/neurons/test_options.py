"""Leaks drawn in three ways, steps within a step, taps that are powers of two."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cell_courses import codes, drawn, frozen, in_floats

from grsn_edge.errors import UsageError
from grsn_edge.neurons import cell
from grsn_edge.neurons.leaks import initial_leaks
from grsn_edge.neurons.quantise import NumpyQuantiser, power_of_two
from grsn_edge.program import Program, step


def tau(how: str, n: int = 4000) -> np.ndarray:
    beta = 1.0 / (1.0 + np.exp(-initial_leaks(np.random.default_rng(0), n, how)))  # type: ignore[arg-type]
    return np.asarray(-1.0 / np.log(beta))


def test_leaks_are_uniform_or_time_constants_are_spaced_in_their_logarithm_or_gamma() -> None:
    beta = np.exp(-1.0 / tau("uniform"))
    assert (beta.min(), beta.mean(), beta.max()) == pytest.approx((0.1, 0.5, 0.9), abs=0.02)
    spaced = np.diff(np.log(np.sort(tau("log"))))
    assert spaced == pytest.approx(np.full(3999, np.log(200) / 3999), rel=1e-3)
    gamma = tau("gamma")
    assert gamma.mean() == pytest.approx(5.0, rel=0.05)
    assert gamma.var() == pytest.approx(25.0 / 3.0, rel=0.1)


@pytest.mark.parametrize("kind", ["grsn", "lif", "rlif"])
def test_beta_init_is_an_option_of_every_leaky_neuron(kind: str) -> None:
    leaks = [
        drawn(cell(kind, n_in=2, size=50, beta_init=how))["leak"]
        for how in ("uniform", "log", "gamma", "fast")
    ]
    assert not np.array_equal(leaks[0], leaks[1])
    assert not np.array_equal(leaks[1], leaks[2])
    with pytest.raises(UsageError, match="uniform, log, gamma, fast, not 'zipf'"):
        cell(kind, n_in=2, size=4, beta_init="zipf")


def test_gates_begin_by_holding_a_current_or_by_replacing_it_at_each_step() -> None:
    size, start = 50, {"u": 0.0, "c": 1.0, "o": 0.0}
    left = {}
    for memory in ("hold", "relay"):
        made = cell("grsn", n_in=2, size=size, memory=memory)
        params = {k: torch.from_numpy(v) for k, v in made.init(np.random.default_rng(0)).items()}
        state = {k: torch.full((1, size), v, dtype=torch.float64) for k, v in start.items()}
        nothing = torch.zeros(1, 2, dtype=torch.float64)
        _, after = made.float_step(params, nothing, state, lambda z: (z >= 0).double())
        left[memory] = float(after["c"].mean())
    assert left["hold"] > 0.7
    assert left["relay"] < 0.15
    with pytest.raises(UsageError, match="'hold' or 'relay', not 'keep'"):
        cell("grsn", n_in=2, size=4, memory="keep")


@pytest.mark.parametrize(
    "options", [{"gates": "spikes"}, {"gates": "input"}, {}, {"reset": "hard"}]
)
def test_inner_steps_are_steps_on_a_held_input_and_the_output_counts_their_spikes(
    options: dict[str, str],
) -> None:
    kind = "grsn" if "gates" in options else "lif"
    one = cell(kind, n_in=3, size=20, **options)
    four = cell(kind, n_in=3, size=20, inner_steps=4, **options)
    params, x = drawn(one), codes(3)[:60]
    record = in_floats(one, params, torch.from_numpy(x / 127.0)).record
    single, unrolled = frozen(one, params, record), frozen(four, params, record)

    state, held = unrolled.initial_state((x.shape[1],)), single.initial_state((x.shape[1],))
    for now in x:
        count = np.zeros((x.shape[1], 20), np.int64)
        for _ in range(4):
            out, held = step(single, {"x": now}, held)
            count += out["y"]
        out, state = step(unrolled, {"x": now}, state)
        assert np.array_equal(out["y"], count)
        for name, value in held.items():
            assert np.array_equal(state[name], value), name
    assert interval(unrolled) == (0, 4)


def interval(program: Program) -> tuple[int, int]:
    node = program[program.outputs["y"]]
    return node.interval.low, node.interval.high


def test_inner_steps_are_1_to_16() -> None:
    for kind in ("grsn", "lif"):
        with pytest.raises(UsageError, match="1 to 16 inner steps, not 0"):
            cell(kind, n_in=2, size=4, inner_steps=0)


def test_the_nearest_power_of_two_is_the_same_in_numpy_and_torch_and_passes_gradients() -> None:
    x = np.array([0.0, 0.013, 0.3, -0.7, 1.0, -1.5, 5.0, -0.001])
    expected = [2**-6, 2**-6, 0.25, -0.5, 1.0, -2.0, 2.0, -(2**-6)]
    assert NumpyQuantiser().power_of_two(x, -6, 1).tolist() == expected
    for dtype in (torch.float32, torch.float64):
        tensor = torch.tensor(x, dtype=dtype, requires_grad=True)
        found = power_of_two(tensor, -6, 1)
        found.sum().backward()
        assert found.tolist() == expected
        assert tensor.grad is not None
        assert tensor.grad.tolist() == [1.0] * len(x)


def test_taps_in_the_program_are_signed_powers_of_two_and_nothing_else_is_multiplied() -> None:
    c = cell("mf_psn", n_in=3, size=20, order=3, dilation=2)
    params = drawn(c)
    record = in_floats(c, params, torch.from_numpy(codes(3) / 127.0)).record
    program = frozen(c, params, record)
    factors = [program[node.args[1]] for node in program if node.op == "mul" and node.n == 20]
    assert len(factors) >= 3
    for factor in factors:
        size = np.abs(factor.attrs["value"])
        assert np.all(size & (size - 1) == 0)
        assert np.all(size > 0)
    assert program.states[0].n == 2 * 2 * 20
