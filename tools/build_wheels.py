#!/usr/bin/env python3
"""Wheels for every platform, from this machine.

    python tools/build_wheels.py                       # all, into dist/
    python tools/build_wheels.py --only x86_64 aarch64

Needs hatchling and ziglang (``pip install hatchling ziglang``), which is the compiler for all of
them.  The same sources and versions of both give the same bytes.  Prints one line per wheel; exits
with 1 where one could not be built.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "firmware" / "python"))

from native_build import TARGETS, Target  # noqa: E402


@dataclass(frozen=True)
class Wheel:
    """A wheel: its file name, its bytes, those of the extension in it, and its SHA-256."""

    file: str
    size: int
    extension: int
    sha256: str


def build_wheel(target: Target, out: Path) -> Path:
    """Build the wheel for ``target`` into the folder ``out``; its path.

    Raises:
        RuntimeError: the build failed; the text is its output.
    """
    out.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "GRSN_EDGE_WHEEL": target.tag,
        "GRSN_EDGE_NATIVE": "require",
        "SOURCE_DATE_EPOCH": "1577836800",  # 2020-01-01, inside of what a zip can say
    }
    with tempfile.TemporaryDirectory(dir=out) as fresh:
        line = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", fresh]
        done = subprocess.run(
            line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{target.tag}: {done.stdout}{done.stderr}")
        (wheel,) = Path(fresh).glob("*.whl")
        return wheel.replace(out / wheel.name)


def described(wheel: Path, target: Target) -> Wheel:
    """Its sizes and digest."""
    data = wheel.read_bytes()
    with zipfile.ZipFile(wheel) as archive:
        extension = archive.getinfo(f"grsn_edge/{target.file}").file_size
    return Wheel(wheel.name, len(data), extension, hashlib.sha256(data).hexdigest())


def main() -> int:
    """Parse, build, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder (default: dist)")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of the platform tags wanted")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    args = parser.parse_args()
    chosen = [t for t in TARGETS.values() if any(part in t.tag for part in args.only)]
    if not chosen:
        parser.error(f"no such platform; there are: {', '.join(TARGETS)}")
    made: list[Wheel] = []
    failed = False
    for target in chosen:
        try:
            made.append(described(build_wheel(target, args.out), target))
        except RuntimeError as error:
            failed = True
            print(error, file=sys.stderr)
    print(json.dumps([asdict(wheel) for wheel in made]) if args.json else table(made))
    return 1 if failed else 0


def table(wheels: list[Wheel]) -> str:
    """One line per wheel."""
    lines = ["| wheel | bytes | extension, bytes | SHA-256 |", "|---|---|---|---|"]
    lines += [f"| {w.file} | {w.size:,} | {w.extension:,} | {w.sha256[:16]}… |" for w in wheels]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
