#!/usr/bin/env python3
"""The long conformance run: every backend against the NumPy reference, with ``==``.

    python tools/conformance.py --steps 1e7

Draws random frozen networks of every cell and size, runs them side by side from random and
extreme states, and compares every output and every state at every step.  Prints one line per kind
of first cell, the machine, the versions and the time; exits with 1 at the first difference.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import sys
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version

from grsn_edge.backends import backend, backend_names
from grsn_edge.conformance import Report, compare, random_program
from grsn_edge.conformance.random_programs import HIDDEN

STREAMS = 512


@dataclass(frozen=True)
class Job:
    """One program to run: the seed and first cell that draw it."""

    seed: int
    first: str
    steps: int
    backends: tuple[str, ...]


def run(job: Job) -> tuple[Job, str, Report]:
    """Draw the program and compare."""
    drawn = random_program(job.seed, job.first)
    report = compare(drawn.program, job.backends, steps=job.steps, streams=STREAMS, seed=job.seed)
    return job, drawn.label, report


def usable() -> tuple[str, ...]:
    """The reference first, then every backend that works here."""
    others = [n for n in backend_names() if n != "numpy" and backend(n).unavailable() is None]
    return ("numpy", *others)


def main() -> int:
    """Parse, run on every core, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=float, default=1e5, help="steps in all (default 1e5)")
    parser.add_argument("--programs", type=int, default=200, help="programs drawn (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="first seed (default 0)")
    parser.add_argument("--backends", nargs="+", default=list(usable()), help="first: reference")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    args = parser.parse_args()

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    share = max(1, int(args.steps) // args.programs)
    kinds = list(HIDDEN)
    jobs = [
        Job(args.seed + i, kinds[i % len(kinds)], share, tuple(args.backends))
        for i in range(args.programs)
    ]
    began = time.monotonic()
    per_kind: dict[str, int] = defaultdict(int)
    digests = {name: hashlib.sha256() for name in args.backends}
    with ProcessPoolExecutor(args.jobs) as pool:
        for done, (job, label, report) in enumerate(pool.map(run, jobs), 1):
            per_kind[job.first] += report.steps
            for name, digest in report.hashes.items():
                digests[name].update(digest.encode())
            if report.difference:
                print(f"seed {job.seed} {label}: {report.difference}", file=sys.stderr)
                return 1
            if sys.stderr.isatty():
                print(f"\r{done}/{len(jobs)} programs", end="", file=sys.stderr)
    result = {
        "steps": sum(per_kind.values()),
        "programs": len(jobs),
        "differences": 0,
        "steps_by_first_cell": dict(per_kind),
        "hashes": {name: digest.hexdigest()[:16] for name, digest in digests.items()},
        "seconds": round(time.monotonic() - began, 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, numpy {version('numpy')}",
    }
    print(json.dumps(result) if args.json else table(result))
    return 0


def table(result: dict[str, object]) -> str:
    """The result as text."""
    lines = [f"{key:20} {value}" for key, value in result.items() if not isinstance(value, dict)]
    for title in ("steps_by_first_cell", "hashes"):
        lines.append(title)
        lines += [f"  {name:18} {value}" for name, value in result[title].items()]  # type: ignore[attr-defined]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
