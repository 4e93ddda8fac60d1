#!/usr/bin/env python3
"""Time of one policy step on this machine, side by side in one run.

    python tools/bench_host.py

Three tables.  From Python: ``StreamingPolicy.step`` on each backend beside float GRUs and LSTMs of
the same size in onnxruntime and torch; most of that is framework overhead.  The same for a batch of
64 streams.  The kernel alone: the virtual machine and the generated C in a C loop beside a plain C
float GRU compiled with ``-O3 -march=native -ffast-math``, the honest opponent.  All rows of a table
are interleaved in random order, round after round; medians with the 10th and 90th percentile over
the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "firmware" / "python"))

import native_build
import numpy as np
from bench.opponents import (
    compiled_torch_net,
    litert_net,
    onnxruntime_net,
    recurrent_model,
    torch_net,
)
from bench.spiking_policy import Measured, spiking_policy

from grsn_edge.backends import ExportOptions, backend, backend_names
from grsn_edge.backends._c.compiler import compiler, headers
from grsn_edge.backends._c.emit import emit
from grsn_edge.runtime import PolicyBatch, StreamingPolicy

HIDDEN, INPUTS, ACTIONS, BATCH = 64, 8, 2, 64
RATES = (0.05, 0.10, 0.20)
LOOP_STEPS = 1_000_000
BENCH = Path(__file__).parent / "bench"

Timed = Callable[[], float]
"""Runs a batch of steps; seconds per step."""


@dataclass(frozen=True)
class Row:
    """Seconds per step over the rounds: median, 10th and 90th percentile."""

    name: str
    median: float
    p10: float
    p90: float


def interleaved(timed: Mapping[str, Timed], rounds: int) -> list[Row]:
    """Time every candidate once a round, in a new order each round."""
    found: dict[str, list[float]] = {name: [] for name in timed}
    order = random.Random(0)
    for name in timed:
        timed[name]()
    for _ in range(rounds):
        names = list(timed)
        order.shuffle(names)
        for name in names:
            found[name].append(timed[name]())
    return [Row(n, *(float(q) for q in np.percentile(v, [50, 10, 90]))) for n, v in found.items()]


def python_steps(measured: Mapping[float, Measured], calls: int) -> dict[str, Timed]:
    """Candidates of the first table: one stream."""
    candidates: dict[str, Timed] = {}
    for rate, m in measured.items():
        for name in backend_names():
            fast = name in ("native", "c")
            if backend(name).unavailable() is None and (fast or rate == 0.10):
                step = StreamingPolicy(m.policy, name).step
                label = f"StreamingPolicy.step, {name}, {100 * m.rate:.0f} % firing"
                candidates[label] = _timed(step, m.observations, calls if fast else 100)
    if backend("native").unavailable() is None:
        m, action = measured[0.10], np.zeros(1, np.int64)
        into = StreamingPolicy(m.policy, "native").step_into
        label = f"StreamingPolicy.step_into, native, {100 * m.rate:.0f} % firing"
        candidates[label] = _timed_into(into, m.observations, action, calls)
    return candidates | _opponents(measured[0.10].observations[:, None, :], 1)


def batched_steps(m: Measured) -> dict[str, Timed]:
    """Candidates of the second table: a batch of streams, integers in and integers out."""
    rows = [np.roll(m.observations, i, axis=0) for i in range(BATCH)]
    observations = np.ascontiguousarray(np.stack(rows, axis=1))
    codes = m.policy.encoder.encode(observations)
    candidates: dict[str, Timed] = {}
    for name in backend_names():
        if backend(name).unavailable() is None:
            runner = backend(name).load(m.policy.program, batch=BATCH)
            label = f"{name}, {100 * m.rate:.0f} % firing"
            candidates[label] = _timed(
                lambda code, runner=runner: runner.step({"observation": code}), codes, 50
            )
    if backend("native").unavailable() is None:
        actions = np.zeros(BATCH, np.int64)
        into = PolicyBatch(m.policy, BATCH, backend="native").step_into
        label = f"PolicyBatch.step_into, native, floats in, {100 * m.rate:.0f} % firing"
        candidates[label] = _timed_into(into, observations, actions, 200)
    return candidates | _opponents(observations, BATCH)


def _opponents(observations: np.ndarray, batch: int) -> dict[str, Timed]:
    candidates: dict[str, Timed] = {}
    nets = {
        "onnxruntime": onnxruntime_net,
        "LiteRT": litert_net,
        "torch eager": torch_net,
        "torch compiled": compiled_torch_net,
    }
    for kind in ("GRU", "LSTM"):
        for label, make in nets.items():
            try:
                step = make(kind, INPUTS, HIDDEN, ACTIONS, batch)
            except ImportError as error:
                print(f"{label} {kind} left out: {error}", file=sys.stderr)
                continue
            candidates[f"{label} float {kind}"] = _timed(step, observations, 200)
    return candidates


def sizes(m: Measured) -> str:
    """Bytes of the policy in each form, and of the float nets."""
    from grsn_edge.policy import dumps
    from grsn_edge.program import memory

    rows = [("policy, .grsn", len(dumps(m.policy)))]
    image = backend("native").export(m.policy, ExportOptions())["policy.grsi"]
    rows.append(("policy, .grsi", len(image)))
    rows.append(("policy, constants in C", memory(m.policy.program).constants))
    for name in ("onnx", "tflite"):
        if backend(name).unavailable() is None:
            for file, data in backend(name).export(m.policy, ExportOptions()).items():
                if not file.endswith(".json"):
                    rows.append((f"policy, {file}", len(data)))
    for kind in ("GRU", "LSTM"):
        try:
            data = recurrent_model(kind, INPUTS, HIDDEN, ACTIONS, 1)
            rows.append((f"float {kind}, .onnx", len(data)))
        except ImportError:
            continue
    return "\n".join(["| file | bytes |", "|---|---|", *(f"| {n} | {b:,} |" for n, b in rows)])


def kernels(measured: Mapping[float, Measured], folder: Path) -> dict[str, Timed]:
    """Candidates of the third table, compiled into ``folder``."""
    candidates: dict[str, Timed] = {}
    for m in measured.values():
        place = folder / f"{m.rate:.3f}"
        place.mkdir()
        generated = emit(m.policy.program, split_tables=True)
        (place / "policy.h").write_text(generated.header)
        (place / "policy.c").write_text(generated.source)
        codes = place / "codes"
        codes.write_bytes(m.policy.encoder.encode(m.observations).astype(np.int8).tobytes())
        flags = ["-O2", "-ftree-vectorize", "-march=native", f"-DN_INPUTS={INPUTS}"]
        flags += [f"-I{headers()}", "-I."]
        program = _compile(place, flags, [BENCH / "step_loop.c", place / "policy.c"])
        label = f"generated C, {100 * m.rate:.0f} % firing"
        candidates[label] = _timed_program([program, codes])
        if backend("native").unavailable() is None:
            label = f"virtual machine, {100 * m.rate:.0f} % firing"
            candidates[label] = _timed_program(_machine(place, m))
    fast = _compile(folder, ["-O3", "-march=native", "-ffast-math"], [BENCH / "gru_float.c"])
    candidates["plain C float GRU, fast-math"] = _timed_program([fast])
    return candidates


def _machine(place: Path, m: Measured) -> list[Path]:
    """The virtual machine as the wheels have it, in a C loop, with its image and codes."""
    from grsn_edge._native import LOWERING

    files = backend("native").export(m.policy, ExportOptions())
    image, codes = place / "policy.grsi", place / "codes32"
    image.write_bytes(files[image.name])
    codes.write_bytes(m.policy.encoder.encode(m.observations).astype(np.int32).tobytes())
    sources = [native_build.SOURCE / name for name in native_build.MACHINE]
    flags = [*native_build.FLAGS, *(native_build.AVX2 if LOWERING == "avx2" else ())]
    flags += [f"-DN_INPUTS={INPUTS}", f"-I{native_build.INCLUDE}"]
    zig = (sys.executable, "-m", "ziglang", "cc") if find_spec("ziglang") else compiler()
    program = _compile(place, flags, [BENCH / "vm_loop.c", *sources], "vm_loop", zig)
    return [program, image, codes]


def table(rows: list[Row], unit: float, suffix: str, reference: str) -> str:
    """Rows with their ratio to the reference."""
    base = next((row.median for row in rows if row.name == reference), None)
    lines = [f"| step | median {suffix} | p10 | p90 | times faster than {reference} |"]
    lines.append("|---|---|---|---|---|")
    for row in sorted(rows, key=lambda r: r.median):
        ratio = f"{base / row.median:.1f}" if base else "-"
        times = " | ".join(f"{value * unit:.2f}" for value in (row.median, row.p10, row.p90))
        lines.append(f"| {row.name} | {times} | {ratio} |")
    return "\n".join(lines)


def machine() -> str:
    """One line on where this ran."""
    found = []
    for name in ("grsn-edge", "numpy", "torch", "onnxruntime", "ai-edge-litert", "executorch"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    where = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    cc = subprocess.run([*compiler(), "--version"], capture_output=True, text=True, check=True)
    return f"{where}, {', '.join(found)}, {cc.stdout.splitlines()[0]}"


def main() -> int:
    """Parse, time, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=31, help="default 31")
    parser.add_argument("--json", action="store_true", help="print seconds per step as JSON")
    args = parser.parse_args()
    measured = {
        rate: spiking_policy(rate, hidden=HIDDEN, inputs=INPUTS, actions=ACTIONS) for rate in RATES
    }
    from_python = interleaved(python_steps(measured, 2000), args.rounds)
    in_batches = interleaved(batched_steps(measured[0.10]), min(args.rounds, 15))
    with tempfile.TemporaryDirectory() as folder:
        alone = interleaved(kernels(measured, Path(folder)), min(args.rounds, 15))
    if args.json:
        tables = {"python": from_python, "batch": in_batches, "kernel": alone}
        rows = {name: [vars(r) for r in found] for name, found in tables.items()}
        print(json.dumps({**rows, "machine": machine()}))
        return 0
    print(
        f"One step of {INPUTS} inputs, {HIDDEN} neurons, {ACTIONS} actions; batch 1, one thread.\n"
    )
    print(table(from_python, 1e6, "µs", "onnxruntime float GRU"))
    print(f"\nThe same for {BATCH} streams at once (time of one call).\n")
    print(table(in_batches, 1e6, "µs", "onnxruntime float GRU"))
    print("\nThe kernel alone, in a C loop.\n")
    print(table(alone, 1e9, "ns", "plain C float GRU, fast-math"))
    print(f"\n{sizes(measured[0.10])}")
    print(f"\n{machine()}, {args.rounds} rounds")
    return 0


def _timed(step: Callable[[np.ndarray], object], observations: np.ndarray, calls: int) -> Timed:
    rows = [observations[i % len(observations)] for i in range(calls)]

    def run() -> float:
        began = time.perf_counter()
        for row in rows:
            step(row)
        return (time.perf_counter() - began) / calls

    return run


def _timed_into(
    step: Callable[[np.ndarray, np.ndarray], object],
    observations: np.ndarray,
    action: np.ndarray,
    calls: int,
) -> Timed:
    rows = [observations[i % len(observations)] for i in range(calls)]

    def run() -> float:
        began = time.perf_counter()
        for row in rows:
            step(row, action)
        return (time.perf_counter() - began) / calls

    return run


def _compile(
    folder: Path,
    flags: list[str],
    files: list[Path],
    name: str = "timed",
    command: tuple[str, ...] = (),
) -> Path:
    target = folder / name
    line = [
        *(command or compiler()),
        "-std=c99",
        f"-DN_STEPS={LOOP_STEPS}",
        *flags,
        *map(str, files),
    ]
    subprocess.run([*line, "-lm", "-o", str(target)], cwd=folder, check=True)
    return target


def _timed_program(line: list[Path]) -> Timed:
    def run() -> float:
        done = subprocess.run(list(map(str, line)), capture_output=True, text=True, check=True)
        return float(done.stdout.split()[0]) * 1e-9

    return run


if __name__ == "__main__":
    raise SystemExit(main())
