"""``verify``: every backend against the reference, and the operation where one leaves it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from grsn_edge.backends import backend, backend_names
from grsn_edge.cli.result import Result, columns
from grsn_edge.conformance import Course, compare, diagnose, trajectories
from grsn_edge.errors import UsageError
from grsn_edge.policy import Policy, load

SUMMARY = "run backends side by side and compare every integer; name the operation that differs"
EXAMPLE = "grsn-edge verify models/cartpole-p.grsn --against c onnx tflite --steps 100000"

_STREAMS, _SEED = 64, 0


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", type=Path, help="a .grsn file")
    parser.add_argument("--against", nargs="+", help="backends (default: all that work here)")
    parser.add_argument("--steps", type=int, default=100_000, help="in all (default 100000)")


def run(args: argparse.Namespace) -> Result:
    """Compare on random and extreme states, then closed-loop in the policy's own task."""
    policy = load(args.model)
    if args.steps < 1:
        raise UsageError(f"--steps is at least 1, not {args.steps}")
    names = ["numpy", *(name for name in _chosen(args.against) if name != "numpy")]
    courses = _courses(policy)
    share = -(-args.steps // (len(courses) * _STREAMS))
    checks = [_check(policy, names, kind, partial(make, share)) for kind, make in courses.items()]
    rows: list[tuple[Any, ...]] = [("trajectories", "backend", "steps", "hash", "")]
    rows += [
        (check["course"], name, check["steps"], digest, check["verdict"].get(name, "equal"))
        for check in checks
        for name, digest in check["hashes"].items()
    ]
    found = [text for check in checks for text in check["found"]]
    ok = not found
    last = "every output and every state equal at every step" if ok else "\n".join(found)
    return Result({"equal": ok, "checks": checks}, f"{columns(rows)}\n\n{last}", 0 if ok else 1)


def _chosen(wanted: list[str] | None) -> list[str]:
    if wanted:
        return wanted
    return [name for name in backend_names() if backend(name).unavailable() is None]


def _courses(policy: Policy) -> dict[str, Callable[[int], Course]]:
    courses: dict[str, Callable[[int], Course]] = {
        "random and extreme": lambda rounds: trajectories(policy.program, _STREAMS, rounds, _SEED)
    }
    name = policy.provenance.get("task")
    from grsn_edge.tasks import is_playable, task
    from grsn_edge.tasks.record import closed_loop

    if is_playable(name):
        courses["closed loop"] = lambda rounds: closed_loop(
            policy, task(str(name)), streams=_STREAMS, rounds=rounds, seed=_SEED
        )
    return courses


def _check(
    policy: Policy, names: list[str], kind: str, course: Callable[[], Course]
) -> dict[str, Any]:
    report = compare(policy.program, names, steps=0, streams=_STREAMS, course=course())
    check: dict[str, Any] = {
        "course": kind,
        "steps": report.steps,
        "hashes": dict(report.hashes),
        "verdict": {},
        "found": [],
    }
    if report.difference is not None:
        culprit = diagnose(policy.program, report.difference, course())
        check["verdict"] = {report.difference.backend: "DIFFERS"}
        check["found"] = [str(report.difference), str(culprit or "no single operation differs")]
        check["difference"] = asdict(report.difference)
        check["culprit"] = asdict(culprit) if culprit else None
    return check
