"""Weights of 6 and 4 bits in a file: fewer bytes, the same integers, and nothing else is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from spec_examples import blocks
from toy_policy import toy_policy

from grsn_edge.errors import FormatError, PolicyFileError, UsageError
from grsn_edge.policy import dumps, loads, model_hash
from grsn_edge.policy.layout import pack, unpack
from grsn_edge.program import from_parts, text, to_parts
from grsn_edge.program.packing import pack_weights, unpack_weights


@pytest.mark.parametrize("case", blocks("packed"), ids=lambda c: f"{c['bits']} bits")
def test_weights_are_packed_as_the_specification_shows(case: dict[str, Any]) -> None:
    weight = np.asarray(case["weight"])
    packed = pack_weights(weight, case["bits"])
    assert [row.tobytes().hex() for row in packed] == case["bytes"]
    assert unpack_weights(packed, weight.shape[1], case["bits"], "it").tolist() == case["weight"]


@pytest.mark.parametrize("bits", [6, 4])
def test_every_weight_and_every_width_come_back(bits: int) -> None:
    rng, half = np.random.default_rng(bits), 2 ** (bits - 1)
    for columns in range(1, 18):
        weight = rng.integers(-half, half, (3, columns))
        packed = pack_weights(weight, bits)
        assert packed.shape == (3, -(-columns * bits // 8))
        assert np.array_equal(unpack_weights(packed, columns, bits, "it"), weight)


@pytest.mark.parametrize("bits", [6, 4])
def test_a_file_of_narrow_weights_is_version_3_and_loads_as_it_was(bits: int) -> None:
    policy = toy_policy(bits)
    data = dumps(policy)
    again = loads(data)
    assert text(again.program) == text(policy.program)
    assert again.weight_bits == bits
    assert dumps(again) == data
    assert model_hash(again) == model_hash(policy) != model_hash(replace(policy, weight_bits=8))
    content, tensors = unpack(data)
    assert (content["version"], content["weight_bits"]) == (3, bits)
    assert tensors["program.layer0.drive.weight"].nbytes == 4 * -(-2 * bits // 8)
    assert unpack(dumps(replace(policy, weight_bits=8)))[0]["version"] == 1


def test_weights_that_do_not_fit_are_refused_when_the_file_is_written() -> None:
    with pytest.raises(PolicyFileError, match=r"weights of 'layer0.drive'.*4 bits is in"):
        dumps(replace(toy_policy(), weight_bits=4))
    with pytest.raises(UsageError, match="8, 6 or 4 bits, not 5"):
        replace(toy_policy(), weight_bits=5)


CHANGES: dict[str, tuple[Any, str]] = {
    "5 bits": (lambda c, t: c.update(weight_bits=5), "weight_bits is 6 or 4, not 5"),
    "8 bits": (lambda c, t: c.update(weight_bits=8), "weight_bits"),
    "no bits": (lambda c, t: c.pop("weight_bits"), "lacks the key 'weight_bits'"),
    "version 1": (lambda c, t: c.update(version=1), "not one of I8|unknown key"),
    "a plain matrix": (
        lambda c, t: t.update({"program.layer0.drive.weight": np.zeros((4, 2), np.int8)}),
        "must be uint8",
    ),
    "too wide": (
        lambda c, t: t.update({"program.layer0.drive.weight": np.zeros((4, 2), np.uint8)}),
        "must be uint8, 1 a row",
    ),
    "a bias in bytes": (
        lambda c, t: t.update({"program.layer0.drive.bias": np.zeros(4, np.uint8)}),
        "it must be the narrowest",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_file_that_does_not_keep_to_it_is_refused(case: str) -> None:
    change, message = CHANGES[case]
    content, tensors = unpack(dumps(toy_policy(4)))
    changed = dict(tensors)
    change(content, changed)
    with pytest.raises(PolicyFileError, match=message):
        loads(pack(content, changed))


def test_bits_behind_the_last_weight_are_refused() -> None:
    packed = pack_weights(np.array([[1, 2, 3]]), 4)
    packed[0, 1] |= 0x80
    with pytest.raises(FormatError, match="bits behind"):
        unpack_weights(packed, 3, 4, "it")


def test_parts_need_the_bits_they_were_written_with() -> None:
    program = toy_policy(4).program
    parts, tensors = to_parts(program, 4)
    assert text(from_parts(parts, tensors, 4)) == text(program)
    with pytest.raises(FormatError):
        from_parts(parts, tensors)
