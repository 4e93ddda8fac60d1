"""What a device says of itself and of its steps."""

from __future__ import annotations

from dataclasses import dataclass

from grsn_edge.device.protocol import BoardInfo, DeviceCounters, Hello, ModelInfo
from grsn_edge.device.session import LinkCounters

__all__ = ["DeviceInfo", "Profile"]


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """All that a device says of itself; ``link`` is the host's end."""

    address: str
    hello: Hello
    board: BoardInfo
    model: ModelInfo
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
