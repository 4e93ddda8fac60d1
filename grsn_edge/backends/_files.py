"""Files from strangers: read whole, and only up to a size."""

from __future__ import annotations

import os

from grsn_edge.errors import FormatError

__all__ = ["MAX_BYTES", "read_capped"]

MAX_BYTES = 64 * 2**20


def read_capped(source: str | os.PathLike[str] | bytes) -> tuple[str, bytes]:
    """What to call a source in messages, and its bytes.

    Raises:
        FormatError: it cannot be read, or is larger than 64 MiB.
    """
    if isinstance(source, bytes):
        return "<bytes>", _capped("<bytes>", source)
    try:
        with open(source, "rb") as file:  # never trust a size that was asked for before
            return str(source), _capped(str(source), file.read(MAX_BYTES + 1))
    except OSError as error:
        raise FormatError(f"{source}: cannot be read: {error.strerror}") from None


def _capped(where: str, data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise FormatError(f"{where}: more than {MAX_BYTES} bytes")
    return data
