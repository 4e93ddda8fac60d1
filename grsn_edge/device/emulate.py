"""Emulated boards: firmware built (or taken from the cache), started, and given an address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from grsn_edge.device import qemu_board, simavr_board, unicorn_board
from grsn_edge.device.boards import Board, board, board_names
from grsn_edge.device.build import firmware, toolchains, why_not
from grsn_edge.device.emulate_wire import Wire
from grsn_edge.errors import DeviceError, UsageError
from grsn_edge.policy import Policy

__all__ = ["Emulated", "Machine", "emulatable", "emulate", "emulator_missing", "missing"]


class Machine(Protocol):
    """A running emulator."""

    counter: str

    def failure(self) -> str | None:
        """Why it stopped by itself, or None while it runs."""

    def stack_used(self) -> int | None:
        """Deepest use of the stack in bytes, where the emulator can tell."""

    def close(self) -> None:
        """End it."""


@dataclass(frozen=True)
class Emulated:
    """An emulated board that runs.

    Attributes:
        board: which.
        emulator: ``unicorn``, ``qemu`` or ``simavr``.
        elf: its firmware.
        address: for ``--port`` and for :class:`Device`.
        terminal: the same line as a pseudo-terminal, where one was asked for.
        machine: the emulator.
    """

    board: Board
    emulator: str
    elf: Path
    address: str
    terminal: str | None
    machine: Machine


_KINDS: dict[str, tuple[Callable[[Board], str | None], Callable[[Board, Path, Wire], Machine]]] = {
    "unicorn": (unicorn_board.unavailable, unicorn_board.UnicornBoard),
    "qemu": (qemu_board.unavailable, qemu_board.QemuBoard),
    "simavr": (simavr_board.unavailable, simavr_board.SimavrBoard),
}


@contextmanager
def emulate(
    name: str,
    emulator: str = "auto",
    toolchain: str = "auto",
    elf: Path | None = None,
    policy: Policy | None = None,
    port: int = 0,
    terminal: bool = False,
) -> Iterator[Emulated]:
    """Build, start, and at the end stop, an emulated board.

    Args:
        name: of the board.
        emulator: one that the board names, or ``auto``: the first of them that is here.
        toolchain: of :func:`firmware`.
        elf: firmware to run instead of the one built from ``firmware/``.
        policy: compile it in, instead of the virtual machine; see :func:`firmware`.
        port: TCP port to listen on; 0 takes a free one.
        terminal: open a pseudo-terminal, too.

    Raises:
        UsageError: no such board or emulator.
        DeviceError: the emulator is not here, or does not start.
        BackendUnavailable: no toolchain to build the firmware with.
    """
    chosen = board(name)
    kind = _choose(chosen, emulator)
    image = elf or firmware(chosen, toolchain, policy=policy)
    with Wire(port, terminal) as wire:
        machine: Machine = _KINDS[kind][1](chosen, image, wire)
        try:
            yield Emulated(chosen, kind, image, wire.address, wire.terminal, machine)
        finally:
            machine.close()


def emulatable() -> tuple[str, ...]:
    """Boards that some emulator can be."""
    return tuple(name for name in board_names() if board(name).emulators)


def missing(name: str) -> str | None:
    """Why a board cannot be emulated here, or None where it can."""
    chosen = board(name)
    if not chosen.emulators:
        return "no emulator has this board"
    reasons = [emulator_missing(chosen, kind) for kind in chosen.emulators]
    tools = [why_not(chosen, tool) for tool in toolchains(chosen)]
    if None not in reasons:
        return "; or ".join(str(reason) for reason in reasons)
    return None if None in tools else "; or ".join(str(reason) for reason in tools)


def _choose(chosen: Board, emulator: str) -> str:
    if not chosen.emulators:
        raise UsageError(f"{chosen.name} is not emulated; there are {', '.join(emulatable())}")
    if emulator != "auto" and emulator not in chosen.emulators:
        listed = ", ".join(chosen.emulators)
        raise UsageError(f"{chosen.name} is not emulated by '{emulator}', but by {listed}")
    wanted = tuple(chosen.emulators) if emulator == "auto" else (emulator,)
    reasons = {kind: emulator_missing(chosen, kind) for kind in wanted}
    for kind, reason in reasons.items():
        if reason is None:
            return kind
    raise DeviceError("; or ".join(str(reason) for reason in reasons.values()))


def emulator_missing(chosen: Board, kind: str) -> str | None:
    """Why this emulator of a board is not here, or None where it is."""
    return _KINDS[kind][0](chosen)
