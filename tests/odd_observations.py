"""Observations of two channels in every form that a user might hand over; some are refused."""

from __future__ import annotations

from array import array

import numpy as np

ODD = [
    [1, 2.5],
    [True, False],
    ["1", "2"],
    [1e300, 0.0],
    [10**400, 0],
    [2**60 + 2**36 + 1, 0],
    [np.float32(1.1), np.float64(2.2)],
    (0.1, 0.2),
    [None, 1],
    [],
    [1.0],
    [1.0, 2.0, 3.0],
    5,
    None,
    "ab",
    b"abcdefgh",
    range(2),
    np.zeros((1, 2)),
    np.zeros((1, 2), np.float32),
    np.zeros(1, np.float32),
    np.array([1, 2]),
    np.array([1.5, 2.5], ">f4"),
    np.array([1.5, 2.5], np.float16),
    np.array([1e39, 1.0]),
    np.arange(8.0)[::4],
    np.arange(8, dtype=np.float32)[::4],
    array("f", [1, 2]),
    array("d", [1, 2]),
]
