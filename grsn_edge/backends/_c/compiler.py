"""From C source to a shared library: finds a compiler, compiles once, keeps the result."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from grsn_edge.errors import BackendUnavailable, CompileError

__all__ = ["cache_folder", "compiler", "headers", "load", "why_not"]

FLAGS = (
    "-std=c99",
    "-O2",
    "-ftree-vectorize",  # gcc's -O3 would jam the loop over columns and lose its vectors
    "-fPIC",
    "-shared",
    "-ffp-contract=off",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wsign-conversion",
    "-Werror",
)
_HEADERS = ("grsn_primitives.h", "grsn_kernels.h")
_ADVICE = "install gcc or clang, set CC, or install grsn-edge[cc]"


def headers() -> Path:
    """The folder of the C headers: of the installed package, or of the checkout."""
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "_firmware" / "include", package.parent / "firmware" / "include"):
        if (folder / _HEADERS[0]).is_file():
            return folder
    raise BackendUnavailable("the C headers of grsn-edge are missing; install the package again")


@cache
def compiler() -> tuple[str, ...]:
    """The command of a working C compiler: $CC, cc, gcc, clang, or ziglang's.

    Raises:
        BackendUnavailable: there is none; the text says what to install.
    """
    if os.environ.get("CC"):
        return tuple(shlex.split(os.environ["CC"]))
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return (name,)
    if importlib.util.find_spec("ziglang"):
        return (sys.executable, "-m", "ziglang", "cc")
    raise BackendUnavailable(f"no C compiler found; {_ADVICE}")


def why_not() -> str | None:
    """Why nothing can be compiled here, or None where it can."""
    try:
        _identity(compiler())
        headers()
    except BackendUnavailable as error:
        return str(error)
    return None


def cache_folder() -> Path:
    """Where compiled policies are kept: $GRSN_EDGE_CACHE, or the user's cache folder."""
    chosen = os.environ.get("GRSN_EDGE_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "grsn-edge"


def load(sources: Mapping[str, str]) -> ctypes.PyDLL:
    """Compile ``sources`` (text by file name) into one library and load it.

    The library is kept under a name that holds the sources, the compiler and the processor; a
    kept one that does not load is compiled again.

    Raises:
        BackendUnavailable: there is no compiler.
        CompileError: it refused; the text holds its output.
    """
    command = compiler()
    flags = (*FLAGS, *_native_flags(command))
    texts = {name: (headers() / name).read_text(encoding="utf-8") for name in _HEADERS}
    key = hashlib.sha256()
    for part in (*command, _identity(command), *flags, _processor()):
        key.update(part.encode() + b"\0")
    for name, text in sorted({**texts, **sources}.items()):
        key.update(f"{name}\0{text}\0".encode())
    name = f"policy-{key.hexdigest()[:32]}.so"
    folder = cache_folder()
    try:
        return ctypes.PyDLL(str(folder / name))
    except OSError:
        built = _build(command, flags, sources, folder, name)
    return ctypes.PyDLL(str(built))


def _build(
    command: tuple[str, ...],
    flags: tuple[str, ...],
    sources: Mapping[str, str],
    folder: Path,
    name: str,
) -> Path:
    with tempfile.TemporaryDirectory(prefix="grsn-edge-") as scratch:
        for file, text in sources.items():
            (Path(scratch) / file).write_text(text, encoding="utf-8")
        files = sorted(file for file in sources if file.endswith(".c"))
        target = Path(scratch) / name
        line = [*command, *flags, f"-I{headers()}", *files, "-o", str(target), "-lm"]
        done = subprocess.run(line, cwd=scratch, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CompileError(f"{shlex.join(command)} refused the generated C:\n{done.stderr}")
        return _keep(target, folder, name)


def _keep(target: Path, folder: Path, name: str) -> Path:
    """Move a library to the cache in one step; where that fails, to a folder of this process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            fresh = Path(file.name)
        shutil.copyfile(target, fresh)
        fresh.chmod(0o755)
        fresh.replace(folder / name)
        return folder / name
    except OSError:
        private = Path(tempfile.mkdtemp(prefix="grsn-edge-cache-")) / name
        shutil.copyfile(target, private)
        return private


@cache
def _identity(command: tuple[str, ...]) -> str:
    """What the compiler says it is; proves that it can be called."""
    try:
        done = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, check=True, timeout=120
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise BackendUnavailable(
            f"the C compiler '{shlex.join(command)}' does not run ({error}); {_ADVICE}"
        ) from None
    return done.stdout


@cache
def _native_flags(command: tuple[str, ...]) -> tuple[str, ...]:
    """``-march=native``, where the compiler knows it."""
    with tempfile.TemporaryDirectory(prefix="grsn-edge-") as scratch:
        target = str(Path(scratch) / "empty.o")
        line = [*command, "-march=native", "-Werror", "-c", "-x", "c", os.devnull, "-o", target]
        done = subprocess.run(line, capture_output=True, check=False)
        return ("-march=native",) if done.returncode == 0 else ()


@cache
def _processor() -> str:
    """The processor's features, so that a shared cache never holds another's code."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        features = platform.processor()
    return f"{platform.system()} {platform.machine()} {features}"
