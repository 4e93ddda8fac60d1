"""An AVR on simavr: its runner is compiled on first use, against Debian's libsimavr-dev."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from grsn_edge.backends._c.compiler import cache_folder, compiler
from grsn_edge.device.boards import Board
from grsn_edge.device.build import symbols
from grsn_edge.device.emulate_process import Process
from grsn_edge.device.emulate_wire import Wire
from grsn_edge.errors import BackendUnavailable, DeviceError

__all__ = ["SimavrBoard", "unavailable"]

COUNTER = "cycles (simavr)"

_ADVICE = "run tools/setup_emulators.sh, or install simavr with its headers (libsimavr-dev)"
_PAINT = 0xA5
_DATA = 0x800000  # avr-gcc's offset of addresses in data memory


def unavailable(board: Board | None = None) -> str | None:
    """Why there is no simavr here, or None."""
    try:
        _runner()
    except (DeviceError, BackendUnavailable) as error:
        return str(error)
    return None


class SimavrBoard(Process):
    """One running board."""

    counter = COUNTER

    def __init__(self, board: Board, elf: Path, wire: Wire) -> None:
        """Start simavr with ``elf``; its UART is joined to ``wire``."""
        entries = board.emulators["simavr"]
        runner = str(_runner())
        self._low = symbols(elf)["__bss_end"] - _DATA

        def command(folder: Path) -> Sequence[str]:
            chip = [entries["mcu"], str(entries["clock_hz"])]
            return [runner, *chip, str(elf), str(folder / "line"), str(folder / "monitor")]

        self._size = board.memory["ram"].origin + board.memory["ram"].size
        super().__init__(command, ("line", "monitor"), wire)

    def stack_used(self) -> int | None:
        """Deepest use of the stack since the start, in bytes, from the paint that is left."""
        self.lines[1].sendall(b"m")
        data = b""
        while len(data) < self._size:
            more = self.lines[1].recv(self._size - len(data))
            if not more:
                raise DeviceError(f"simavr {self.failure() or 'closed its monitor'}")
            data += more
        untouched = next(i for i, byte in enumerate(data[self._low :]) if byte != _PAINT)
        return self._size - self._low - untouched


@cache
def _runner() -> Path:
    """The compiled runner, in the cache folder."""
    source = Path(__file__).with_name("simavr_board.c")
    if not shutil.which("simavr"):
        raise DeviceError(f"simavr is missing: {_ADVICE}")
    key = hashlib.sha256(source.read_bytes() + " ".join(compiler()).encode()).hexdigest()[:24]
    target = cache_folder() / "emulators" / f"simavr-{key}"
    if target.is_file():
        return target
    with tempfile.TemporaryDirectory(prefix="grsn-edge-") as scratch:
        made = Path(scratch) / "simavr_board"
        line = [*compiler(), "-O2", str(source), "-o", str(made), "-lsimavr"]
        done = subprocess.run(line, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            raise DeviceError(f"simavr's library cannot be used: {_ADVICE}\n{done.stderr[-500:]}")
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_suffix(f".{os.getpid()}")
        shutil.copy2(made, fresh)
        os.replace(fresh, target)
    return target
