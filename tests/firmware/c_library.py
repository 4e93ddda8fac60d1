"""Compiles C of ``firmware/`` for a test and loads it."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest

from grsn_edge.backends._c import compiler
from grsn_edge.errors import BackendUnavailable

ROOT = Path(__file__).parents[2]
FIRMWARE = ROOT / "firmware"
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wsign-conversion")


def c_compiler() -> tuple[str, ...]:
    """The command of a C compiler; skips the test where there is none."""
    try:
        return compiler.compiler()
    except BackendUnavailable as error:
        pytest.skip(str(error))


def build(
    folder: Path, name: str, *sources: Path, flags: tuple[str, ...] = (), optimise: str = "-O2"
) -> ctypes.CDLL:
    """A shared library of ``sources``; skips the test where there is no C compiler."""
    command = c_compiler()
    target = folder / f"{name}.so"
    include = (f"-I{FIRMWARE / 'include'}", f"-I{FIRMWARE / 'src'}")
    line = [*command, *STRICT, optimise, "-fPIC", "-shared", *include, *flags]
    line += [str(source) for source in sources] + ["-o", str(target)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(target))
