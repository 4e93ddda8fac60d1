"""``export``: the single-step graph as a file for other runtimes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from grsn_edge.backends import Backend, ExportOptions, backend, backend_names
from grsn_edge.cli.result import Result, columns
from grsn_edge.errors import UsageError
from grsn_edge.policy import Policy, load, write_atomically

NIR = "nir"
"""A format for simulators, of lif policies only; not among ``all``."""

SUMMARY = "write a policy's single-step graph for other runtimes"
EXAMPLE = "grsn-edge export models/cartpole-p.grsn --to onnx --out out/export"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", type=Path, help="a .grsn file")
    parser.add_argument(
        "--to",
        nargs="+",
        default=["all"],
        help=f"{', '.join(exporters())}, nir, or all (default: not nir)",
    )
    parser.add_argument("--out", type=Path, default=Path("out/export"), help="folder")
    parser.add_argument(
        "--with-encoder", action="store_true", help="add the float encoder and decoder"
    )
    parser.add_argument("--flavour", help="TFLite: litert (default) or tflm (TFLite Micro)")
    parser.add_argument(
        "--state",
        default="explicit",
        choices=("explicit", "variables"),
        help="TFLite: inputs and outputs (default), or variables with a reset signature",
    )


def run(args: argparse.Namespace) -> Result:
    """Write every file that was asked for."""
    policy = load(args.model)
    options = ExportOptions(args.with_encoder, args.flavour, args.state)
    chosen = exporters() if "all" in args.to else tuple(dict.fromkeys(args.to))
    unknown = sorted(set(chosen) - {*exporters(), NIR})
    if unknown:
        known = ", ".join((*exporters(), NIR, "all"))
        raise UsageError(f"no export '{unknown[0]}'; there are: {known}")
    sizes: dict[str, int] = {}
    for name in chosen:
        for file, data in _files(name, policy, options).items():
            path = args.out / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, data)
            sizes[str(path)] = len(data)
    rows = [(path, f"{size:,} bytes") for path, size in sizes.items()]
    return Result({"files": sizes}, columns(rows))


def _files(name: str, policy: Policy, options: ExportOptions) -> Mapping[str, bytes]:
    if name != NIR:
        return backend(name).export(policy, options)
    if options != ExportOptions():
        raise UsageError("a NIR export has no options")
    from grsn_edge.interchange import export_nir

    return {"policy.nir": export_nir(policy)}


def exporters() -> tuple[str, ...]:
    """Backends that have a file form."""
    return tuple(n for n in backend_names() if type(backend(n)).export is not Backend.export)
