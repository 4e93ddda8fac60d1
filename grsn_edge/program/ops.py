"""The operations of a step program, each defined in one place (``docs/SPEC.md`` §2).

An :class:`Op` says three things about itself: the exact integers it computes (``evaluate``), the
interval that its result is proven to stay in (``interval``), and the interval of every partial
result on the way (``accumulator``), which must fit in int32.  Everything else in the project is a
lowering of these few classes.  To add one, add a class here and a section to the SPEC.

Shapes: a value is a vector; ``evaluate`` takes arrays ``(..., n)`` of int64 with any leading batch
shape.  Element-wise operations let a length-1 operand broadcast.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from grsn_edge.errors import ProgramError
from grsn_edge.program.interval import INT32, MAX_ELEMENTS, IntArray, Interval

__all__ = ["OPS", "Attr", "Attrs", "Op"]

Attrs = Mapping[str, IntArray]
"""Constants of a node by name: scalars are 0-d arrays, vectors 1-d, a weight matrix 2-d."""


@dataclass(frozen=True, slots=True)
class Attr:
    """One constant of an operation: its number of dimensions and its inclusive value range."""

    ndim: int
    lo: int = INT32[0]
    hi: int = INT32[1]


class Op(ABC):
    """One operation.  Stateless; the single instance lives in :data:`OPS`."""

    name: ClassVar[str]
    arity: ClassVar[int | None]
    """Number of operands; None for any number from one up."""
    attrs: ClassVar[Mapping[str, Attr]] = {}

    @abstractmethod
    def evaluate(self, attrs: Attrs, args: Sequence[IntArray]) -> IntArray:
        """The exact result; ``args`` are int64 ``(..., n)``."""

    @abstractmethod
    def interval(self, attrs: Attrs, args: Sequence[Interval]) -> Interval:
        """The proven interval of the result."""

    def accumulator(self, attrs: Attrs, args: Sequence[Interval]) -> Interval:
        """The proven interval of every partial result, in any order of evaluation."""
        return self.interval(attrs, args)

    def check(self, attrs: Attrs, args: Sequence[Interval]) -> None:
        """Raise :class:`ProgramError` where lengths or constants do not fit the operands."""


class Source(Op):
    """Base of the operations without operands; a value of theirs comes from outside."""

    arity = 0

    def evaluate(self, attrs: Attrs, args: Sequence[IntArray]) -> IntArray:
        raise ProgramError(f"a value of '{self.name}' is given to the program, never computed")

    def interval(self, attrs: Attrs, args: Sequence[Interval]) -> Interval:
        return Interval(attrs["lo"], attrs["hi"])

    def check(self, attrs: Attrs, args: Sequence[Interval]) -> None:
        if np.any(attrs["lo"] > attrs["hi"]):
            raise ProgramError(f"an {self.name} needs lo <= hi for every element")


class Input(Source):
    """``input name n lo hi``: given at each step."""

    name = "input"
    attrs: ClassVar[Mapping[str, Attr]] = {"lo": Attr(1), "hi": Attr(1)}


class State(Source):
    """``state name n lo hi init``: the previous step's ``next``; ``init`` after a reset."""

    name = "state"
    attrs: ClassVar[Mapping[str, Attr]] = {"lo": Attr(1), "hi": Attr(1), "init": Attr(1)}

    def check(self, attrs: Attrs, args: Sequence[Interval]) -> None:
        super().check(attrs, args)
        if np.any(attrs["init"] < attrs["lo"]) or np.any(attrs["init"] > attrs["hi"]):
            raise ProgramError("the initial value of a state must lie in its range")


class Const(Op):
    """``const``: an integer vector."""

    name = "const"
    arity = 0
    attrs: ClassVar[Mapping[str, Attr]] = {"value": Attr(1)}

    def evaluate(self, attrs: Attrs, args: Sequence[IntArray]) -> IntArray:
        return attrs["value"]

    def interval(self, attrs: Attrs, args: Sequence[Interval]) -> Interval:
        return Interval(attrs["value"], attrs["value"])


class MatVec(Op):
    """``matvec W x b``: ``y[i] = b[i] + Σ_j W[i, j]·x[j]`` with int8 ``W`` and int32 ``b``."""

    name = "matvec"
    arity = 1
    attrs: ClassVar[Mapping[str, Attr]] = {"weight": Attr(2, -128, 127), "bias": Attr(1)}

    def check(self, attrs: Attrs, args: Sequence[Interval]) -> None:
        rows, columns = attrs["weight"].shape
        if columns != args[0].n or rows != attrs["bias"].size:
            raise ProgramError(
                f"matvec: weight {rows}x{columns} does not fit an operand of length {args[0].n} "
                f"and a bias of length {attrs['bias'].size}"
            )

    def evaluate(self, attrs: Attrs, args: Sequence[IntArray]) -> IntArray:
        return args[0] @ attrs["weight"].T + attrs["bias"]

    def interval(self, attrs: Attrs, args: Sequence[Interval]) -> Interval:
        low, high = self._products(attrs, args[0])
        return Interval(attrs["bias"] + low.sum(axis=1), attrs["bias"] + high.sum(axis=1))

    def accumulator(self, attrs: Attrs, args: Sequence[Interval]) -> Interval:
        low, high = self._products(attrs, args[0])
        bias = attrs["bias"]
        return Interval(
            np.minimum(bias, 0) + np.minimum(low, 0).sum(axis=1),
            np.maximum(bias, 0) + np.maximum(high, 0).sum(axis=1),
        )

    @staticmethod
    def _products(attrs: Attrs, x: Interval) -> tuple[IntArray, IntArray]:
        a, b = attrs["weight"] * x.lo, attrs["weight"] * x.hi
        return np.minimum(a, b), np.maximum(a, b)


class Elementwise(Op):
    """Base of the operations that work element by element with length-1 broadcasting."""

    def check(self, attrs: Attrs, args: Sequence[Interval]) -> None:
        lengths = {a.n for a in args} - {1}
        if len(lengths) > 1:
            raise ProgramError(
                f"{self.name}: operands of lengths {sorted(lengths)} do not match; "
                "they must be equal, or 1"
            )


class Add(Elementwise):
    """``add x y``: ``x + y``."""

    name = "add"
    arity = 2

    def evaluate(self, attrs: Attrs, args: Sequence[IntArray]) -> IntArray:
        return args[0] + args[1]

    def interval(self, attrs: Attrs, args: Sequence[Interval]) -> Interval:
        return Interval(args[0].lo + args[1].lo, args[0].hi + args[1].hi)


class Sub(Elementwise):
    """``sub x y``: ``x - y``."""

    name = "sub"
    arity = 2

    def evaluate(self, attrs: Attrs, args: Sequence[IntArray]) -> IntArray:
        return args[0] - args[1]

    def interval(self, attrs: Attrs, args: Sequence[Interval]) -> Interval:
        return Interval(args[0].lo - args[1].hi, args[0].hi - args[1].lo)


class Mul(Elementwise):
    """``mul x y``: ``x · y``."""

    name = "mul"
    arity = 2

    def evaluate(self, attrs: Attrs, args: Sequence[IntArray]) -> IntArray:
        return args[0] * args[1]

    def interval(self, attrs: Attrs, args: Sequence[Interval]) -> Interval:
        x, y = args
        corners = np.stack([x.lo * y.lo, x.lo * y.hi, x.hi * y.lo, x.hi * y.hi])
        return Interval(corners.min(axis=0), corners.max(axis=0))


class Shr(Elementwise):
    """``shr x s``: ``floor((x + 2^(s-1)) / 2^s)``, round half up; the one rounding rule."""

    name = "shr"
    arity = 1
    attrs: ClassVar[Mapping[str, Attr]] = {"shift": Attr(0, 1, 30)}

    def evaluate(self, attrs: Attrs, args: Sequence[IntArray]) -> IntArray:
        shift = attrs["shift"]
        return (args[0] + (1 << (shift - 1))) >> shift

    def interval(self, attrs: Attrs, args: Sequence[Interval]) -> Interval:
        return Interval(*(self.evaluate(attrs, [bound]) for bound in (args[0].lo, args[0].hi)))

    def accumulator(self, attrs: Attrs, args: Sequence[Interval]) -> Interval:
        return Interval(args[0].lo, args[0].hi + (1 << (attrs["shift"] - 1)))


class Clip(Elementwise):
    """``clip x lo hi``: ``min(max(x, lo), hi)`` with constant bounds."""

    name = "clip"
    arity = 1
    attrs: ClassVar[Mapping[str, Attr]] = {"lo": Attr(0), "hi": Attr(0)}

    def check(self, attrs: Attrs, args: Sequence[Interval]) -> None:
        if attrs["lo"] > attrs["hi"]:
            raise ProgramError(f"clip: lo {attrs['lo']} is above hi {attrs['hi']}")

    def evaluate(self, attrs: Attrs, args: Sequence[IntArray]) -> IntArray:
        return np.minimum(np.maximum(args[0], attrs["lo"]), attrs["hi"])

    def interval(self, attrs: Attrs, args: Sequence[Interval]) -> Interval:
        return Interval(*(self.evaluate(attrs, [bound]) for bound in (args[0].lo, args[0].hi)))


class Ge(Elementwise):
    """``ge x y``: 1 where ``x >= y``, else 0."""

    name = "ge"
    arity = 2

    def evaluate(self, attrs: Attrs, args: Sequence[IntArray]) -> IntArray:
        return (args[0] >= args[1]).astype(np.int64)

    def interval(self, attrs: Attrs, args: Sequence[Interval]) -> Interval:
        x, y = args
        return Interval((x.lo >= y.hi).astype(np.int64), (x.hi >= y.lo).astype(np.int64))


class Lut(Elementwise):
    """``lut x table``: ``table[x + 128]``, 256 entries of int16, ``x`` proven in [-128, 127]."""

    name = "lut"
    arity = 1
    attrs: ClassVar[Mapping[str, Attr]] = {"table": Attr(1, -(2**15), 2**15 - 1)}

    def check(self, attrs: Attrs, args: Sequence[Interval]) -> None:
        if attrs["table"].size != 256:
            raise ProgramError(f"lut: a table has 256 entries, not {attrs['table'].size}")
        if not args[0].within(-128, 127):
            raise ProgramError(
                f"lut: the index could be {args[0].low}..{args[0].high}; clip it to -128..127"
            )

    def evaluate(self, attrs: Attrs, args: Sequence[IntArray]) -> IntArray:
        return attrs["table"][args[0] + 128]

    def interval(self, attrs: Attrs, args: Sequence[Interval]) -> Interval:
        table, x = attrs["table"], args[0]
        reach = [table[lo + 128 : hi + 129] for lo, hi in zip(x.lo, x.hi, strict=True)]
        return Interval(np.array([r.min() for r in reach]), np.array([r.max() for r in reach]))


class Concat(Op):
    """``concat x y …``: the operands one after the other."""

    name = "concat"
    arity = None

    def check(self, attrs: Attrs, args: Sequence[Interval]) -> None:
        length = sum(a.n for a in args)
        if length > MAX_ELEMENTS:
            raise ProgramError(f"concat: {length} elements are more than {MAX_ELEMENTS}")

    def evaluate(self, attrs: Attrs, args: Sequence[IntArray]) -> IntArray:
        batch = np.broadcast_shapes(*(a.shape[:-1] for a in args))
        return np.concatenate([np.broadcast_to(a, (*batch, a.shape[-1])) for a in args], axis=-1)

    def interval(self, attrs: Attrs, args: Sequence[Interval]) -> Interval:
        return Interval(np.concatenate([a.lo for a in args]), np.concatenate([a.hi for a in args]))


class Slice(Op):
    """``slice x start stop``: elements ``start`` (included) to ``stop`` (excluded)."""

    name = "slice"
    arity = 1
    attrs: ClassVar[Mapping[str, Attr]] = {"start": Attr(0, 0), "stop": Attr(0, 1)}

    def check(self, attrs: Attrs, args: Sequence[Interval]) -> None:
        if not 0 <= attrs["start"] < attrs["stop"] <= args[0].n:
            raise ProgramError(
                f"slice: [{attrs['start']}, {attrs['stop']}) is not a part of {args[0].n} elements"
            )

    def evaluate(self, attrs: Attrs, args: Sequence[IntArray]) -> IntArray:
        return args[0][..., int(attrs["start"]) : int(attrs["stop"])]

    def interval(self, attrs: Attrs, args: Sequence[Interval]) -> Interval:
        part = slice(int(attrs["start"]), int(attrs["stop"]))
        return Interval(args[0].lo[part], args[0].hi[part])


class ArgMax(Op):
    """``argmax x``: the index of the maximum, the lowest index on ties; length 1."""

    name = "argmax"
    arity = 1

    def evaluate(self, attrs: Attrs, args: Sequence[IntArray]) -> IntArray:
        return np.asarray(args[0].argmax(axis=-1, keepdims=True), dtype=np.int64)

    def interval(self, attrs: Attrs, args: Sequence[Interval]) -> Interval:
        # An element that is always below another one's lower bound can never be the maximum.
        possible = np.flatnonzero(args[0].hi >= args[0].lo.max())
        return Interval(possible[:1].astype(np.int64), possible[-1:].astype(np.int64))


OPS: Mapping[str, Op] = {
    op.name: op()
    for op in (
        Input,
        State,
        Const,
        MatVec,
        Add,
        Sub,
        Mul,
        Shr,
        Clip,
        Ge,
        Lut,
        Concat,
        Slice,
        ArgMax,
    )
}
"""Every operation by name."""
