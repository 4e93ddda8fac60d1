"""An INA chip's registers behind an object like ``smbus2.SMBus``; a shim serves other programs."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from grsn_edge.profiling.emulators.base import PolledEmulator
from grsn_edge.profiling.emulators.ina_load import InaLoad
from grsn_edge.profiling.emulators.shim import Shim
from grsn_edge.profiling.meters.ina_chips import CHIPS

__all__ = ["FakeBus", "InaI2cEmulator"]


class FakeBus:
    """The bus with one chip; registers are big-endian."""

    def __init__(self, device: InaI2cEmulator) -> None:
        self._device = device
        self._registers: dict[int, int] = {}
        self._dipped = False
        self._since_ready = 0.0

    def read_i2c_block_data(self, i2c_addr: int, register: int, length: int) -> list[int]:
        """As smbus2."""
        self._must_be_there(i2c_addr)
        value = self._value(register)
        data = list((value & ((1 << 8 * length) - 1)).to_bytes(length, "big"))
        if self._device.fault == "short-read" and self._device.after:
            data = data[:-1]
        return data

    def write_i2c_block_data(self, i2c_addr: int, register: int, data: list[int]) -> None:
        """As smbus2."""
        self._must_be_there(i2c_addr)
        if self._device.fault != "read-only":
            self._registers[register] = int.from_bytes(bytes(data), "big")

    def read_word_data(self, i2c_addr: int, register: int) -> int:
        """As smbus2: little-endian by SMBus' rule, so that the bytes are swapped."""
        data = self.read_i2c_block_data(i2c_addr, register, 2)
        return data[0] | data[1] << 8

    def write_word_data(self, i2c_addr: int, register: int, value: int) -> None:
        """As smbus2."""
        self.write_i2c_block_data(i2c_addr, register, [value & 0xFF, value >> 8 & 0xFF])

    def close(self) -> None:
        """As smbus2."""

    def _must_be_there(self, address: int) -> None:
        device = self._device
        gone = device.fault == "unplugged" and device.after
        if address != device.address or device.fault == "absent" or gone:
            raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))

    def _value(self, register: int) -> int:
        device = self._device
        chip = CHIPS[device.chip]
        if device.fault == "brown-out" and device.after and not self._dipped:
            self._dipped, self._registers = True, {}
        shunt, bus = InaLoad(chip, device.shunt_ohm, device.script).steps(device.now_s)
        if device.fault == "saturated":
            shunt = chip.full
        if device.fault == "negative":
            shunt = -shunt
        for at, _, value in chip.identity:
            if register == at:
                return 0xFFFF if device.fault == "wrong-chip" else value
        if register == chip.shunt[0]:
            return shunt << chip.shunt[2]
        if register == chip.bus[0]:
            return bus << chip.bus[2] | self._ready() * (chip.name == "ina219")
        if register == chip.ready[0]:
            return self._ready()
        # At reset the averaging chips have other bits than the ones that are written.
        return self._registers.get(register, 0x0001)

    def _ready(self) -> int:
        stuck = self._device.fault == "stuck" and self._device.after
        return 0 if stuck else 1 << CHIPS[self._device.chip].ready[1]


@dataclass
class InaI2cEmulator(PolledEmulator):
    """A chip at an address, with a shunt of 100 mΩ."""

    name: ClassVar[str] = "ina-i2c"
    meter_kind: ClassVar[str] = "ina"
    summary: ClassVar[str] = "an INA chip behind a bus object; other programs get a smbus2 shim"
    faults: ClassVar[Mapping[str, str]] = {
        "absent": "nothing answers at the address",
        "wrong-chip": "another chip sits at the address",
        "read-only": "the configuration does not stay",
        "unplugged": "the chip goes in the middle",
        "brown-out": "the chip's supply dips: configuration and calibration are gone",
        "stuck": "the chip stops converting",
        "short-read": "fewer bytes than asked for",
        "saturated": "more current than the shunt's range",
        "negative": "the leads are reversed",
    }

    chip: str = field(default="ina226", kw_only=True)
    address: int = field(default=0x40, kw_only=True)
    shunt_ohm: float = field(default=0.1, kw_only=True)
    fault_s: float = field(default=0.2, kw_only=True)
    now_s: float = field(default=0.0, init=False)
    _shim: Shim | None = field(default=None, init=False)

    @property
    def after(self) -> bool:
        """Whether the fault's time has come."""
        return self.now_s >= self.fault_s

    def start(self) -> None:
        """Begin; a live one writes its shim."""
        if self.live:
            self._shim = Shim("smbus2", _SHIM.format(**self._settings()))
        self.run()

    def stop(self) -> None:
        """End."""
        self.halt()
        if self._shim:
            self._shim.remove()
            self._shim = None

    def options(self) -> dict[str, Any]:
        """The bus object, and a clock."""
        options: dict[str, Any] = {
            "via": "i2c",
            "chip": self.chip,
            "address": self.address,
            "bus_object": FakeBus(self),
            "clock": self.clock(),
        }
        return options if CHIPS[self.chip].has_shunt else options | {"shunt_ohm": self.shunt_ohm}

    def hint(self) -> str:
        """How to put the shim before the real smbus2."""
        place = self._shim.folder if self._shim else "FOLDER"
        read = f"grsn-edge meter read ina --set via=i2c chip={self.chip} shunt_ohm={self.shunt_ohm}"
        return f"PYTHONPATH={place} {read}"

    def advance(self, now_s: float) -> None:
        """The registers are computed when they are read."""
        self.now_s = now_s

    def _settings(self) -> dict[str, Any]:
        return {
            "script": self.script.to_json(),
            "fault": self.fault,
            "speed": self.speed,
            "chip": self.chip,
            "address": self.address,
            "shunt_ohm": self.shunt_ohm,
        }


_SHIM = '''"""smbus2 as an emulated INA chip answers it; by `grsn-edge meter emulate ina-i2c`."""
from grsn_edge.profiling.emulators import emulator, script_from_json
from grsn_edge.profiling.emulators.ina_i2c_emulator import FakeBus

_DEVICE = emulator(
    "ina-i2c", script=script_from_json({script!r}), fault={fault!r}, speed={speed!r},
    chip={chip!r}, address={address!r}, shunt_ohm={shunt_ohm!r}, live=True,
)
_DEVICE.run()


class SMBus(FakeBus):
    """The emulated bus, whatever its number."""

    def __init__(self, bus=None, force=False):
        super().__init__(_DEVICE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
'''
