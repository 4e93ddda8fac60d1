"""Float to integers and back in C: every bit of the encoder and decoder in Python."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import numpy as np
import pytest
from spec_examples import blocks
from toy_policy import toy_policy
from virtual_machine import Machine

from grsn_edge.backends._image import image
from grsn_edge.errors import ObservationError
from grsn_edge.policy import Channel, Decoder, Encoder, Policy
from grsn_edge.program import Builder

ENCODED, NO_ENCODER = -1, -2


def policy_of(encoder: Encoder, decoder: Decoder) -> Policy:
    """A policy around these two, that sums its observation."""
    b = Builder()
    x = b.input("observation", encoder.n, lo=-encoder.limit, hi=encoder.limit)
    y = b.matvec(np.ones((decoder.n, encoder.n), int), x).shr(20).clip(0, 0)
    b.output("action", y)
    return Policy(
        name="codec",
        program=b.build(),
        encoder=encoder,
        decoder=decoder,
        period_s=0.01,
        observations=tuple(Channel(f"x{i}", "", -1.0, 1.0) for i in range(encoder.n)),
        actions=tuple(Channel(f"y{i}", "", -1.0, 1.0) for i in range(decoder.n)),
    )


def encode(machine: Machine, observation: np.ndarray) -> tuple[int, np.ndarray]:
    given = np.ascontiguousarray(observation, np.float32)
    codes = np.zeros(machine.model.observation_n, np.int32)
    pointers = (array.ctypes.data_as(ctypes.c_void_p) for array in (given, codes))
    return machine.lib.grsn_encode(ctypes.byref(machine.model), *pointers), codes


def decode(machine: Machine, action: np.ndarray) -> tuple[int, np.ndarray]:
    given = np.ascontiguousarray(action, np.int32)
    command = np.full(machine.model.action_n, 7, np.float32)
    pointers = (array.ctypes.data_as(ctypes.c_void_p) for array in (given, command))
    return machine.lib.grsn_decode(ctypes.byref(machine.model), *pointers), command


def floats(rng: np.random.Generator, count: int) -> np.ndarray:
    """Any bits: NaN, infinities, subnormal and huge numbers among them."""
    return rng.integers(0, 2**32, count, dtype=np.uint32).view(np.float32)


@pytest.mark.parametrize("flags", [("-O2", "-march=native"), ("-Os",)], ids=["native", "small"])
@pytest.mark.parametrize("dtype", ["int8", "int16"])
@pytest.mark.parametrize("on_invalid", ["refuse", "clamp"])
def test_codes_are_those_of_python(dtype: str, on_invalid: str, flags: tuple[str, ...]) -> None:
    rng = np.random.default_rng(3)
    offset, gain = rng.normal(size=64), 10.0 ** rng.uniform(-3, 5, 64)
    encoder = Encoder(offset.astype(np.float32), gain.astype(np.float32), dtype, on_invalid)
    machine = Machine(image(policy_of(encoder, Decoder("argmax", [0.0], [1.0]))), *flags)
    for _ in range(300):
        codes = rng.integers(-2 * encoder.limit, 2 * encoder.limit, 64) / 2
        near = (codes / encoder.gain + encoder.offset).astype(np.float32)
        x = np.where(rng.random(64) < 0.5, near, floats(rng, 64))
        x = np.where(np.isfinite(x) | (on_invalid == "clamp"), x, np.float32(0))
        found, codes_in_c = encode(machine, x)
        assert found == ENCODED
        assert np.array_equal(codes_in_c, encoder.encode(x))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_bad_channel_is_named(value: float) -> None:
    encoder = Encoder(np.zeros(4, np.float32), np.ones(4, np.float32))
    machine = Machine(image(policy_of(encoder, Decoder("argmax", [0.0], [1.0]))))
    x = np.array([1.0, 2.0, value, np.nan], np.float32)
    with pytest.raises(ObservationError, match="channel 2"):
        encoder.encode(x)
    assert encode(machine, x)[0] == 2


@pytest.mark.parametrize("line", blocks("encode"), ids=str)
def test_the_encoder_gives_the_codes_of_the_spec(line: dict[str, object]) -> None:
    keys = ("offset", "gain", "dtype", "on_invalid")
    encoder = Encoder(*(line[key] for key in keys))  # type: ignore[arg-type]
    machine = Machine(image(policy_of(encoder, Decoder("argmax", [0.0], [1.0]))))
    for i, x in enumerate(np.array(line["observation"], np.float32)):
        found, codes = encode(machine, x)
        if line["code"] == "refused":
            assert found >= 0
        else:
            assert codes.tolist() == line["code"][i]  # type: ignore[index]


@pytest.mark.parametrize("kind", ["clip", "tanh"])
def test_commands_are_those_of_python(kind: str) -> None:
    rng = np.random.default_rng(4)
    offset, scale = rng.normal(size=32), rng.normal(size=32)
    decoder = Decoder(kind, offset.astype(np.float32), scale.astype(np.float32))  # type: ignore[arg-type]
    encoder = Encoder(np.zeros(2, np.float32), np.ones(2, np.float32))
    machine = Machine(image(policy_of(encoder, decoder)), "-O2", "-march=native")
    for width in (2**7, 2**15, 2**31):
        for _ in range(100):
            q = rng.integers(-width, width, 32)
            found, command = decode(machine, q)
            assert found == 0
            assert command.tobytes() == np.asarray(decoder.decode(q)).tobytes()


def test_an_index_decodes_to_itself() -> None:
    machine = Machine(image(toy_policy()))
    found, command = decode(machine, np.array([2]))
    assert (found, command.tolist()) == (1, [2.0])


def test_an_image_of_a_bare_program_has_no_codec() -> None:
    machine = Machine(image(replace(toy_policy(), golden=None).program))
    assert encode(machine, np.zeros(2))[0] == NO_ENCODER
    found, command = decode(machine, np.array([2]))
    assert (found, command.tolist()) == (NO_ENCODER, [7.0])
