"""What an image carries beside the program: golden vectors, encoder, decoder, names."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

from grsn_edge.policy import (
    Channel,
    Decoder,
    Encoder,
    Golden,
    Policy,
    canonical,
    supervisor_section,
)
from grsn_edge.program import Program

__all__ = ["DECODER", "ENCODER", "GOLDEN", "SUPERVISOR", "TEXT", "Section", "policy_sections"]

GOLDEN, ENCODER, DECODER, TEXT, SUPERVISOR = 1, 2, 3, 4, 5
"""Kinds of sections."""

_DTYPES = {"int8": "i1", "int16": "i2", "int32": "i4"}
_LIMITS = (127, 32512)
_DECODERS = ("argmax", "clip", "tanh")


@dataclass(frozen=True, slots=True)
class Section:
    """A part of an image.

    Args:
        kind: 1 to 65535; each at most once in an image.
        content: its bytes, in the byte order of the device.
        ignorable: whether a device that does not know the kind may still run the image.
    """

    kind: int
    content: bytes
    ignorable: bool = False


def policy_sections(policy: Policy, order: str) -> tuple[Section, ...]:
    """The sections of a policy, for a device of the byte order ``little`` or ``big``."""
    o = "<" if order == "little" else ">"
    golden = policy.golden
    recorded = [Section(GOLDEN, _golden(policy.program, golden, o))] if golden else []
    guarded = policy.supervisor is not None
    supervisor = [Section(SUPERVISOR, supervisor_section(policy))] if guarded else []
    return (
        *recorded,
        Section(ENCODER, _encoder(policy.encoder, o)),
        Section(DECODER, _decoder(policy.decoder, o)),
        Section(TEXT, _text(policy)),
        *supervisor,
    )


def _golden(program: Program, golden: Golden, o: str) -> bytes:
    """Code and action of each step, and the last state as ``grsn_state_get`` saves it, which is
    little-endian always."""
    saved = b"".join(
        golden.state[node.name].astype("<" + _DTYPES[node.dtype]).tobytes()
        for node in program.states
    )
    steps = np.concatenate([golden.code, golden.action], axis=1)
    return steps.astype(o + "i4").tobytes() + saved


def _encoder(encoder: Encoder, o: str) -> bytes:
    head = (encoder.n, _LIMITS.index(encoder.limit), int(encoder.on_invalid == "clamp"))
    floats = np.concatenate([encoder.offset, encoder.gain]).astype(o + "f4")
    return struct.pack(o + "III", *head) + floats.tobytes()


def _decoder(decoder: Decoder, o: str) -> bytes:
    floats = np.concatenate([decoder.offset, decoder.scale]).astype(o + "f4")
    return struct.pack(o + "III", decoder.n, _DECODERS.index(decoder.kind), 0) + floats.tobytes()


def _text(policy: Policy) -> bytes:
    """Canonical JSON (``docs/SPEC.md`` §6.2), with the keys of §6.3."""
    content = {
        "name": policy.name,
        "observations": [_channel(channel) for channel in policy.observations],
        "actions": [_channel(channel) for channel in policy.actions],
    }
    return canonical.encode(content).encode()


def _channel(channel: Channel) -> dict[str, object]:
    return {
        "name": channel.name,
        "unit": channel.unit,
        "low": float(channel.low) if math.isfinite(channel.low) else None,
        "high": float(channel.high) if math.isfinite(channel.high) else None,
    }
