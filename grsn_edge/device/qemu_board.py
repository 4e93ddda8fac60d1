"""A board on QEMU: the counts that are published (``-icount``), and the cores Unicorn lacks."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grsn_edge.device.boards import Board
from grsn_edge.device.build import symbols
from grsn_edge.device.emulate_process import Process
from grsn_edge.device.emulate_wire import Wire
from grsn_edge.errors import DeviceError

__all__ = ["QemuBoard", "unavailable"]

COUNTER = "instructions (QEMU -icount)"

_PAINT = 0xA5A5A5A5


def unavailable(board: Board) -> str | None:
    """Why this board's QEMU is not here, or None."""
    command = board.emulators["qemu"][0]
    if shutil.which(command):
        return None
    return f"{command} is missing: run tools/setup_emulators.sh, or install it"


class QemuBoard(Process):
    """One running board."""

    counter = COUNTER

    def __init__(self, board: Board, elf: Path, wire: Wire) -> None:
        """Start QEMU with ``elf``; its serial line is joined to ``wire``."""
        self._symbols = symbols(elf)

        def command(folder: Path) -> Sequence[str]:
            return _command(board, elf, folder, self._symbols)

        super().__init__(command, ("line", "monitor"), wire)
        self._monitor = self.lines[1].makefile("rw", encoding="utf-8")
        self._read()  # the greeting
        self._ask("qmp_capabilities")

    def stack_used(self) -> int | None:
        """Deepest use of the stack since the start, in bytes, from the paint that is left."""
        low, top = (self._symbols[name] for name in ("__stack_low", "__stack_top"))
        file = self.folder / "stack"
        self._ask("memsave", val=low, size=top - low, filename=str(file))
        words = memoryview(file.read_bytes()).cast("I")
        untouched = next((i for i, word in enumerate(words) if word != _PAINT), len(words))
        return top - low - 4 * untouched

    def close(self) -> None:
        """Switch off."""
        self._monitor.close()
        super().close()

    def _ask(self, command: str, **arguments: Any) -> Any:
        self._monitor.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._monitor.flush()
        while True:
            answer = self._read()
            if "error" in answer:
                raise DeviceError(f"QEMU refused {command}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def _read(self) -> dict[str, Any]:
        line = self._monitor.readline()
        if not line:
            raise DeviceError(f"QEMU {self.failure() or 'closed its monitor'}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _command(board: Board, elf: Path, folder: Path, found: dict[str, int]) -> list[str]:
    seed = random.SystemRandom().getrandbits(32)
    line = [*board.emulators["qemu"], "-display", "none", "-monitor", "none"]
    line += ["-chardev", f"socket,id=line,path={folder}/line,server=off"]
    line += ["-serial", "chardev:line", "-qmp", f"unix:{folder}/monitor,server=off"]
    if "__seed" in found:
        line += ["-device", f"loader,addr={found['__seed']:#x},data={seed:#x},data-len=4"]
    return [*line, "-kernel", str(elf)]
