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

from grsn_edge.program import INT32, IntArray, Node, Program

__all__ = ["NEXT", "OPSET", "build", "graph_of"]

OPSET, IR_VERSION = 17, 8
NEXT = ".next"
"""What is added to a state's name for the output that holds its next value."""

BATCH = "batch"
TYPES = {"int8": TensorProto.INT8, "int16": TensorProto.INT16, "int32": TensorProto.INT32}
_BIAS_EXPONENT = 30


def build(program: Program) -> onnx.ModelProto:
    """The program alone: inputs and states in, outputs and next states out."""
    lowering = graph_of(program)
    inputs = [_border(n.name, n) for n in (*program.inputs, *program.states)]
    outputs = [_border(name, program[node]) for name, node in program.outputs.items()]
    outputs += [_border(f"{s.name}{NEXT}", s) for s in program.states]
    return lowering.model(inputs, outputs)


def graph_of(program: Program) -> Lowering:
    """The lowered nodes, to which an exporter may add its own."""
    lowering = Lowering(program)
    lowering.lower()
    return lowering


def _border(name: str, node: Node) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TYPES[node.dtype], [BATCH, node.n])


class Lowering:
    """Collects the nodes and constants of one graph.

    ``tensors`` maps a value to the int32 tensor that holds it; a value that does not depend on any
    input is a tensor ``(n,)`` and listed in ``unbatched``.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.tensors: dict[str, str] = {}
        self.unbatched: set[str] = set()
        border = [n.name for n in (*program.inputs, *program.states)]
        self._taken = {*border, *program.outputs, *(f"{s.name}{NEXT}" for s in program.states)}

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
            self.give(name, value, self.program[value].dtype)
        for state in self.program.states:
            self.give(f"{state.name}{NEXT}", self.program.nexts[state.name], state.dtype)

    def give(self, name: str, value: str, dtype: str) -> None:
        """An output of the graph in its storage type."""
        self.add("Cast", [self._batched(value)], name, to=TYPES[dtype])

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """One ONNX node."""
        name = f"{op}:{output}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=name, **attributes))
        return output

    def constant(self, name: str, value: Any, dtype: str = "int32") -> str:
        """An initialiser; the same name must mean the same value."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(value, dtype), name)
        return name

    # ---- values ------------------------------------------------------------------------------

    def _value(self, node: Node) -> None:
        if node.op not in ("input", "state") and not self._depends(node):
            self.unbatched.add(node.name)
        lowered: Mapping[str, Callable[[Node], str]] = {
            "input": self._source,
            "state": self._source,
            "const": lambda n: self.constant(self._tensor(n), n.attrs["value"]),
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
        self.tensors[node.name] = lowered[node.op](node)

    def _depends(self, node: Node) -> bool:
        return any(arg not in self.unbatched for arg in node.args)

    def _tensor(self, node: Node) -> str:
        return f"{node.name}:value" if node.name in self._taken else node.name

    def _source(self, node: Node) -> str:
        return self.add("Cast", [node.name], self._tensor(node), to=TensorProto.INT32)

    def _args(self, node: Node) -> list[str]:
        return [self.tensors[arg] for arg in node.args]

    def _binary(self, op: str, node: Node) -> str:
        return self.add(op, self._args(node), self._tensor(node))

    def _matvec(self, node: Node) -> str:
        operand, out = self.program[node.args[0]], self._tensor(node)
        weight, bias = node.attrs["weight"].T, self.constant(f"{out}:bias", node.attrs["bias"])
        if operand.dtype == "int8":
            x = self._int8(operand)
            dot = [x, self.constant(f"{out}:weight", weight, "int8")]
            products = self.add("MatMulInteger", dot, f"{out}:dot")
        else:
            dot = [self.tensors[operand.name], self.constant(f"{out}:weight", weight)]
            products = self.add("MatMul", dot, f"{out}:dot")
        return self.add("Add", [products, bias], out)

    def _int8(self, operand: Node) -> str:
        """The operand as int8: as it came in, or cast once."""
        if operand.op in ("input", "state"):
            return operand.name
        name = f"{self.tensors[operand.name]}:int8"
        if not any(name in node.output for node in self.nodes):
            self.add("Cast", [self.tensors[operand.name]], name, to=TensorProto.INT8)
        return name

    def _shr(self, node: Node) -> str:
        shift, out, (x,) = int(node.attrs["shift"]), self._tensor(node), self._args(node)
        reach, half = self.program[node.args[0]].interval, 1 << (shift - 1)
        bias = 1 << _BIAS_EXPONENT
        divisor = self.constant(f"2^{shift}", 1 << shift)
        if reach.low + half + bias >= 0 and reach.high + half + bias <= INT32[1]:
            # Biased by a multiple of 2^shift the sum is never negative: truncation is the floor.
            moved = self.add("Add", [x, self.constant(f"bias+{half}", bias + half)], f"{out}:moved")
            divided = self.add("Div", [moved, divisor], f"{out}:divided")
            back = self.constant(f"bias/2^{shift}", bias >> shift)
            return self.add("Sub", [divided, back], out)
        moved = self.add("Add", [x, self.constant(f"{half}", half)], f"{out}:moved")
        rest = self.add("Mod", [moved, divisor], f"{out}:rest")
        exact = self.add("Sub", [moved, rest], f"{out}:exact")
        return self.add("Div", [exact, divisor], out)

    def _clip(self, node: Node) -> str:
        bounds = [self.constant(f"clip {int(node.attrs[k])}", node.attrs[k]) for k in ("lo", "hi")]
        return self.add("Clip", [*self._args(node), *bounds], self._tensor(node))

    def _ge(self, node: Node) -> str:
        out = self._tensor(node)
        truth = self.add("GreaterOrEqual", self._args(node), f"{out}:truth")
        return self.add("Cast", [truth], out, to=TensorProto.INT32)

    def _lut(self, node: Node) -> str:
        out, offset = self._tensor(node), self.constant("table offset", 128)
        index = self.add("Add", [*self._args(node), offset], f"{out}:index")
        table = self.constant(f"{out}:table", node.attrs["table"])
        return self.add("Gather", [table, index], out, axis=0)

    def _concat(self, node: Node) -> str:
        if node.name in self.unbatched:
            return self.add("Concat", self._args(node), self._tensor(node), axis=0)
        parts = [self._batched(arg) for arg in node.args]
        return self.add("Concat", parts, self._tensor(node), axis=1)

    def _slice(self, node: Node) -> str:
        ends = [self._index(int(node.attrs[key])) for key in ("start", "stop")]
        axis = self._index(-1)
        return self.add("Slice", [*self._args(node), *ends, axis], self._tensor(node))

    def _argmax(self, node: Node) -> str:
        out = self._tensor(node)
        index = self.add("ArgMax", self._args(node), f"{out}:index", axis=-1, keepdims=1)
        return self.add("Cast", [index], out, to=TensorProto.INT32)

    def _index(self, value: int) -> str:
        return self.constant(f"index {value}", np.array([value]), "int64")

    def _batched(self, value: str) -> str:
        """A value as ``(batch, n)``, also where it depends on no input."""
        if value not in self.unbatched:
            return self.tensors[value]
        name = f"{self.tensors[value]}:batched"
        if not any(name in node.output for node in self.nodes):
            first = (*self.program.inputs, *self.program.states)[0].name
            shape = self.add("Shape", [first], f"{name}:shape", start=0, end=1)
            length = self._index(self.program[value].n)
            whole = self.add("Concat", [shape, length], f"{name}:whole", axis=0)
            self.add("Expand", [self.tensors[value], whole], name)
        return name


def tensor_values(tensor: onnx.TensorProto) -> IntArray:
    """An initialiser's content as int64."""
    return numpy_helper.to_array(tensor).astype(np.int64)
