"""Random forgeries with a fitting digest: a reader gives a policy or a named refusal, no more."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from toy_policy import toy_policy

from grsn_edge.errors import PolicyFileError
from grsn_edge.policy import dumps, loads
from grsn_edge.policy.layout import pack, unpack

VALUES: list[Any] = [None, True, 0, -1, 2**31, 2**53 - 1, 0.5, -0.0, 1e308, "", "action", "../.."]
VALUES += ["x" * 300, "\n", [], {}, [[]], {"a": 1}, ["a", "b"], [-(2**31), 2**31 - 1]]
NUMBERS = [0, 1, -1, 127, -128]
TYPES = [np.int8, np.int16, np.int32, np.float32]
FLOATS = np.float32([np.inf, np.nan, 3e38, -3e38, 1e-45])


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield from places(item if isinstance(item, dict | list) else (), (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def forge_document(content: Any, rng: random.Random) -> None:
    path = rng.choice(list(places(content)))
    parent, key = at(content, path[:-1]), path[-1]
    choice = rng.randrange(4)
    if choice == 0:
        del parent[key]
    elif choice == 1:
        parent[key] = copy.deepcopy(at(content, rng.choice(list(places(content)))))
    else:
        parent[key] = copy.deepcopy(rng.choice(VALUES))


def forge_tensors(tensors: dict[str, Any], rng: random.Random) -> None:
    name = rng.choice(sorted(tensors))
    tensor = tensors[name]
    choice = rng.randrange(6)
    if choice == 0:
        del tensors[name]
    elif choice == 1:
        tensors[name] = np.concatenate([tensor, tensor])
    elif choice == 2:
        tensors[name] = tensor.astype(rng.choice(TYPES))
    elif choice == 3:
        tensors[name] = tensors[rng.choice(sorted(tensors))]
    else:
        numbers = FLOATS if tensor.dtype == np.float32 else NUMBERS
        tensor.flat[rng.randrange(tensor.size)] = rng.choice(list(numbers))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.filterwarnings("error")
def test_a_forgery_is_read_or_refused_and_never_breaks_the_reader(seed: int) -> None:
    rng = random.Random(seed)
    content, tensors = unpack(dumps(toy_policy()))
    outcomes = set()
    for _ in range(60):
        document, arrays = copy.deepcopy(content), {k: v.copy() for k, v in tensors.items()}
        if rng.random() < 0.6:
            forge_document(document, rng)
        else:
            with np.errstate(all="ignore"):
                forge_tensors(arrays, rng)
        try:
            loads(pack(document, arrays))
            outcomes.add("read")
        except PolicyFileError:
            outcomes.add("refused")
    assert "refused" in outcomes
