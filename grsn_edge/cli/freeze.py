"""``freeze``: a policy from a run that need not be finished."""

from __future__ import annotations

import argparse
from pathlib import Path

from grsn_edge.cli.result import Result

SUMMARY = "freeze the best policy of a run, finished or interrupted, to integers"
EXAMPLE = "grsn-edge freeze out/cartpole-p-grsn-0 -o model.grsn"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("run", type=Path, help="folder of `grsn-edge train`")
    parser.add_argument("-o", "--output", type=Path, help="default: model.grsn in that folder")


def run(args: argparse.Namespace) -> Result:
    """Quantise what the run has learned so far, and save it."""
    from grsn_edge.policy import model_hash, save
    from grsn_edge.training.runs import freeze_run

    path = args.output or args.run / "model.grsn"
    policy = freeze_run(args.run, provenance={"command": f"grsn-edge freeze {args.run}"})
    save(policy, path)
    how = policy.provenance["quantisation"]
    data = {"model": str(path), "quantisation": how, "model_hash": model_hash(policy)}
    return Result(data, f"{path}: {how}, {path.stat().st_size:,} bytes")
