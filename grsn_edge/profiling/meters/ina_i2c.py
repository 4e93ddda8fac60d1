"""An INA chip's registers over I²C: shunt voltage and bus voltage, nothing that calibration enters.

The chip's own current and power registers are not used: after a dip of its supply they read 0,
because their calibration is gone.  The shunt register times the shunt's value is always right.
"""

from __future__ import annotations

from typing import Any, Protocol

from grsn_edge.errors import MeterFault, MeterUnavailable
from grsn_edge.profiling.meters.base import Clock, Flag, MeterWarning
from grsn_edge.profiling.meters.ina_chips import Chip
from grsn_edge.profiling.meters.polled import Reading

__all__ = ["Bus", "InaOverI2c", "smbus"]

_CHECK_S = 1.0


class Bus(Protocol):
    """What is used of ``smbus2.SMBus``."""

    def read_i2c_block_data(self, i2c_addr: int, register: int, length: int) -> list[int]:
        """Bytes of a register, the first sent first."""

    def write_i2c_block_data(self, i2c_addr: int, register: int, data: list[int]) -> Any:
        """Set a register."""

    def close(self) -> None:
        """Give the bus back."""


def smbus(number: int) -> Bus:
    """``/dev/i2c-<number>`` by smbus2; raises :class:`MeterUnavailable`."""
    try:
        import smbus2
    except ImportError:
        raise MeterUnavailable("INA: the package smbus2 is missing: pip install smbus2") from None
    try:
        bus: Bus = smbus2.SMBus(number)
    except PermissionError:
        raise MeterUnavailable(
            f"INA: no permission for /dev/i2c-{number}: add yourself to the group i2c"
        ) from None
    except OSError as error:
        raise MeterUnavailable(
            f"INA: /dev/i2c-{number}: {error.strerror}; is I²C switched on, and is it that bus?"
        ) from None
    return bus


class InaOverI2c:
    """One chip at one address."""

    def __init__(self, chip: Chip, bus: Bus, address: int, shunt_ohm: float, clock: Clock) -> None:
        self._chip, self._bus, self._address = chip, bus, address
        self._step_a = chip.shunt[3] if chip.has_shunt else chip.shunt[3] / shunt_ohm
        self._clock = clock
        self._checked_s = clock.now()

    def open(self) -> None:
        """Identify and configure; raises :class:`MeterUnavailable` or :class:`MeterFault`."""
        try:
            for register, mask, value in self._chip.identity:
                got = self._word(register)
                if got & mask != value:
                    raise MeterFault(
                        f"INA: address 0x{self._address:02x} is not an {self._chip.name}: register "
                        f"0x{register:02x} reads 0x{got:04x}, not 0x{value:04x}"
                    )
            self._configure()
        except OSError as error:
            raise MeterUnavailable(
                f"INA: nothing answers at address 0x{self._address:02x} ({error.strerror}); check "
                "wiring, supply and address pins (i2cdetect -y BUS)"
            ) from None

    def ask(self) -> Reading:
        """Shunt and bus voltage; raises :class:`MeterFault` when the chip has gone."""
        try:
            shunt, bus = self._signed(self._chip.shunt), self._unsigned(self._chip.bus)
            warnings = self._check()
        except OSError as error:
            raise MeterFault(
                f"INA: 0x{self._address:02x} no longer answers ({error.strerror})"
            ) from None
        flags = 0
        if abs(shunt) >= self._chip.full:
            flags = int(Flag.SATURATED)
            text = "the shunt's voltage is at the end of the range: use a smaller shunt"
            warnings.append(MeterWarning("saturated", text, voids=True))
        current, voltage = shunt * self._step_a, bus * self._chip.bus[3]
        if 0 < abs(shunt) < 20:
            text = f"the current is less than 20 of the chip's steps ({self._step_a:.3g} A)"
            warnings.append(MeterWarning("resolution", text))
        return Reading(
            power_w=current * voltage,
            current_a=current,
            voltage_v=voltage,
            flags=flags,
            warnings=tuple(warnings),
        )

    def close(self) -> None:
        """Give the bus back."""
        self._bus.close()

    # ---- registers -------------------------------------------------------------------------------

    def _configure(self) -> None:
        for register, value in self._chip.setup:
            data = list(value.to_bytes(2, "big"))
            self._bus.write_i2c_block_data(self._address, register, data)
        if not self._configured():
            raise MeterFault(
                f"INA: 0x{self._address:02x} does not keep its configuration: another chip than "
                f"{self._chip.name}?"
            )

    def _configured(self) -> bool:
        return all(self._word(register) == value for register, value in self._chip.setup)

    def _check(self) -> list[MeterWarning]:
        """Once a second: did the chip lose its supply, and does it still convert?"""
        if self._clock.now() - self._checked_s < _CHECK_S:
            return []
        self._checked_s = self._clock.now()
        warnings = []
        if not self._configured():
            self._configure()
            text = "the chip had lost its configuration (its supply dipped); it was set again"
            warnings.append(MeterWarning("supply", text, voids=True))
        register, bit = self._chip.ready
        if not self._word(register) >> bit & 1:
            text = "no conversion since the last look: the values are old"
            warnings.append(MeterWarning("stale", text, voids=True))
        if self._chip.clear is not None:
            self._word(self._chip.clear)
        return warnings

    def _raw(self, register: int, length: int) -> int:
        data = self._bus.read_i2c_block_data(self._address, register, length)
        if len(data) != length:
            raise MeterFault(
                f"INA: register 0x{register:02x} gave {len(data)} of {length} bytes: a bad bus"
            )
        return int.from_bytes(bytes(data), "big")

    def _word(self, register: int) -> int:
        return self._raw(register, 2)

    def _signed(self, field: tuple[int, int, int, float]) -> int:
        register, length, shift, _ = field
        raw = self._raw(register, length)
        if raw >> (8 * length - 1):
            raw -= 1 << (8 * length)
        return raw >> shift

    def _unsigned(self, field: tuple[int, int, int, float]) -> int:
        register, length, shift, _ = field
        return self._raw(register, length) >> shift
