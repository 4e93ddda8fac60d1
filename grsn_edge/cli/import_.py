"""``import``: a network of another framework, frozen."""

from __future__ import annotations

import argparse
from pathlib import Path

from grsn_edge.cli.result import Result
from grsn_edge.errors import UsageError

SUMMARY = "import a NIR graph (Affine, Linear, LIF, LI), freeze it to integers, and save it"
EXAMPLE = "grsn-edge import network.nir --dt 1e-4 --observations seen.csv -o model.grsn"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("graph", type=Path, help="a .nir file")
    parser.add_argument("--dt", type=float, required=True, help="seconds per step of its framework")
    parser.add_argument("--reset", default="soft", choices=("soft", "hard"))
    parser.add_argument("--decoder", default="argmax", choices=("argmax", "clip", "tanh"))
    parser.add_argument("--low", type=float, nargs="+", default=[], help="of continuous actions")
    parser.add_argument("--high", type=float, nargs="+", default=[], help="of continuous actions")
    parser.add_argument(
        "--observations", type=Path, help="CSV of what it will see (default: uniform in ±1)"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("model.grsn"))


def run(args: argparse.Namespace) -> Result:
    """Read, freeze, save."""
    from grsn_edge.interchange import Import, import_nir
    from grsn_edge.policy import model_hash, save

    if not args.dt > 0:
        raise UsageError(f"--dt is a positive number of seconds, not {args.dt}")
    how = Import(
        dt=args.dt,
        reset=args.reset,
        decoder=args.decoder,
        low=tuple(args.low),
        high=tuple(args.high),
        observations=None if args.observations is None else _table(args.observations),
        name=args.graph.stem,
    )
    policy = import_nir(args.graph, how)
    save(policy, args.output)
    size = args.output.stat().st_size
    data = {"model": str(args.output), "model_hash": model_hash(policy), "bytes": size}
    return Result(data, f"{args.output}: {size:,} bytes")


def _table(path: Path):  # type: ignore[no-untyped-def]
    import numpy as np

    try:
        return np.loadtxt(path, delimiter=",", dtype=np.float32, ndmin=2)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read observations from '{path}': {error}") from None
