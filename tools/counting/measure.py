"""Builds a generated policy for a bare machine, runs it in an emulator, compares, and counts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from counting.targets import ZIG, Target

from grsn_edge.backends._c.compiler import headers
from grsn_edge.backends._c.emit import emit
from grsn_edge.backends._c.files import Symbols
from grsn_edge.backends._c.spelling import C_TYPE, numbers
from grsn_edge.program import Program, step

__all__ = ["Counted", "Mismatch", "count", "versions"]

HERE = Path(__file__).resolve().parent
FLAGS = ("-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wsign-conversion")
_AVR_CLOCK = {1: 1, 8: 2}
_AVR_RANGE = 131072  # a 16-bit timer and its overflow flag


class Mismatch(Exception):
    """The emulated processor computed another integer than the reference."""


@dataclass(frozen=True)
class Counted:
    """What one run found.

    Args:
        steps: instructions or cycles of each step.
        code: bytes of the step's machine code, with the functions of the policy's file it calls.
        constants: bytes of its constant tables.
        state: bytes of the state.
        stack: bytes of stack, painted; a few of them are the harness's own.
    """

    steps: np.ndarray
    code: int
    constants: int
    state: int
    stack: int


def count(
    program: Program,
    codes: np.ndarray,
    target: Target,
    *,
    defines: tuple[str, ...] = (),
    optimise: str | None = None,
    keep: Path | None = None,
) -> Counted:
    """Run ``program`` on ``codes`` (steps, inputs) on the target.

    Raises:
        Mismatch: an action or the final state is not the reference's.
    """
    expected = _reference(program, codes)
    level = (optimise,) if optimise else target.optimise
    with tempfile.TemporaryDirectory(prefix="grsn-count-") as scratch:
        folder = keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        _write(program, codes, folder)
        if target.unit == "cycles":
            return _cycles(folder, target, defines, level, expected, program)
        elf = _build(folder, target, defines, level)
        symbols = _symbols(elf)
        out = folder / "steps"
        plugin = (
            f"{_plugin()},entry={symbols['policy_step'][0]:#x},begin={symbols['harness_begin'][0]:#x},"
            f"end={symbols['harness_end'][0]:#x},out={out}"
        )
        text = _run([*target.emulator, "-plugin", plugin, "-d", "plugin", "-kernel", str(elf)])
        found, stack = _results(text)
        _compare(found, expected)
        steps = np.array([int(line) for line in out.read_text().split()])
        return Counted(steps, *_sizes(folder), stack)


def versions(target: Target) -> str:
    """Compiler and emulator of a target."""
    prefix = (
        target.compiler[: len(ZIG)] if target.compiler[: len(ZIG)] == ZIG else target.compiler[:1]
    )
    compiler = _first_line([*prefix, "--version"])
    if target.unit == "cycles":
        return f"{compiler}; simavr"
    return f"{compiler}; {_first_line([target.emulator[0], '--version'])}"


# ---- what is built -------------------------------------------------------------------------------


def _write(program: Program, codes: np.ndarray, folder: Path) -> None:
    generated = emit(program)
    (source,), (value,) = program.inputs, program.outputs.values()
    action = program[value]
    puts = "".join(
        f"for (int32_t i = 0; i < {s.n}; i++) {{ put_number((int32_t)policy_state.{f}[i]); }} "
        for s, f in ((s, Symbols(program, "policy").fields[s.name]) for s in program.states)
    )
    run = f"""\
#include "policy.h"
#include "grsn_primitives.h"
enum {{ N_STEPS = {len(codes)}, N_INPUTS = {source.n}, N_ACTIONS = {action.n} }};
#define RUN_CODE {C_TYPE[source.dtype]}
#define RUN_ACTION {C_TYPE[action.dtype]}
#define RUN_STATE policy_state_t policy_state
#define RUN_RESET policy_reset(&policy_state)
#define RUN_STEP(code, action) policy_step(&policy_state, code, action)
#define RUN_PUT_STATE do {{ {puts}}} while (0)
static const GRSN_FLASH {C_TYPE[source.dtype]} codes[{codes.size}] = {{
{numbers(codes, source.dtype)}
}};
"""
    (folder / "policy.h").write_text(generated.header)
    (folder / "policy.c").write_text(generated.source)
    (folder / "run.h").write_text(run)


def _build(
    folder: Path, target: Target, defines: tuple[str, ...], optimise: tuple[str, ...]
) -> Path:
    command = [*target.compiler, *defines, f"-I{headers()}", f"-I{folder}"]
    _call([*command, *optimise, *FLAGS, "-c", "policy.c", "-o", "policy.o"], folder)
    harness = [*command, "-O1"]
    _call([*harness, "-c", str(HERE / "harness.c"), "-o", "harness.o"], folder)
    link = [*target.compiler, "-Wl,--gc-sections", "policy.o", "harness.o", "-o", "run.elf"]
    if target.memory:
        script = (HERE / "bare.ld").read_text()
        for name, number in zip(
            ("CODE_SIZE", "CODE", "RAM_SIZE", "RAM"), _order(target), strict=True
        ):
            script = re.sub(rf"\b{name}\b", f"{number:#x}", script)
        (folder / "link.ld").write_text(script)
        link += ["-Wl,-T,link.ld"]
        if target.compiler[: len(ZIG)] != ZIG:
            link += ["-lgcc"]
    _call(link, folder)
    return folder / "run.elf"


def _order(target: Target) -> tuple[int, int, int, int]:
    code, code_size, ram, ram_size = target.memory
    return code_size, code, ram_size, ram


@cache
def _plugin() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="grsn-plugin-"))
    compiler = next(c for c in ("cc", "gcc", "clang") if shutil.which(c))
    target = folder / "insn_plugin.so"
    _call(
        [
            compiler,
            "-O2",
            "-Wall",
            "-shared",
            "-fPIC",
            str(HERE / "insn_plugin.c"),
            "-o",
            str(target),
        ],
        folder,
    )
    return target


# ---- what ran ------------------------------------------------------------------------------------


def _cycles(
    folder: Path,
    target: Target,
    defines: tuple[str, ...],
    optimise: tuple[str, ...],
    expected: np.ndarray,
    program: Program,
) -> Counted:
    """With the timer divided by 8, then undivided where every step fits."""
    (value,) = program.outputs.values()
    n = program[value].n
    for divisor in (8, 1):
        clock = f"-DCLOCK_SELECT={_AVR_CLOCK[divisor]}"
        elf = _build(folder, target, (clock, *defines), optimise)
        found, stack = _results(_run([*target.emulator, str(elf)]))
        size = sum(state.n for state in program.states)
        per_step = found[: len(found) - size].reshape(-1, n + 1)
        _compare(np.concatenate([per_step[:, :n].ravel(), found[len(found) - size :]]), expected)
        steps = per_step[:, n] * divisor
        if steps.max() >= _AVR_RANGE:
            break
    return Counted(steps, *_sizes(folder), stack)


def _run(line: list[str]) -> str:
    done = subprocess.run(
        line, capture_output=True, text=True, check=False, timeout=600, stdin=subprocess.DEVNULL
    )
    return done.stdout + done.stderr


def _results(text: str) -> tuple[np.ndarray, int]:
    """Everything between "begin" and "end": actions, states; the last number is the stack."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    match = re.search(r"begin(.*?)end", plain, re.DOTALL)
    if match is None:
        raise Mismatch(f"the emulated program did not finish:\n{text[-2000:]}")
    words = re.findall(r"\b[0-9a-f]{8}\b", match.group(1))
    found = np.array([int(word, 16) for word in words], dtype=np.int64)
    found -= (found >> 31) << 32
    return found[:-1], int(found[-1])


def _compare(found: np.ndarray, expected: np.ndarray) -> None:
    if not np.array_equal(found, expected):
        short = min(len(found), len(expected))
        first = int(np.argmax(found[:short] != expected[:short])) if short else 0
        raise Mismatch(
            f"{len(found)} numbers for {len(expected)}; the first that differs is number {first}"
        )


def _reference(program: Program, codes: np.ndarray) -> np.ndarray:
    """Every action, then the final state."""
    (name,) = (node.name for node in program.inputs)
    state, actions = program.initial_state(), []
    for code in codes:
        outputs, state = step(program, {name: code}, state)
        actions.append(next(iter(outputs.values())))
    final = [np.broadcast_to(state[node.name], (node.n,)) for node in program.states]
    return np.concatenate([*actions, *final]).astype(np.int64)


# ---- sizes ---------------------------------------------------------------------------------------


def _sizes(folder: Path) -> tuple[int, int, int]:
    """(code of the step, constants, state) from the object file and the linked program."""
    from elftools.elf.elffile import ELFFile

    with (folder / "policy.o").open("rb") as file:
        elf = ELFFile(file)
        reset = code = constants = 0
        for section in elf.iter_sections():
            size, name = section["sh_size"], section.name
            if name.startswith(".text") and "reset" not in name:
                code += size
            if name.startswith((".rodata", ".progmem", ".data")):
                constants += size
        table = elf.get_section_by_name(".symtab")
        for symbol in table.iter_symbols():
            if symbol.name == "policy_reset":
                owner = elf.get_section(symbol["st_shndx"]).name
                reset = symbol["st_size"] if "reset" not in owner else 0
    state = _symbols(folder / "run.elf")["policy_state"][1]
    return code - reset, constants, state


def _symbols(elf: Path) -> dict[str, tuple[int, int]]:
    """(address without the Thumb bit, size) by name."""
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        thumb = ELFFile(file)["e_machine"] == "EM_ARM"
        return {
            s.name: (
                s["st_value"] & ~1
                if thumb and s["st_info"]["type"] == "STT_FUNC"
                else s["st_value"],
                s["st_size"],
            )
            for s in table.iter_symbols()
        }


def _first_line(line: list[str]) -> str:
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def _call(line: list[str], folder: Path) -> None:
    done = subprocess.run(
        line,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(line)}\n{done.stderr}")
