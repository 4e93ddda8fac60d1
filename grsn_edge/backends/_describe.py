"""What travels with every exported file: names, types, ranges, period, golden vectors, as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

from grsn_edge.policy import Channel, Policy, model_hash
from grsn_edge.program import Node

__all__ = ["FORMAT", "description"]

FORMAT = 1
"""Version of this description."""


def description(policy: Policy, *, with_encoder: bool = False) -> str:
    """Canonical JSON text; the same for the same policy.

    ``with_encoder`` says whether the file takes observations in units, or codes.
    """
    program, encoder, decoder = policy.program, policy.encoder, policy.decoder
    outputs = {name: _value(program[node]) for name, node in program.outputs.items()}
    content: dict[str, Any] = {
        "format": FORMAT,
        "takes": "observation" if with_encoder else "code",
        "name": policy.name,
        "model_hash": model_hash(policy),
        "period_s": policy.period_s,
        "observations": [_channel(c) for c in policy.observations],
        "actions": [_channel(c) for c in policy.actions],
        "encoder": {
            "offset": encoder.offset.tolist(),
            "gain": encoder.gain.tolist(),
            "limit": encoder.limit,
            "on_invalid": encoder.on_invalid,
        },
        "decoder": {
            "kind": decoder.kind,
            "offset": decoder.offset.tolist(),
            "scale": decoder.scale.tolist(),
        },
        "inputs": {node.name: _value(node) for node in program.inputs},
        "states": {
            node.name: {**_value(node), "init": node.attrs["init"].tolist()}
            for node in program.states
        },
        "state_order": [node.name for node in program.states],
        "outputs": outputs,
    }
    if policy.golden is not None:
        content["golden"] = {
            "observation": policy.golden.observation.astype(float).tolist(),
            "code": policy.golden.code.tolist(),
            "action": policy.golden.action.tolist(),
            "state": {name: value.tolist() for name, value in policy.golden.state.items()},
        }
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _value(node: Node) -> dict[str, Any]:
    """Length, storage type and proven range."""
    return {
        "n": node.n,
        "dtype": node.dtype,
        "low": node.interval.low,
        "high": node.interval.high,
    }


def _channel(channel: Channel) -> dict[str, Any]:
    low, high = (v if math.isfinite(v) else None for v in (channel.low, channel.high))
    return {"name": channel.name, "unit": channel.unit, "low": low, "high": high}
