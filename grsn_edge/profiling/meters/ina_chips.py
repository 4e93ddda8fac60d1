"""What distinguishes Texas Instruments' INA219, INA226, INA228 and INA260.

Sources: TI data sheets SBOS448 (INA219), SBOS547 (INA226), SLYS021 (INA228), SBOS656 (INA260);
Linux ``drivers/hwmon/ina2xx.c`` and ``ina238.c``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CHIPS", "Chip"]


@dataclass(frozen=True, slots=True)
class Chip:
    """Registers are big-endian; a signed value sits in the upper bits, ``>> shift`` brings it down.

    Args:
        shunt, bus: register, bytes, shift, and volts (INA260's shunt: amperes) per step.
        full: steps of the shunt register at its end.
        setup: register and value of the configuration: continuous conversion, widest range.
        ready: register and bit that is set after a conversion; reading that register clears it,
        clear: or reading this one does.
        identity: registers and what they must read, masked.
        has_shunt: whether the shunt is inside the chip.
    """

    name: str
    shunt: tuple[int, int, int, float]
    bus: tuple[int, int, int, float]
    full: int
    setup: tuple[tuple[int, int], ...]
    ready: tuple[int, int]
    identity: tuple[tuple[int, int, int], ...]
    has_shunt: bool = False
    clear: int | None = None


_TI = 0x5449

CHIPS: Mapping[str, Chip] = {
    chip.name: chip
    for chip in (
        Chip(
            "ina219",
            shunt=(0x01, 2, 0, 10e-6),
            bus=(0x02, 2, 3, 4e-3),
            full=32000,
            setup=((0x00, 0x399F),),
            ready=(0x02, 1),
            identity=(),
            clear=0x03,
        ),
        Chip(
            "ina226",
            shunt=(0x01, 2, 0, 2.5e-6),
            bus=(0x02, 2, 0, 1.25e-3),
            full=32767,
            setup=((0x00, 0x4127),),
            ready=(0x06, 3),
            identity=((0xFE, 0xFFFF, _TI), (0xFF, 0xFFF0, 0x2260)),
        ),
        Chip(
            "ina228",
            shunt=(0x04, 3, 4, 312.5e-9),
            bus=(0x05, 3, 4, 195.3125e-6),
            full=(1 << 19) - 1,
            setup=((0x00, 0x0000), (0x01, 0xFB68)),
            ready=(0x0B, 1),
            identity=((0x3E, 0xFFFF, _TI), (0x3F, 0xFFF0, 0x2280)),
        ),
        Chip(
            "ina260",
            shunt=(0x01, 2, 0, 1.25e-3),
            bus=(0x02, 2, 0, 1.25e-3),
            full=32767,
            setup=((0x00, 0x6127),),
            ready=(0x06, 3),
            identity=((0xFE, 0xFFFF, _TI), (0xFF, 0xFFF0, 0x2270)),
            has_shunt=True,
        ),
    )
}
