"""Observations on their way to a device: codes checked, and packed into few frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from grsn_edge.device.protocol import Format, ModelInfo
from grsn_edge.errors import ObservationError
from grsn_edge.program import IntArray

__all__ = ["checked", "profile_requests", "profiled_rows", "step_requests"]

_STEP_HEADER, _STEP_REPLY, _PROFILE_HEADER = 2, 16, 6
_MOST_STEPS, _MOST_PROFILED, _PROFILE_PIECE = 255, 65535, 1000


def checked(codes: npt.ArrayLike, ndim: int, model: ModelInfo, form: Format) -> IntArray:
    """Observation codes ``(n,)`` or ``(T, n)``, by ``ndim``, as int64.

    Raises:
        ObservationError: another shape, or not integers that ``form`` holds.
    """
    array, n = np.asarray(codes), model.observation_n
    if array.ndim != ndim or array.shape[-1] != n or array.dtype.kind not in "iub":
        raise ObservationError(
            f"observation codes of this device are integers {('(n,)', '(T, n)')[ndim - 1]} "
            f"with n = {n}, not {array.dtype} {array.shape}"
        )
    limit = 2 ** (8 * form.observation - 1)
    if array.size and not (array.min() >= -limit and array.max() < limit):
        raise ObservationError(f"observation codes lie in [{-limit}, {limit - 1}]")
    return array.astype(np.int64)


def step_requests(
    rows: IntArray, model: ModelInfo, form: Format, room: int, check: bool, quality: int
) -> Iterator[bytes]:
    """Payloads of STEP for ``(T, n)``: as many rows each as request and reply hold in ``room``."""
    by_request = (room - _STEP_HEADER) // max(1, model.observation_n * form.observation)
    by_reply = (room - _STEP_REPLY) // max(1, model.action_n * form.action)
    most = max(1, min(_MOST_STEPS, by_request, by_reply))
    for piece in (rows[at : at + most] for at in range(0, len(rows), most)):
        head = bytes([len(piece), form.byte(with_state_crc=check, quality=quality)])
        yield head + form.pack(piece)


def profiled_rows(rows: IntArray, model: ModelInfo, form: Format, room: int) -> IntArray:
    """As many of the first rows as a PROFILE of ``room`` bytes holds, at least one."""
    width = form.observation * model.observation_n
    return rows[: max(1, min(_MOST_STEPS, (room - _PROFILE_HEADER) // width))]


def profile_requests(rows: IntArray, steps: int, form: Format) -> Iterator[bytes]:
    """Payloads of PROFILE: whole rounds, so that the next begins with the first row again."""
    most = min(_MOST_PROFILED, max(1, _PROFILE_PIECE // len(rows)) * len(rows))
    header = bytes([form.byte(), len(rows)])
    for done in range(0, steps, most):
        yield header + min(most, steps - done).to_bytes(4, "little") + form.pack(rows)
