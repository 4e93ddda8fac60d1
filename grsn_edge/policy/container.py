"""The ``.grsn`` container: a frozen policy as one file that is checked, never believed.

A file holds numbers and names only; nothing in it is executed.  Loading verifies the digest,
traces the program again and compares its proof, checks that encoder, program and decoder fit, and
replays the golden vectors.  ``docs/SPEC.md`` §6 defines every byte.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import (
    FormatError,
    IntegrityError,
    PolicyFileError,
    ProgramError,
    RangeProofError,
    UsageError,
)
from grsn_edge.policy.atomic import write_atomically
from grsn_edge.policy.decoder import Decoder
from grsn_edge.policy.encoder import Encoder
from grsn_edge.policy.golden import MAX_GOLDEN, verify_golden
from grsn_edge.policy.layout import FORMAT, MAX_FILE, Tensors, digest, pack, unpack
from grsn_edge.policy.limits_document import supervisor_document, supervisor_of
from grsn_edge.policy.policy import Channel, Golden, Policy
from grsn_edge.program import Program, fields, from_parts, to_parts
from grsn_edge.program.packing import PACKED_BITS

__all__ = ["dumps", "load", "loads", "model_hash", "save"]

_MAX_CHANNELS = 4096
_KEYS = (
    "actions",
    "decoder",
    "encoder",
    "format",
    "golden_steps",
    "name",
    "observations",
    "period_s",
    "program",
    "provenance",
    "version",
)


def save(policy: Policy, path: str | os.PathLike[str]) -> None:
    """Write ``policy`` to ``path``; on any failure the file that was there stays as it was.

    Raises:
        PolicyFileError: the policy has no file form (see :func:`dumps`), or the file cannot be
            written; the text names it.
    """
    data = dumps(policy)
    try:
        write_atomically(path, data)
    except OSError as error:
        raise PolicyFileError(
            f"{os.fspath(path)}: cannot be written: {error.strerror or error}"
        ) from None


def load(path: str | os.PathLike[str]) -> Policy:
    """The policy in the file at ``path``.

    Raises:
        PolicyFileError: the file cannot be read.
        FormatError: not the documented layout; the text names the file and the culprit.
        VersionError: written in a newer format version.
        IntegrityError: digest, overflow proof or golden vectors do not match.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise PolicyFileError(f"{name}: cannot be read: {error.strerror or error}") from None
    return loads(data, name)


def dumps(policy: Policy) -> bytes:
    """The bytes of :func:`save`; the same policy gives the same bytes.

    They are read back before they are given: what was saved can be loaded.

    Raises:
        PolicyFileError: something of the policy has no file form: provenance that is not plain
            JSON, more than 64 golden steps, sizes beyond the limits.
    """
    source = f"the policy {policy.name!r} cannot be saved"
    with _naming(source):
        data = pack(*_to_document(policy))
    loads(data, source)
    return data


def loads(data: bytes, source: str = "<bytes>") -> Policy:
    """The policy in ``data``; errors as of :func:`load`, naming ``source``."""
    with _naming(source):
        policy = _from_document(*unpack(data))
        verify_golden(policy)
    return policy


def model_hash(policy: Policy) -> str:
    """SHA-256 of the policy, 64 hexadecimal digits; the digest that its file carries."""
    with _naming(f"the policy {policy.name!r}"):
        return digest(*_to_document(policy))


# ---- policy → document ---------------------------------------------------------------------------


def _to_document(policy: Policy) -> tuple[dict[str, Any], Tensors]:
    program, constants = to_parts(policy.program, policy.weight_bits)
    encoder, golden = policy.encoder, policy.golden
    content = {
        "actions": [_channel(c) for c in policy.actions],
        "decoder": {"kind": policy.decoder.kind},
        "encoder": {"dtype": encoder.dtype, "on_invalid": encoder.on_invalid},
        "format": FORMAT,
        "golden_steps": golden.steps if golden else 0,
        "name": policy.name,
        "observations": [_channel(c) for c in policy.observations],
        "period_s": float(policy.period_s),
        "program": program,
        "provenance": dict(policy.provenance),
        "version": 1,
    }
    if policy.supervisor is not None:
        content |= {"supervisor": supervisor_document(policy.supervisor), "version": 2}
    if policy.weight_bits < 8:
        content |= {"weight_bits": policy.weight_bits, "version": 3}
    tensors = {
        "encoder.offset": encoder.offset,
        "encoder.gain": encoder.gain,
        "decoder.offset": policy.decoder.offset,
        "decoder.scale": policy.decoder.scale,
    }
    tensors |= {f"program.{name}": tensor for name, tensor in constants.items()}
    return content, tensors | (_golden_tensors(golden) if golden else {})


def _channel(channel: Channel) -> dict[str, Any]:
    bounds = {"low": float(channel.low), "high": float(channel.high)}
    finite = {key: None if math.isinf(bound) else bound for key, bound in bounds.items()}
    return {"name": channel.name, "unit": channel.unit, **finite}


def _golden_tensors(golden: Golden) -> dict[str, npt.NDArray[Any]]:
    integers = {"code": golden.code, "action": golden.action}
    integers |= {f"state.{name}": value for name, value in golden.state.items()}
    tensors = {f"golden.{name}": value.astype(np.int32) for name, value in integers.items()}
    return {"golden.observation": golden.observation.astype(np.float32), **tensors}


# ---- document → policy ---------------------------------------------------------------------------


def _from_document(content: Mapping[str, Any], tensors: Tensors) -> Policy:
    packed = content["version"] == 3
    guarded = content["version"] == 2 or (packed and "supervisor" in content)
    further = [key for key, there in (("supervisor", guarded), ("weight_bits", packed)) if there]
    top = fields.record(content, "content", *_KEYS, *further)
    unread = dict(tensors)
    if not isinstance(top["provenance"], dict):
        raise FormatError("provenance must be an object")
    bits = _weight_bits(top["weight_bits"]) if packed else 8
    program = from_parts(top["program"], _take(unread, "program."), bits)
    policy = Policy(
        name=fields.text(top["name"], "name"),
        program=program,
        encoder=_encoder(top["encoder"], unread),
        decoder=_decoder(top["decoder"], unread),
        period_s=fields.real(top["period_s"], "period_s"),
        observations=_channels(top["observations"], "observations"),
        actions=_channels(top["actions"], "actions"),
        provenance=top["provenance"],
        golden=_golden(top["golden_steps"], program, unread),
        supervisor=supervisor_of(top["supervisor"]) if guarded else None,
        weight_bits=bits,
    )
    if unread:
        raise FormatError(f"the tensor {min(unread)!r} has no meaning")
    return policy


def _weight_bits(value: object) -> int:
    bits = fields.integer(value, "weight_bits", min(PACKED_BITS), max(PACKED_BITS))
    if bits not in PACKED_BITS:
        raise FormatError(f"weight_bits is 6 or 4, not {bits}")
    return bits


def _take(unread: dict[str, npt.NDArray[Any]], prefix: str) -> dict[str, npt.NDArray[Any]]:
    names = [name for name in unread if name.startswith(prefix)]
    return {name.removeprefix(prefix): unread.pop(name) for name in names}


def _tensor(unread: dict[str, npt.NDArray[Any]], name: str, dtype: str) -> npt.NDArray[Any]:
    tensor = unread.pop(name, None)
    if tensor is None:
        raise FormatError(f"the tensor '{name}' is missing")
    if tensor.dtype.name != dtype:
        raise FormatError(f"the tensor '{name}' must be {dtype}, not {tensor.dtype}")
    return tensor


def _encoder(value: object, unread: dict[str, npt.NDArray[Any]]) -> Encoder:
    entry = fields.record(value, "encoder", "dtype", "on_invalid")
    offset, gain = (_tensor(unread, f"encoder.{key}", "float32") for key in ("offset", "gain"))
    dtype = fields.text(entry["dtype"], "encoder.dtype")
    on_invalid = fields.text(entry["on_invalid"], "encoder.on_invalid")
    return Encoder(offset, gain, dtype, on_invalid)  # type: ignore[arg-type]


def _decoder(value: object, unread: dict[str, npt.NDArray[Any]]) -> Decoder:
    entry = fields.record(value, "decoder", "kind")
    offset, scale = (_tensor(unread, f"decoder.{key}", "float32") for key in ("offset", "scale"))
    return Decoder(fields.text(entry["kind"], "decoder.kind"), offset, scale)  # type: ignore[arg-type]


def _channels(value: object, where: str) -> tuple[Channel, ...]:
    found = []
    for i, item in enumerate(fields.array(value, where, _MAX_CHANNELS)):
        here = f"{where}[{i}]"
        entry = fields.record(item, here, "name", "unit", "low", "high")
        low = _bound(entry["low"], f"{here}.low", -math.inf)
        high = _bound(entry["high"], f"{here}.high", math.inf)
        if low > high:
            raise FormatError(f"{here}: low {low} is above high {high}")
        name = fields.text(entry["name"], f"{here}.name")
        found.append(Channel(name, fields.text(entry["unit"], f"{here}.unit"), low, high))
    return tuple(found)


def _bound(value: object, where: str, unbounded: float) -> float:
    return unbounded if value is None else fields.real(value, where)


def _golden(value: object, program: Program, unread: dict[str, npt.NDArray[Any]]) -> Golden | None:
    steps = fields.integer(value, "golden_steps", 0, MAX_GOLDEN)
    if not steps:
        return None
    observation = _tensor(unread, "golden.observation", "float32")
    code, action = (_tensor(unread, f"golden.{key}", "int32") for key in ("code", "action"))
    names: Sequence[str] = [node.name for node in program.states]
    state = {name: _tensor(unread, f"golden.state.{name}", "int32") for name in names}
    if observation.shape[0] != steps:
        raise FormatError(f"golden_steps is {steps}, the tensors hold {observation.shape[0]}")
    wide = {name: tensor.astype(np.int64) for name, tensor in state.items()}
    return Golden(observation, code.astype(np.int64), action.astype(np.int64), wide)


@contextmanager
def _naming(source: str) -> Iterator[None]:
    """Every failure as the fitting :class:`PolicyFileError`, with ``source`` before its text."""
    try:
        yield
    except PolicyFileError as error:
        raise type(error)(f"{source}: {error}") from None
    except RangeProofError as error:
        raise IntegrityError(f"{source}: the overflow proof fails: {error}") from None
    except (ProgramError, UsageError) as error:
        raise FormatError(f"{source}: {error}") from None
