"""What a step is compared with: float GRUs and LSTMs in onnxruntime and torch, state fed back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = [
    "Step",
    "compiled_torch_net",
    "litert_net",
    "onnxruntime_net",
    "recurrent_model",
    "torch_net",
]

Step = Callable[[np.ndarray], np.ndarray]
"""Observations float32 ``(batch, inputs)`` → indices of the actions; keeps its own state."""

_GATES = {"GRU": 3, "LSTM": 4}


def onnxruntime_net(kind: str, inputs: int, hidden: int, actions: int, batch: int) -> Step:
    """onnxruntime's GRU or LSTM operator, a MatMul and an ArgMax; one thread, ``session.run``."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = recurrent_model(kind, inputs, hidden, actions, batch)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = ("h", "c") if kind == "LSTM" else ("h",)
    state = {name: np.zeros((1, batch, hidden), np.float32) for name in names}

    def step(observation: np.ndarray) -> np.ndarray:
        given = {"x": observation.reshape(1, batch, inputs), **state}
        action, *after = session.run(None, given)
        state.update(zip(names, after, strict=True))
        return np.asarray(action)

    return step


def torch_net(
    kind: str, inputs: int, hidden: int, actions: int, batch: int, *, compiled: bool = False
) -> Step:
    """torch's GRUCell or LSTMCell and a Linear, one thread; eager unless compiled."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    cell = torch.nn.LSTMCell if kind == "LSTM" else torch.nn.GRUCell
    net, head = cell(inputs, hidden), torch.nn.Linear(hidden, actions)
    zeros = torch.zeros(batch, hidden)
    state = (zeros, zeros) if kind == "LSTM" else zeros

    def forward(x, before):  # type: ignore[no-untyped-def]
        after = net(x, before)
        return head(after[0] if kind == "LSTM" else after).argmax(dim=1), after

    if compiled:
        forward = torch.compile(forward)

    @torch.inference_mode()
    def step(observation: np.ndarray) -> np.ndarray:
        nonlocal state
        action, state = forward(torch.from_numpy(observation).reshape(batch, inputs), state)
        return np.asarray(action.numpy())

    return step


def litert_net(kind: str, inputs: int, hidden: int, actions: int, batch: int) -> Step:
    """The same nets in LiteRT, one thread, states copied out and in."""
    from bench.litert_nets import litert_model

    from grsn_edge.backends.tflite_backend import interpreter

    running = interpreter(litert_model(kind, inputs, hidden, actions, batch))
    sources = [details["index"] for details in running.get_input_details()]
    action, *after = [details["index"] for details in running.get_output_details()]
    state = [np.zeros((batch, hidden), np.float32) for _ in after]

    def step(observation: np.ndarray) -> np.ndarray:
        for index, value in zip(sources, [observation.reshape(batch, inputs), *state], strict=True):
            running.set_tensor(index, value)
        running.invoke()
        state[:] = [running.get_tensor(index) for index in after]
        return np.asarray(running.get_tensor(action))

    return step


def compiled_torch_net(kind: str, inputs: int, hidden: int, actions: int, batch: int) -> Step:
    """As :func:`torch_net`, through ``torch.compile``."""
    return torch_net(kind, inputs, hidden, actions, batch, compiled=True)


def recurrent_model(kind: str, inputs: int, hidden: int, actions: int, batch: int) -> bytes:
    """The float ONNX model of :func:`onnxruntime_net`, as a file's bytes."""
    from onnx import TensorProto, helper, numpy_helper

    rng, gates = np.random.default_rng(0), _GATES[kind]

    def constant(name: str, *shape: int):  # type: ignore[no-untyped-def]
        return numpy_helper.from_array(rng.normal(0, 0.1, shape).astype(np.float32), name)

    def value(name: str, *shape: int, dtype: int = TensorProto.FLOAT):  # type: ignore[no-untyped-def]
        return helper.make_tensor_value_info(name, dtype, list(shape))

    states = ["h", "c"] if kind == "LSTM" else ["h"]
    after = [f"next_{name}" for name in states]
    nodes = [
        helper.make_node(kind, ["x", "W", "R", "B", "", *states], ["", *after], hidden_size=hidden),
        helper.make_node("Squeeze", ["next_h", "axis"], ["flat"]),
        helper.make_node("MatMul", ["flat", "out"], ["values"]),
        helper.make_node("ArgMax", ["values"], ["action"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        kind,
        [value("x", 1, batch, inputs), *(value(name, 1, batch, hidden) for name in states)],
        [
            value("action", batch, dtype=TensorProto.INT64),
            *(value(name, 1, batch, hidden) for name in after),
        ],
        [
            constant("W", 1, gates * hidden, inputs),
            constant("R", 1, gates * hidden, hidden),
            constant("B", 1, 2 * gates * hidden),
            constant("out", hidden, actions),
            numpy_helper.from_array(np.array([0]), "axis"),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    model: bytes = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    return model
