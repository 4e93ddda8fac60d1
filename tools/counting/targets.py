"""The machines that instructions are counted on: compiler, emulator and memory map of each."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass

__all__ = ["TARGETS", "ZIG", "Target", "why_not"]

ZIG = (sys.executable, "-m", "ziglang", "cc")

_COMMON = (
    "-std=gnu99",
    "-ffreestanding",
    "-nostdlib",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
)
_ZIG = (*_COMMON, "-fno-sanitize=undefined", "-fno-stack-protector", "-Wno-pass-failed")
_THUMB = ("-target", "thumb-freestanding-eabihf")
_SOFT = ("-target", "thumb-freestanding-eabi")


@dataclass(frozen=True)
class Target:
    """How to build for a machine and how to run it.

    Args:
        core: the processor's name in the table.
        compiler: command with the flags that choose the processor.
        emulator: command without the program; empty for simavr.
        memory: (code, its size, RAM, its size) in bytes; empty where the tool chain knows it.
        unit: what is counted.
        optimise: what docs/export-c.md names for this processor.
    """

    core: str
    compiler: tuple[str, ...]
    emulator: tuple[str, ...]
    memory: tuple[int, ...] = (0, 256 << 10, 0x20000000, 64 << 10)
    unit: str = "instructions"
    optimise: tuple[str, ...] = ("-O3",)


def _arm(machine: str) -> tuple[str, ...]:
    quiet = ("-nographic", "-monitor", "none", "-serial", "none")
    return (
        "qemu-system-arm",
        "-M",
        machine,
        *quiet,
        "-semihosting-config",
        "enable=on,target=native",
    )


def _gcc(core: str) -> tuple[str, ...]:
    return ("arm-none-eabi-gcc", f"-mcpu={core}", "-mthumb", *_COMMON)


def _zig(core: str, base: tuple[str, ...] = _SOFT) -> tuple[str, ...]:
    return (*ZIG, *base, f"-mcpu={core}", *_ZIG)


_RV32 = ("-march=rv32imac", "-mabi=ilp32", "-misa-spec=2.2", "-mcmodel=medany")
_NO_FALSE_ALARM = "-Wno-uninitialized"  # avr-gcc 5 warns of some initialised tables in flash
_SHORT = ("-O2",)
_SMALL_CODE = ("-Os",)
_SMALL = (0, 256 << 10, 0x20000000, 16 << 10)
_SECURE = (0x10000000, 512 << 10, 0x38000000, 64 << 10)

TARGETS: dict[str, Target] = {
    "m0": Target("Cortex-M0", _gcc("cortex-m0"), _arm("microbit"), _SMALL),
    "m3": Target("Cortex-M3", _gcc("cortex-m3"), _arm("mps2-an385")),
    "m4": Target("Cortex-M4", _gcc("cortex-m4"), _arm("mps2-an386"), optimise=_SHORT),
    "m33": Target("Cortex-M33", _gcc("cortex-m33"), _arm("mps2-an505"), _SECURE, optimise=_SHORT),
    "m0-zig": Target("Cortex-M0", _zig("cortex_m0"), _arm("microbit"), _SMALL),
    "m3-zig": Target("Cortex-M3", _zig("cortex_m3"), _arm("mps2-an385")),
    "m4-zig": Target("Cortex-M4", _zig("cortex_m4"), _arm("mps2-an386"), optimise=_SMALL_CODE),
    "m33-zig": Target(
        "Cortex-M33", _zig("cortex_m33+dsp"), _arm("mps2-an505"), _SECURE, optimise=_SMALL_CODE
    ),
    "m55": Target(
        "Cortex-M55",
        _zig("cortex_m55+mve_fp", _THUMB),
        _arm("mps3-an547"),
        optimise=_SMALL_CODE,
    ),
    "rv32": Target(
        "RV32IMAC",
        ("riscv64-unknown-elf-gcc", *_RV32, *_COMMON),
        ("qemu-system-riscv32", "-M", "virt", "-bios", "none", "-nographic", "-monitor", "none"),
        (0x80000000, 512 << 10, 0x80100000, 64 << 10),
    ),
    "avr": Target(
        "ATmega328P",
        ("avr-gcc", "-mmcu=atmega328p", "-DF_CPU=16000000UL", "-std=gnu99", _NO_FALSE_ALARM),
        ("simavr", "-m", "atmega328p", "-f", "16000000"),
        (),
        unit="cycles",
        optimise=_SMALL_CODE,
    ),
}
"""By the name that the command line takes."""


def why_not(target: Target) -> str | None:
    """What is missing on this machine, or None."""
    compiler = target.compiler[0]
    if target.compiler[: len(ZIG)] == ZIG:
        from importlib.util import find_spec

        if find_spec("ziglang") is None:
            return "ziglang is not installed (pip install ziglang)"
    elif shutil.which(compiler) is None:
        return f"{compiler} is not installed"
    if shutil.which(target.emulator[0]) is None:
        return f"{target.emulator[0]} is not installed"
    if target.unit == "instructions" and not any(map(shutil.which, ("cc", "gcc", "clang"))):
        return "no C compiler for QEMU's plugin"
    return None
