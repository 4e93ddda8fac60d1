"""``doctor``: what is installed, which backends work, and why others do not."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from grsn_edge.backends import backend, backend_names
from grsn_edge.backends._c.compiler import cache_folder, compiler, why_not
from grsn_edge.cli.result import Result, columns
from grsn_edge.conformance import compare, random_program
from grsn_edge.device.emulate import emulatable, missing
from grsn_edge.errors import GrsnEdgeError

SUMMARY = "say what is installed and which backends work here, with a self-check"
EXAMPLE = "grsn-edge doctor"

_PACKAGES: tuple[str, ...] = (
    "grsn-edge",
    "numpy",
    "safetensors",
    "torch",
    "gymnasium",
    "onnx",
    "onnxruntime",
    "matplotlib",
    "jinja2",
    "rich",
    "tensorboard",
    "ziglang",
    "unicorn",
    "pyelftools",
    "pyserial",
    "scipy",
    "mujoco",
    "box2d",
)

_TOOLS: tuple[str, ...] = (
    "qemu-system-arm",
    "qemu-system-riscv32",
    "simavr",
    "arm-none-eabi-gcc",
    "riscv64-unknown-elf-gcc",
    "avr-gcc",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(args: argparse.Namespace) -> Result:
    """Look, and run every usable backend against the reference."""
    backends = {name: _state_of(name) for name in backend_names()}
    usable = [name for name, state in backends.items() if state["reason"] is None]
    check = _self_check(usable)
    boards = {name: missing(name) for name in emulatable()}
    data: dict[str, Any] = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "compiler": None if why_not() else " ".join(compiler()),
        "cache": str(cache_folder()),
        "backends": backends,
        "boards": boards,
        "tools": {name: shutil.which(name) for name in _TOOLS},
        "self_check": check,
    }
    rows = [("machine", data["machine"]), ("python", data["python"])]
    rows += [(name, found or "not installed") for name, found in data["packages"].items()]
    rows += [("C compiler", data["compiler"] or why_not()), ("cache", data["cache"])]
    rows += [
        (f"backend {name}", f"usable: {s['summary']}" if s["reason"] is None else s["reason"])
        for name, s in backends.items()
    ]
    rows += [
        (name, found or "not installed: tools/setup_emulators.sh")
        for name, found in data["tools"].items()
    ]
    rows += [
        (f"emulated board {name}", "ready" if reason is None else reason)
        for name, reason in boards.items()
    ]
    return Result(data, columns([*rows, ("self-check", check["text"])]), 0 if check["ok"] else 1)


def _state_of(name: str) -> dict[str, Any]:
    found = backend(name)
    return {"summary": found.summary, "reason": found.unavailable()}


def _self_check(usable: list[str]) -> dict[str, Any]:
    names = ["numpy", *(name for name in usable if name != "numpy")]
    try:
        report = compare(random_program(0, "grsn").program, names, steps=2048)
    except GrsnEdgeError as error:
        return {"ok": False, "text": str(error)}
    if report.difference:
        return {"ok": False, "text": str(report.difference)}
    return {"ok": True, "text": f"{report.steps} random steps on {', '.join(names)}: all equal"}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
