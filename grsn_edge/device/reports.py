"""What a device says of itself and of its steps."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass

from grsn_edge.device.protocol import (
    BoardInfo,
    Command,
    DeviceCounters,
    Hello,
    InfoPage,
    ModelInfo,
)
from grsn_edge.device.session import LinkCounters, Session
from grsn_edge.errors import DeviceRefused

__all__ = ["DeviceInfo", "Profile", "policy_name"]


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """All that a device says of itself.

    ``name`` is the policy's, empty where there is none or the firmware is too old to know it;
    ``link`` is the host's end.
    """

    address: str
    hello: Hello
    board: BoardInfo
    model: ModelInfo
    name: str
    counters: DeviceCounters
    link: LinkCounters


@dataclass(frozen=True, slots=True)
class Profile:
    """Counts per step, as the device's own counter has them.

    ``empty``, the cost of reading the counter twice, is contained in the other three.
    """

    steps: int
    least: int
    mean: float
    most: int
    empty: int


def policy_name(session: Session) -> str:
    """From the device's text about its policy (INFO, page 3); empty where it has none."""
    text, size = b"", 1
    try:
        while len(text) < size:
            request = struct.pack("<BI", InfoPage.TEXT, len(text))
            piece = session.call(Command.INFO, request)
            (size,) = struct.unpack_from("<I", piece, 2)
            if len(piece) <= 6:
                break
            text += piece[6:]
        return str(json.loads(text)["name"])
    except (DeviceRefused, ValueError, LookupError, TypeError, struct.error):
        return ""
