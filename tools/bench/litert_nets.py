"""Float GRU and LSTM steps for LiteRT, assembled from the schema: what TFLite users would run."""

from __future__ import annotations

import numpy as np

from grsn_edge.backends._tflite.flatbuffer import Graph, ModelWriter, schema

__all__ = ["litert_model"]


def litert_model(kind: str, inputs: int, hidden: int, actions: int, batch: int) -> bytes:
    """One step with explicit states ``h`` (and ``c``), a read-out and an argmax."""
    writer = ModelWriter()
    net = _Net(writer.graph("step"), hidden, batch)
    states = ["h", "c"] if kind == "LSTM" else ["h"]
    x = net.source("x", inputs)
    given = {name: net.source(name, hidden) for name in states}
    after = (net.lstm if kind == "LSTM" else net.gru)(x, inputs, **given)
    values = net.dense("values", after["h"], hidden, actions)
    options = schema.ArgMaxOptionsT()
    options.outputType = schema.TensorType.INT32
    action = net.graph.tensor("action", "int32", [batch])
    axis = net.graph.constant("axis", np.array([1]))
    net.graph.operator("ARG_MAX", [values, axis], [action], options)
    net.graph.outputs += [action, *after.values()]
    writer.signature("step", net.graph, ["x", *states], ["action", *(f"next_{s}" for s in states)])
    return writer.finish()


class _Net:
    """Float operators on ``(batch, n)``."""

    def __init__(self, graph: Graph, hidden: int, batch: int) -> None:
        self.graph, self.hidden, self.batch = graph, hidden, batch
        self.rng = np.random.default_rng(0)

    def source(self, name: str, n: int) -> int:
        tensor = self.graph.tensor(name, "float32", [self.batch, n])
        self.graph.inputs.append(tensor)
        return tensor

    def gru(self, x: int, inputs: int, h: int) -> dict[str, int]:
        from_x = self.dense("from_x", x, inputs, 3 * self.hidden)
        from_h = self.dense("from_h", h, self.hidden, 3 * self.hidden)
        gates = [(self.part(from_x, i), self.part(from_h, i)) for i in range(3)]
        reset, update = (self.one("LOGISTIC", self.two("ADD", a, b)) for a, b in gates[:2])
        new = self.one("TANH", self.two("ADD", gates[2][0], self.two("MUL", reset, gates[2][1])))
        kept = self.two("MUL", update, self.two("SUB", h, new))
        return {"h": self.two("ADD", new, kept)}

    def lstm(self, x: int, inputs: int, h: int, c: int) -> dict[str, int]:
        from_x = self.dense("from_x", x, inputs, 4 * self.hidden)
        from_h = self.dense("from_h", h, self.hidden, 4 * self.hidden)
        gates = [self.two("ADD", self.part(from_x, i), self.part(from_h, i)) for i in range(4)]
        take, keep, give = (self.one("LOGISTIC", gate) for gate in gates[:3])
        taken = self.two("MUL", take, self.one("TANH", gates[3]))
        cell = self.two("ADD", self.two("MUL", keep, c), taken)
        return {"h": self.two("MUL", give, self.one("TANH", cell)), "c": cell}

    def dense(self, name: str, x: int, n_in: int, n_out: int) -> int:
        weight = self.rng.normal(0, 0.1, (n_out, n_in))
        matrix = self.graph.constant(f"{name}:weight", weight, "float32")
        bias = self.graph.constant(f"{name}:bias", np.zeros(n_out), "float32")
        out = self.graph.tensor(name, "float32", [self.batch, n_out])
        options = schema.FullyConnectedOptionsT()
        self.graph.operator("FULLY_CONNECTED", [x, matrix, bias], [out], options)
        return out

    def part(self, x: int, i: int) -> int:
        begin = self.graph.constant("begin", [0, i * self.hidden])
        size = self.graph.constant("size", [self.batch, self.hidden])
        return self._op("SLICE", [x, begin, size], schema.SliceOptionsT())

    def one(self, operator: str, x: int) -> int:
        return self._op(operator, [x], None)

    def two(self, operator: str, a: int, b: int) -> int:
        kinds = {"ADD": schema.AddOptionsT, "SUB": schema.SubOptionsT, "MUL": schema.MulOptionsT}
        return self._op(operator, [a, b], kinds[operator]())

    def _op(self, operator: str, inputs: list[int], options: object) -> int:
        out = self.graph.tensor(operator.lower(), "float32", [self.batch, self.hidden])
        self.graph.operator(operator, inputs, [out], options)
        return out
