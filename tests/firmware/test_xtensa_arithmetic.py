"""Division and multiplication for Xtensa, under other names, beside Python's integers."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Callable

import pytest
from c_library import FIRMWARE, build

WIDTHS = {"muldi3": 64, "udivsi3": 32, "umodsi3": 32, "divsi3": -32, "modsi3": -32}
WIDTHS |= {"udivdi3": 64, "umoddi3": 64, "divdi3": -64, "moddi3": -64}
"""Bits of the operands; negative: with a sign."""
TYPES = {32: ctypes.c_uint32, 64: ctypes.c_uint64, -32: ctypes.c_int32, -64: ctypes.c_int64}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    source = FIRMWARE / "ports" / "common" / "xtensa_arithmetic.c"
    renamed = tuple(f"-D__{name}=test_{name}" for name in WIDTHS)
    return build(tmp_path_factory.mktemp("xtensa"), "arithmetic", source, flags=renamed)


def expected(name: str, a: int, b: int, bits: int) -> int:
    if name == "muldi3":
        return a * b % 2**bits
    quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return quotient if "div" in name else a - quotient * b


def operands(width: int, draw: random.Random) -> int:
    """Of every magnitude, with the ends."""
    bits = abs(width)
    value = draw.choice(
        (0, 1, 2**bits - 1, 2 ** (bits - 1), draw.getrandbits(draw.randint(1, bits)))
    )
    return value - 2**bits if width < 0 and value >= 2 ** (bits - 1) else value


@pytest.mark.parametrize("name", WIDTHS)
def test_xtensa_arithmetic_is_that_of_integers(library: ctypes.CDLL, name: str) -> None:
    width = WIDTHS[name]
    function: Callable[[int, int], int] = getattr(library, f"test_{name}")
    function.restype = TYPES[width]  # type: ignore[attr-defined]
    function.argtypes = [TYPES[width]] * 2  # type: ignore[attr-defined]
    draw = random.Random(name)
    for _ in range(2000):
        a, b = operands(width, draw), operands(width, draw)
        if name != "muldi3" and (b == 0 or (width < 0 and b == -1)):
            continue  # undefined in C, or may leave the type
        assert function(a, b) == expected(name, a, b, abs(width)), (a, b)
