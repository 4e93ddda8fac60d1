#!/usr/bin/env python3
"""How often the reported energy per step is right: an emulated PPK2 beside an emulated board.

    python tools/energy_truth.py --runs 200

In every run the emulated board steps a policy, each step draws a pulse of current whose joules are
known exactly, and the emulated PPK2 samples it at 100 kS/s through a pseudo-terminal.  Its gain is
off by an amount that its calibration does not know, drawn within the meter's stated accuracy; every
pulse has a current of its own.  Then `profile` reports the energy per step with its 95 % interval,
and the interval holds the truth or not.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from grsn_edge.policy import load
from grsn_edge.profiling.emulators import emulator
from grsn_edge.profiling.emulators.wired import WiredScript
from grsn_edge.profiling.meters import create
from grsn_edge.profiling.recorder import Recorder
from grsn_edge.profiling.run import Plan, run
from grsn_edge.profiling.sources import GoldenSource
from grsn_edge.profiling.targets import Target, open_target
from grsn_edge.profiling.wiring import Wiring

MODEL = Path(__file__).resolve().parents[1] / "models" / "cartpole-p.grsn"


class UnevenScript(WiredScript):
    """Every pulse has a current of its own, around the mean."""

    def __init__(self, rng: np.random.Generator, spread: float, gain: float) -> None:
        super().__init__(gain=gain)
        self._rng, self._spread = rng, spread

    def pulse(self, duration_s: float, factor: float = 1.0) -> float:
        uneven = float(self._rng.normal(1.0, self._spread))
        return super().pulse(duration_s, factor * max(0.3, uneven))


def one(target: Target, seed: int, plan: Plan) -> dict[str, float | bool]:
    """One run: the reported figure, its interval, and the truth."""
    rng = np.random.default_rng(seed)
    gain = float(rng.uniform(-0.09, 0.09))
    script = UnevenScript(rng, 0.05, gain)
    inner = target.step
    try:
        wiring = Wiring(target, script)
        with (
            emulator("ppk2", script=script) as device,
            create("ppk2", **device.options()) as meter,
            Recorder(meter, mark_bit=0) as recorder,
        ):
            source = GoldenSource(target.policy)
            found = run(target, source, plan, recorder=recorder, voltage_v=script.voltage_v)
    finally:
        target.step = inner
    energy = found.energy
    assert energy is not None
    truth = float(np.mean(wiring.exact_j[plan.warm_up :]))
    figure = energy.gross_j
    return {
        "gain": gain,
        "truth_j": truth,
        "value_j": figure.value if figure else float("nan"),
        "low_j": figure.low if figure else float("nan"),
        "high_j": figure.high if figure else float("nan"),
        "valid": energy.is_valid,
        "holds": figure is not None and figure.low <= truth <= figure.high,
    }


def main() -> int:
    """Run, count, print; exits with 1 where valid intervals hold the truth too rarely."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--on", default="m4", help="host, or an emulated board (default m4)")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    plan = Plan(steps=args.steps, warm_up=10, period_s=0.01, idle_s=0.2, windows="gpio")
    began = time.monotonic()
    with open_target(args.on, load(MODEL)) as target:
        found = [one(target, seed, plan) for seed in range(args.runs)]
    valid = [row for row in found if row["valid"]]
    holds = sum(bool(row["holds"]) for row in valid)
    share = holds / len(valid) if valid else 0.0
    errors = [abs(row["value_j"] / (row["truth_j"] * (1 + row["gain"])) - 1) for row in valid]
    data = {
        "runs": args.runs,
        "valid": len(valid),
        "interval_holds_the_truth": holds,
        "share": share,
        "largest_error_beside_the_gain": max(errors, default=None),
        "target": args.on,
        "seconds": round(time.monotonic() - began, 1),
        "machine": f"{platform.machine()}, Python {platform.python_version()}, "
        f"numpy {version('numpy')}, scipy {version('scipy')}",
    }
    print(json.dumps(data) if args.json else "\n".join(f"{k:<32}{v}" for k, v in data.items()))
    return 0 if valid and share >= 0.94 else 1


if __name__ == "__main__":
    raise SystemExit(main())
