"""The boards: one folder of ``firmware/ports`` each, found by looking."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from grsn_edge.errors import DeviceError, UsageError

__all__ = ["Board", "Region", "board", "board_names", "firmware_folder"]


@dataclass(frozen=True, slots=True)
class Region:
    """Memory: first address and size in bytes."""

    origin: int
    size: int


@dataclass(frozen=True)
class Board:
    """What ``board.json`` says; ``firmware/ports/template/board.json`` shows every entry.

    Attributes:
        name: its folder's name.
        title: in words.
        cpu: the processor's core.
        page: of the documentation, relative to the repository.
        folder: where its files are.
        sources: C files, relative to ``folder``.
        zig: flags of ``zig cc``; empty where zig cannot build for it.
        gcc: command and flags of a cross gcc; empty where none is named.
        script: linker script, relative to ``folder``.
        memory: regions ``flash`` and ``ram``, and ``slots`` where model slots lie outside both.
        stack: bytes kept for the stack.
        emulators: what an emulator needs, by its name, in order of preference.
        defines: macros for the whole firmware.
        libc: whether the toolchain brings start-up, linker script and C library.
        engine: ``vm``, which takes policies over the link, or ``generated``: one compiled in.
        emulated_engine: the same in its emulators, where they lack the board's flash controller.
        silicon: whether it exists as hardware (else it is an emulator's).
        uf2: number of the chip's family in UF2 files, or None where its loader takes none.
    """

    name: str
    title: str
    cpu: str
    page: str
    folder: Path
    sources: tuple[str, ...]
    zig: tuple[str, ...]
    gcc: tuple[str, ...]
    script: str
    memory: Mapping[str, Region]
    stack: int
    emulators: Mapping[str, Any]
    defines: Mapping[str, str]
    libc: bool
    engine: str
    emulated_engine: str
    silicon: bool
    uf2: int | None


@cache
def firmware_folder() -> Path:
    """The C sources: of the installed package, or of the checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_firmware", package.parent / "firmware"):
        if (folder / "ports").is_dir():
            return folder
    raise DeviceError("the firmware's sources are missing; install grsn-edge again")


@cache
def board_names() -> tuple[str, ...]:
    """Every board that has a folder with a ``board.json``, except the template."""
    ports = firmware_folder() / "ports"
    found = (path.parent.name for path in ports.glob("*/board.json"))
    return tuple(sorted(name for name in found if name != "template"))


@cache
def board(name: str) -> Board:
    """One board.

    Raises:
        UsageError: there is none of this name; the text lists them.
        DeviceError: its ``board.json`` cannot be read.
    """
    if name not in board_names():
        raise UsageError(f"no board '{name}'; there are {', '.join(board_names())}")
    folder = firmware_folder() / "ports" / name
    try:
        return _read(name, folder, json.loads((folder / "board.json").read_text(encoding="utf-8")))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DeviceError(f"{folder / 'board.json'} cannot be used: {error!r}") from None


def _read(name: str, folder: Path, entries: Mapping[str, Any]) -> Board:
    return Board(
        name=name,
        title=entries["title"],
        cpu=entries["cpu"],
        page=entries["page"],
        folder=folder,
        sources=tuple(entries["sources"]),
        zig=tuple(entries.get("zig", ())),
        gcc=tuple(entries.get("gcc", ())),
        script=entries.get("script", "../common/sections.ld"),
        memory={kind: _region(*ends) for kind, ends in entries["memory"].items()},
        stack=int(entries.get("stack", 4096)),
        emulators=dict(entries.get("emulators", {})),
        defines=dict(entries.get("defines", {})),
        libc=bool(entries.get("libc", False)),
        engine=entries.get("engine", "vm"),
        emulated_engine=entries.get("emulated_engine", entries.get("engine", "vm")),
        silicon=bool(entries.get("silicon", False)),
        uf2=int(entries["uf2"], 0) if "uf2" in entries else None,
    )


def _region(origin: str, size: str) -> Region:
    return Region(int(origin, 0), int(size, 0))
