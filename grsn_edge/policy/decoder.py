"""Integers of the program's ``action`` output → what the robot is told (``docs/SPEC.md`` §5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from grsn_edge.errors import UsageError
from grsn_edge.policy.encoder import FloatArray, _vector
from grsn_edge.program import IntArray

__all__ = ["Decoder", "DecoderKind"]

DecoderKind = Literal["argmax", "clip", "tanh"]


@dataclass(frozen=True, eq=False)
class Decoder:
    """What the integers of an action mean.

    ``argmax``: the program's output, of length 1, is the index of the chosen action.
    ``clip`` and ``tanh``: in IEEE binary32, each operation rounded to nearest even::

        action = offset + scale * float32(q)

    Args:
        kind: which decoder ended the program.
        offset, scale: float32 ``(m,)`` in the action's unit; for ``argmax`` 0 and 1.
    """

    kind: DecoderKind
    offset: FloatArray
    scale: FloatArray

    def __post_init__(self) -> None:
        for name in ("offset", "scale"):
            object.__setattr__(self, name, _vector(name, getattr(self, name)))
        if self.kind not in ("argmax", "clip", "tanh") or self.offset.shape != self.scale.shape:
            raise UsageError(
                "a decoder is argmax, clip or tanh, with one offset and scale per action"
            )

    @property
    def is_discrete(self) -> bool:
        """Whether the action is an index."""
        return self.kind == "argmax"

    @property
    def n(self) -> int:
        """Length of the program's ``action`` output."""
        return int(self.offset.size)

    def decode(self, q: IntArray) -> FloatArray | np.int64 | IntArray:
        """Action of the integers ``(..., m)``: indices int64 ``(...)``, or float32 ``(..., m)``."""
        if self.is_discrete:
            return q[..., 0]
        action: FloatArray = self.offset + self.scale * q.astype(np.float32)
        return action
