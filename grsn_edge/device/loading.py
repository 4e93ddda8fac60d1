"""Images on their way to a device."""

from __future__ import annotations

from collections.abc import Iterator

from grsn_edge.backends._image import image
from grsn_edge.device.protocol import BoardInfo
from grsn_edge.errors import LinkError, UsageError
from grsn_edge.policy import Policy, model_hash

__all__ = ["image_for", "pieces"]


def image_for(
    source: bytes | Policy, digest: bytes | None, board: BoardInfo
) -> tuple[bytes, bytes]:
    """The bytes to write, and the model hash.

    Raises:
        UsageError: an image without its hash.
    """
    if isinstance(source, bytes):
        if digest is None or len(digest) != 32:
            raise UsageError("an image is loaded together with its model hash of 32 bytes")
        return source, digest
    return image(source, "big" if board.byte_order == "big" else "little"), bytes.fromhex(
        model_hash(source)
    )


def pieces(data: bytes, start: int, room: int, unit: int) -> Iterator[bytes]:
    """Payloads of LOAD_WRITE from ``start`` on: whole write units, but for the last.

    Raises:
        LinkError: not even one unit fits in a frame of ``room`` bytes.
    """
    size = (room - 4) // unit * unit
    if size == 0:
        raise LinkError(f"the device writes {unit} bytes at once, more than a frame brings")
    for at in range(start, len(data), size):
        yield at.to_bytes(4, "little") + data[at : at + size]
