#!/usr/bin/env python3
"""The virtual machine on a Cortex-M: exact instructions of a step, and bytes of its code.

    python tools/count_machine.py --target m3 m4 --optimise smallest O2 --rates 5 10 20
    python tools/count_machine.py --target m0-zig m4-zig m55 rv32 --optimise O2 --policy \\
        models/cartpole-p.grsn

Runs the image of a GRSN policy with random weights (``tools/bench/spiking_policy.py``) under QEMU
with the plugin of ``count_instructions.py``, compares every action and the final state with the
NumPy reference (``==``), and prints instructions per step, bytes of code of the runtime (step,
states, self-test, reader, proof and checksum, without the float codec), of the image and of RAM.
``smallest`` is ``firmware/grsn_runtime.c`` with the options that take the fewest bytes (SMALLEST);
other levels compile the same files one by one. A shipped policy runs on its golden codes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench.spiking_policy import spiking_policy
from counting import measure
from counting.targets import TARGETS, Target

from grsn_edge.backends._image import image
from grsn_edge.backends._image.convert import convert
from grsn_edge.backends._image.lower import lower
from grsn_edge.backends._image.place import place
from grsn_edge.policy import load
from grsn_edge.program import Program

FIRMWARE = Path(__file__).resolve().parents[1] / "firmware"
SOURCES = tuple(FIRMWARE / "src" / f"grsn_{n}.c" for n in ("vm", "image", "proof", "crc"))
RUNTIME = FIRMWARE / "grsn_runtime.c"
SMALLEST = ("-Os", "-fno-ivopts", "-fno-schedule-insns2")
LEVELS = ("smallest", "Os", "O1", "O2", "O3")
_TYPES = {"int8": ("int8_t", 1), "int16": ("int16_t", 2), "int32": ("int32_t", 4)}


@dataclass(frozen=True)
class Counted:
    """Instructions of each step; bytes of code and constants of the runtime, image and RAM."""

    steps: np.ndarray
    code: int
    image: int
    ram: int


def main() -> int:
    """Parse, build, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    targets = [name for name in TARGETS if name != "avr"]
    parser.add_argument("--target", nargs="+", default=["m4"], choices=targets)
    parser.add_argument("--optimise", nargs="+", default=["smallest", "O2"], choices=LEVELS)
    parser.add_argument("--policy", type=Path, help="a .grsn file instead")
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--inputs", type=int, default=4)
    parser.add_argument("--rates", type=float, nargs="+", default=[5, 10, 20], help="per cent")
    args = parser.parse_args()
    print("| target | optimise | firing | mean | worst | runtime, B | image, B | RAM, B |")
    print("|---|---|---|---|---|---|---|---|")
    for program, codes, rate in _workloads(args):
        for name in args.target:
            for level in args.optimise:
                done = count(program, codes, TARGETS[name], level)
                print(
                    f"| {name} | {level} | {rate} | {done.steps.mean():.0f} "
                    f"| {done.steps.max()} | {done.code} | {done.image} | {done.ram} |"
                )
    return 0


def _workloads(args: argparse.Namespace) -> Iterator[tuple[Program, np.ndarray, str]]:
    """Programs, the codes that they run on, and how often their neurons fire."""
    if args.policy:
        policy = load(args.policy)
        yield policy.program, policy.golden.code, "golden"
        return
    for percent in args.rates:
        made = spiking_policy(percent / 100, hidden=args.hidden, inputs=args.inputs)
        codes = made.policy.encoder.encode(made.observations)[:256]
        yield made.policy.program, codes, f"{made.rate:.1%}"


def count(program: Program, codes: np.ndarray, target: Target, level: str) -> Counted:
    """Run the image of ``program`` on ``codes`` (steps, inputs) on the target."""
    expected = measure._reference(program, codes)
    data = image(program)
    with tempfile.TemporaryDirectory(prefix="grsn-count-") as scratch:
        folder = Path(scratch)
        (folder / "run.h").write_text(_run_h(program, codes, data))
        elf, objects = _build(folder, target, level)
        symbols = measure._symbols(elf)
        out = folder / "steps"
        where = {key: f"{symbols[name][0]:#x}" for key, name in _PLUGIN.items()}
        plugin = ",".join([str(measure._plugin()), *(f"{k}={v}" for k, v in where.items())])
        options = ["-plugin", f"{plugin},out={out}", "-d", "plugin", "-kernel", str(elf)]
        found, _ = measure._results(measure._run([*target.emulator, *options]))
        measure._compare(found, expected)
        steps = np.array([int(line) for line in out.read_text().split()])
        ram = symbols["machine_memory"][1]
        return Counted(steps, sum(_size(file) for file in objects), len(data), ram)


_PLUGIN = {"entry": "grsn_step", "begin": "harness_begin", "end": "harness_end"}


def _run_h(program: Program, codes: np.ndarray, data: bytes) -> str:
    words = np.frombuffer(data, "<u4")
    (source,) = program.inputs
    action = program[next(iter(program.outputs.values()))]
    puts, at = "", 0
    for state in program.states:
        ctype, size = _TYPES[state.dtype]
        puts += (
            f"for (int32_t i = 0; i < {state.n}; i++) "
            f"{{ put_number((({ctype} *)(void *)(machine_saved + {at}))[i]); }} "
        )
        at += size * state.n
    return f"""\
#include "grsn.h"
enum {{ N_STEPS = {len(codes)}, N_INPUTS = {source.n}, N_ACTIONS = {action.n} }};
static const uint32_t machine_image[{words.size}] = {{{", ".join(map(hex, words))}}};
static uint32_t machine_memory[{_memory(program)}];
static uint8_t machine_saved[{at}] __attribute__((aligned(4)));
#define RUN_CODE int32_t
#define RUN_ACTION int32_t
#define RUN_STATE grsn_model_t model
#define SCRATCH (machine_memory + model.state_size / 4)
#define RUN_RESET \\
    do {{ \\
        if (grsn_open(&model, machine_image, sizeof machine_image) != 0) {{ finish(); }} \\
        grsn_reset(&model, machine_memory); \\
    }} while (0)
#define RUN_STEP(code, action) grsn_step(&model, machine_memory, SCRATCH, code, action)
#define RUN_PUT_STATE \\
    do {{ grsn_state_get(&model, machine_memory, machine_saved); {puts}}} while (0)
static const int8_t codes[{codes.size}] = {{{", ".join(map(str, codes.ravel()))}}};
"""


def _memory(program: Program) -> int:
    """Words of state and scratch memory that the image of a program asks for."""
    placement = place(convert(lower(program)))
    return (placement.state_size + placement.scratch_size) // 4


def _build(folder: Path, target: Target, level: str) -> tuple[Path, list[Path]]:
    include = [f"-I{FIRMWARE / 'include'}", f"-I{FIRMWARE / 'src'}", f"-I{folder}"]
    freestanding = FIRMWARE / "ports" / "common" / "freestanding"
    flags = ["-std=c99", "-ffunction-sections", *include, "-idirafter", str(freestanding)]
    smallest = level == "smallest"
    sources, levels = ((RUNTIME,), SMALLEST) if smallest else (SOURCES, (f"-{level}",))
    objects = [folder / f"{source.stem}.o" for source in sources]
    for source, made in zip(sources, objects, strict=True):
        line = [*target.compiler, *levels, *flags, "-c", str(source), "-o", str(made)]
        measure._call(line, folder)
    harness = measure.HERE / "harness.c"
    plain = [*target.compiler, "-O1", *include, "-c", str(harness), "-o", "harness.o"]
    measure._call(plain, folder)
    script = (measure.HERE / "bare.ld").read_text()
    names = ("CODE_SIZE", "CODE", "RAM_SIZE", "RAM")
    for name, number in zip(names, measure._order(target), strict=True):
        script = measure.re.sub(rf"\b{name}\b", f"{number:#x}", script)
    (folder / "link.ld").write_text(script)
    files = ["harness.o", *map(str, objects), "-o", "run.elf", "-lgcc"]
    measure._call([*target.compiler, "-Wl,--gc-sections,-T,link.ld", *files], folder)
    return folder / "run.elf", objects


def _size(made: Path) -> int:
    """Bytes of code and constants."""
    from elftools.elf.elffile import ELFFile

    with made.open("rb") as file:
        return sum(
            section["sh_size"]
            for section in ELFFile(file).iter_sections()
            if section.name.startswith((".text", ".rodata"))
        )


if __name__ == "__main__":
    sys.exit(main())
