"""A policy as one ONNX file: the step, what describes it, and optionally encoder and decoder."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from grsn_edge.backends._describe import description
from grsn_edge.backends._onnx.lower import BATCH, TYPES, Lowering, build, graph_of
from grsn_edge.policy import ACTION, Policy
from grsn_edge.program import Node

__all__ = ["export"]

KEY = "grsn_edge"
"""The metadata property that holds the description, as JSON."""


def export(policy: Policy, *, with_encoder: bool) -> bytes:
    """The file's bytes; the same for the same policy.

    Args:
        policy: what to export.
        with_encoder: take ``observation`` in float32 units and give ``action`` in units (or the
            index), by nodes named ``encoder/…`` and ``decoder/…`` around the integers.
    """
    model = _with_encoder(policy) if with_encoder else build(policy.program)
    helper.set_model_props(model, {KEY: description(policy, with_encoder=with_encoder)})
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _with_encoder(policy: Policy) -> onnx.ModelProto:
    (source,) = policy.program.inputs
    lowering = graph_of(policy.program)
    _rename(lowering, source.name, f"{source.name}:code")
    lowering.nodes[:0] = _encoder_nodes(lowering, policy, source)
    _, *states = lowering.inputs()
    _, *nexts = lowering.outputs()
    observation = helper.make_tensor_value_info(source.name, TensorProto.FLOAT, [BATCH, source.n])
    return lowering.model([observation, *states], [_decoder(lowering, policy), *nexts])


def _encoder_nodes(lowering: Lowering, policy: Policy, source: Node) -> list[onnx.NodeProto]:
    """``clamp(round((x - offset) * gain))``; NaN becomes 0, as ``on_invalid: clamp`` says."""
    encoder = policy.encoder
    lowering.constant("encoder/offset", encoder.offset, "float32")
    lowering.constant("encoder/gain", encoder.gain, "float32")
    for name, value in (("low", -encoder.limit), ("high", encoder.limit), ("zero", 0)):
        lowering.constant(f"encoder/{name}", value, "float32")
    steps = [
        ("Sub", [source.name, "encoder/offset"], "encoder/centred"),
        ("Mul", ["encoder/centred", "encoder/gain"], "encoder/scaled"),
        ("Round", ["encoder/scaled"], "encoder/rounded"),
        ("IsNaN", [source.name], "encoder/invalid"),
        ("Where", ["encoder/invalid", "encoder/zero", "encoder/rounded"], "encoder/valid"),
        ("Clip", ["encoder/valid", "encoder/low", "encoder/high"], "encoder/clipped"),
    ]
    nodes = [helper.make_node(op, args, [out], name=out) for op, args, out in steps]
    code = f"{source.name}:code"
    to = TYPES[source.dtype]
    return [
        *nodes,
        helper.make_node("Cast", ["encoder/clipped"], [code], name="encoder/code", to=to),
    ]


def _decoder(lowering: Lowering, policy: Policy) -> onnx.ValueInfoProto:
    """``offset + scale * q`` for continuous actions; the index as it is for discrete ones."""
    integers, *_ = lowering.outputs()
    if policy.decoder.is_discrete:
        return integers
    _rename(lowering, integers.name, f"{ACTION}:code")
    for name, numbers in (("offset", policy.decoder.offset), ("scale", policy.decoder.scale)):
        lowering.constant(f"decoder/{name}", numbers, "float32")
    lowering.add("Cast", [f"{ACTION}:code"], "decoder/float", to=TensorProto.FLOAT)
    lowering.add("Mul", ["decoder/float", "decoder/scale"], "decoder/scaled")
    lowering.add("Add", ["decoder/scaled", "decoder/offset"], integers.name)
    return helper.make_tensor_value_info(
        integers.name, TensorProto.FLOAT, [BATCH, policy.decoder.n]
    )


def _rename(lowering: Lowering, old: str, new: str) -> None:
    """Give a tensor of the border another name, wherever it is made or read."""
    for node in lowering.nodes:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == old:
                    names[i] = new
