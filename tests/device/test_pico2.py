"""The RP2350's image, from its UF2 file on: the boot ROM's view of flash, clocks, UART and flash.

Registers are played by this file, after the data sheet: nothing here shows that silicon agrees.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from grsn_edge.device import Device
from grsn_edge.device.boards import board
from grsn_edge.device.build import firmware, toolchains, why_not
from grsn_edge.device.played import compared
from grsn_edge.device.transport import Transport
from grsn_edge.device.uf2 import uf2
from grsn_edge.errors import UsageError
from grsn_edge.policy import Policy, load

ROOT = Path(__file__).resolve().parents[2]
FLASH, RAM, FUNCTIONS = 0x1000_0000, 0x2000_0000, 0x200
DEFINITION = struct.pack("<5I", 0xFFFFDED3, 0x10210142, 0x000001FF, 0, 0xAB123579)
NAMES = ("IF", "EX", "RE", "RP", "FC", "CX")
READY = {  # by address: what a register says once the hardware is ready
    0x4004_8004: 1 << 31,  # XOSC: stable
    0x4001_0038: 1 << 2,  # reference clock: the crystal
    0x4001_0044: 3,  # system clock: either
    0x4002_0008: 0x1FFF_FFFF,  # all out of reset
    0x4005_0000: 1 << 31,  # PLL: locked
}


class Pico2(Transport):
    """The chip after reset, with this flash; its UART0 is the transport."""

    def __init__(self, flash: bytearray) -> None:
        unicorn = pytest.importorskip("unicorn", reason="unicorn is not installed")
        arm = pytest.importorskip("unicorn.arm_const")
        self.address, self.flash = "pico2", flash
        self.received, self.sent, self.xip, self.now = bytearray(), bytearray(), True, 0
        self._error, self._arm = unicorn.UcError, arm
        self.uc = uc = unicorn.Uc(
            unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS
        )
        uc.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M33)
        for origin, size in (
            (0, 0x8000),
            (FLASH, len(flash)),
            (RAM, 0x82000),
            (0xE000_0000, 1 << 20),
        ):
            uc.mem_map(origin, size)
        uc.mmio_map(0x4000_0000, 1 << 21, self._read, 0x4000_0000, self._write, 0x4000_0000)
        uc.mmio_map(0xD000_0000, 0x1000, self._read, 0xD000_0000, self._write, 0xD000_0000)
        uc.mem_write(0x16, struct.pack("<H", 0x101))  # the ROM's lookup, and its functions
        for at in (0x100, *(FUNCTIONS + 16 * i for i in range(len(NAMES)))):
            uc.mem_write(at, b"\x70\x47")  # bx lr
        uc.mem_write(FLASH, bytes(flash))
        uc.hook_add(unicorn.UC_HOOK_CODE, self._rom, begin=0x100, end=0x300)
        assert 0 <= flash.find(DEFINITION) < 4096 - len(DEFINITION), "the boot ROM finds no image"
        stack, self._pc = struct.unpack_from("<2I", flash)
        uc.reg_write(arm.UC_ARM_REG_SP, stack)

    def _read(self, uc: Any, offset: int, size: int, base: int) -> int:
        address = base + offset
        if address == 0x4007_0018:
            return 0 if self.received else 1 << 4
        if address == 0x4007_0000:
            return self.received.pop(0)
        if address == 0x400B_0028:
            self.now += 10
            return self.now
        return READY.get(address, 0)

    def _write(self, uc: Any, offset: int, size: int, value: int, base: int) -> None:
        if base + offset == 0x4007_0000:
            self.sent.append(value)

    def _rom(self, uc: Any, address: int, size: int, data: object) -> None:
        first, second, third = (
            uc.reg_read(getattr(self._arm, f"UC_ARM_REG_R{i}")) for i in range(3)
        )
        if address == 0x100:
            assert second == 4
            name = chr(first & 255) + chr(first >> 8)
            uc.reg_write(self._arm.UC_ARM_REG_R0, FUNCTIONS + 16 * NAMES.index(name) | 1)
            return
        name = NAMES[(address - FUNCTIONS) // 16]
        if name in ("RE", "RP"):
            assert not self.xip, "flash is changed only when it is no memory"
            self._change(name, first, second, third)
        self.xip = {"EX": False, "CX": True}.get(name, self.xip)

    def _change(self, name: str, offset: int, second: int, third: int) -> None:
        if name == "RE":
            assert offset % 4096 == second % 4096 == 0
            self.flash[offset : offset + second] = b"\xff" * second
            new = bytes(self.flash[offset : offset + second])
        else:
            assert offset % 256 == third % 256 == 0
            page = self.uc.mem_read(second, third)
            new = bytes(
                a & b for a, b in zip(self.flash[offset : offset + third], page, strict=True)
            )
            self.flash[offset : offset + third] = new
        self.uc.mem_write(FLASH + offset, new)

    def read(self, timeout: float) -> bytes:
        for _ in range(20):  # each: to the next WFI
            self.uc.emu_start(self._pc | 1, 0xFFFF_FFFF)
            self._pc = self.uc.reg_read(self._arm.UC_ARM_REG_PC)
            if self.sent and not self.received:
                break
        said, self.sent = bytes(self.sent), bytearray()
        return said

    def write(self, data: bytes) -> None:
        self.received += data

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load(ROOT / "models" / "cartpole-p.grsn")


@pytest.fixture(scope="module")
def elf() -> Path:
    chosen = board("rp2350")
    for tool in toolchains(chosen):
        if why_not(chosen, tool) is None:
            return firmware(chosen, tool)
    pytest.skip("no compiler for it is here")


def flashed(file: bytes) -> bytearray:
    """Flash as the boot ROM leaves it after a UF2 file was dropped onto its drive."""
    flash = bytearray(b"\xff" * 0x120000)
    for at in range(0, len(file), 512):
        magic, second, flags, address, size, number, count, family = struct.unpack_from(
            "<8I", file, at
        )
        assert (magic, second, flags) == (0x0A324655, 0x9E5D5157, 0x2000)
        assert (number, count, family) == (at // 512, len(file) // 512, 0xE48BFF59)
        assert file[at + 508 : at + 512] == b"\x30\x6f\xb1\x0a"
        assert size == 256
        flash[address - FLASH : address - FLASH + size] = file[at + 32 : at + 32 + size]
    return flash


def test_a_policy_that_was_loaded_is_still_there_after_power_has_gone(
    policy: Policy, elf: Path
) -> None:
    flash = flashed(uf2(elf, 0xE48BFF59))
    with Device(Pico2(flash)) as device:
        assert device.info().board.name == "rp2350"
        device.load(policy)
    with Device(Pico2(flash)) as device:
        device.use(policy)
        assert device.self_test() == -1
        assert compared(device, policy, 20).difference is None


def test_a_file_that_loads_nothing_makes_no_uf2(tmp_path: Path, elf: Path) -> None:
    empty = bytearray(elf.read_bytes())
    empty[44:46] = b"\0\0"  # e_phnum
    (tmp_path / "empty.elf").write_bytes(empty)
    with pytest.raises(UsageError, match="nothing to load"):
        uf2(tmp_path / "empty.elf", 1)
