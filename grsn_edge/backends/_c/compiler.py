"""From C source to a shared library: finds a compiler, compiles once, keeps the result."""

from __future__ import annotations

import atexit
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
from contextlib import suppress
from functools import cache
from pathlib import Path

from grsn_edge.errors import BackendUnavailable, CompileError

__all__ = ["cache_folder", "compiler", "header_texts", "headers", "load", "why_not"]

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
_HEADERS = ("grsn_primitives.h", "grsn_kernels.h", "grsn_lanes.h")
_ADVICE = "install gcc or clang, set CC, or install grsn-edge[cc]"


def headers() -> Path:
    """The folder of the C headers: of the installed package, or of the checkout."""
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "_firmware" / "include", package.parent / "firmware" / "include"):
        if (folder / _HEADERS[0]).is_file():
            return folder
    raise BackendUnavailable("the C headers of grsn-edge are missing; install the package again")


def header_texts() -> Mapping[str, str]:
    """Every header that generated C includes, by name: those of ``headers()``, and the kernels.

    A header of ``kernels/`` is included by a path from ``headers()``, and has a name of its own.
    """
    return _texts(headers())


@cache
def _texts(folder: Path) -> Mapping[str, str]:
    files = [folder / name for name in _HEADERS]
    files += sorted((folder.parent / "kernels").glob("*/*.h"))
    return {file.name: file.read_text(encoding="utf-8") for file in files}


@cache
def compiler() -> tuple[str, ...]:
    """The command of a working C compiler: $CC, or the first of cc, gcc, clang, ziglang's.

    Raises:
        BackendUnavailable: there is none; the text says what to install.
    """
    if os.environ.get("CC"):
        return tuple(shlex.split(os.environ["CC"]))
    commands: list[tuple[str, ...]] = [
        (name,) for name in ("cc", "gcc", "clang") if shutil.which(name)
    ]
    if importlib.util.find_spec("ziglang"):
        commands.append((sys.executable, "-m", "ziglang", "cc"))
    for command in commands:
        with suppress(BackendUnavailable):
            _identity(command)
            return command
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
    """Where compiled policies are kept: $GRSN_EDGE_CACHE, or the user's cache folder.

    A user without a home gets a folder that ends with the process.
    """
    chosen = os.environ.get("GRSN_EDGE_CACHE")
    if chosen:
        return Path(chosen)
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if base.is_absolute():
        return base / "grsn-edge"
    try:
        return Path.home() / ".cache" / "grsn-edge"
    except RuntimeError:
        return _private_folder()


def load(sources: Mapping[str, str]) -> ctypes.PyDLL:
    """Compile ``sources`` (text by file name) into one library and load it.

    The library is kept in a folder named after the sources, the compiler and the processor, under
    the digest of its own bytes: a damaged one is never loaded, but compiled again.

    Raises:
        BackendUnavailable: there is no compiler, or no folder to load libraries from.
        CompileError: it refused; the text holds its output.
    """
    command = compiler()
    flags = (*FLAGS, *_native_flags(command))
    key = hashlib.sha256()
    for part in (*command, _identity(command), *flags, _processor()):
        key.update(part.encode() + b"\0")
    for name, text in sorted({**header_texts(), **sources}.items()):
        key.update(f"{name}\0{text}\0".encode())
    folder = cache_folder() / f"policy-{key.hexdigest()[:32]}"
    kept = _kept(folder)
    if kept is not None:
        with suppress(OSError):
            return ctypes.PyDLL(str(kept))
    library = _build(command, flags, sources)
    with suppress(OSError):  # the cache may be on a file system that forbids executing
        return ctypes.PyDLL(str(_keep(library, folder)))
    try:
        return ctypes.PyDLL(str(_put(library, _private_folder())))
    except OSError as error:
        raise BackendUnavailable(
            f"the compiled policy cannot be loaded ({error}); set GRSN_EDGE_CACHE to a folder "
            "where files may be executed"
        ) from None


def _build(command: tuple[str, ...], flags: tuple[str, ...], sources: Mapping[str, str]) -> bytes:
    """The bytes of the library."""
    with tempfile.TemporaryDirectory(prefix="grsn-edge-") as scratch:
        for file, text in sources.items():
            (Path(scratch) / file).write_text(text, encoding="utf-8")
        files = sorted(file for file in sources if file.endswith(".c"))
        line = [*command, *flags, f"-I{headers()}", *files, "-o", "policy.so", "-lm"]
        done = subprocess.run(
            line, cwd=scratch, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode:
            raise CompileError(f"{shlex.join(command)} refused the generated C:\n{done.stderr}")
        return (Path(scratch) / "policy.so").read_bytes()


def _kept(folder: Path) -> Path | None:
    """The library in ``folder`` whose bytes are still those that were written, if any."""
    with suppress(OSError):
        for path in sorted(folder.glob("*.so")):
            if path.stem == _digest(path.read_bytes()):
                return path
    return None


def _keep(library: bytes, folder: Path) -> Path:
    """Write a library where it is found again; where that fails, for this process alone."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _put(library, folder)
    except OSError:
        return _put(library, _private_folder())


def _put(library: bytes, folder: Path) -> Path:
    """Written beside and renamed: other processes see all of it or nothing."""
    target = folder / f"{_digest(library)}.so"
    descriptor, fresh = tempfile.mkstemp(dir=folder)
    try:
        with open(descriptor, "wb") as file:
            file.write(library)
        os.chmod(fresh, 0o755)
        os.replace(fresh, target)
    finally:
        with suppress(OSError):
            os.unlink(fresh)
    return target


def _digest(library: bytes) -> str:
    return hashlib.sha256(library).hexdigest()[:32]


@cache
def _private_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="grsn-edge-cache-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


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
