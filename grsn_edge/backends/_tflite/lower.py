"""A step program as a TFLite graph of integers, in two flavours.

``litert``: the fewest operators.  ``tflm``: only operators and types that TensorFlow Lite Micro
has.  Nothing is ever requantised by a real-valued scale, which kernels round differently: products
are int8 × int8 → int32, or int16 × int8 → int16 where the sum is proven to fit; everything else is
plain int32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from grsn_edge.backends._tflite.flatbuffer import Graph, ModelWriter, schema
from grsn_edge.program import INT32, STORAGE, IntArray, Interval, Node, Program

__all__ = ["NEXT", "Flavour", "Lowering", "build"]

Flavour = Literal["litert", "tflm"]
NEXT = ".next"
"""What is added to a state's name for the output that holds its next value."""

_BIAS = 1 << 30


def build(program: Program, batch: int = 1, flavour: Flavour = "litert") -> bytes:
    """The program alone, with explicit states, as a file's bytes."""
    writer = ModelWriter()
    explicit_step(writer, program, batch, flavour)
    return writer.finish()


def explicit_step(writer: ModelWriter, program: Program, batch: int, flavour: Flavour) -> Lowering:
    """The main graph with states as inputs and outputs, and its signature ``step``."""
    graph = writer.graph("step")
    lowering = Lowering(program, graph, batch, flavour)
    sources = [*program.inputs, *program.states]
    for node in sources:
        tensor = graph.tensor(node.name, node.dtype, [batch, node.n])
        graph.inputs.append(tensor)
        lowering.receive(node, tensor)
    lowering.lower()
    for name, value in program.outputs.items():
        graph.outputs.append(lowering.give(name, value, program[value].dtype))
    for state in program.states:
        name = f"{state.name}{NEXT}"
        graph.outputs.append(lowering.give(name, program.nexts[state.name], state.dtype))
    outputs = [*program.outputs, *(f"{s.name}{NEXT}" for s in program.states)]
    writer.signature("step", graph, [n.name for n in sources], outputs)
    return lowering


class Lowering:
    """Writes the values of a program into one graph; ``tensors`` maps each to an int32 tensor."""

    def __init__(self, program: Program, graph: Graph, batch: int, flavour: Flavour) -> None:
        self.program = program
        self.graph = graph
        self.batch = batch
        self.flavour = flavour
        self.tensors: dict[str, int] = {}
        self._narrow: dict[tuple[int, str], int] = {}

    def receive(self, node: Node, tensor: int) -> None:
        """An input or state that is in the graph already, in its storage type."""
        self.tensors[node.name] = tensor
        if node.dtype != "int32":
            self._narrow[tensor, node.dtype] = tensor
            wide = self._cast(tensor, node.n, "int32", f"{node.name}:int32")
            self._narrow[wide, node.dtype] = tensor
            self.tensors[node.name] = wide

    def lower(self) -> None:
        """Every computed value in order."""
        write: Mapping[str, Callable[[Node], int]] = {
            "const": self._const,
            "matvec": self._matvec,
            "add": lambda n: self._binary("ADD", n, schema.AddOptionsT()),
            "sub": lambda n: self._binary("SUB", n, schema.SubOptionsT()),
            "mul": lambda n: self._binary("MUL", n, schema.MulOptionsT()),
            "shr": self._shr,
            "clip": self._clip,
            "ge": self._ge,
            "lut": self._lut,
            "concat": self._concat,
            "slice": self._slice,
            "argmax": self._argmax_micro if self.flavour == "tflm" else self._argmax,
        }
        for node in self.program:
            if node.name not in self.tensors:
                self.tensors[node.name] = write[node.op](node)

    def give(self, name: str, value: str, dtype: str) -> int:
        """A tensor of the border in its storage type; always one of its own."""
        return self._cast(self.tensors[value], self.program[value].n, dtype, name)

    # ---- values ------------------------------------------------------------------------------

    def _const(self, node: Node) -> int:
        whole = np.broadcast_to(node.attrs["value"], (self.batch, node.n))
        return self.graph.constant(node.name, whole)

    def _binary(self, operator: str, node: Node, options: Any) -> int:
        a, b = (self.tensors[arg] for arg in node.args)
        return self._op(operator, [a, b], node.n, node.name, options)

    def _matvec(self, node: Node) -> int:
        operand = self.program[node.args[0]]
        digits = self._digits(self.tensors[operand.name], operand.interval, node.name)
        total: int | None = None
        for i, (digit, interval) in enumerate(digits):
            name = f"{node.name}:dot{i}"
            part = self._product(digit, interval, node.attrs["weight"], name)
            if i:
                part = self._with("MUL", part, 1 << (8 * i), node.n, f"{name}:scaled")
            total = part if total is None else self._add(total, part, node.n, f"{name}:sum")
        assert total is not None
        bias = self.graph.constant(f"{node.name}:bias", node.attrs["bias"][None, :])
        return self._op("ADD", [total, bias], node.n, node.name, schema.AddOptionsT())

    def _digits(self, x: int, interval: Interval, name: str) -> list[tuple[int, Interval]]:
        """``x`` as signed digits of base 256, each in [-128, 127], lowest first; exact."""
        if interval.within(*STORAGE["int8"]):
            return [(x, interval)]
        n = interval.n
        digits: list[tuple[int, Interval]] = []
        rest, reach = x, interval
        while not reach.within(*STORAGE["int8"]):
            high = self._rounded_shift(rest, reach, 8, n, f"{name}:digit{len(digits)}")
            scaled = self._with("MUL", high, 256, n, f"{name}:digit{len(digits)}:scaled")
            low = self._op(
                "SUB", [rest, scaled], n, f"{name}:digit{len(digits)}:low", schema.SubOptionsT()
            )
            full = np.full(n, 128, np.int64)
            digits.append((low, Interval(-full, full - 1)))
            rest, reach = high, Interval((reach.lo + 128) >> 8, (reach.hi + 128) >> 8)
        return [*digits, (rest, reach)]

    def _product(self, x: int, interval: Interval, weight: IntArray, name: str) -> int:
        if self.flavour == "tflm":
            return self._product_micro(x, interval, weight, name)
        rows, columns = weight.shape
        narrow = self._cast(x, columns, "int8", f"{name}:int8")
        matrix = self.graph.constant(f"{name}:weight", weight, "int8")
        options = schema.BatchMatMulOptionsT()
        options.adjY = True
        return self._op("BATCH_MATMUL", [narrow, matrix], rows, name, options)

    def _product_micro(self, x: int, interval: Interval, weight: IntArray, name: str) -> int:
        """int16 × int8 → int16 by groups of columns whose sum is proven to fit int16."""
        rows, n = weight.shape
        narrow = self._cast(x, n, "int16", f"{name}:int16")
        total: int | None = None
        for i, group in enumerate(_groups(weight, interval)):
            masked = np.where(np.isin(np.arange(n), group), weight, 0)
            matrix = self.graph.constant(f"{name}:weight{i}", masked, "int8")
            sums = self.graph.tensor(f"{name}:sum{i}", "int16", [self.batch, rows])
            options = schema.FullyConnectedOptionsT()
            self.graph.operator("FULLY_CONNECTED", [narrow, matrix, -1], [sums], options)
            wide = self._cast(sums, rows, "int32", f"{name}:wide{i}")
            total = wide if total is None else self._add(total, wide, rows, f"{name}:total{i}")
        assert total is not None
        return total

    def _shr(self, node: Node) -> int:
        interval = self.program[node.args[0]].interval
        shift = int(node.attrs["shift"])
        return self._rounded_shift(self.tensors[node.args[0]], interval, shift, node.n, node.name)

    def _rounded_shift(self, x: int, interval: Interval, shift: int, n: int, name: str) -> int:
        half = 1 << (shift - 1)
        if self.flavour == "litert":
            moved = self._with("ADD", x, half, n, f"{name}:moved")
            return self._with("FLOOR_DIV", moved, 1 << shift, n, name)
        if interval.low + half + _BIAS < 0 or interval.high + half + _BIAS > INT32[1]:
            return self._corrected_shift(x, shift, n, name)
        moved = self._with("ADD", x, _BIAS + half, n, f"{name}:moved")
        divided = self._with("DIV", moved, 1 << shift, n, f"{name}:divided")
        return self._with("SUB", divided, _BIAS >> shift, n, name)

    def _corrected_shift(self, x: int, shift: int, n: int, name: str) -> int:
        """Divide towards zero, then take one off where a negative rest shows that it was cut."""
        moved = self._with("ADD", x, 1 << (shift - 1), n, f"{name}:moved")
        cut = self._with("DIV", moved, 1 << shift, n, f"{name}:cut")
        whole = self._with("MUL", cut, 1 << shift, n, f"{name}:whole")
        rest = self._op("SUB", [moved, whole], n, f"{name}:rest", schema.SubOptionsT())
        truth = self.graph.tensor(f"{name}:truth", "bool", [self.batch, n])
        zero = self.graph.constant("0", [[0]])
        self.graph.operator("GREATER", [zero, rest], [truth], schema.GreaterOptionsT())
        one = self._cast(truth, n, "int32", f"{name}:one")
        return self._op("SUB", [cut, one], n, name, schema.SubOptionsT())

    def _clip(self, node: Node) -> int:
        x, lo, hi = self.tensors[node.args[0]], int(node.attrs["lo"]), int(node.attrs["hi"])
        above = self._with("MAXIMUM", x, lo, node.n, f"{node.name}:above")
        return self._with("MINIMUM", above, hi, node.n, node.name)

    def _ge(self, node: Node) -> int:
        truth = self.graph.tensor(f"{node.name}:truth", "bool", [self.batch, node.n])
        operands = [self.tensors[arg] for arg in node.args]
        self.graph.operator("GREATER_EQUAL", operands, [truth], schema.GreaterEqualOptionsT())
        return self._cast(truth, node.n, "int32", node.name)

    def _lut(self, node: Node) -> int:
        table = node.attrs["table"]
        index = self._with("ADD", self.tensors[node.args[0]], 128, node.n, f"{node.name}:index")
        if self.flavour == "litert":
            whole = self.graph.constant(f"{node.name}:table", table)
            return self._op("GATHER", [whole, index], node.n, node.name, schema.GatherOptionsT())
        high = table >> 8
        parts = []
        for label, part in (("high", high), ("low", table - 256 * high - 128)):
            name = f"{node.name}:{label}"
            found = self.graph.tensor(name, "int8", [self.batch, node.n])
            values = self.graph.constant(f"{name}:table", part, "int8")
            self.graph.operator("GATHER", [values, index], [found], schema.GatherOptionsT())
            parts.append(self._cast(found, node.n, "int32", f"{name}:int32"))
        scaled = self._with("MUL", parts[0], 256, node.n, f"{node.name}:scaled")
        centred = self._with("ADD", parts[1], 128, node.n, f"{node.name}:centred")
        return self._add(scaled, centred, node.n, node.name)

    def _concat(self, node: Node) -> int:
        options = schema.ConcatenationOptionsT()
        options.axis = 1
        parts = [self.tensors[arg] for arg in node.args]
        return self._op("CONCATENATION", parts, node.n, node.name, options)

    def _slice(self, node: Node) -> int:
        return self._part(self.tensors[node.args[0]], int(node.attrs["start"]), node.n, node.name)

    def _part(self, x: int, start: int, n: int, name: str) -> int:
        begin = self.graph.constant(f"{name}:begin", [0, start])
        size = self.graph.constant(f"{name}:size", [self.batch, n])
        return self._op("SLICE", [x, begin, size], n, name, schema.SliceOptionsT())

    def _argmax(self, node: Node) -> int:
        options = schema.ArgMaxOptionsT()
        options.outputType = schema.TensorType.INT32
        flat = self.graph.tensor(f"{node.name}:flat", "int32", [self.batch])
        axis = self.graph.constant(f"{node.name}:axis", np.array([1]))
        self.graph.operator("ARG_MAX", [self.tensors[node.args[0]], axis], [flat], options)
        shape = self.graph.constant(f"{node.name}:shape", [self.batch, 1])
        reshape = schema.ReshapeOptionsT()
        reshape.newShape = [self.batch, 1]
        return self._op("RESHAPE", [flat, shape], 1, node.name, reshape)

    def _argmax_micro(self, node: Node) -> int:
        """A running maximum; a later value wins only where it is greater."""
        x, n = self.tensors[node.args[0]], self.program[node.args[0]].n
        best = self._part(x, 0, 1, f"{node.name}:best0")
        index = self.graph.constant(f"{node.name}:index0", np.zeros((self.batch, 1), np.int64))
        if n == 1:
            return self._with("ADD", index, 0, 1, node.name)
        for i in range(1, n):
            name = f"{node.name}:{i}"
            value = self._part(x, i, 1, f"{name}:value")
            truth = self.graph.tensor(f"{name}:truth", "bool", [self.batch, 1])
            self.graph.operator("GREATER", [value, best], [truth], schema.GreaterOptionsT())
            wins = self._cast(truth, 1, "int32", f"{name}:wins")
            best = self._op("MAXIMUM", [best, value], 1, f"{name}:best", _min_max())
            way = self._with("RSUB", index, i, 1, f"{name}:way")
            step = self._op("MUL", [wins, way], 1, f"{name}:step", schema.MulOptionsT())
            index = self._add(index, step, 1, node.name if i == n - 1 else f"{name}:index")
        return index

    # ---- operators -----------------------------------------------------------------------------

    def _op(self, operator: str, inputs: Sequence[int], n: int, name: str, options: Any) -> int:
        out = self.graph.tensor(name, "int32", [self.batch, n])
        self.graph.operator(operator, inputs, [out], options)
        return out

    def _add(self, a: int, b: int, n: int, name: str) -> int:
        return self._op("ADD", [a, b], n, name, schema.AddOptionsT())

    def _with(self, operator: str, x: int, number: int, n: int, name: str) -> int:
        """An operator with a constant; ``RSUB`` is the constant minus ``x``."""
        constant = self.graph.constant(f"{number}", [[number]])
        if operator == "RSUB":
            return self._op("SUB", [constant, x], n, name, schema.SubOptionsT())
        options: Mapping[str, Callable[[], Any]] = {
            "ADD": schema.AddOptionsT,
            "SUB": schema.SubOptionsT,
            "MUL": schema.MulOptionsT,
            "DIV": schema.DivOptionsT,
            "FLOOR_DIV": schema.FloorDivOptionsT,
            "MAXIMUM": _min_max,
            "MINIMUM": _min_max,
        }
        return self._op(operator, [x, constant], n, name, options[operator]())

    def _cast(self, tensor: int, n: int, dtype: str, name: str) -> int:
        if (tensor, dtype) in self._narrow and ":" in name:
            return self._narrow[tensor, dtype]
        out = self.graph.tensor(name, dtype, [self.batch, n])
        self.graph.operator("CAST", [tensor], [out], schema.CastOptionsT())
        return out


def _min_max() -> Any:
    return schema.MaximumMinimumOptionsT()


def _groups(weight: IntArray, interval: Interval) -> list[list[int]]:
    """Columns in order, in groups whose partial sums stay within int16 for every row."""
    ends = np.maximum(np.abs(weight * interval.lo), np.abs(weight * interval.hi))
    groups: list[list[int]] = [[]]
    reach = np.zeros(weight.shape[0], np.int64)
    for column in range(weight.shape[1]):
        if groups[-1] and (reach + ends[:, column]).max() > STORAGE["int16"][1]:
            groups.append([])
            reach = np.zeros_like(reach)
        groups[-1].append(column)
        reach = reach + ends[:, column]
    return groups
