#!/usr/bin/env python3
"""Exact instructions of one policy step on emulated microcontrollers.

    python tools/count_instructions.py --target m4 m55 avr --rates 5 10 20
    python tools/count_instructions.py --policy models/cartpole-p.grsn

Generates the C of a policy (by default GRSN with random weights and thresholds calibrated to a
firing rate; see ``tools/bench/spiking_policy.py``), builds it for a bare machine, runs it in an
emulator over the policy's observations, compares every action and the final state with the NumPy
reference (``==``), and prints a table: instructions per step (QEMU with a TCG plugin) or cycles
(simavr, by Timer1), bytes of code, constants, state and stack.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from bench.spiking_policy import spiking_policy
from counting.measure import Counted, Mismatch, count, versions
from counting.targets import TARGETS, why_not

from grsn_edge.policy import load
from grsn_edge.program import Program

HEAD = [
    "target",
    "policy",
    "unit",
    "mean",
    "worst",
    "code of the step, B",
    "constants, B",
    "state, B",
    "stack, B",
]


def main() -> int:
    """Parse, build, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", nargs="+", choices=[*TARGETS, "all"], default=["all"])
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--inputs", type=int, default=4)
    parser.add_argument("--actions", type=int, default=2)
    parser.add_argument("--rates", type=float, nargs="+", default=[5, 10, 20], help="per cent")
    parser.add_argument("--coefficients", choices=("q15", "pow2"), default="q15")
    parser.add_argument("--policy", type=Path, nargs="+", help=".grsn files instead")
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--optimise", help="the same optimisation level for all, for example -Os")
    parser.add_argument("--define", nargs="*", default=[], help="macros, for example X=1")
    parser.add_argument("--keep", type=Path, help="keep sources and objects in this folder")
    args = parser.parse_args()
    chosen = list(TARGETS) if "all" in args.target else args.target
    policies = _policies(args)
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    failed, used = False, []
    for name in chosen:
        reason = why_not(TARGETS[name])
        if reason:
            print(f"{name} is left out: {reason}", file=sys.stderr)
            continue
        level = args.optimise or " ".join(TARGETS[name].optimise)
        used.append(f"{name}: {TARGETS[name].core}, {level}, {versions(TARGETS[name])}")
        for label, program, codes in policies:
            try:
                found = count(
                    program,
                    codes,
                    TARGETS[name],
                    defines=tuple(f"-D{macro}" for macro in args.define),
                    optimise=args.optimise,
                    keep=args.keep and args.keep / name / label.replace(" ", "_"),
                )
            except Mismatch as error:
                print(f"{name}, {label}: {error}", file=sys.stderr)
                failed = True
                continue
            print(_row(name, label, TARGETS[name].unit, found), flush=True)
    print("\nEvery action and the final state equal the reference's." if not failed else "")
    print("\n".join(used))
    return int(failed)


def _policies(args: argparse.Namespace) -> list[tuple[str, Program, np.ndarray]]:
    """(label, program, codes) of everything that is to be run."""
    found = []
    if args.policy:
        for path in args.policy:
            policy = load(path)
            codes = np.resize(policy.golden.code, (args.steps, policy.encoder.n))
            found.append((path.stem, policy.program, codes))
        return found
    for rate in args.rates:
        measured = spiking_policy(
            rate / 100,
            hidden=args.hidden,
            inputs=args.inputs,
            actions=args.actions,
            coefficients=args.coefficients,
        )
        codes = measured.policy.encoder.encode(measured.observations)[: args.steps]
        label = f"{args.inputs}-{args.hidden}-{args.actions} at {100 * measured.rate:.1f} %"
        found.append((label, measured.policy.program, codes))
    return found


def _row(target: str, label: str, unit: str, found: Counted) -> str:
    cells = [target, label, unit, f"{found.steps.mean():,.0f}", f"{found.steps.max():,}"]
    cells += [f"{n:,}" for n in (found.code, found.constants, found.state, found.stack)]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    raise SystemExit(main())
