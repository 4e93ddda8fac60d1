"""Damage to weights and state while a policy runs: how much of it is found, and how soon."""

from __future__ import annotations

import ctypes
import random

import numpy as np
import pytest
from c_library import FIRMWARE, build

from grsn_edge.backends._image import image
from grsn_edge.policy import load

MODEL = FIRMWARE.parent / "models" / "cartpole-p.grsn"
SLICE = 256
OK, CHECKSUM, STATE = 0, -6, -9


class Guard(ctypes.Structure):
    """``grsn_guard_t``."""

    _fields_ = (
        ("at", ctypes.c_uint32),
        ("image_crc", ctypes.c_uint32),
        ("state_crc", ctypes.c_uint32),
        ("is_sealed", ctypes.c_uint8),
    )


class Model(ctypes.Structure):
    """``grsn_model_t``."""

    _fields_ = (
        ("image", ctypes.c_void_p),
        *(
            (name, ctypes.c_uint32)
            for name in (
                "image_size",
                "observation_n",
                "action_n",
                "state_size",
                "scratch_size",
                "saved_size",
                "period_us",
                "golden_steps",
            )
        ),
    )


def aligned(data: bytes) -> object:
    """Writable memory with these bytes."""
    padded = data + bytes(-len(data) % 8)
    return (ctypes.c_uint64 * (len(padded) // 8)).from_buffer_copy(padded)


class Board:
    """A policy that runs under guard."""

    def __init__(self, library: ctypes.CDLL, data: bytes) -> None:
        self.c, self.model, self.guard = library, Model(), Guard()
        self.image = aligned(data)
        size = ctypes.c_size_t(len(data))
        assert library.grsn_open(ctypes.byref(self.model), self.image, size) == OK
        self.state = (ctypes.c_uint64 * (self.model.state_size // 8 + 1))()
        self.scratch = (ctypes.c_uint64 * (self.model.scratch_size // 8 + 1))()
        library.grsn_reset(ctypes.byref(self.model), self.state)
        library.grsn_guard_init(ctypes.byref(self.guard))
        self.action = (ctypes.c_int32 * self.model.action_n)()

    @property
    def round(self) -> int:
        return int(self.c.grsn_guard_round(ctypes.byref(self.model)))

    def turn(self, observation: list[int]) -> int:
        """A guarded step; the first status that is not good."""
        model, guard = ctypes.byref(self.model), ctypes.byref(self.guard)
        found = self.c.grsn_guard_state(guard, model, self.state)
        if found != OK:
            return int(found)
        given = (ctypes.c_int32 * len(observation))(*observation)
        self.c.grsn_step(model, self.state, self.scratch, given, self.action)
        self.c.grsn_guard_seal(guard, model, self.state)
        return int(self.c.grsn_guard_image(guard, model))


def flip(memory: object, bit: int) -> None:
    """One bit of an array becomes another."""
    (ctypes.c_uint8 * (bit // 8 + 1)).from_buffer(memory)[bit // 8] ^= 1 << bit % 8  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    names = ("grsn_guard.c", "grsn_crc.c", "grsn_image.c", "grsn_proof.c", "grsn_vm.c")
    sources = [FIRMWARE / "src" / name for name in names]
    return build(tmp_path_factory.mktemp("guard"), "guard", *sources)


@pytest.fixture(scope="module")
def data() -> bytes:
    return image(load(MODEL))


@pytest.fixture
def board(library: ctypes.CDLL, data: bytes) -> Board:
    return Board(library, data)


def test_a_sound_policy_is_never_suspected(board: Board) -> None:
    rng = np.random.default_rng(0)
    for _ in range(3 * board.round + 100):
        assert board.turn(rng.integers(-127, 128, board.model.observation_n).tolist()) == OK


def test_a_round_sees_the_whole_image(board: Board, data: bytes) -> None:
    assert board.round == -(-(len(data) - 4) // SLICE)


@pytest.mark.parametrize("when", [0, 1, 7])
def test_a_flipped_bit_of_the_image_is_found_within_two_rounds(board: Board, when: int) -> None:
    rng, idle = random.Random(when), [0] * board.model.observation_n
    # A constant of the policy: the data, far behind nodes that the machine runs.
    for _ in range(when):
        assert board.turn(idle) == OK
    flip(board.image, 8 * (board.model.image_size - 5) - rng.randrange(64))
    found = [board.turn(idle) for _ in range(2 * board.round)]
    assert CHECKSUM in found


def test_every_flipped_bit_of_the_state_is_found_by_the_next_step(board: Board) -> None:
    idle = [3] * board.model.observation_n
    for bit in range(8 * board.model.state_size):
        assert board.turn(idle) == OK
        flip(board.state, bit)
        assert board.turn(idle) == STATE, bit
        flip(board.state, bit)


def test_without_a_seal_the_state_is_not_judged(board: Board) -> None:
    flip(board.state, 3)
    assert board.turn([0] * board.model.observation_n) == OK


@pytest.mark.slow
def test_a_hundred_thousand_flips_are_found(library: ctypes.CDLL, data: bytes) -> None:
    """Image: 1, 2 or 8 bits, looked at for a round; state: 1 or 2, by one look.

    The machine is not run with a damaged image: it trusts what it has opened, and so a firmware
    must take CORRUPT for the end.  This counts what the guard finds.
    """
    rng, board = random.Random(0), Board(library, data)
    model, guard = ctypes.byref(board.model), ctypes.byref(board.guard)
    found = {"image": 0, "state": 0}
    tries = {"image": 20_000, "state": 80_000}
    for _ in range(tries["image"]):
        damage(board.image, rng.sample(range(8 * len(data)), rng.choice((1, 1, 1, 2, 8))))
        looks = [library.grsn_guard_image(guard, model) for _ in range(board.round)]
        found["image"] += CHECKSUM in looks
        ctypes.memmove(board.image, data, len(data))
    for _ in range(tries["state"]):
        library.grsn_guard_seal(guard, model, board.state)
        damage(board.state, rng.sample(range(8 * board.model.state_size), rng.choice((1, 1, 2))))
        found["state"] += library.grsn_guard_state(guard, model, board.state) == STATE
    rates = {name: f"{count} of {tries[name]}" for name, count in found.items()}
    assert found == tries, rates
    print(f"found: {rates}")


def damage(memory: object, bits: list[int]) -> None:
    """Flip several bits."""
    for bit in bits:
        flip(memory, bit)
