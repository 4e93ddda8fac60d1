"""Data sheet figures of processors, for modelled energy; every one with where it was read.

Only figures that could be read in a source are here.  For another chip give its data sheet's:
``Chip(...)``, or the model meter's options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from grsn_edge.errors import UsageError

__all__ = ["CHIPS", "Chip", "chip"]


@dataclass(frozen=True, slots=True)
class Chip:
    """A processor at one working point.

    Args:
        name: as its maker writes it.
        core: what runs the instructions.
        clock_hz: of that working point.
        voltage_v: of its supply.
        active_a: while it computes.
        sleep_a: while it waits with its RAM kept and a timer running; None: no figure.
        wake_s: from there to the first instruction, at ``active_a``; None: no figure.
        source: where all this was read.
    """

    name: str
    core: str
    clock_hz: float
    voltage_v: float
    active_a: float
    sleep_a: float | None
    wake_s: float | None
    source: str

    @property
    def joules_per_cycle(self) -> float:
        """Modelled: active power over the clock."""
        return self.active_a * self.voltage_v / self.clock_hz


def _chip(
    name: str, core: str, mhz: float, volts: float, milliamperes: float, sleep_ua: float | None,
    wake_us: float | None, source: str,
) -> Chip:  # fmt: skip
    sleep = None if sleep_ua is None else sleep_ua * 1e-6
    wake = None if wake_us is None else wake_us * 1e-6
    return Chip(name, core, mhz * 1e6, volts, milliamperes * 1e-3, sleep, wake, source)


CHIPS: Mapping[str, Chip] = {
    entry.name.lower(): entry
    for entry in (
        _chip(
            "nRF52840", "Cortex-M4F", 64, 3.0, 3.3, 1.5, None,
            "Nordic's comparison with the nRF54L: 3.3 mA, 52 µA/MHz, flash and cache, DC/DC, 3 V; "
            "sleep: System ON at 3 V with RAM kept, embedwise.pages.dev after the data sheet",
        ),
        _chip(
            "nRF54L15", "Cortex-M33", 128, 3.0, 2.6, None, None,
            "Nordic's comparison with the nRF52840: 2.6 mA, 20 µA/MHz",
        ),
        _chip(
            "Apollo1", "Cortex-M4F", 24, 3.3, 0.816, None, None,
            "Elektor: 34 µA/MHz from flash at 3.3 V; clock taken as 24 MHz",
        ),
        _chip(
            "STM32L053", "Cortex-M0+", 32, 3.0, 4.448, 0.8, 5.0,
            "ST's feature list: 139 µA/MHz in run mode at 32 MHz, 0.8 µA stop with RTC and RAM, "
            "5 µs wake-up to flash; supply taken as 3 V",
        ),
        _chip(
            "STM32L152", "Cortex-M3", 32, 3.0, 6.848, 1.2, 8.0,
            "ST's feature list: 214 µA/MHz in run mode, 1.2 µA stop with RTC, wake-up below 8 µs; "
            "supply taken as 3 V",
        ),
        _chip(
            "ATmega328", "AVR", 8, 5.0, 5.2, 4.2, None,
            "Atmel 8271D-AVR-05/11, table 29-8, page 321: active 8 MHz at 5 V; sleep: power-down "
            "with watchdog at 3 V",
        ),
        _chip(
            "ATmega4809", "AVR", 20, 5.0, 8.5, 0.7, None,
            "Microchip DS40002016B, page 12, tables 4-5 and 4-6: 20 MHz at 5 V; sleep: standby "
            "with RTC at 3 V",
        ),
        _chip(
            "MSP430F123", "MSP430", 1, 3.0, 0.300, 1.6, None,
            "TI SLAS312C, page 13: active 1 MHz from flash at 3 V; sleep: LPM3 at 3 V",
        ),
        _chip(
            "ESP32-C3", "RISC-V", 160, 3.3, 26.8, 350.0, None,
            "measured by robdobson.com (2023): empty loop at 160 MHz, radio off; sleep: light "
            "sleep; supply taken as 3.3 V",
        ),
    )
}  # fmt: skip


def chip(name: str) -> Chip:
    """The chip of this name, in any case; raises :class:`UsageError`."""
    found = CHIPS.get(name.lower())
    if found is None:
        known = ", ".join(entry.name for entry in CHIPS.values())
        raise UsageError(f"no figures of a chip '{name}'; there are: {known}")
    return found
