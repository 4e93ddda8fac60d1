"""Firmware as a UF2 file: what the USB drive of a Raspberry Pi Pico takes, dropped onto it.

The format: 512-byte blocks, each with 256 bytes of memory and the address where they go
(Microsoft's specification of UF2; the family's number keeps it off other chips).
"""

from __future__ import annotations

import importlib
import struct
from pathlib import Path
from typing import Any

from grsn_edge.errors import UsageError

__all__ = ["uf2"]

_BEGIN, _SECOND, _END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
_FAMILY_GIVEN = 0x2000
_PAYLOAD = 256
_PADDING = bytes(476 - _PAYLOAD)


def uf2(elf: Path, family: int) -> bytes:
    """What an ELF file puts into memory, as UF2.

    Args:
        elf: the firmware.
        family: of the chip.

    Raises:
        UsageError: the file holds nothing to load.
    """
    pages = _pages(elf)
    if not pages:
        raise UsageError(f"{elf} holds nothing to load")
    blocks = []
    for number, address in enumerate(sorted(pages)):
        head = (_BEGIN, _SECOND, _FAMILY_GIVEN, address, _PAYLOAD, number, len(pages), family)
        end = struct.pack("<I", _END)
        blocks.append(struct.pack("<8I", *head) + bytes(pages[address]) + _PADDING + end)
    return b"".join(blocks)


def _pages(elf: Path) -> dict[int, bytearray]:
    """By address, a multiple of 256: that many bytes, zero where nothing is said."""
    elffile: Any = importlib.import_module("elftools.elf.elffile")
    pages: dict[int, bytearray] = {}
    with elf.open("rb") as file:
        for segment in elffile.ELFFile(file).iter_segments("PT_LOAD"):
            first = int(segment["p_paddr"])
            for at, byte in enumerate(segment.data(), start=first):
                pages.setdefault(at - at % _PAYLOAD, bytearray(_PAYLOAD))[at % _PAYLOAD] = byte
    return pages
