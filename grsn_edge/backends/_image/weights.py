"""The order in which an image holds the weights of a product (``docs/SPEC.md`` §9.4)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["in_order"]

_INT16 = 1


def in_order(op: str, weight: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.int64]:
    """The weights (rows, columns) of a product, one after the other.

    Args:
        op: ``event``: column after column; of int16 sums, a multiple of 4, the second and the
            third of every four rows change places, which is the order in which Cortex-M adds bytes
            to halves.  ``gate``: row after row.  ``dense``: four columns at a time, those of
            a row side by side, the last ones filled up with zeros.
        weight: the matrix.
        width: storage type of the result.
    """
    rows, columns = weight.shape
    if op == "gate":
        return weight.ravel()
    if op == "dense":
        filled = np.pad(weight, ((0, 0), (0, -columns % 4)))
        return filled.reshape(rows, -1, 4).transpose(1, 0, 2).ravel()
    if width == _INT16:
        weight = weight.reshape(-1, 4, columns)[:, [0, 2, 1, 3]].reshape(rows, columns)
    return weight.T.ravel()
