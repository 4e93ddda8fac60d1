"""Files from strangers: read whole, and only up to a size."""

from __future__ import annotations

import os
from pathlib import Path

from grsn_edge.errors import FormatError

__all__ = ["MAX_BYTES", "read_capped"]

MAX_BYTES = 64 * 2**20


def read_capped(source: str | os.PathLike[str] | bytes) -> tuple[str, bytes]:
    """What to call a source in messages, and its bytes.

    Raises:
        FormatError: it cannot be read, or is larger than 64 MiB.
    """
    if isinstance(source, bytes):
        return "<bytes>", _capped("<bytes>", len(source), source)
    path = Path(source)
    try:
        _capped(str(path), path.stat().st_size, b"")
        return str(path), path.read_bytes()
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from None


def _capped(where: str, size: int, data: bytes) -> bytes:
    if size > MAX_BYTES:
        raise FormatError(f"{where}: {size} bytes are more than {MAX_BYTES}")
    return data
