"""What a step is compared with: float GRUs in onnxruntime and torch, batch 1, state fed back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["Step", "onnxruntime_gru", "torch_gru"]

Step = Callable[[np.ndarray], int]
"""Observation float32 ``(inputs,)`` → index of the action; keeps its own state."""


def onnxruntime_gru(inputs: int, hidden: int, actions: int) -> Step:
    """onnxruntime's GRU operator, a MatMul and an ArgMax; one thread, plain ``session.run``."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = _gru_graph(inputs, hidden, actions).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    state = np.zeros((1, 1, hidden), np.float32)

    def step(observation: np.ndarray) -> int:
        nonlocal state
        action, state = session.run(None, {"x": observation.reshape(1, 1, -1), "h": state})
        return int(action[0])

    return step


def torch_gru(inputs: int, hidden: int, actions: int) -> Step:
    """torch's GRUCell and Linear, eager, one thread."""
    import torch

    torch.manual_seed(0)
    cell, head = torch.nn.GRUCell(inputs, hidden), torch.nn.Linear(hidden, actions)
    state = torch.zeros(1, hidden)

    @torch.inference_mode()
    def step(observation: np.ndarray) -> int:
        nonlocal state
        state = cell(torch.from_numpy(observation).reshape(1, -1), state)
        return int(head(state).argmax())

    return step


def _gru_graph(inputs: int, hidden: int, actions: int):  # type: ignore[no-untyped-def]
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)

    def constant(name: str, *shape: int):  # type: ignore[no-untyped-def]
        return numpy_helper.from_array(rng.normal(0, 0.1, shape).astype(np.float32), name)

    nodes = [
        helper.make_node("GRU", ["x", "W", "R", "B", "", "h"], ["", "next"], hidden_size=hidden),
        helper.make_node("Squeeze", ["next", "axis"], ["flat"]),
        helper.make_node("MatMul", ["flat", "out"], ["values"]),
        helper.make_node("ArgMax", ["values"], ["action"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "gru",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, inputs]),
            helper.make_tensor_value_info("h", TensorProto.FLOAT, [1, 1, hidden]),
        ],
        [
            helper.make_tensor_value_info("action", TensorProto.INT64, [1]),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [1, 1, hidden]),
        ],
        [
            constant("W", 1, 3 * hidden, inputs),
            constant("R", 1, 3 * hidden, hidden),
            constant("B", 1, 6 * hidden),
            constant("out", hidden, actions),
            numpy_helper.from_array(np.array([0]), "axis"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
