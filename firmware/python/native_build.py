"""Compiles the extension ``grsn_edge._native``, for this machine or, with ziglang, for another.

    python firmware/python/native_build.py            # into grsn_edge/ of this checkout

``hatch_build.py`` calls it when the package is installed or built, ``tools/build_wheels.py`` for
every platform.  Needs a C compiler ($CC, or the first of cc, gcc, clang, ziglang's) and Python's
headers; uses the standard library only, because it runs before anything is installed.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["HOST", "TARGETS", "NotBuilt", "Target", "build", "note_of", "place"]

ROOT = Path(__file__).resolve().parents[2]
OWN = ROOT / "firmware" / "python"
INCLUDE = ROOT / "firmware" / "include"
SOURCE = ROOT / "firmware" / "src"

MACHINE = (
    "grsn_codec.c",
    "grsn_crc.c",
    "grsn_image.c",
    "grsn_proof.c",
    "grsn_strerror.c",
    "grsn_supervisor.c",
    "grsn_vm.c",
)
"""The virtual machine and the supervisor, in firmware/src."""

STEP = "grsn_vm.c"
"""The part of it that is compiled again for processors with AVX2, and what it defines."""

STEP_NAMES = ("grsn_step", "grsn_reset", "grsn_state_get", "grsn_state_set", "grsn_selftest")

FLAGS = (
    "-std=c99",
    "-O3",
    "-fPIC",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-fno-strict-aliasing",  # CPython's own flag: its headers cast between object structures
    "-DNDEBUG",
)
AVX2 = ("-mavx2", "-mbmi", "-mbmi2", "-mlzcnt", "-mpopcnt")
"""What x86-64-v3 adds that a step can use; lowering.c asks for the same before it calls it."""
_DECLARED = re.compile(r"PyAPI_(FUNC|DATA)\([^)]*\)\s*\(?(\w+)")


class NotBuilt(Exception):
    """The extension cannot be compiled here; the text says why and what to do."""


@dataclass(frozen=True)
class Target:
    """What to compile for.

    Args:
        triple: of ``zig cc -target``, or None for this machine with this machine's compiler.
        tag: platform tag of a wheel.
        python: the interpreter tag, the oldest CPython that it runs on.
    """

    triple: str | None
    tag: str
    python: str = "cp310"

    @property
    def system(self) -> str:
        """``linux``, ``macos``, ``windows`` or what Python calls this system."""
        if self.triple is None:
            return {"Darwin": "macos"}.get(platform.system(), platform.system().lower())
        return self.triple.split("-")[1].split(".")[0]

    @property
    def is_x86_64(self) -> bool:
        """Whether AVX2 may be there."""
        machine = platform.machine() if self.triple is None else self.triple.split("-")[0]
        return machine.lower() in ("x86_64", "amd64") and sys.maxsize > 2**32

    @property
    def file(self) -> str:
        """The extension's file name in ``grsn_edge/``."""
        return "_native.pyd" if self.system == "windows" else "_native.abi3.so"

    @property
    def wheel_tag(self) -> str:
        """``cp310-abi3-…``."""
        return f"{self.python}-abi3-{self.tag}"


HOST = Target(None, sysconfig.get_platform().replace("-", "_").replace(".", "_"))
"""This machine."""

TARGETS = {
    target.tag: target
    for target in (
        Target("x86_64-linux-gnu.2.17", "manylinux_2_17_x86_64.manylinux2014_x86_64"),
        Target("aarch64-linux-gnu.2.17", "manylinux_2_17_aarch64.manylinux2014_aarch64"),
        Target("x86_64-macos.11.0", "macosx_11_0_x86_64"),
        Target("aarch64-macos.11.0", "macosx_11_0_arm64"),
        Target("x86_64-windows-gnu", "win_amd64", "cp311"),
        Target("aarch64-windows-gnu", "win_arm64", "cp311"),
    )
}
"""What wheels are built for, by platform tag; manylinux's number is glibc's in the triple."""


def note_of(folder: Path) -> Path:
    """Where the package says why it has no extension; ``native_backend.py`` reads it."""
    return folder / "_native.txt"


def build(target: Target, out: Path) -> Path:
    """Compile into the folder ``out``; the extension's path.

    Raises:
        NotBuilt: no compiler, no headers, an interpreter without the limited API, or an error of
            the compiler, quoted.
    """
    _check_interpreter()
    with tempfile.TemporaryDirectory(prefix="grsn-native-") as scratch:
        work = Path(scratch)
        cc = _compiler(target)
        with _python_headers(target, work) as headers:
            flags = [*FLAGS, *_native_api(target), f"-I{INCLUDE}", f"-I{OWN}", f"-I{headers}"]
            flags.append(f"-ffile-prefix-map={ROOT}=.")
            objects = [
                _compile(cc, [*flags, *more], source, work / f"{name}.o")
                for name, source, more in _units(target)
            ]
        result = work / target.file
        _run([*cc, *_link(target, work), *map(str, objects), "-o", str(result)])
        out.mkdir(parents=True, exist_ok=True)
        return _replace(result, out / target.file)


def place(folder: Path, target: Target = HOST) -> str | None:
    """Build into the package's own folder: None, or why that is not possible (also noted there)."""
    note = note_of(folder)
    try:
        build(target, folder)
    except NotBuilt as error:
        note.write_text(f"{error}\n", encoding="utf-8")
        return str(error)
    note.unlink(missing_ok=True)
    return None


def _units(target: Target) -> Iterator[tuple[str, Path, tuple[str, ...]]]:
    """Name, source and further flags of every object file."""
    for name in MACHINE:
        yield name, SOURCE / name, ()
    for path in sorted(OWN.glob("*.c")):
        yield path.name, path, ("-DGRSN_NATIVE_AVX2",) if target.is_x86_64 else ()
    if target.is_x86_64:
        renamed = (f"-D{name}={name}_avx2" for name in STEP_NAMES)
        yield f"avx2-{STEP}", SOURCE / STEP, (*AVX2, *renamed)


def _check_interpreter() -> None:
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise NotBuilt("the extension needs CPython with its global lock; this is another Python")


def _compiler(target: Target) -> list[str]:
    if target.triple is not None:
        return [sys.executable, "-m", "ziglang", "cc", "-target", target.triple]
    if os.environ.get("CC"):
        return shlex.split(os.environ["CC"])
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    if shutil.which("python-zig"):  # ziglang of an environment around an isolated build
        return ["python-zig", "cc"]
    raise NotBuilt("no C compiler was found; install gcc or clang, set CC, or pip install ziglang")


@contextmanager
def _python_headers(target: Target, work: Path) -> Iterator[Path]:
    """Python's headers; for another machine with a configuration that asks the compiler."""
    found = Path(sysconfig.get_path("include"))
    if not (found / "Python.h").is_file():
        raise NotBuilt(
            f"Python's headers are not in {found}; install them (Debian: python3-dev, Fedora: "
            "python3-devel)"
        )
    if target.triple is None:
        yield found
        return
    copy = work / "include"
    shutil.copytree(found, copy)
    shutil.copy(OWN / "cross" / "pyconfig.h", copy / "pyconfig.h")
    yield copy


def _native_api(target: Target) -> list[str]:
    return ["-DPy_LIMITED_API=0x030B0000"] if target.python == "cp311" else []


def _link(target: Target, work: Path) -> list[str]:
    if target.system == "windows":
        return ["-shared", "-s", *_python3_library(target, work)]
    if target.system == "macos":
        return ["-shared", "-undefined", "dynamic_lookup", "-Wl,-S", "-Wl,-x"]
    return ["-shared", "-s", "-Wl,--build-id=none"]


def _python3_library(target: Target, work: Path) -> list[str]:
    """The import library of python3.dll: of this Python, or made from the names in its headers.

    It may name more than the library has: Py_LIMITED_API keeps what is called to what is there.
    """
    if target.triple is None:
        return [str(Path(sys.base_prefix) / "libs" / "python3.lib")]
    names: dict[str, str] = {}
    for header in sorted((work / "include").glob("*.h")):
        for kind, name in _DECLARED.findall(header.read_text(encoding="utf-8", errors="replace")):
            names[name] = f"{name} DATA" if kind == "DATA" else name
    definition, library = work / "python3.def", work / "python3.lib"
    text = "\n".join(["LIBRARY python3.dll", "EXPORTS", *sorted(names.values()), ""])
    definition.write_text(text, encoding="utf-8")
    machine = {"x86_64": "i386:x86-64", "aarch64": "arm64"}[target.triple.split("-")[0]]
    line = [sys.executable, "-m", "ziglang", "dlltool", "-m", machine, "-D", "python3.dll"]
    _run([*line, "-d", str(definition), "-l", str(library)])
    return [str(library)]


def _compile(cc: list[str], flags: list[str], source: Path, target: Path) -> Path:
    _run([*cc, *flags, "-c", str(source), "-o", str(target)])
    return target


def _run(line: list[str]) -> None:
    try:
        done = subprocess.run(line, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise NotBuilt(f"the C compiler '{line[0]}' does not run ({error})") from None
    if done.returncode:
        raise NotBuilt(f"{shlex.join(line)} failed:\n{done.stderr.strip()}")


def _replace(fresh: Path, target: Path) -> Path:
    """Beside and renamed: a process that has the old file loaded keeps it."""
    beside = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        shutil.copy(fresh, beside)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    return target


if __name__ == "__main__":
    raise SystemExit(place(ROOT / "grsn_edge"))
