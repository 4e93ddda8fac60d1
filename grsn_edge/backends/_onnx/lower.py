"""A step program as an ONNX graph: opset 17, integers only, explicit states.

Every value is an int32 tensor ``(batch, n)`` under its own name; storage types appear at the border
only.  ``MatMulInteger`` is used with int8 on both sides, never uint8, which saturates on some
processors.  Integer ``Div`` truncates, so ``shr`` is written such that this is the floor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from grsn_edge.backends._onnx.border import Border, border_of
from grsn_edge.errors import BackendError
from grsn_edge.program import INT32, OPS, IntArray, Node, Program

__all__ = ["BATCH", "IR_VERSION", "OPSET", "TYPES", "Lowering", "build", "graph_of"]

OPSET, IR_VERSION = 17, 8
BATCH = "batch"
"""Name of the first dimension of every input and output."""

TYPES: Mapping[str, int] = {
    "int8": TensorProto.INT8,
    "int16": TensorProto.INT16,
    "int32": TensorProto.INT32,
}
_BIAS = 1 << 30


def build(program: Program) -> onnx.ModelProto:
    """The program alone: inputs and states in, outputs and next states out.

    Raises:
        BackendError: the program has neither an input nor a state, so no batch.
    """
    lowering = graph_of(program)
    return lowering.model(lowering.inputs(), lowering.outputs())


def graph_of(program: Program) -> Lowering:
    """The lowered nodes, to which an exporter may add its own; raises as :func:`build`."""
    lowering = Lowering(program)
    lowering.lower()
    return lowering


def tensor_info(name: str, node: Node, dtype: str) -> onnx.ValueInfoProto:
    """An input or output ``(batch, n)``."""
    return helper.make_tensor_value_info(name, TYPES[dtype], [BATCH, node.n])


class Lowering:
    """Collects the nodes and constants of one graph.

    ``tensors`` maps a value to the int32 tensor that holds it; a value that depends on no input is
    in ``known`` instead: the reference computes it here, and the graph holds it as ``(n,)``.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.border: Border = border_of(program)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.tensors: dict[str, str] = {}
        self.known: dict[str, IntArray] = {}
        self._made: set[str] = set()
        self._sources = (*program.inputs, *program.states)
        if not self._sources:
            raise BackendError(
                "a program with neither input nor state has no ONNX form: its outputs are constants"
            )

    def model(
        self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        """The finished model."""
        graph = helper.make_graph(
            self.nodes, "step", inputs, outputs, [self.constants[k] for k in sorted(self.constants)]
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="grsn-edge",
        )

    def lower(self) -> None:
        """Every value in order, then the border."""
        for node in self.program:
            self._value(node)
        for name, value in self.program.outputs.items():
            self._give(self.border.outputs[name], value, self.program[value].dtype)
        for state in self.program.states:
            self._give(self.border.nexts[state.name], self.program.nexts[state.name], state.dtype)

    def inputs(self) -> list[onnx.ValueInfoProto]:
        """Inputs, then states, in their storage types."""
        return [tensor_info(node.name, node, node.dtype) for node in self._sources]

    def outputs(self) -> list[onnx.ValueInfoProto]:
        """Outputs, then next states, in their storage types."""
        program, border = self.program, self.border
        given = [
            (border.outputs[k], program[v], program[v].dtype) for k, v in program.outputs.items()
        ]
        given += [(border.nexts[s.name], s, s.dtype) for s in program.states]
        return [tensor_info(*entry) for entry in given]

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """One ONNX node."""
        name = f"{op}:{output}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=name, **attributes))
        self._made.add(output)
        return output

    def constant(self, name: str, value: Any, dtype: str = "int32") -> str:
        """An initialiser; the same name must mean the same value."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(value, dtype), name)
        return name

    def batched(self, value: str) -> str:
        """The int32 tensor ``(batch, n)`` of a value, also where it depends on no input."""
        if value not in self.known:
            return self.tensors[value]
        name = f"{value}:batched"
        if name not in self._made:
            self.add("Add", [self._zeros(), self._operand(value)], name)
        return name

    # ---- values ------------------------------------------------------------------------------

    def _value(self, node: Node) -> None:
        lowered: Mapping[str, Callable[[Node], str]] = {
            "input": self._source,
            "state": self._source,
            "matvec": self._matvec,
            "add": lambda n: self._binary("Add", n),
            "sub": lambda n: self._binary("Sub", n),
            "mul": lambda n: self._binary("Mul", n),
            "shr": self._shr,
            "clip": self._clip,
            "ge": self._ge,
            "lut": self._lut,
            "concat": self._concat,
            "slice": self._slice,
            "argmax": self._argmax,
        }
        if node not in self._sources and all(arg in self.known for arg in node.args):
            operands = [self.known[arg] for arg in node.args]
            self.known[node.name] = OPS[node.op].evaluate(node.attrs, operands)
        else:
            self.tensors[node.name] = lowered[node.op](node)

    def _tensor(self, node: Node) -> str:
        taken = node.name in self.border.names or node in self._sources
        return f"{node.name}:value" if taken else node.name

    def _source(self, node: Node) -> str:
        if node.dtype == "int32":
            return node.name
        return self.add("Cast", [node.name], self._tensor(node), to=TensorProto.INT32)

    def _give(self, name: str, value: str, dtype: str) -> None:
        """An output of the graph in its storage type."""
        if dtype == "int32":
            self.add("Identity", [self.batched(value)], name)
        else:
            self.add("Cast", [self.batched(value)], name, to=TYPES[dtype])

    def _operand(self, value: str) -> str:
        if value in self.known:
            return self.constant(self._tensor(self.program[value]), self.known[value])
        return self.tensors[value]

    def _args(self, node: Node) -> list[str]:
        return [self._operand(arg) for arg in node.args]

    def _binary(self, op: str, node: Node) -> str:
        return self.add(op, self._args(node), self._tensor(node))

    def _matvec(self, node: Node) -> str:
        operand, out = self.program[node.args[0]], self._tensor(node)
        weight, bias = node.attrs["weight"].T, node.attrs["bias"]
        products = f"{out}:dot" if bias.any() else out
        if operand.dtype == "int8":
            dot = [self._int8(operand), self.constant(f"{out}:weight", weight, "int8")]
            self.add("MatMulInteger", dot, products)
        else:
            dot = [self.tensors[operand.name], self.constant(f"{out}:weight", weight)]
            self.add("MatMul", dot, products)
        if products == out:
            return out
        return self.add("Add", [products, self.constant(f"{out}:bias", bias)], out)

    def _int8(self, operand: Node) -> str:
        """The operand as int8: as it came in, or cast once."""
        if operand in self._sources:
            return operand.name
        name = f"{self.tensors[operand.name]}:int8"
        if name not in self._made:
            self.add("Cast", [self.tensors[operand.name]], name, to=TensorProto.INT8)
        return name

    def _shr(self, node: Node) -> str:
        shift, out, (x,) = int(node.attrs["shift"]), self._tensor(node), self._args(node)
        reach, half = self.program[node.args[0]].interval, 1 << (shift - 1)
        lowest, highest = reach.low + half, reach.high + half
        divisor = self.constant(f"2^{shift}", 1 << shift)
        if lowest >= 0:  # truncation is the floor
            moved = self.add("Add", [x, self._number(half)], f"{out}:moved")
            return self.add("Div", [moved, divisor], out)
        if lowest + _BIAS >= 0 and highest + _BIAS <= INT32[1]:  # moved by a multiple of 2^shift
            moved = self.add("Add", [x, self._number(half + _BIAS)], f"{out}:moved")
            divided = self.add("Div", [moved, divisor], f"{out}:divided")
            return self.add("Sub", [divided, self._number(_BIAS >> shift)], out)
        moved = self.add("Add", [x, self._number(half)], f"{out}:moved")
        rest = self.add("Mod", [moved, divisor], f"{out}:rest")  # never negative
        exact = self.add("Sub", [moved, rest], f"{out}:exact")
        return self.add("Div", [exact, divisor], out)

    def _clip(self, node: Node) -> str:
        lo, hi = (int(node.attrs[key]) for key in ("lo", "hi"))
        if self.program[node.args[0]].interval.within(lo, hi):
            return self.tensors[node.args[0]]
        return self.add(
            "Clip", [*self._args(node), self._number(lo), self._number(hi)], self._tensor(node)
        )

    def _ge(self, node: Node) -> str:
        out = self._tensor(node)
        truth = self.add("GreaterOrEqual", self._args(node), f"{out}:truth")
        return self.add("Cast", [truth], out, to=TensorProto.INT32)

    def _lut(self, node: Node) -> str:
        out = self._tensor(node)
        index = self.add("Add", [*self._args(node), self._number(128)], f"{out}:index")
        table = self.constant(f"{out}:table", node.attrs["table"])
        return self.add("Gather", [table, index], out, axis=0)

    def _concat(self, node: Node) -> str:
        return self.add(
            "Concat", [self.batched(arg) for arg in node.args], self._tensor(node), axis=1
        )

    def _slice(self, node: Node) -> str:
        start, stop = (int(node.attrs[key]) for key in ("start", "stop"))
        return self._columns(self._args(node)[0], start, stop, self._tensor(node))

    def _argmax(self, node: Node) -> str:
        out = self._tensor(node)
        index = self.add("ArgMax", self._args(node), f"{out}:index", axis=1, keepdims=1)
        return self.add("Cast", [index], out, to=TensorProto.INT32)

    def _columns(self, x: str, start: int, stop: int, out: str) -> str:
        places = [self.constant(f"index {i}", np.array([i]), "int64") for i in (start, stop, 1)]
        return self.add("Slice", [x, *places], out)

    def _number(self, value: int) -> str:
        return self.constant(f"{value}", value)

    def _zeros(self) -> str:
        """``(batch, 1)``: what brings the batch to a constant."""
        name = "0:batched"
        if name not in self._made:
            first = self._columns(self.tensors[self._sources[0].name], 0, 1, "0:first")
            self.add("Sub", [first, first], name)
        return name
