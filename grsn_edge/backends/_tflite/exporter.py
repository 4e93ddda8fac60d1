"""A policy as one TFLite file: explicit states, or variables that the runtime keeps."""

from __future__ import annotations

from typing import Any

import numpy as np

from grsn_edge.backends._describe import description
from grsn_edge.backends._tflite.flatbuffer import Graph, ModelWriter, schema
from grsn_edge.backends._tflite.lower import Flavour, Lowering, explicit_step
from grsn_edge.backends.base import ExportOptions
from grsn_edge.errors import UsageError
from grsn_edge.policy import ACTION, Policy
from grsn_edge.program import Node, Program

__all__ = ["FLAVOURS", "export"]

FLAVOURS: tuple[Flavour, ...] = ("litert", "tflm")
KEY = "grsn_edge"
"""Name of the metadata buffer that holds the description, as JSON."""


def export(policy: Policy, options: ExportOptions) -> bytes:
    """The file's bytes; the same for the same policy and options.

    Raises:
        UsageError: an unknown flavour, or an encoder in the flavour without float operators.
    """
    flavour = options.flavour or "litert"
    if flavour not in FLAVOURS:
        raise UsageError(f"a TFLite export is litert or tflm, not '{flavour}'")
    if options.with_encoder and (flavour == "tflm" or options.state == "variables"):
        raise UsageError("the float encoder goes with the flavour litert and explicit states")
    writer = ModelWriter()
    if options.state == "variables":
        _with_variables(writer, policy.program, flavour)
    elif options.with_encoder:
        _with_encoder(writer, policy)
    else:
        explicit_step(writer, policy.program, 1, flavour)
    writer.metadata(KEY, description(policy, with_encoder=options.with_encoder))
    return writer.finish()


# ---- states as variables -------------------------------------------------------------------------


def _with_variables(writer: ModelWriter, program: Program, flavour: Flavour) -> None:
    """``step`` takes the observation alone; ``reset`` takes and gives nothing but a zero."""
    step, initialise, reset = (writer.graph(name) for name in ("step", "initialise", "reset"))
    once = schema.CallOnceOptionsT()
    once.initSubgraphIndex = writer.graphs.index(initialise)
    step.operator("CALL_ONCE", [], [], once)
    lowering = Lowering(program, step, 1, flavour)
    for node in program.inputs:
        tensor = step.tensor(node.name, node.dtype, [1, node.n])
        step.inputs.append(tensor)
        lowering.receive(node, tensor)
    handles = {node.name: _handle(step, node) for node in program.states}
    for node in program.states:
        value = step.tensor(node.name, node.dtype, [1, node.n])
        step.operator("READ_VARIABLE", [handles[node.name]], [value], schema.ReadVariableOptionsT())
        lowering.receive(node, value)
    lowering.lower()
    for name, source in program.outputs.items():
        step.outputs.append(lowering.give(name, source, program[source].dtype))
    nexts = {
        s.name: lowering.give(f"{s.name}.next", program.nexts[s.name], s.dtype)
        for s in program.states
    }
    for name, tensor in nexts.items():
        _assign(step, handles[name], tensor)
    for graph in (initialise, reset):
        _assign_initial(graph, program)
    _done(reset)
    writer.signature("step", step, [n.name for n in program.inputs], list(program.outputs))
    writer.signature("reset", reset, [], ["done"])


def _handle(graph: Graph, node: Node) -> int:
    options = schema.VarHandleOptionsT()
    options.container, options.sharedName = "", node.name
    handle = graph.tensor(f"{node.name}:handle", "resource", [1])
    graph.operator("VAR_HANDLE", [], [handle], options)
    return handle


def _assign(graph: Graph, handle: int, tensor: int) -> None:
    graph.operator("ASSIGN_VARIABLE", [handle, tensor], [], schema.AssignVariableOptionsT())


def _assign_initial(graph: Graph, program: Program) -> None:
    for node in program.states:
        values = graph.constant(f"{node.name}:init", node.attrs["init"][None, :], node.dtype)
        _assign(graph, _handle(graph, node), values)


def _done(graph: Graph) -> None:
    """A signature needs an output: a zero."""
    zero = graph.constant("zero", np.zeros(1, np.int64))
    out = graph.tensor("done", "int32", [1])
    graph.operator("ADD", [zero, zero], [out], schema.AddOptionsT())
    graph.outputs.append(out)


# ---- float at the border ---------------------------------------------------------------------


def _with_encoder(writer: ModelWriter, policy: Policy) -> None:
    """As the explicit step, with float32 ``observation`` and, if continuous, ``action``."""
    program, graph = policy.program, writer.graph("step")
    lowering = Lowering(program, graph, 1, "litert")
    (source,) = program.inputs
    graph.inputs.append(graph.tensor(source.name, "float32", [1, source.n]))
    lowering.receive(source, _encode(graph, policy, source))
    for node in program.states:
        tensor = graph.tensor(node.name, node.dtype, [1, node.n])
        graph.inputs.append(tensor)
        lowering.receive(node, tensor)
    lowering.lower()
    graph.outputs.append(_decode(graph, policy, lowering))
    for state in program.states:
        name = f"{state.name}.next"
        graph.outputs.append(lowering.give(name, program.nexts[state.name], state.dtype))
    inputs = [source.name, *(s.name for s in program.states)]
    writer.signature("step", graph, inputs, [ACTION, *(f"{s.name}.next" for s in program.states)])


def _encode(graph: Graph, policy: Policy, source: Node) -> int:
    """``clamp(round_half_even((x - offset) * gain))``; a NaN becomes some code within range."""
    encoder, n = policy.encoder, source.n
    offset = graph.constant("encoder/offset", encoder.offset[None, :], "float32")
    gain = graph.constant("encoder/gain", encoder.gain[None, :], "float32")
    low = graph.constant("encoder/low", [[-encoder.limit]], "float32")
    high = graph.constant("encoder/high", [[encoder.limit]], "float32")
    value = graph.inputs[0]
    steps: list[tuple[str, str, int | None, Any]] = [
        ("SUB", "centred", offset, schema.SubOptionsT()),
        ("MUL", "scaled", gain, schema.MulOptionsT()),
        ("MAXIMUM", "above", low, schema.MaximumMinimumOptionsT()),
        ("MINIMUM", "clamped", high, schema.MaximumMinimumOptionsT()),
        ("ROUND", "rounded", None, None),
    ]
    for operator, name, constant, options in steps:
        out = graph.tensor(f"encoder/{name}", "float32", [1, n])
        graph.operator(operator, [value, *([] if constant is None else [constant])], [out], options)
        value = out
    code = graph.tensor("encoder/code", source.dtype, [1, n])
    graph.operator("CAST", [value], [code], schema.CastOptionsT())
    return code


def _decode(graph: Graph, policy: Policy, lowering: Lowering) -> int:
    value = policy.program.outputs[ACTION]
    node, decoder = policy.program[value], policy.decoder
    if decoder.is_discrete:
        return lowering.give(ACTION, value, node.dtype)
    real = graph.tensor("decoder/float", "float32", [1, node.n])
    graph.operator("CAST", [lowering.tensors[value]], [real], schema.CastOptionsT())
    scale = graph.constant("decoder/scale", decoder.scale[None, :], "float32")
    offset = graph.constant("decoder/offset", decoder.offset[None, :], "float32")
    scaled = graph.tensor("decoder/scaled", "float32", [1, node.n])
    graph.operator("MUL", [real, scale], [scaled], schema.MulOptionsT())
    action = graph.tensor(ACTION, "float32", [1, node.n])
    graph.operator("ADD", [scaled, offset], [action], schema.AddOptionsT())
    return action
