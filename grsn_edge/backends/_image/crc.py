"""CRC-32C (Castagnoli), as ``firmware/src/grsn_crc.c`` computes it."""

from __future__ import annotations

__all__ = ["crc32c"]


def _table() -> tuple[int, ...]:
    entries = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        entries.append(byte)
    return tuple(entries)


_TABLE = _table()


def crc32c(data: bytes, crc: int = 0) -> int:
    """The CRC of ``data`` after bytes whose CRC is ``crc``; of ``b"123456789"`` 0xE3069283."""
    crc ^= 0xFFFFFFFF
    table = _TABLE
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF
