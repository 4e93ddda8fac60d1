"""Random integers: the numbers of the definition, the same in floats, and good enough."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from grsn_edge.neurons.chance import MODULUS, PERIOD, draw, float_draw, seeds
from grsn_edge.program import Builder, Program, step

MULTIPLIER = 32718


def program(start: npt.NDArray[np.int64]) -> Program:
    b = Builder()
    b.output("number", draw(b, start))
    return b.build()


def defined(z: int, count: int) -> list[int]:
    numbers = []
    for _ in range(count):
        numbers.append(z % 65536)
        z = MULTIPLIER * (z % 65536) + z // 65536
    return numbers


def is_prime(n: int) -> bool:
    return all(n % d for d in range(2, int(n**0.5) + 1))


def test_the_period_is_what_the_primes_say() -> None:
    assert MODULUS == MULTIPLIER * 2**16 - 1
    assert is_prime(MODULUS)
    assert is_prime(PERIOD)
    assert pow(2**16, PERIOD, MODULUS) == 1


def test_the_program_draws_the_numbers_of_the_definition_and_repeats_them_after_a_reset() -> None:
    start = seeds(7, 3)
    p = program(start)
    for _ in range(2):
        state, found = p.initial_state(), []
        for _ in range(50):
            out, state = step(p, {}, state)
            found.append(out["number"])
        assert np.array_equal(np.array(found).T, [defined(int(z), 50) for z in start])


def test_a_snapshot_of_the_state_goes_on_with_the_next_number() -> None:
    p = program(seeds(7, 1))
    state = p.initial_state()
    for _ in range(20):
        _, state = step(p, {}, state)
    out, _ = step(p, {}, state)
    assert out["number"][0] == defined(int(seeds(7, 1)[0]), 21)[-1]


def test_float_steps_draw_the_same_numbers_in_float32() -> None:
    start = seeds(1, 4)
    state = {name: torch.zeros(2, 4) for name in ("digit", "carry")}
    for t in range(100):
        number, state = float_draw(state, start)
        assert number[0].tolist() == [defined(int(z), t + 1)[-1] for z in start]
        assert torch.equal(number[0], number[1])


def test_other_seeds_give_other_numbers() -> None:
    assert not np.array_equal(seeds(0, 4), seeds(1, 4))
    assert len(set(seeds(0, 64).tolist())) == 64


@pytest.fixture(scope="module")
def bytes_drawn() -> npt.NDArray[np.int64]:
    """The upper bytes of a million numbers, (1000 steps, 1000 streams)."""
    z = seeds(5, 1000)
    rows = []
    for _ in range(1000):
        rows.append(z % 65536 // 256)
        z = MULTIPLIER * (z % 65536) + z // 65536
    return np.stack(rows)


def chi_squared(counts: npt.NDArray[np.int64]) -> float:
    expected = counts.sum() / counts.size
    return float(((counts - expected) ** 2 / expected).sum())


def test_bytes_are_uniform_alone_and_in_pairs(bytes_drawn: npt.NDArray[np.int64]) -> None:
    """255 degrees of freedom: 190 to 330 is where all but one in a thousand fall."""
    alone = np.bincount(bytes_drawn.ravel(), minlength=256)
    pairs = (bytes_drawn[:-1:2] // 16) * 16 + bytes_drawn[1::2] // 16
    assert 190 < chi_squared(alone) < 330
    assert 190 < chi_squared(np.bincount(pairs.ravel(), minlength=256)) < 330


def test_numbers_of_one_stream_and_of_two_are_not_correlated(
    bytes_drawn: npt.NDArray[np.int64],
) -> None:
    u = (bytes_drawn - 127.5) / bytes_drawn.std()
    for lag in (1, 2, 3, 7):
        assert abs(float((u[:-lag] * u[lag:]).mean())) < 0.004
    assert abs(float((u[:, :-1] * u[:, 1:]).mean())) < 0.004
