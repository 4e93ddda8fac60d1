"""Weight matrices of fewer than eight bits as bytes (``docs/SPEC.md`` §6.9)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import FormatError, ProgramError
from grsn_edge.program.interval import IntArray

__all__ = ["PACKED_BITS", "pack_weights", "unpack_weights"]

PACKED_BITS = (6, 4)
"""Widths of packed weights."""


def pack_weights(weight: IntArray, bits: int) -> npt.NDArray[np.uint8]:
    """Rows of two's complement, lowest bit first, each row filled with 0 to whole bytes.

    Raises:
        ProgramError: a weight does not fit into so many bits.
    """
    half = 1 << (bits - 1)
    if weight.min() < -half or weight.max() >= half:
        raise ProgramError(f"a weight of {bits} bits is in [{-half}, {half - 1}]")
    planes = (weight[..., None] >> np.arange(bits)) & 1
    return np.packbits(planes.reshape(len(weight), -1).astype(np.uint8), axis=1, bitorder="little")


def unpack_weights(packed: npt.NDArray[Any], columns: int, bits: int, where: str) -> IntArray:
    """The matrix of :func:`pack_weights`, int64 ``(rows, columns)``.

    Raises:
        FormatError: other than so many columns, or bits behind the last one.
    """
    width = -(-columns * bits // 8)
    if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != width:
        raise FormatError(
            f"{where} holds {columns} weights of {bits} bits in a row: it must be uint8, "
            f"{width} a row, not {packed.dtype} of shape {packed.shape}"
        )
    flat = np.unpackbits(packed, axis=1, bitorder="little")
    if flat[:, columns * bits :].any():
        raise FormatError(f"{where} has bits behind its last weight")
    planes = flat[:, : columns * bits].reshape(len(packed), columns, bits).astype(np.int64)
    value = planes @ (1 << np.arange(bits))
    return np.asarray(value - ((value >> (bits - 1)) << bits), dtype=np.int64)
