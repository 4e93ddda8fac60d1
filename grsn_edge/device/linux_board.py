"""``grsn-device``: the firmware as a process of this machine, for a Raspberry Pi and for tests."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from grsn_edge.backends._c.compiler import cache_folder, compiler
from grsn_edge.backends._c.exporter import export
from grsn_edge.device.boards import firmware_folder
from grsn_edge.device.engine_source import REPLACED, engine_source
from grsn_edge.errors import CompileError
from grsn_edge.policy import Policy

__all__ = ["build_device", "build_sources"]

_WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Werror")
_FLAGS = ("-std=c99", "-O2", "-g", *_WARNINGS)
_NOT_HERE = ("grsn_main.c", "grsn_no_image.c", "grsn_codec.c")
_OF_IMAGES = ("grsn_vm.c", "grsn_image.c", "grsn_proof.c", "grsn_store.c")


def build_device(
    policy: Policy | None = None,
    flags: Sequence[str] = (),
    defines: Sequence[str] = (),
    command: Sequence[str] | None = None,
) -> Path:
    """Build ``grsn-device``, or take what an earlier call built from the same sources.

    Args:
        policy: compile this policy in, instead of the virtual machine.
        flags: more flags of the compiler, such as a sanitiser's.
        command: another compiler than this machine's, for another processor.
        defines: macros of ``grsn_app.h``, such as ``GRSN_LINK_PAYLOAD=64``.

    Raises:
        BackendUnavailable: there is no C compiler; the text says what to install.
        CompileError: it refused; the text holds its output.
    """
    sources = build_sources(policy)
    macros = [f"-D{define}" for define in (*defines, *(["GRSN_APP_STORE=0"] if policy else []))]
    line = [*(command or compiler()), *_FLAGS, *flags, *macros]
    line.append(f"-I{firmware_folder() / 'include'}")
    line.append(f"-I{firmware_folder() / 'src'}")
    target = cache_folder() / "firmware" / f"grsn-device-{_key(line, sources)}"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        _build(line, sources, target)
    return target


def build_sources(policy: Policy | None = None) -> dict[str, bytes]:
    """Every C file and header of its own that ``grsn-device`` is made of, by name."""
    folder = firmware_folder()
    left_out = (*_NOT_HERE, *((*REPLACED, *_OF_IMAGES) if policy else ()))
    files = [path for path in (folder / "src").glob("*.c") if path.name not in left_out]
    files += (folder / "ports" / "linux").glob("*.[ch]")
    sources = {path.name: path.read_bytes() for path in sorted(files)}
    if policy is not None:
        exported = export(policy, with_encoder=False)
        parts = (name for name in exported if name.endswith((".c", ".h")) and name != "main.c")
        sources |= {name: exported[name] for name in parts}
        sources["policy_engine.c"] = engine_source(policy).encode()
    return sources


def _key(line: Sequence[str], sources: dict[str, bytes]) -> str:
    folder = firmware_folder()
    key = hashlib.sha256(shlex.join(line).encode())
    headers = {path.name: path.read_bytes() for path in folder.glob("*/*.h")}
    for name, content in sorted({**headers, **sources}.items()):
        key.update(f"\0{name}\0".encode() + content)
    return key.hexdigest()[:24]


def _build(line: Sequence[str], sources: dict[str, bytes], target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="grsn-edge-") as scratch:
        for name, content in sources.items():
            (Path(scratch) / name).write_bytes(content)
        files = [name for name in sources if name.endswith(".c")]
        done = subprocess.run(
            [*line, "-I.", *files, "-o", "grsn-device"],
            cwd=scratch,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise CompileError(f"{shlex.join(line[:2])} refused the firmware:\n{done.stderr}")
        fresh = target.with_suffix(f".{os.getpid()}")
        fresh.write_bytes((Path(scratch) / "grsn-device").read_bytes())
        fresh.chmod(0o755)
        os.replace(fresh, target)
