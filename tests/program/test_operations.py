"""Each operation equals plain Python integers on random vectors, and broadcasts as it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from grsn_edge.errors import ProgramError
from grsn_edge.program import OPS, IntArray

Vectors = Sequence[Sequence[int]]

PLAIN: dict[str, Callable[[Vectors, dict[str, Any]], list[int]]] = {
    "add": lambda x, a: [p + q for p, q in zip(*x, strict=True)],
    "sub": lambda x, a: [p - q for p, q in zip(*x, strict=True)],
    "mul": lambda x, a: [p * q for p, q in zip(*x, strict=True)],
    "shr": lambda x, a: [(p + 2 ** (a["shift"] - 1)) // 2 ** a["shift"] for p in x[0]],
    "clip": lambda x, a: [sorted((a["lo"], p, a["hi"]))[1] for p in x[0]],
    "ge": lambda x, a: [int(p >= q) for p, q in zip(*x, strict=True)],
    "lut": lambda x, a: [a["table"][p + 128] for p in x[0]],
    "matvec": lambda x, a: [
        sum((w * p for w, p in zip(row, x[0], strict=True)), start=b)
        for row, b in zip(a["weight"], a["bias"], strict=True)
    ],
    "concat": lambda x, a: [p for part in x for p in part],
    "slice": lambda x, a: list(x[0])[a["start"] : a["stop"]],
    "argmax": lambda x, a: [list(x[0]).index(max(x[0]))],
    "const": lambda x, a: a["value"],
}
"""The operations a second time, in unbounded integers, from the words of the specification."""


def draw(op: str, n: int, rng: np.random.Generator) -> tuple[list[IntArray], dict[str, IntArray]]:
    rows = int(rng.integers(1, 9))
    reach = {"lut": 127, "argmax": 3, "matvec": 2**15, "mul": 2**15, "shr": 2**30}.get(op, 2**30)
    count = {"add": 2, "sub": 2, "mul": 2, "ge": 2, "concat": 3, "const": 0}.get(op, 1)
    attrs: dict[str, Any] = {
        "shr": {"shift": rng.integers(1, 31)},
        "clip": dict(zip(("lo", "hi"), np.sort(rng.integers(-(2**29), 2**29, 2)), strict=True)),
        "lut": {"table": rng.integers(-(2**15), 2**15, 256)},
        "matvec": {
            "weight": rng.integers(-128, 128, (rows, n)),
            "bias": rng.integers(-(2**20), 2**20, rows),
        },
        "slice": {"start": n // 3, "stop": n},
        "const": {"value": rng.integers(-(2**31), 2**31, n)},
    }.get(op, {})
    operands = [rng.integers(-reach - 1, reach, n, endpoint=True) for _ in range(count)]
    return operands, {key: np.asarray(value) for key, value in attrs.items()}


@pytest.mark.parametrize("op", PLAIN)
def test_an_operation_equals_plain_integers(op: str) -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        operands, attrs = draw(op, int(rng.integers(1, 40)), rng)
        plain = PLAIN[op](
            [x.tolist() for x in operands], {key: value.tolist() for key, value in attrs.items()}
        )
        assert OPS[op].evaluate(attrs, operands).tolist() == plain


@pytest.mark.parametrize("op", sorted(set(PLAIN) - {"const"}))
def test_a_batch_is_its_rows(op: str) -> None:
    rng = np.random.default_rng(8)
    operands, attrs = draw(op, 6, rng)
    batch = [np.stack([x, np.roll(x, 1), x[::-1]]) for x in operands]
    together = OPS[op].evaluate(attrs, batch)
    alone = [OPS[op].evaluate(attrs, [x[i] for x in batch]) for i in range(3)]
    assert np.array_equal(together, np.stack(alone))


@pytest.mark.parametrize("op", ["add", "sub", "mul", "ge"])
def test_a_length_of_one_stands_for_every_element(op: str) -> None:
    x, one = np.array([-3, 0, 5]), np.array([2])
    for pair, full in (((x, one), (x, np.full(3, 2))), ((one, x), (np.full(3, 2), x))):
        assert np.array_equal(OPS[op].evaluate({}, pair), OPS[op].evaluate({}, full))


def test_every_operation_is_compared() -> None:
    assert set(PLAIN) == set(OPS) - {"input", "state"}


@pytest.mark.parametrize("op", ["input", "state"])
def test_a_source_is_never_computed(op: str) -> None:
    with pytest.raises(ProgramError, match="given to the program"):
        OPS[op].evaluate({}, [])
