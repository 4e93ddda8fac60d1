"""A Cortex-M or RISC-V board on the Unicorn emulator: pip-installed parts alone.

Runs the firmware that QEMU runs.  Counts instructions exactly and repeatably; one that is skipped
inside an IT block is not counted here, and is in QEMU, where a processor spends a cycle on it.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import random
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any

from grsn_edge.backends._c.compiler import load, why_not
from grsn_edge.device.boards import Board, Region
from grsn_edge.device.build import symbols
from grsn_edge.device.emulate_wire import Wire
from grsn_edge.errors import DeviceError

__all__ = ["UnicornBoard", "unavailable"]

COUNTER = "instructions (Unicorn)"

_RX, _TX = 8192, 65536
_PAGE = 0x1000
_TICK = 0.01  # s between two ticks of a sleeping board
_PAINT = 0xA5A5A5A5
_DEVICE_SIZE = {"clint": 0x10000}


class _Struct(ctypes.Structure):
    """``struct board`` of unicorn_devices.c."""

    _fields_ = (
        ("instructions", ctypes.c_uint64),
        ("slept_ns", ctypes.c_uint64),
        ("ns_per_instruction", ctypes.c_uint64),
        ("clock_hz", ctypes.c_uint64),
        ("captured", ctypes.c_uint64),
        ("random_state", ctypes.c_uint64),
        ("write_memory", ctypes.c_void_p),
        ("rx_head", ctypes.c_uint32),
        ("rx_tail", ctypes.c_uint32),
        ("tx_count", ctypes.c_uint32),
        ("sent", ctypes.c_uint32),
        ("rx", ctypes.c_uint8 * _RX),
        ("tx", ctypes.c_uint8 * _TX),
    )


def unavailable(board: Board | None = None) -> str | None:
    """Why there is no Unicorn here, or None."""
    for package in ("unicorn", "elftools"):
        if importlib.util.find_spec(package) is None:
            return f"{package} is missing: install grsn-edge[device]"
    return why_not()


class UnicornBoard:
    """One running board; its thread ends with :meth:`close`.

    Attributes:
        counter: what the instruction counts of this emulator are.
    """

    counter = COUNTER

    def __init__(self, board: Board, elf: Path, wire: Wire) -> None:
        """Load and start.

        Raises:
            DeviceError: Unicorn is not here, or it cannot run this firmware.
        """
        reason = unavailable()
        if reason:
            raise DeviceError(reason)
        self._wire = wire
        self._stack: tuple[int, int] = (0, 0)
        self._error: str | None = None
        self._struct = _Struct()
        arm = board.emulators["unicorn"]["arch"] == "arm"
        self._thumb = int(arm)
        self._pc = (
            _package("unicorn.arm_const").UC_ARM_REG_PC
            if arm
            else _package("unicorn.riscv_const").UC_RISCV_REG_PC
        )
        self._uc = self._processor(board.emulators["unicorn"])
        self._stop = threading.Event()
        start = self._load(board, elf)
        self._attach(board.emulators["unicorn"])
        self._thread = threading.Thread(target=self._run, args=(start,), daemon=True)
        self._thread.start()

    def failure(self) -> str | None:
        """Why it stopped by itself, or None while all is well."""
        return self._error

    def stack_used(self) -> int | None:
        """Deepest use of the stack since the start, in bytes, from the paint that is left."""
        low, top = self._stack
        words = memoryview(bytes(self._uc.mem_read(low, top - low))).cast("I")
        untouched = next((i for i, word in enumerate(words) if word != _PAINT), len(words))
        return top - low - 4 * untouched

    def close(self) -> None:
        """Switch off."""
        self._stop.set()
        self._uc.emu_stop()
        self._wire.interrupt()
        self._thread.join(timeout=5)

    def _processor(self, entries: dict[str, Any]) -> Any:
        unicorn = _package("unicorn")
        if entries["arch"] == "riscv32":
            return unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        uc.ctl_set_cpu_model(
            getattr(_package("unicorn.arm_const"), f"UC_CPU_ARM_{entries['model']}")
        )
        return uc

    def _load(self, board: Board, elf: Path) -> int:
        """Map the memory, load the firmware; returns the address to start at."""
        # Registers of the processor that only have to be there: plain memory is enough.
        private = Region(*(int(end, 0) for end in board.emulators["unicorn"]["private"]))
        for region in (*board.memory.values(), private):
            self._uc.mem_map(region.origin, -(-region.size // _PAGE) * _PAGE)
        with elf.open("rb") as file:
            image = _package("elftools.elf.elffile").ELFFile(file)
            for segment in image.iter_segments("PT_LOAD"):
                self._uc.mem_write(segment["p_paddr"], segment.data())
        found = symbols(elf)
        self._stack = (found["__stack_low"], found["__stack_top"])
        self._uc.mem_write(found["__seed"], random.SystemRandom().randbytes(4))
        if board.emulators["unicorn"]["arch"] == "arm":
            self._uc.reg_write(_package("unicorn.arm_const").UC_ARM_REG_SP, found["__stack_top"])
            return found["grsn_start"] | 1
        return found["grsn_start"]

    def _attach(self, entries: dict[str, Any]) -> None:
        """Connect the devices, and the counter of instructions."""
        uclib = _package("unicorn.unicorn_py3.unicorn").uclib
        devices, uc = _devices(), self._uc
        self._struct.ns_per_instruction = entries["ns_per_instruction"]
        self._struct.clock_hz = entries["clock_hz"]
        self._struct.random_state = random.SystemRandom().getrandbits(64) | 1
        self._struct.write_memory = _function(uclib.uc_mem_write)
        at = ctypes.c_void_p(ctypes.addressof(self._struct))
        for name, address in entries["devices"].items():
            read = _function(getattr(devices, f"{name}_read", devices.zero))
            write = _function(getattr(devices, f"{name}_write", devices.ignore))
            status = uclib.uc_mmio_map(
                uc._uch, int(address, 0), _DEVICE_SIZE.get(name, _PAGE), read, at, write, at
            )
            if status:
                raise DeviceError(f"Unicorn cannot map {name} at {address} (error {status})")
        handle = ctypes.c_size_t()
        count = _function(devices.count)
        everything = (ctypes.c_uint64(1), ctypes.c_uint64(0))  # begin > end: all addresses
        kind = _package("unicorn").UC_HOOK_CODE
        uclib.uc_hook_add(uc._uch, ctypes.byref(handle), kind, count, at, *everything)

    def _run(self, start: int) -> None:
        """Until closed: run to the next WFI, hand over what was sent, sleep until a byte comes."""
        error_of_unicorn: type[Exception] = _package("unicorn").UcError
        pc = start
        while not self._stop.is_set():
            try:
                self._uc.emu_start(pc, 0xFFFFFFFF)
                pc = self._next()
                self._exchange()
            except error_of_unicorn as error:
                self._error = f"the firmware faulted at {self._next():#x}: {error}"
                self._wire.close()
                return
            except OSError:  # the wire was closed
                return

    def _next(self) -> int:
        """Where to go on; bit 0 of an Arm address says that it is Thumb."""
        return int(self._uc.reg_read(self._pc)) | self._thumb

    def _exchange(self) -> None:
        board = self._struct
        if board.tx_count:
            self._wire.send(bytes(board.tx[: board.tx_count]))
            board.tx_count = 0
        waiting = board.rx_head - board.rx_tail
        before = time.monotonic_ns()
        data, _ = self._wire.wait(0 if waiting else _TICK, most=(_RX - waiting) // 2)
        board.slept_ns += time.monotonic_ns() - before
        for byte in data:
            board.rx[board.rx_head % _RX] = byte
            board.rx_head = (board.rx_head + 1) % 2**32


def _package(name: str) -> Any:
    return importlib.import_module(name)


def _function(function: Any) -> ctypes.c_void_p:
    return ctypes.cast(function, ctypes.c_void_p)


@cache
def _devices() -> ctypes.PyDLL:
    source = Path(__file__).with_name("unicorn_devices.c").read_text(encoding="utf-8")
    return load({"unicorn_devices.c": source})
