"""What the virtual machine computes: the operations of a policy image (``docs/SPEC.md`` §9.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from grsn_edge.program import Interval, Node

__all__ = ["CODES", "FORMS", "IN_PLACE", "WIDTHS", "Form", "Instruction", "holds"]

WIDTHS: Mapping[int, tuple[int, int]] = MappingProxyType(
    {0: (-(2**7), 2**7 - 1), 1: (-(2**15), 2**15 - 1), 2: (-(2**31), 2**31 - 1)}
)
"""Storage types by the logarithm of their bytes, with their ranges."""

_ANY, _WIDE, _NARROW, _INT32, _INT8 = (0, 1, 2), (1, 2), (0, 2), (2,), (0,)


@dataclass(frozen=True, slots=True)
class Form:
    """The storage types that an operation reads and writes, and whether it can end in a clip."""

    reads: tuple[int, ...]
    writes: tuple[int, ...]
    clips: bool = False


FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "input": Form((), _NARROW),
        "state": Form((), _NARROW),
        "const": Form((), _INT32),
        "event": Form(_INT8, _WIDE),
        "gate": Form(_INT8, _INT32),
        "dense": Form(_NARROW, _INT32),
        "argmax": Form(_INT32, _INT32),
        "append": Form(_ANY, _INT32),
        "move": Form(_ANY, _NARROW),
        "scale": Form(_WIDE, _INT32, clips=True),
        "lut": Form(_WIDE, _INT32, clips=True),
        "add": Form(_INT32, _INT32, clips=True),
        "mul": Form(_INT32, _INT32, clips=True),
        "mac": Form(_INT32, _INT32, clips=True),
        "blend": Form(_INT32, _INT32, clips=True),
        "ge": Form(_INT32, _INT8),
        "reset": Form(_INT32, _INT32),
    }
)
"""Every operation, in the order of its code."""

CODES: Mapping[str, int] = MappingProxyType({op: code for code, op in enumerate(FORMS)})

IN_PLACE = frozenset({"move", "scale", "lut", "add", "mul", "mac", "blend", "ge", "reset"})
"""Operations that may overwrite an operand of their own length and storage."""


@dataclass(frozen=True, eq=False)
class Instruction:
    """One value of an image and the operation that computes it.

    Args:
        name: of the value; of the program's value where it is one.
        op: a key of :data:`FORMS`.
        n: number of elements.
        args: names of the operands.
        nodes: the program's operations that it stands for, in order; the last one's value is its
            own.  None for what only moves elements.
        p, q: constant factor and summand, the rounding of ``shift`` included; p is the initial
            value of a state where it is uniform.
        shift, clip, start: constants; 0, None and 0 where there are none.
        arrays: constants that lie in the image's data: ``weight`` (rows, columns), ``bias``,
            ``table``, ``value``.
    """

    name: str
    op: str
    n: int
    args: tuple[str, ...] = ()
    nodes: tuple[Node, ...] = ()
    p: int = 0
    q: int = 0
    shift: int = 0
    clip: tuple[int, int] | None = None
    start: int = 0
    arrays: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)


def holds(interval: Interval) -> tuple[int, ...]:
    """The storage types that hold an interval, narrowest first."""
    return tuple(width for width, (lo, hi) in WIDTHS.items() if interval.within(lo, hi))
