"""The bytes of a ``.grsn`` file: a safetensors file with one metadata entry (``docs/SPEC.md`` §6).

Here a file is a JSON document and named tensors; what they mean is ``container.py``'s.  Reading
checks, in this order: sizes, header, canonical JSON, format and version, tensors, digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from grsn_edge.errors import FormatError, IntegrityError, VersionError
from grsn_edge.policy import canonical
from grsn_edge.program import fields

__all__ = ["FORMAT", "MAX_FILE", "MAX_HEADER", "VERSIONS", "Tensors", "digest", "pack", "unpack"]

Tensors = Mapping[str, npt.NDArray[Any]]

FORMAT, VERSIONS = "grsn", (1, 2, 3)
"""Name of the format, and the versions of it that are read."""
MAX_FILE = 64 << 20
"""Largest file that is read, in bytes."""
MAX_HEADER = 16 << 20
"""Largest header of it."""

_METADATA, _KEY = "__metadata__", "grsn"
_DTYPES = {"int8": "I8", "int16": "I16", "int32": "I32", "float32": "F32"}
_PACKED = {"uint8": "U8"}  # from version 3 on


def digest(content: Mapping[str, Any], tensors: Tensors) -> str:
    """SHA-256, in hexadecimal, of the document's canonical text and of every tensor by name."""
    total = hashlib.sha256(canonical.encode(content).encode() + b"\n")
    for name in sorted(tensors):
        tensor = tensors[name]
        shape = ",".join(str(side) for side in tensor.shape)
        total.update(f"{name} {(_DTYPES | _PACKED)[tensor.dtype.name]} {shape}\n".encode())
        total.update(tensor.astype(tensor.dtype.newbyteorder("<")).tobytes())
    return total.hexdigest()


def pack(content: Mapping[str, Any], tensors: Tensors) -> bytes:
    """The bytes of a file; the same content and tensors give the same bytes."""
    envelope = {"content": content, "sha256": digest(content, tensors)}
    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    metadata = {_KEY: canonical.encode(envelope)}
    return bytes(safetensors.numpy.save(contiguous, metadata=metadata))


def unpack(data: bytes) -> tuple[dict[str, Any], Tensors]:
    """The document and the tensors of a file's bytes; the inverse of :func:`pack`.

    Raises:
        FormatError: not the documented layout.
        VersionError: a format version that is not of :data:`VERSIONS`.
        IntegrityError: the digest is not that of the content.
    """
    header = _header(data)
    metadata = fields.record(header.pop(_METADATA, None), f"the header's {_METADATA}", _KEY)
    text = metadata[_KEY]
    if not isinstance(text, str):
        raise FormatError(f"the header's {_METADATA}.{_KEY} must be a string")
    envelope = canonical.parse(text, "the metadata")
    content = envelope.get("content") if isinstance(envelope, dict) else None
    _check_version(content)
    envelope = fields.record(
        canonical.decode(text, "the metadata"), "metadata", "content", "sha256"
    )
    _check_tensors(header, envelope["content"]["version"])
    try:
        tensors = safetensors.numpy.load(data)
    except (safetensors.SafetensorError, ValueError, OverflowError) as error:
        raise FormatError(f"not a safetensors file: {error}") from None
    if envelope["sha256"] != digest(envelope["content"], tensors):
        raise IntegrityError("the content does not have the digest that was written with it")
    return envelope["content"], tensors


def _header(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_FILE:
        raise FormatError(f"{len(data)} bytes are more than {MAX_FILE}")
    if len(data) < 8:
        raise FormatError(f"{len(data)} bytes are too few for a header; the file is truncated")
    length = int.from_bytes(data[:8], "little")
    if length > MAX_HEADER:
        raise FormatError(f"not a .grsn file: its header of {length} bytes is above {MAX_HEADER}")
    if length > len(data) - 8:
        raise FormatError(
            f"not a .grsn file, or truncated: its header of {length} bytes does not fit in "
            f"{len(data)} bytes"
        )
    try:
        text = data[8 : 8 + length].decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"the header is not UTF-8: {error}") from None
    header = canonical.parse(text, "the header")
    if not isinstance(header, dict):
        raise FormatError("the header must be an object")
    compact = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    if data[8 : 8 + length] != compact + b" " * (-len(compact) % 8):
        raise FormatError("the header must be compact JSON, padded with spaces to 8 bytes")
    return header


def _check_version(content: object) -> None:
    """Format and version come first: a newer version may mean anything by the rest."""
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FormatError(f"the metadata does not say format '{FORMAT}'")
    version = fields.integer(content.get("version"), "version", 0, canonical.LARGEST_INTEGER)
    if version not in VERSIONS:
        raise VersionError(
            f"format version {version}, but this release reads "
            f"versions {', '.join(map(str, VERSIONS))}; "
            "use the release of grsn-edge that wrote the file, or a newer one"
        )


def _check_tensors(header: Mapping[str, Any], version: int) -> None:
    known = (*_DTYPES.values(), *(_PACKED.values() if version >= 3 else ()))
    for name, entry in header.items():
        where = f"the tensor {name[:80]!r}"
        entry = fields.record(entry, where, "dtype", "shape", "data_offsets")
        if entry["dtype"] not in known:
            raise FormatError(f"{where} is not one of {', '.join(known)}")
        sides = fields.array(entry["shape"], f"{where}: shape", 2)
        if not sides:
            raise FormatError(f"{where} has no dimension")
        for side in sides:
            fields.integer(side, f"{where}: shape", 1, MAX_FILE)
