#!/usr/bin/env python3
"""Every emulated board, over its link, beside the NumPy reference: one hash for all.

    python tools/boards.py                  all boards, emulators, engines, compilers: minutes
    python tools/boards.py --short          pip-installed parts alone, few steps: under a minute
    python tools/boards.py --only compilers, or episodes, or processors
    python tools/boards.py --out docs/boards.md   write the tables between the page's marks

Episodes are played in gymnasium *through* the board; every return must equal the reference's, and
the hash of all actions must be its hash.  Then builds by both compilers at four levels of
optimisation, then other processors under qemu-user, one of them big-endian.  Exits with 1 where
anything differs.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from grsn_edge.cli.result import columns
from grsn_edge.device import Device
from grsn_edge.device.boards import Board, board
from grsn_edge.device.build import Sizes, firmware, sizes, toolchains, why_not
from grsn_edge.device.emulate import emulatable, emulate, emulator_missing
from grsn_edge.device.linux_board import build_device
from grsn_edge.device.played import Game, compared, played, reference
from grsn_edge.errors import GrsnEdgeError
from grsn_edge.policy import Policy, load
from grsn_edge.tasks import task

MODELS = Path(__file__).resolve().parents[1] / "models"
POLICIES = ("cartpole-p", "cartpole-v", "pendulum-p")
SECTIONS = ("episodes", "compilers", "processors")
FIRST_SEED = 1000
COMMANDS = (
    "qemu-system-arm", "arm-none-eabi-gcc", "riscv64-unknown-elf-gcc", "xtensa-lx106-elf-gcc",
    "avr-gcc",
)  # fmt: skip
LEVELS = ("-O0", "-Os", "-O2", "-O3")
PROCESSORS = {  # zig's target, Debian's cross compiler where it is installed, the emulator
    "armhf": ("arm-linux-musleabihf", "arm-linux-gnueabihf-gcc", "qemu-arm"),
    "aarch64": ("aarch64-linux-musl", "aarch64-linux-gnu-gcc", "qemu-aarch64"),
    "riscv64": ("riscv64-linux-musl", "riscv64-linux-gnu-gcc", "qemu-riscv64"),
    "mips, big-endian": ("mips-linux-musleabihf", "mips-linux-gnu-gcc", "qemu-mips"),
    "s390x, big-endian": ("s390x-linux-musl", "s390x-linux-gnu-gcc", "qemu-s390x"),
}


@dataclass(frozen=True)
class Row:
    """One board with one policy: what is printed, and whether it is right."""

    cells: tuple[str, ...]
    equal: bool


HEAD = (
    "board", "processor", "emulator", "engine", "actions", "mean", "worst", "counted",
    "flash", "RAM", "stack used", "policy",
)  # fmt: skip


def rows_of(
    policy: Policy, wanted: Game, episodes: int, short: bool, kinds: Sequence[str]
) -> Iterator[Row]:
    """Every board that can be emulated here, on each of these emulators, with every engine."""
    for name in emulatable():
        chosen = board(name)
        for kind in (kind for kind in chosen.emulators if kind in kinds):
            if emulator_missing(chosen, kind):
                continue
            both = chosen.emulated_engine == "vm" and not short
            for engine in ("vm", "generated") if both else (chosen.emulated_engine,):
                yield row_of(chosen, kind, engine, policy, wanted, episodes)


def row_of(
    chosen: Board, kind: str, engine: str, policy: Policy, wanted: Game, episodes: int
) -> Row:
    """Play there, and compare."""
    try:
        game, held, stack, size, counter = play(chosen, kind, engine, policy, episodes)
    except GrsnEdgeError as error:
        return Row((chosen.name, chosen.cpu, kind, engine, f"FAILED: {error}", *[""] * 7), False)
    equal = game.episodes == wanted.episodes and game.digest == wanted.digest
    cells = (
        chosen.name,
        chosen.cpu,
        kind,
        engine,
        game.digest + ("" if equal else " DIFFERS"),
        f"{game.counts_mean:,.0f}" if game.counts_most else "-",
        f"{game.counts_most:,}" if game.counts_most else "-",
        counter.split()[0] if game.counts_most else "no counter",
        f"{held.flash:,}",
        f"{held.ram:,}",
        f"{stack:,}" if stack is not None else "",
        f"{size:,}" if size else "in flash",
    )
    return Row(cells, equal)


def play(
    chosen: Board, kind: str, engine: str, policy: Policy, episodes: int
) -> tuple[Game, Sizes, int | None, int, str]:
    """The episodes; sizes of the firmware; stack used; bytes of the image; what was counted."""
    compiled_in = policy if engine == "generated" else None
    with (
        emulate(chosen.name, kind, policy=compiled_in) as emulated,
        Device.open(emulated.address, timeout=20.0) as device,
    ):
        size = 0 if compiled_in else device.load(policy).size
        game = played(device, policy, task(policy.provenance["task"]), episodes, FIRST_SEED)
        stack = emulated.machine.stack_used()
        return game, sizes(emulated.elf), stack, size, emulated.machine.counter


def builds(policy: Policy, steps: int, short: bool) -> Iterator[Row]:
    """One board per instruction set, by every compiler that is here, at every level."""
    for name in ("m4",) if short else ("m0", "m4", "rv32", "xtensa"):
        for tool in toolchains(board(name)):
            if why_not(board(name), tool):
                continue
            for level in ("-Os", "-O3") if short else LEVELS:
                elf = firmware(name, tool, level)
                with emulate(name, elf=elf) as emulated, Device.open(emulated.address) as device:
                    device.load(policy)
                    report = compared(device, policy, steps)
                cells = (name, tool, level, report.difference or report.digest)
                yield Row(cells, report.difference is None)


def processors(policy: Policy, steps: int) -> Iterator[Row]:
    """The firmware as a process of another processor, under qemu-user."""
    zig = [sys.executable, "-m", "ziglang", "cc", "-fno-sanitize=all", "-Wno-pass-failed"]
    for name, (target, gcc, emulator) in PROCESSORS.items():
        found = shutil.which(emulator) or shutil.which(f"{emulator}-static")
        if found is None:
            continue
        command = [gcc] if shutil.which(gcc) else [*zig, "-target", target]
        program = build_device(command=[*command, "-static"], flags=["-Wno-error"])
        with Device.open(f"exec:{found} {program}", timeout=20.0) as device:
            device.load(policy)
            selftest = device.self_test()
            report = compared(device, policy, steps)
        right = report.difference is None and selftest == -1
        made = gcc if command == [gcc] else f"zig {target}"
        cells = (name, made, "repeated" if selftest == -1 else f"differs at {selftest}")
        yield Row((*cells, report.difference or report.digest), right)


def versions() -> str:
    """What made the numbers."""
    parts = [f"Python {platform.python_version()}", f"grsn-edge {found_version('grsn-edge')}"]
    parts += [f"{name} {found_version(name)}" for name in ("ziglang", "unicorn", "gymnasium")]
    for command in COMMANDS:
        if shutil.which(command):
            said = subprocess.run([command, "--version"], capture_output=True, text=True)
            parts.append(said.stdout.splitlines()[0].strip())
    return "; ".join(parts)


def found_version(package: str) -> str:
    """Of an installed package, or a dash."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"


class Report:
    """Prints tables as they are made, and keeps them for the page, a section each."""

    def __init__(self) -> None:
        self.sections: dict[str, list[str]] = {}
        self.lines: list[str] = []
        self.wrong = 0

    def section(self, name: str) -> None:
        """What follows belongs there."""
        self.lines = self.sections[name] = []

    def text(self, line: str) -> None:
        """A line on both."""
        print(line, flush=True)
        self.lines += [line, ""]

    def table(self, head: tuple[str, ...], rows: Iterator[Row]) -> None:
        """Aligned on the terminal, as Markdown on the page."""
        kept = [head]
        for row in rows:
            kept.append(row.cells)
            self.wrong += not row.equal
            print("  ".join(row.cells), file=sys.stderr, flush=True)
        print(columns(kept), flush=True)
        bars = ["| " + " | ".join(cells) + " |" for cells in kept]
        self.lines += [bars[0], "|" + "---|" * len(head), *bars[1:], ""]


def episodes_section(report: Report, args: argparse.Namespace) -> None:
    """One table for each policy."""
    kinds = ["unicorn"] if args.short else args.emulators
    for name in POLICIES[: 1 if args.short else None]:
        episodes = 1 if args.short else args.episodes
        policy = load(MODELS / f"{name}.grsn")
        wanted = reference(policy, task(name), episodes, FIRST_SEED)
        returns = ", ".join(f"{e.ret:.1f}" for e in wanted.episodes)
        report.text(f"### `{name}`: the reference has {wanted.digest}, returns {returns}")
        report.table(HEAD, rows_of(policy, wanted, episodes, args.short, kinds))


def compilers_section(report: Report, args: argparse.Namespace) -> None:
    """One table."""
    steps = 200 if args.short else 1000
    policy = load(MODELS / f"{POLICIES[0]}.grsn")
    report.text(f"### Compilers: `{POLICIES[0]}`, {steps} steps beside the reference")
    report.table(("board", "compiler", "level", "actions"), builds(policy, steps, args.short))


def processors_section(report: Report, args: argparse.Namespace) -> None:
    """One table."""
    policy = load(MODELS / f"{POLICIES[0]}.grsn")
    report.text(f"### Processors under qemu-user: `{POLICIES[0]}`, 1000 steps beside the reference")
    head = ("processor", "compiler", "golden vectors", "actions")
    report.table(head, processors(policy, 1000))


def main() -> int:
    """Parse, run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="boards that pip alone brings")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, metavar="SECTION")
    parser.add_argument("--episodes", type=int, default=5, help="of each policy (default 5)")
    parser.add_argument("--emulators", nargs="+", default=["unicorn", "qemu", "simavr"])
    parser.add_argument("--out", type=Path, help="Markdown page to write the tables into")
    args = parser.parse_args()
    begun, report = time.time(), Report()
    parts = (episodes_section, compilers_section, processors_section)
    for name, part in zip(SECTIONS, parts, strict=True):
        if name in args.only and not (args.short and name == "processors"):
            report.section(name)
            part(report, args)
            report.text(f"{versions()}; {time.time() - begun:.0f} s on {platform.machine()}.")
    if args.out:
        write(args.out, report.sections)
    print("all equal" if not report.wrong else f"{report.wrong} DIFFER", flush=True)
    return 1 if report.wrong else 0


def write(page: Path, sections: Mapping[str, list[str]]) -> None:
    """Replace what is between the marks of each section."""
    text = page.read_text(encoding="utf-8")
    for name, lines in sections.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        body = "\n".join(lines)
        text = f"{before}{begin}\n\n{body}\n{end}{after}"
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except GrsnEdgeError as error:
        sys.exit(f"boards: {error}")
