"""The page: a template filled with figures, tables and pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from typing import Any

import numpy as np

from grsn_edge.policy import Policy, dumps, model_hash, write_atomically
from grsn_edge.program import INT32, STORAGE, Node, memory, operations
from grsn_edge.report.data import EpisodeTrace, Floats, ReportData, episode_trace
from grsn_edge.report.figures import (
    cost_bars,
    episode_figure,
    learning_curve,
    rate_bars,
    return_histogram,
)

__all__ = ["render", "write"]


def write(data: ReportData, path: str | os.PathLike[str]) -> None:
    """Render to a file; a file that was there stays whole until the new one is complete."""
    write_atomically(path, render(data).encode())


def render(data: ReportData) -> str:
    """The page as HTML text; it loads nothing from anywhere."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["number"] = _number
    source = files("grsn_edge.report").joinpath("template.html").read_text(encoding="utf-8")
    return environment.from_string(source).render(_content(data))


def _content(data: ReportData) -> dict[str, Any]:
    policy, deployed = data.policy, list(data.returns)[-1]
    trace = episode_trace(policy, data.observations)
    beside = episode_trace(data.baseline, data.observations[:1])
    costs = {
        f"{policy.name}: spiking, worst case": _kinds(policy, {}),
        f"{policy.name}: spiking, this episode": _kinds(policy, trace.rates),
        "int8 MLP on stacked frames": _kinds(data.baseline, beside.rates),
    }
    return {
        "title": f"{policy.name}: a spiking policy in integers",
        "policy": policy,
        "task": data.task,
        "cells": _cells(policy),
        "mean": float(data.returns[deployed].mean()),
        "error": _standard_error(data.returns[deployed]),
        "stages": [(name, *_summary(values)) for name, values in data.returns.items()],
        "rate": _mean_rate(trace),
        "equality": data.equality,
        "operations_now": sum(costs[f"{policy.name}: spiking, this episode"].values()),
        "counts": _count_rows(policy, trace),
        "memory": memory(policy.program),
        "comparison": _comparison(data, trace, deployed),
        "proof": [_proof_row(node) for node in policy.program],
        "bytes": len(dumps(policy)),
        "hash": model_hash(policy),
        "machine": data.machine,
        "provenance": _provenance(policy),
        "curve_figure": learning_curve(data.curve),
        "histogram": return_histogram(data.returns),
        "episode": episode_figure(trace, policy.observations, policy.actions),
        "rates": rate_bars(trace.spikes) if trace.spikes else "",
        "costs": cost_bars(costs),
    }


def _cells(policy: Policy) -> str:
    network = policy.provenance.get("network")
    cells = network.get("cells", ()) if isinstance(network, Mapping) else ()
    return " → ".join(f"{c.get('kind')} {c.get('size')}" for c in cells if isinstance(c, Mapping))


def _mean_rate(trace: EpisodeTrace) -> float:
    fired = [spikes.ravel() for spikes in trace.spikes.values()]
    return float(np.concatenate(fired).mean()) if fired else 0.0


def _kinds(policy: Policy, activity: Mapping[str, float]) -> dict[str, float]:
    total = operations(policy.program, activity or None).total
    return {name: float(value) for name, value in asdict(total).items()}


def _count_rows(policy: Policy, trace: EpisodeTrace) -> list[tuple[str, float, float]]:
    worst, now = _kinds(policy, {}), _kinds(policy, trace.rates)
    rows = [(name.replace("_", " "), worst[name], now[name]) for name in worst]
    return [*rows, ("all", sum(worst.values()), sum(now.values()))]


def _comparison(data: ReportData, trace: EpisodeTrace, deployed: str) -> list[dict[str, Any]]:
    return [
        _compared("spiking", data.policy, trace.rates, data.returns[deployed]),
        _compared("MLP on stacked frames", data.baseline, {}, data.baseline_returns),
    ]


def _compared(
    name: str, policy: Policy, activity: Mapping[str, float], returns: Floats
) -> dict[str, Any]:
    kinds, sizes = _kinds(policy, activity), memory(policy.program)
    multiplied = kinds["multiply_accumulates"] + kinds["multiplications"]
    return {
        "name": name,
        "cells": _cells(policy),
        "mean": float(returns.mean()),
        "error": _standard_error(returns),
        "operations": sum(kinds.values()),
        "multiplied": multiplied,
        "constants": sizes.constants,
        "state": sizes.state,
    }


def _summary(values: Floats) -> tuple[float, float, float, float, int]:
    return (
        float(values.mean()),
        _standard_error(values),
        float(values.min()),
        float(values.max()),
        len(values),
    )


def _standard_error(values: Floats) -> float:
    return float(values.std() / np.sqrt(len(values)))


def _proof_row(node: Node) -> dict[str, Any]:
    """A value's proven range, and how much of its storage and of int32 it can fill."""
    low, high = node.interval.low, node.interval.high
    most = max(-low / -STORAGE[node.dtype][0], high / STORAGE[node.dtype][1])
    return {
        "name": node.name,
        "op": node.op,
        "n": node.n,
        "low": low,
        "high": high,
        "dtype": node.dtype,
        "filled": max(0.0, min(1.0, most)),
        "of_int32": max(0.0, low / INT32[0], high / INT32[1]),
    }


def _provenance(policy: Policy) -> list[tuple[str, str]]:
    """The plain entries; nested ones are in the file for who asks."""
    rows = []
    for key, value in sorted(policy.provenance.items()):
        if isinstance(value, str | int | float):
            rows.append((key, str(value)))
        elif key == "versions" and isinstance(value, Mapping):
            rows.append((key, ", ".join(f"{k} {v}" for k, v in sorted(value.items()))))
    return rows


def _number(value: float, digits: int = 0) -> str:
    return f"{value:,.{digits}f}"
