#!/usr/bin/env python3
"""Ten minutes of a meter at 100 kS/s: samples lost, memory held, and what it costs.

    python tools/long_session.py --seconds 600

An emulated PPK2 in a process of its own streams through a pseudo-terminal in real time, while a
policy is stepped at its sampling period on this host, and every sample is written as it comes.
Exits with 1 where a sample was lost, or more than 300 MB were held.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from grsn_edge.policy import load
from grsn_edge.profiling.profile import Request, profile
from grsn_edge.profiling.run import Plan
from grsn_edge.report.session_page import write_page

MODEL = Path(__file__).resolve().parents[1] / "models" / "cartpole-p.grsn"
LIMIT_MB = 300


def emulated_ppk2() -> tuple[subprocess.Popen[str], str]:
    """A process that is a PPK2, and its port."""
    line = [sys.executable, "-m", "grsn_edge", "meter", "emulate", "ppk2"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for text in process.stdout:
        if found := re.search(r"port=(\S+)", text):
            return process, found[1]
    raise SystemExit("the emulated PPK2 did not start")


def main() -> int:
    """Run, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    policy = load(MODEL)
    plan = Plan(
        steps=max(2, round(args.seconds / policy.period_s)),
        period_s=policy.period_s,
        windows="burst",
        window_s=0.5,
        window_count=5,
    )
    process, port = emulated_ppk2()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "session"
        request = Request(
            policy,
            task="cartpole-p",
            plan=plan,
            meter="ppk2",
            meter_options={"port": port, "voltage_v": 3.0},
        )
        try:
            began = time.monotonic()
            found = profile(request, target)
            lasted = time.monotonic() - began
        finally:
            process.terminate()
        after_run = resource.getrusage(resource.RUSAGE_SELF)
        write_page(found, target)
        page = (target / "report.html").stat().st_size
        with gzip.open(target / "power.csv.gz") as file:
            written = sum(1 for _ in file) - 1  # the first line names the columns
        size = (target / "power.csv.gz").stat().st_size
    power = found.figures["power"]
    data = {
        "seconds": round(lasted, 1),
        "samples": power["samples"],
        "samples_read_back": written,
        "lost": power["lost"],
        "steps": found.figures["steps"],
        "memory_held_mb": round(after_run.ru_maxrss / 1024, 1),
        "cpu_share": round((after_run.ru_utime + after_run.ru_stime) / lasted, 3),
        "power_file_mb": round(size / 1e6, 1),
        "page_mb": round(page / 1e6, 2),
        "warnings": found.figures["warnings"],
        "cores": os.cpu_count(),
    }
    print(json.dumps(data) if args.json else "\n".join(f"{k:<20}{v}" for k, v in data.items()))
    good = power["lost"] == 0 and written == power["samples"] and data["memory_held_mb"] < LIMIT_MB
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
