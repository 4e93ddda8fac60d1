"""A step program as the operations of the virtual machine: fewer, and wider ones.

What the proof makes idle disappears, constants go into the operation, and the common chains become
one operation: ``shr`` and ``clip`` after a product or a sum, the two shapes of ``docs/SPEC.md`` §3.
Every step below keeps every integer.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from grsn_edge.backends._image.instruction import FORMS, Instruction
from grsn_edge.program import INT32, Node, Program

__all__ = ["FEW_ROWS", "Lowering", "lower"]

FEW_ROWS = 8
"""Below this a product with spikes is computed row by row."""
_MAX_ROWS, _MAX_WEIGHTS = 1 << 16, 1 << 22
_TABLE = (-128, 127)
_UNARY = frozenset({"scale", "lut", "move"})  # they read from `start` on


class Lowering:
    """A program's instructions, in order.

    Attributes:
        program: what was lowered.
        instructions: those that compute, operands before readers.
        parts: products that are parts of a stack: its name, and where in it they start.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.alias = _idle(program)
        self._uses = self._count()
        self.parts: dict[str, tuple[str, int]] = {}
        self.instructions = self._stack(self._select())

    def source(self, name: str) -> str:
        """The value that ``name`` really is."""
        return self.alias.get(name, name)

    def nexts(self) -> dict[str, str]:
        """For each state, in order of declaration, the value that it takes."""
        return {s.name: self.source(self.program.nexts[s.name]) for s in self.program.states}

    def outputs(self) -> tuple[str, ...]:
        """The values of the outputs."""
        return tuple(self.source(name) for name in self.program.outputs.values())

    # ---- which operations ----------------------------------------------------------------------

    def _count(self) -> Counter[str]:
        uses = Counter([*self.nexts().values(), *self.outputs()])
        for node in self.program:
            if node.name not in self.alias:
                uses.update(self.source(arg) for arg in node.args)
        return uses

    def _select(self) -> list[Instruction]:
        """Backwards from what is needed, so that what a reader absorbs is not computed."""
        needed = {*self.nexts().values(), *self.outputs()}
        chosen: list[Instruction] = []
        for node in reversed(self.program.nodes):
            if node.name in needed and node.op not in ("input", "state", "const"):
                made = self._lower(node)
                chosen += reversed(made)
                needed |= {arg for instruction in made for arg in instruction.args}
        return chosen[::-1]

    def _lower(self, node: Node) -> list[Instruction]:
        if node.op == "concat":
            return self._concat(node)
        return self._argmax(node) if node.op == "argmax" else [self._lower_one(node)]

    def _lower_one(self, node: Node) -> Instruction:
        rule = {
            "matvec": self._matvec,
            "add": self._add,
            "sub": self._sub,
            "mul": self._mul,
            "shr": self._shr,
            "clip": self._clip,
            "lut": self._lut,
            "slice": self._slice,
        }.get(node.op)
        return rule(node) if rule else self._plain(node, node.op)

    def _plain(self, node: Node, op: str, **constants: object) -> Instruction:
        """The operation as it is, on its own operands unless ``args`` are given."""
        args = constants.pop("args", tuple(self.source(arg) for arg in node.args))
        nodes = constants.pop("nodes", (node,))
        return Instruction(node.name, op, node.n, args, nodes, **constants)  # type: ignore[arg-type]

    def _args(self, node: Node) -> tuple[Node, ...]:
        return tuple(self.program[self.source(arg)] for arg in node.args)

    def _only_reader(self, node: Node) -> bool:
        return self._uses[node.name] == 1

    # ---- products ------------------------------------------------------------------------------

    def _matvec(self, node: Node) -> Instruction:
        (x,) = self._args(node)
        kind = "dense"
        if x.interval.is_binary:
            kind = "gate" if node.n < FEW_ROWS else "event"
        arrays = {key: node.attrs[key] for key in ("weight", "bias")}
        return self._plain(node, kind, arrays=arrays)

    def _stack(self, instructions: list[Instruction]) -> tuple[Instruction, ...]:
        """Products of the same spikes as one, where every reader can read from the middle."""
        groups: dict[str, list[Instruction]] = {}
        for instruction in instructions:
            if instruction.op == "event" and self._read_in_parts(instruction.name, instructions):
                groups.setdefault(instruction.args[0], []).append(instruction)
        stacked: dict[str, Instruction] = {}
        for group in groups.values():
            n, m = sum(i.n for i in group), sum(i.arrays["weight"].size for i in group)
            if len(group) > 1 and n <= _MAX_ROWS and m <= _MAX_WEIGHTS:
                stack = _stacked(group)
                starts = np.cumsum([0, *(i.n for i in group)])
                for member, start in zip(group, starts[:-1], strict=True):
                    self.parts[member.name] = (stack.name, int(start))
                stacked[group[0].name] = stack
        return tuple(
            stacked[i.name] if i.name in stacked else _moved(i, self.parts)
            for i in instructions
            if i.name in stacked or i.name not in self.parts
        )

    def _read_in_parts(self, name: str, instructions: list[Instruction]) -> bool:
        if name in self.nexts().values() or name in self.outputs():
            return False
        return all(i.op in _UNARY for i in instructions if name in i.args)

    # ---- element-wise --------------------------------------------------------------------------

    def _add(self, node: Node) -> Instruction:
        blend = self._blend(node)
        if blend:
            return blend
        for x, constant in _both_orders(self._args(node)):
            value = _uniform(constant)
            if value is not None:
                return self._plain(node, "scale", args=(x.name,), p=1, q=value)
        return self._add_scaled(node) or self._plain(node, "add", p=1)

    def _add_scaled(self, node: Node) -> Instruction | None:
        """``x + shr(y·p, s)``, or else ``x + y·p``, where p is one number."""
        pairs = _both_orders(self._args(node))
        for op, (x, y) in itertools.product(("shr", "mul"), pairs):
            scaled = self._lower_one(y) if y.op == op and self._only_reader(y) else None
            if scaled and scaled.op == "scale" and (op == "shr" or not self._in_halves(scaled)):
                args, nodes = (x.name, *scaled.args), (*scaled.nodes, node)
                return replace(scaled, name=node.name, op="add", n=node.n, args=args, nodes=nodes)
        return None

    def _in_halves(self, scaled: Instruction) -> bool:
        """Whether it reads a product of spikes, two rows at once in 16 bits, which no sum reads."""
        read = self.program[scaled.args[0]]
        return read.op == "matvec" and self._matvec(read).op == "event"

    def _sub(self, node: Node) -> Instruction:
        x, y = self._args(node)
        if self._is_reset(x, y):
            product = self._args(y)
            theta = next(t for t, _ in _both_orders(product) if t.op == "const")
            spike = next(s for s, _ in _both_orders(product) if s.op == "ge")
            return self._plain(node, "reset", args=(x.name, theta.name), nodes=(spike, y, node))
        value = _uniform(y)
        if value is not None and value > INT32[0]:
            return self._plain(node, "scale", args=(x.name,), p=1, q=-value)
        value = _uniform(x)
        if value is not None:
            return self._plain(node, "scale", args=(y.name,), p=-1, q=value)
        return self._plain(node, "add", p=-1)

    def _mul(self, node: Node) -> Instruction:
        for x, constant in _both_orders(self._args(node)):
            value = _uniform(constant)
            if value is not None:
                return self._plain(node, "scale", args=(x.name,), p=value, q=0)
        return self._plain(node, "mul")

    def _shr(self, node: Node) -> Instruction:
        (x,), shift = self._args(node), int(node.attrs["shift"])
        half = 1 << (shift - 1)
        if self._only_reader(x) and x.op in ("add", "sub", "mul"):
            products = self._args(x) if x.op == "add" else ()
            if products and all(p.op == "mul" and self._only_reader(p) for p in products):
                args = tuple(arg.name for p in products for arg in self._args(p))
                nodes = (*products, x, node)
                return self._plain(node, "mac", args=args, nodes=nodes, shift=shift, q=half)
            inner = self._lower_one(x)
            fits = inner.shift == 0 and inner.q + half <= INT32[1]
            if inner.op in ("scale", "mul") and fits:
                nodes = (*inner.nodes, node)
                return replace(inner, name=node.name, nodes=nodes, shift=shift, q=inner.q + half)
        return self._plain(node, "scale", p=1, q=half, shift=shift)

    def _clip(self, node: Node) -> Instruction:
        (x,), bounds = self._args(node), (int(node.attrs["lo"]), int(node.attrs["hi"]))
        if self._only_reader(x) and x.op in ("add", "sub", "mul", "shr"):
            inner = self._lower_one(x)
            if FORMS[inner.op].clips:
                return replace(inner, name=node.name, nodes=(*inner.nodes, node), clip=bounds)
        return self._plain(node, "scale", p=1, q=0, clip=bounds)

    def _lut(self, node: Node) -> Instruction:
        (x,) = self._args(node)
        nodes, shift, half, clip = [node], 0, 0, None
        if x.op == "clip" and self._only_reader(x):
            nodes.insert(0, x)
            lo, hi = (int(np.clip(x.attrs[key], *_TABLE)) for key in ("lo", "hi"))
            clip = (lo, hi)
            (x,) = self._args(x)
        if x.op == "shr" and self._only_reader(x):
            nodes.insert(0, x)
            shift = int(x.attrs["shift"])
            half = 1 << (shift - 1)
            (x,) = self._args(x)
        arrays = {"table": node.attrs["table"]}
        constants = {"shift": shift, "q": half, "clip": clip, "arrays": arrays}
        return self._plain(node, "lut", args=(x.name,), nodes=tuple(nodes), **constants)

    def _blend(self, node: Node) -> Instruction | None:
        """``b + shr(f·(a - b), s)``, where f is proven in [0, 2^s]."""
        for b, shifted in _both_orders(self._args(node)):
            if shifted.op != "shr":
                continue
            (product,), shift = self._args(shifted), int(shifted.attrs["shift"])
            if product.op != "mul":
                continue
            for factor, difference in _both_orders(self._args(product)):
                if difference.op != "sub" or not factor.interval.within(0, 1 << shift):
                    continue
                a, other = self._args(difference)
                if other.name == b.name:
                    args = (a.name, b.name, factor.name)
                    nodes, half = (difference, product, shifted, node), 1 << (shift - 1)
                    return self._plain(node, "blend", args=args, nodes=nodes, shift=shift, q=half)
        return None

    def _is_reset(self, u: Node, product: Node) -> bool:
        """``u - theta·[u >= theta]`` with a constant theta of no negative element."""
        if product.op != "mul":
            return False
        for theta, spike in _both_orders(self._args(product)):
            if theta.op == "const" and spike.op == "ge" and theta.interval.low >= 0:
                return self._args(spike) == (u, theta)
        return False

    # ---- layout --------------------------------------------------------------------------------

    def _slice(self, node: Node) -> Instruction:
        return self._plain(node, "move", nodes=(), start=int(node.attrs["start"]))

    def _argmax(self, node: Node) -> list[Instruction]:
        """Of an index the machine proves no more than the length; a clip that never acts, the
        rest."""
        (x,) = self._args(node)
        found = Instruction(node.name, "argmax", 1, (x.name,), (node,))
        bounds = (node.interval.low, node.interval.high)
        if bounds == (0, x.n - 1):
            return [found]
        inner = replace(found, name=f"{node.name}#index", nodes=())
        args, nodes = (inner.name,), (node,)
        return [inner, Instruction(node.name, "scale", 1, args, nodes, p=1, clip=bounds)]

    def _concat(self, node: Node) -> list[Instruction]:
        """Operand after operand."""
        first, *rest = (self.program[self.source(arg)] for arg in node.args)
        made: list[Instruction] = []
        joined, n = first.name, first.n
        for i, part in enumerate(rest):
            n += part.n
            name = node.name if i == len(rest) - 1 else f"{node.name}#{i}"
            made.append(Instruction(name, "append", n, (joined, part.name)))
            joined = name
        return made


def lower(program: Program) -> Lowering:
    """The instructions of a program."""
    return Lowering(program)


def _idle(program: Program) -> dict[str, str]:
    """Values that are other values: clips that cannot act, slices and joins of one whole."""
    alias: dict[str, str] = {}
    for node in program:
        if node.op not in ("clip", "slice", "concat"):
            continue
        source = alias.get(node.args[0], node.args[0])
        whole = len(node.args) == 1 and program[source].n == node.n
        bounds = node.attrs.get("lo"), node.attrs.get("hi")
        acts = node.op == "clip" and not program[source].interval.within(*map(int, bounds))  # type: ignore[arg-type]
        if whole and not acts:
            alias[node.name] = source
    return alias


def _both_orders(pair: tuple[Node, ...]) -> tuple[tuple[Node, Node], tuple[Node, Node]]:
    x, y = pair
    return (x, y), (y, x)


def _uniform(node: Node) -> int | None:
    """The element of a constant whose elements are equal."""
    value = node.attrs.get("value")
    if node.op != "const" or value is None or np.any(value != value[0]):
        return None
    return int(value[0])


def _stacked(group: list[Instruction]) -> Instruction:
    nodes = tuple(node for member in group for node in member.nodes)
    weight = np.concatenate([node.attrs["weight"] for node in nodes])
    bias = np.concatenate([node.attrs["bias"] for node in nodes])
    arrays = {"weight": weight, "bias": bias}
    name = "+".join(member.name for member in group)
    return Instruction(name, "event", len(bias), group[0].args, nodes, arrays=arrays)


def _moved(instruction: Instruction, parts: Mapping[str, tuple[str, int]]) -> Instruction:
    """The instruction, reading its operand from inside a stack where that is where it is."""
    if not instruction.args or instruction.args[0] not in parts:
        return instruction
    stack, start = parts[instruction.args[0]]
    return replace(instruction, args=(stack,), start=instruction.start + start)
