"""Read-outs whose argmax is the action: the earliest spike, and a draw from a softmax."""

from __future__ import annotations

import numpy as np
import pytest
from cell_courses import CODES, drawn, frozen, in_integers

from grsn_edge.errors import UsageError
from grsn_edge.neurons import Record, cell
from grsn_edge.policy import Network, make_decoder


def record(n_in: int, size: int, **states: int) -> Record:
    every = {name: np.ones((4, n)) for name, n in states.items()}
    return Record(np.ones((4, n_in)), every, every, np.ones((4, size)))


def race(weight: list[float], bias: float, steps: int = 1) -> np.ndarray:
    """Outputs ``(steps, actions)`` in ticks of a race on a held input of 1."""
    c = cell("first_spike", n_in=1, size=len(weight))
    params = drawn(c) | {"weight": np.array(weight)[:, None], "bias": np.full(len(weight), bias)}
    program = frozen(c, params, record(1, c.size, u=c.size))
    found = in_integers(program, np.full((steps, 1, 1), 127))
    scale = c.output(c.plan(params, CODES, record(1, c.size, u=c.size))).scale
    return np.asarray(found[:, 0] * scale)


def test_the_neuron_that_fires_first_has_the_greatest_value() -> None:
    (values,) = race([0.2, 1.5, 3.0, 0.7], 0.5)
    assert values.argmax() == 2
    assert np.array_equal(np.argsort(values), [0, 3, 1, 2])
    assert values[2] > values[1] + 1.0  # at least one tick earlier


def test_the_higher_membrane_decides_where_none_fires() -> None:
    (values,) = race([0.1, 0.3, 0.2], 0.2)
    assert (values < 1.0).all()
    assert values.argmax() == 1


def test_a_neuron_that_fired_starts_the_next_race_at_zero_and_others_go_on() -> None:
    values = race([3.0, 0.65], 0.3, steps=3)
    assert np.array_equal(values[0] // 1, values[1] // 1) or values[1, 1] > values[0, 1]
    assert values[1, 0] == values[0, 0]
    assert values[1, 1] > values[0, 1]


def test_a_race_has_2_to_12_ticks() -> None:
    with pytest.raises(UsageError, match="2 to 12 ticks"):
        cell("first_spike", n_in=1, size=2, ticks=13)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_actions_are_drawn_from_the_softmax(temperature: float) -> None:
    logits = np.array([1.0, 0.0, -0.5])
    c = cell("stochastic", n_in=1, size=3, leaky=False, temperature=temperature, seed=3)
    params = drawn(c) | {"weight": logits[:, None]}
    program = frozen(c, params, record(1, 3, digit=3, carry=3))
    actions = in_integers(program, np.full((8000, 1, 1), 127)).argmax(-1)
    frequency = np.bincount(actions.ravel(), minlength=3) / actions.size
    expected = np.exp(logits / temperature) / np.exp(logits / temperature).sum()
    assert np.abs(frequency - expected).max() < 0.02


def test_the_seed_decides_the_draws_and_a_reset_repeats_them() -> None:
    runs = []
    for seed in (0, 0, 1):
        c = cell("stochastic", n_in=1, size=4, seed=seed)
        params = drawn(c)
        program = frozen(c, params, record(1, 4, v=4, digit=4, carry=4))
        runs.append(in_integers(program, np.zeros((50, 1, 1), np.int64)).argmax(-1))
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_a_temperature_is_positive() -> None:
    with pytest.raises(UsageError, match="temperature"):
        cell("stochastic", n_in=1, size=2, temperature=0.0)


@pytest.mark.parametrize("kind", ["first_spike", "stochastic"])
def test_both_are_the_last_cell_of_a_network_with_argmax(kind: str) -> None:
    network = Network((cell("lif", n_in=2, size=8), cell(kind, n_in=8, size=3)), "argmax")
    assert Network.from_config(network.config()) == network
    assert make_decoder(network, []).kind == "argmax"
