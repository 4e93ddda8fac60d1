"""A TFLite model assembled from the schema, without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np

try:
    from ai_edge_litert import schema_py_generated as schema
except ImportError:  # TensorFlow carries the same schema
    from tensorflow.lite.python import schema_py_generated as schema

__all__ = ["Graph", "ModelWriter", "schema"]

TYPES = {
    "bool": schema.TensorType.BOOL,
    "float32": schema.TensorType.FLOAT32,
    "int8": schema.TensorType.INT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "resource": schema.TensorType.RESOURCE,
}
_UNIT_SCALED = ("int8", "int16")  # what products of matrices want to know of their operands


class ModelWriter:
    """One model: buffers, operator codes and subgraphs."""

    def __init__(self) -> None:
        self._buffers = [schema.BufferT()]
        self._codes: dict[int, int] = {}
        self._signatures: list[Any] = []
        self._metadata: list[Any] = []
        self.graphs: list[Graph] = []

    def graph(self, name: str) -> Graph:
        """A new subgraph; the first is the main one."""
        self.graphs.append(Graph(self, name))
        return self.graphs[-1]

    def buffer(self, data: bytes) -> int:
        """Index of a new buffer."""
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(data, np.uint8)
        self._buffers.append(buffer)
        return len(self._buffers) - 1

    def code(self, operator: int) -> int:
        """Index of a builtin operator's code."""
        return self._codes.setdefault(operator, len(self._codes))

    def signature(
        self, key: str, graph: Graph, inputs: Sequence[str], outputs: Sequence[str]
    ) -> None:
        """Make a subgraph callable by names; its own inputs and outputs are in that order."""
        signature = schema.SignatureDefT()
        signature.signatureKey = key
        signature.subgraphIndex = self.graphs.index(graph)
        signature.inputs = [_named(n, t) for n, t in zip(inputs, graph.inputs, strict=True)]
        signature.outputs = [_named(n, t) for n, t in zip(outputs, graph.outputs, strict=True)]
        self._signatures.append(signature)

    def metadata(self, name: str, text: str) -> None:
        """A named text that travels with the model."""
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, self.buffer(text.encode())
        self._metadata.append(entry)

    def finish(self) -> bytes:
        """The file's bytes."""
        model = schema.ModelT()
        model.version, model.description = 3, "grsn-edge"
        model.operatorCodes = [_operator_code(operator) for operator in self._codes]
        model.subgraphs = [graph.packed() for graph in self.graphs]
        model.buffers = self._buffers
        model.signatureDefs = self._signatures
        model.metadata = self._metadata
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


class Graph:
    """One subgraph: tensors and operators in order."""

    def __init__(self, writer: ModelWriter, name: str) -> None:
        self._writer = writer
        self._name = name
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], int] = {}
        self.inputs: list[int] = []
        self.outputs: list[int] = []

    def tensor(self, name: str, dtype: str, shape: Sequence[int], buffer: int = 0) -> int:
        """Index of a new tensor."""
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.shape = name, TYPES[dtype], list(shape)
        tensor.buffer = buffer
        if dtype in _UNIT_SCALED:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.ones(1, np.float32)
            tensor.quantization.zeroPoint = np.zeros(1, np.int64)
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def constant(self, name: str, values: Any, dtype: str = "int32") -> int:
        """Index of a constant tensor; equal constants are one."""
        array = np.ascontiguousarray(np.asarray(values, dtype))
        key = (dtype, np.shape(values), array.tobytes())
        if key not in self._constants:
            buffer = self._writer.buffer(array.tobytes())
            self._constants[key] = self.tensor(name, dtype, np.shape(values), buffer)
        return self._constants[key]

    def operator(
        self, name: str, inputs: Sequence[int], outputs: Sequence[int], options: Any = None
    ) -> None:
        """One builtin operator, such as ``ADD``."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self._writer.code(getattr(schema.BuiltinOperator, name))
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = options
        self._operators.append(operator)

    def packed(self) -> Any:
        """The schema's own object."""
        graph = schema.SubGraphT()
        graph.name, graph.tensors, graph.operators = self._name, self._tensors, self._operators
        graph.inputs, graph.outputs = self.inputs, self.outputs
        return graph


def _named(name: str, tensor: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, tensor
    return entry


def _operator_code(operator: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode, code.version = operator, 1
    code.deprecatedBuiltinCode = min(operator, 127)
    return code
