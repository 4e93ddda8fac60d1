"""Tracing: ordinary Python expressions become a :class:`Program` with a proof of its ranges."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import ProgramError, RangeProofError
from grsn_edge.program.interval import INT32, MAX_ELEMENTS, IntArray, Interval
from grsn_edge.program.ir import Node, Program
from grsn_edge.program.ops import OPS, Attr, Op
from grsn_edge.program.relations import refine

__all__ = ["Builder", "Value"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*\Z")
ArrayLike = npt.ArrayLike


class Value:
    """A traced value.  Operators trace operations; integers and arrays become constants."""

    __slots__ = ("_builder", "name")
    __array_ufunc__ = None  # an array on the left hand side leaves the operator to us

    def __init__(self, builder: Builder, name: str) -> None:
        self._builder = builder
        self.name = name

    @property
    def node(self) -> Node:
        """The node behind this value."""
        return self._builder.node(self.name)

    @property
    def n(self) -> int:
        """Number of elements."""
        return self.node.n

    @property
    def interval(self) -> Interval:
        """The proven interval."""
        return self.node.interval

    def __add__(self, other: Value | ArrayLike) -> Value:
        return self._builder.apply("add", self, other)

    def __radd__(self, other: ArrayLike) -> Value:
        return self._builder.apply("add", other, self)

    def __sub__(self, other: Value | ArrayLike) -> Value:
        return self._builder.apply("sub", self, other)

    def __rsub__(self, other: ArrayLike) -> Value:
        return self._builder.apply("sub", other, self)

    def __mul__(self, other: Value | ArrayLike) -> Value:
        return self._builder.apply("mul", self, other)

    def __rmul__(self, other: ArrayLike) -> Value:
        return self._builder.apply("mul", other, self)

    def __ge__(self, other: Value | ArrayLike) -> Value:
        return self._builder.apply("ge", self, other)

    def __bool__(self) -> bool:
        raise ProgramError(
            f"'{self.name}' is known only when the program runs; a program has no branches"
        )

    def __getitem__(self, part: slice) -> Value:
        if not isinstance(part, slice):
            raise ProgramError(f"take a part of a value as value[i : i + 1], not value[{part!r}]")
        start, stop, stride = part.indices(self.n)
        if stride != 1:
            raise ProgramError("a slice of a value takes every element; its step must be 1")
        return self._builder.apply("slice", self, start=start, stop=stop)

    def shr(self, shift: int) -> Value:
        """``floor((x + 2^(shift-1)) / 2^shift)``; a shift of 0 is the value itself."""
        return self if shift == 0 else self._builder.apply("shr", self, shift=shift)

    def scale_by_power_of_two(self, exponent: int) -> Value:
        """``x · 2^exponent``, rounded by :meth:`shr` where the exponent is negative."""
        if exponent <= 0:
            return self.shr(-exponent)
        return self * (1 << exponent)

    def clip(self, lo: int, hi: int) -> Value:
        """``min(max(x, lo), hi)``."""
        return self._builder.apply("clip", self, lo=lo, hi=hi)


class Builder:
    """Collects traced values and proves, one by one, that none can leave int32.

    Example::

        b = Builder()
        x = b.input("observation", 2, lo=-127, hi=127)
        u = b.state("u", 3, lo=-32768, hi=32767)
        charged = ((u * 3).shr(2) + b.matvec(weight, x, bias)).clip(-32768, 32767)
        theta = b.const([900, 900, 900])
        spike = charged >= theta
        b.next(u, charged - theta * spike)
        b.output("spikes", spike)
        program = b.build()
    """

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._outputs: dict[str, str] = {}
        self._nexts: dict[str, str] = {}
        self._prefix = ""

    @contextmanager
    def scope(self, prefix: str) -> Iterator[None]:
        """Prefix the names given inside with ``prefix`` and a dot."""
        outer, self._prefix = self._prefix, f"{self._prefix}{prefix}."
        try:
            yield
        finally:
            self._prefix = outer

    def node(self, name: str) -> Node:
        """The node named ``name``; raises :class:`ProgramError` where there is none."""
        try:
            return self._nodes[name]
        except KeyError:
            raise ProgramError(f"no value named '{name}' has been traced") from None

    def value(self, name: str) -> Value:
        """The traced value of this full name; raises :class:`ProgramError` where there is none."""
        return Value(self, self.node(name).name)

    # ---- sources ---------------------------------------------------------------------------

    def input(self, name: str, n: int, *, lo: ArrayLike, hi: ArrayLike) -> Value:
        """An integer vector ``(n,)`` given at each step, every element in ``[lo, hi]``."""
        return self.apply("input", name=name, lo=_filled(lo, n), hi=_filled(hi, n))

    def state(
        self, name: str, n: int, *, lo: ArrayLike, hi: ArrayLike, init: ArrayLike = 0
    ) -> Value:
        """A vector ``(n,)`` kept between steps; :meth:`next` must prove it stays in range."""
        bounds = {"lo": _filled(lo, n), "hi": _filled(hi, n), "init": _filled(init, n)}
        return self.apply("state", name=name, **bounds)

    def const(self, value: ArrayLike, *, name: str | None = None) -> Value:
        """A constant integer vector; a scalar has length 1."""
        return self.apply("const", name=name, value=np.atleast_1d(_array(value, "a constant")))

    # ---- operations that have no operator ----------------------------------------------------

    def matvec(
        self, weight: ArrayLike, x: Value, bias: ArrayLike | None = None, *, name: str | None = None
    ) -> Value:
        """``bias + weight @ x``; weight int8 ``(rows, columns)``, bias int32 ``(rows,)`` or 0."""
        matrix = _array(weight, "matvec: constant 'weight'")
        if bias is None:
            bias = np.zeros(matrix.shape[:1], dtype=np.int64)
        return self.apply("matvec", x, name=name, weight=matrix, bias=bias)

    def lut(self, x: Value, table: ArrayLike, *, name: str | None = None) -> Value:
        """``table[x + 128]``; 256 entries of int16; ``x`` must be proven in [-128, 127]."""
        return self.apply("lut", x, name=name, table=table)

    def concat(self, *parts: Value) -> Value:
        """The parts one after the other."""
        return self.apply("concat", *parts)

    def argmax(self, x: Value, *, name: str | None = None) -> Value:
        """The index of the maximum as a vector of length 1; the lowest index on ties."""
        return self.apply("argmax", x, name=name)

    # ---- results ---------------------------------------------------------------------------

    def next(self, state: Value, value: Value) -> None:
        """Set what ``state`` holds after the step; proves that the range is kept."""
        declared, reached = state.node, value.node
        if declared.op != "state" or declared.name in self._nexts:
            raise ProgramError(f"'{declared.name}' is not a state still waiting for its next value")
        if reached.n != declared.n:
            raise ProgramError(
                f"state '{declared.name}' has {declared.n} elements, its next value {reached.n}"
            )
        outside = (reached.interval.lo < declared.interval.lo) | (
            reached.interval.hi > declared.interval.hi
        )
        if outside.any():
            i = int(outside.argmax())
            raise RangeProofError(
                f"state '{declared.name}'[{i}] is declared in "
                f"[{declared.interval.lo[i]}, {declared.interval.hi[i]}], but '{reached.name}' "
                f"could make it [{reached.interval.lo[i]}, {reached.interval.hi[i]}]; "
                "clip it or declare a wider range"
            )
        self._nexts[declared.name] = reached.name

    def output(self, name: str, value: Value) -> None:
        """Give ``value`` to the outside under ``name``."""
        name = self._prefix + name
        _check_name(name)
        if name in self._outputs:
            raise ProgramError(f"there is already an output named '{name}'")
        self._outputs[name] = self.node(value.name).name

    def build(self) -> Program:
        """The finished program, without the values that nothing reads.

        Raises:
            ProgramError: a state has no next value, or there is no output.
        """
        for node in self._nodes.values():
            if node.op == "state" and node.name not in self._nexts:
                raise ProgramError(f"state '{node.name}' has no next value; call Builder.next")
        if not self._outputs:
            raise ProgramError("a program needs at least one output; call Builder.output")
        live = self._live()
        nodes = tuple(node for name, node in self._nodes.items() if name in live)
        return Program(nodes, self._outputs, self._nexts)

    def _live(self) -> set[str]:
        kept = {name for name, node in self._nodes.items() if node.op in ("input", "state")}
        pending = [*self._outputs.values(), *self._nexts.values()]
        while pending:
            name = pending.pop()
            if name not in kept:
                kept.add(name)
                pending.extend(self._nodes[name].args)
        return kept

    # ---- the one way in --------------------------------------------------------------------

    def apply(
        self, op: str, *args: Value | ArrayLike, name: str | None = None, **attrs: ArrayLike
    ) -> Value:
        """Trace one operation; every other method ends here, and so does the file reader.

        Raises:
            ProgramError: unknown operation, wrong operands, constants or lengths.
            RangeProofError: the result, or a partial sum on the way, could leave int32.
        """
        if op not in OPS:
            raise ProgramError(f"unknown operation '{op}'; known: {', '.join(OPS)}")
        rule = OPS[op]
        operands = [self._operand(arg).node for arg in args]
        _check_arity(rule, len(operands))
        constants = _check_attrs(rule, attrs)
        intervals = [operand.interval for operand in operands]
        rule.check(constants, intervals)
        # The name is taken only now, so that constants among the operands come before it.
        full_name = self._name(name)
        _prove_int32(rule, full_name, constants, intervals)
        arg_names = tuple(operand.name for operand in operands)
        node = Node(full_name, op, arg_names, constants, rule.interval(constants, intervals))
        node = Node(full_name, op, arg_names, constants, refine(node, self._nodes))
        self._nodes[full_name] = node
        return Value(self, full_name)

    def _operand(self, arg: Value | ArrayLike) -> Value:
        if not isinstance(arg, Value):
            return self.const(arg)
        if arg._builder is not self:
            raise ProgramError(f"'{arg.name}' belongs to another builder")
        return arg

    def _name(self, name: str | None) -> str:
        full = self._prefix + (name if name is not None else f"v{len(self._nodes)}")
        _check_name(full)
        if full in self._nodes:
            raise ProgramError(f"there is already a value named '{full}'")
        return full


def _check_name(name: str) -> None:
    if not _NAME.match(name) or len(name) > 96:
        raise ProgramError(f"'{name[:100]}' is not a name: letters, digits, '_' and '.' only")


def _check_arity(rule: Op, count: int) -> None:
    if count != rule.arity and not (rule.arity is None and count > 0):
        raise ProgramError(f"{rule.name} takes {rule.arity or 'one or more'} operands, not {count}")


def _check_attrs(rule: Op, attrs: Mapping[str, ArrayLike]) -> dict[str, IntArray]:
    if set(attrs) != set(rule.attrs):
        raise ProgramError(
            f"{rule.name} takes the constants {sorted(rule.attrs)}, not {sorted(attrs)}"
        )
    checked = {key: _constant(rule, key, attrs[key], rule.attrs[key]) for key in rule.attrs}
    lengths = {checked[k].size for k in ("lo", "hi", "init", "value") if k in checked}
    if len(lengths) > 1:
        raise ProgramError(f"{rule.name}: bounds and initial value differ in length")
    return checked


def _constant(rule: Op, key: str, value: ArrayLike, form: Attr) -> IntArray:
    where = f"{rule.name}: constant '{key}'"
    array = _array(value, where)
    if array.dtype.kind not in "iu" or (array.dtype.kind == "u" and array.dtype.itemsize == 8):
        raise ProgramError(f"{where} must hold integers, not {array.dtype}")
    if array.ndim != form.ndim or array.size == 0:
        raise ProgramError(f"{where} must have {form.ndim} dimensions, not shape {array.shape}")
    if max(array.shape, default=1) > MAX_ELEMENTS or array.size > MAX_ELEMENTS * 64:
        raise ProgramError(
            f"{where} of shape {array.shape} is too large: at most {MAX_ELEMENTS} elements a side "
            f"and {MAX_ELEMENTS * 64} in all"
        )
    if array.min() < form.lo or array.max() > form.hi:
        raise ProgramError(f"{where} holds values outside [{form.lo}, {form.hi}]")
    array = array.astype(np.int64)
    array.setflags(write=False)
    return array


def _array(value: ArrayLike, where: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError:
        raise ProgramError(f"{where} must be a number, a vector or a matrix") from None


def _prove_int32(
    rule: Op, name: str, attrs: Mapping[str, IntArray], args: Sequence[Interval]
) -> None:
    reach = rule.accumulator(attrs, args)
    outside = (reach.lo < INT32[0]) | (reach.hi > INT32[1])
    if outside.any():
        i = int(outside.argmax())
        raise RangeProofError(
            f"{rule.name} '{name}'[{i}] could reach [{reach.lo[i]}, {reach.hi[i]}], which int32 "
            "cannot hold; clip an operand, shift it right, or use smaller coefficients"
        )


def _filled(value: ArrayLike, n: int) -> IntArray:
    if not 1 <= n <= MAX_ELEMENTS:
        raise ProgramError(f"a value has 1 to {MAX_ELEMENTS} elements, not {n}")
    array = _array(value, "bounds and initial values")
    if array.dtype.kind not in "iu" or array.shape not in ((), (n,)):
        raise ProgramError(f"bounds and initial values are integers or arrays of length {n}")
    return np.broadcast_to(array.astype(np.int64), (n,)).copy()
