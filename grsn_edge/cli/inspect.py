"""``inspect``: a policy's program with its proven ranges, memory and operation counts."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from grsn_edge.cli.result import Result, columns
from grsn_edge.policy import Policy, load, model_hash, weight_storage
from grsn_edge.program import memory, operations, text

SUMMARY = "print a policy: program, proven ranges, weights, memory, operation counts, provenance"
EXAMPLE = "grsn-edge inspect models/cartpole-p.grsn"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", type=Path, help="a .grsn file")


def run(args: argparse.Namespace) -> Result:
    """Read the file, which checks it, and describe it."""
    policy = load(args.model)
    worst, typical = _counts(policy, {}), _counts(policy, activity_of(policy))
    data = {
        "name": policy.name,
        "model_hash": model_hash(policy),
        "period_s": policy.period_s,
        "observations": [_channel(c) for c in policy.observations],
        "actions": [_channel(c) for c in policy.actions],
        "encoder": {"dtype": policy.encoder.dtype, "on_invalid": policy.encoder.on_invalid},
        "decoder": policy.decoder.kind,
        "weights": asdict(weight_storage(policy)),
        "memory_bytes": asdict(memory(policy.program)),
        "operations_worst": worst,
        "operations_typical": typical,
        "golden_steps": policy.golden.steps if policy.golden else 0,
        "provenance": dict(policy.provenance),
        "program": text(policy.program),
    }
    return Result(data, _page(data))


def activity_of(policy: Policy) -> dict[str, float]:
    """The firing rate measured at the end of training for every spike, where it is known."""
    results = policy.provenance.get("results")
    last = results.get("tune") if isinstance(results, Mapping) else None
    rate = last.get("rate") if isinstance(last, Mapping) else None
    if not isinstance(rate, int | float):
        return {}
    return {n.name: float(rate) for n in policy.program if n.op == "ge" and n.interval.is_binary}


def _counts(policy: Policy, activity: Mapping[str, float]) -> dict[str, float]:
    total = operations(policy.program, activity or None).total
    return {name: round(float(value), 1) for name, value in asdict(total).items()}


def _channel(channel: Any) -> dict[str, Any]:
    return {name: getattr(channel, name) for name in ("name", "unit")} | {
        "low": _finite(channel.low),
        "high": _finite(channel.high),
    }


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None


def _weights(weights: Mapping[str, int]) -> str:
    """How many, in how many bits, and what they take: the same in file and memory, or not."""
    count, bits = weights["count"], weights["bits"]
    in_file, in_memory = weights["file_bytes"], weights["memory_bytes"]
    if in_file == in_memory:
        return f"{count} of {bits} bits: {in_file} bytes in the file and in memory"
    return f"{count} of {bits} bits: {in_file} bytes in the file, packed; {in_memory} in memory"


def _page(data: Mapping[str, Any]) -> str:
    sizes = data["memory_bytes"]
    counts = [("operations per step", "worst case", "typical")]
    worst, typical = data["operations_worst"], data["operations_typical"]
    counts += [(f"  {name}", worst[name], typical[name]) for name in worst]
    channels = [
        (f"  {c['name']!a}", c["unit"], c["low"], c["high"])
        for c in (*data["observations"], *data["actions"])
    ]
    head = [
        f"policy      {data['name']!a}",
        f"hash        {data['model_hash']}",
        f"period      {data['period_s']} s",
        f"observation {data['encoder']['dtype']}, invalid values: {data['encoder']['on_invalid']}",
        f"action      {data['decoder']}",
        f"weights     {_weights(data['weights'])}",
        "memory      " + ", ".join(f"{name} {size} bytes" for name, size in sizes.items()),
        f"golden      {data['golden_steps']} steps replayed on the reference",
    ]
    provenance = json.dumps(data["provenance"], indent=2, sort_keys=True)
    parts = ("\n".join(head), columns(channels), columns(counts), data["program"], provenance)
    return "\n\n".join(parts)
