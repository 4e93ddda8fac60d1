"""From the firmware's sources to an ELF file for a board; what was built once is kept."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from grsn_edge.backends._c.compiler import cache_folder
from grsn_edge.backends._c.exporter import export
from grsn_edge.device.boards import Board, board, firmware_folder
from grsn_edge.device.engine_source import REPLACED, engine_source
from grsn_edge.errors import BackendUnavailable, CompileError, UsageError
from grsn_edge.policy import Policy

__all__ = ["Sizes", "firmware", "sizes", "symbols", "toolchains", "why_not"]

_WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion")
_FLAGS = ("-std=c99", "-g", "-ffreestanding", "-ffunction-sections", "-fdata-sections")
_ZIG = (
    "-fno-sanitize=undefined",
    "-Wno-pass-failed",  # hints for vectors, on processors that have none
    "-fno-stack-protector",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-Wl,--entry=grsn_start",
)
_GCC = ("-nostartfiles", "-nostdlib", "-fstack-usage", "-Wl,--no-warn-rwx-segments")
_WRITABLE, _ALLOCATED = 1, 2  # SHF_WRITE, SHF_ALLOC
_NOT_ON_BOARDS = {"grsn_codec.c"}  # floats: encoding and decoding are the host's
_OF_IMAGES = {"grsn_image.c", "grsn_proof.c", "grsn_store.c", "grsn_vm.c"}
_SEED_SIZE = 16  # bytes at the end of RAM that start-up leaves alone; see common/memory_slots.h


def firmware(
    name: str | Board,
    toolchain: str = "auto",
    optimise: str = "-O2",
    policy: Policy | None = None,
    application: Iterable[Path] = (),
    strict: bool = False,
) -> Path:
    """Build the firmware of a board, or take what an earlier call built from the same sources.

    Args:
        name: of the board.
        toolchain: ``zig``, ``gcc``, or ``auto``: the first that the board names and that is here.
        optimise: ``-O0`` … ``-O3`` or ``-Os``.
        policy: compile this one in as generated C, instead of the virtual machine, which takes
            policies over the link.
        application: other C files than those of ``firmware/src``.
        strict: let every warning be an error, as our tests do; a user's newer compiler knows more
            of them than ours.

    Returns:
        The ELF file, in the cache folder.

    Raises:
        UsageError: no such board, one that this toolchain cannot build for, or one that has no room
            for the virtual machine and was given no policy.
        BackendUnavailable: the toolchain is not here; the text says what to install.
        CompileError: it refused; the text holds its output.
    """
    chosen = board(name) if isinstance(name, str) else name
    tool = _choose(chosen, toolchain)
    sources = _named(application) if application else _application(chosen, policy)
    command = [*_command(chosen, tool), optimise, *_defines(chosen, policy)]
    command += ["-Werror"] if strict else []
    key = _key(chosen, [*command, _identity(tool, *chosen.gcc[:1])], sources)
    target = cache_folder() / "firmware" / f"{chosen.name}-{key}.elf"
    if not target.is_file():
        _build(chosen, tool, command, sources, target)
    return target


def toolchains(chosen: Board) -> tuple[str, ...]:
    """Toolchains that this board names, the preferred one first."""
    return tuple(tool for tool in ("zig", "gcc") if getattr(chosen, tool))


def why_not(chosen: Board, tool: str) -> str | None:
    """Why a toolchain cannot build for a board here, or None where it can."""
    if tool not in toolchains(chosen):
        return f"{chosen.name} is not built with {tool}"
    if tool == "zig":
        found = importlib.util.find_spec("ziglang") is not None
        return None if found else "ziglang is missing: install grsn-edge[device]"
    if shutil.which(chosen.gcc[0]):
        return None
    return f"{chosen.gcc[0]} is missing: run tools/setup_emulators.sh, or install it"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of a firmware: code and constants; variables without the stack; the stack."""

    flash: int
    ram: int
    stack: int


def sizes(elf: Path) -> Sizes:
    """Read the sections of an ELF file."""
    elffile: Any = importlib.import_module("elftools.elf.elffile")
    flash = ram = stack = 0
    with elf.open("rb") as file:
        for section in elffile.ELFFile(file).iter_sections():
            if not section["sh_flags"] & _ALLOCATED:
                continue
            held = section["sh_type"] != "SHT_NOBITS"
            writable = bool(section["sh_flags"] & _WRITABLE)
            flash += section["sh_size"] * held
            stack += section["sh_size"] * (section.name == ".stack")
            ram += section["sh_size"] * (section.name != ".stack" and (writable or not held))
    return Sizes(flash, ram, stack)


def symbols(elf: Path) -> dict[str, int]:
    """Addresses of an ELF file's symbols, by name."""
    elffile: Any = importlib.import_module("elftools.elf.elffile")
    with elf.open("rb") as file:
        table = elffile.ELFFile(file).get_section_by_name(".symtab")
        return {symbol.name: int(symbol["st_value"]) for symbol in table.iter_symbols()}


def _choose(chosen: Board, toolchain: str) -> str:
    if toolchain not in ("auto", "zig", "gcc"):
        raise UsageError(f"toolchain '{toolchain}' is not known; there are auto, zig and gcc")
    wanted = toolchains(chosen) if toolchain == "auto" else (toolchain,)
    if not wanted:
        raise UsageError(f"{chosen.name} is not cross-built; see {chosen.page}")
    reasons = {tool: why_not(chosen, tool) for tool in wanted}
    for tool, reason in reasons.items():
        if reason is None:
            return tool
    if toolchain != "auto" and toolchain not in toolchains(chosen):
        raise UsageError(f"{reasons[toolchain]}; it is with {', '.join(toolchains(chosen))}")
    raise BackendUnavailable("; or ".join(str(reason) for reason in reasons.values()))


def _command(chosen: Board, tool: str) -> list[str]:
    if tool == "zig":
        return [sys.executable, "-m", "ziglang", "cc", *_FLAGS, *_WARNINGS, *chosen.zig, *_ZIG]
    compiler, *flags = chosen.gcc
    return [compiler, *_FLAGS, *_WARNINGS, *flags, *(() if chosen.libc else _GCC)]


def _defines(chosen: Board, policy: Policy | None) -> list[str]:
    macros = dict(chosen.defines)
    if policy is not None:
        macros["GRSN_APP_STORE"] = "0"
    return [f"-D{name}={value}" for name, value in macros.items()]


def _named(files: Iterable[Path]) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(files)}


def _application(chosen: Board, policy: Policy | None) -> dict[str, bytes]:
    """The application's own sources, by name."""
    if policy is None and chosen.engine != "vm":
        raise UsageError(
            f"{chosen.name} has no room for the virtual machine: its firmware is built with a "
            "policy compiled in; name a .grsn file"
        )
    files = _named((firmware_folder() / "src").glob("*.[ch]"))
    left_out = set(_NOT_ON_BOARDS)
    if policy is not None:
        left_out |= {*REPLACED, *_OF_IMAGES}
        parts = export(policy, with_encoder=False)
        files |= {n: parts[n] for n in parts if n.endswith((".c", ".h")) and n != "main.c"}
        files["policy_engine.c"] = engine_source(policy).encode()
    return {name: content for name, content in files.items() if name not in left_out}


def _key(chosen: Board, command: list[str], sources: dict[str, bytes]) -> str:
    """Digest of everything that the result depends on."""
    folder = firmware_folder()
    read = {*_tree(folder / "include"), *_tree(folder / "kernels"), *_tree(chosen.folder)}
    read |= {*_tree(folder / "ports" / "common")}
    key = hashlib.sha256("\0".join(command).encode())
    for file in sorted(read):
        key.update(f"\0{file.name}\0".encode() + file.read_bytes())
    for name, content in sorted(sources.items()):
        key.update(f"\0{name}\0".encode() + content)
    return key.hexdigest()[:24]


def _tree(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@cache
def _identity(tool: str, gcc: str = "") -> str:
    if tool == "zig":
        try:
            return version("ziglang")
        except PackageNotFoundError:
            return "unknown"
    line = [gcc, "--version"]
    return subprocess.run(line, capture_output=True, text=True, check=False).stdout


def _memory(chosen: Board) -> str:
    """The text of memory.x: what is the board's own in its linker script."""
    flash, ram = chosen.memory["flash"], chosen.memory["ram"]
    slots = chosen.memory["slots"].origin if "slots" in chosen.memory else 0
    usable = ram.size - _SEED_SIZE
    return (
        f"MEMORY {{ FLASH (rx) : ORIGIN = {flash.origin:#x}, LENGTH = {flash.size:#x}\n"
        f"RAM (rw) : ORIGIN = {ram.origin:#x}, LENGTH = {usable:#x} }}\n"
        f"__stack_size = {chosen.stack};\n__slots = {slots:#x};\n"
        f"__seed = {ram.origin + usable:#x};\n"
    )


def _without_libc(chosen: Board, scratch: Path, tool: str) -> list[str]:
    """Flags that bring what a C library would: headers, linker script, the compiler's helpers."""
    common = firmware_folder() / "ports" / "common"
    script = (chosen.folder / chosen.script).resolve()
    flags = ["-idirafter", str(common / "freestanding"), f"-L{scratch}", f"-L{script.parent}"]
    return [*flags, f"-Wl,-T,{script}", *(["-lgcc"] if tool == "gcc" else [])]


def _build(
    chosen: Board, tool: str, command: list[str], sources: dict[str, bytes], target: Path
) -> None:
    folder = firmware_folder()
    with tempfile.TemporaryDirectory(prefix="grsn-edge-") as scratch:
        for name, content in {**sources, "memory.x": _memory(chosen).encode()}.items():
            (Path(scratch) / name).write_bytes(content)
        line = [*command, "-I.", f"-I{folder / 'include'}", f"-I{folder / 'ports' / 'common'}"]
        line += [name for name in sources if name.endswith(".c")]
        line += [str((chosen.folder / source).resolve()) for source in chosen.sources]
        line += ["-Wl,--gc-sections", "-o", "firmware.elf"]
        line += [] if chosen.libc else _without_libc(chosen, Path(scratch), tool)
        done = subprocess.run(
            line, cwd=scratch, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode:
            called = shlex.join(command[1:4] if tool == "zig" else command[:1])
            raise CompileError(f"{called} refused the firmware of {chosen.name}:\n{done.stderr}")
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_suffix(f".{os.getpid()}")
        shutil.copyfile(Path(scratch) / "firmware.elf", fresh)
        os.replace(fresh, target)
