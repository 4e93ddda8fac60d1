"""The page: a template filled with figures, tables and pictures."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np

from grsn_edge.errors import UsageError
from grsn_edge.policy import Policy, dumps, model_hash, write_atomically
from grsn_edge.program import memory, operations
from grsn_edge.report import tables
from grsn_edge.report.data import EpisodeTrace, Floats, ReportData, episode_trace, standard_error
from grsn_edge.report.episode import choose, closer_look, readings, strip, whole_episode
from grsn_edge.report.figures import bars, learning_curve, rate_bars, return_histogram
from grsn_edge.report.theme import BLUE, GREEN, ORANGE, PURPLE, SOFT, SPIKE, signed

__all__ = ["render", "write"]

_MOST_STEPS = 2000  # of the episode that is shown


def write(data: ReportData, path: str | os.PathLike[str]) -> None:
    """Render to a file; a file that was there stays whole until the new one is complete.

    Raises:
        UsageError: matplotlib or jinja2 is not installed.
        OSError: the file cannot be written.
    """
    write_atomically(path, render(data).encode())


def render(data: ReportData) -> str:
    """The page as HTML text; it loads nothing from anywhere.

    Raises:
        UsageError: matplotlib or jinja2 is not installed.
    """
    try:
        import matplotlib  # noqa: F401
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise UsageError(f"a report needs {error.name}; install grsn-edge[report]") from None
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": _number,
        "plain": _plain,
        "factor": _factor,
        "percent": _percent,
    }
    return environment.from_string(_part("template.html")).render(_content(data))


def _part(name: str) -> str:
    return files("grsn_edge.report").joinpath(name).read_text(encoding="utf-8")


def _content(data: ReportData) -> dict[str, Any]:
    policy = data.policy
    trace = episode_trace(policy, data.observations[:_MOST_STEPS])
    return {
        "policy": policy,
        "task": data.task,
        "trace": trace,
        "episodes": len(data.deployed),
        "stages": [(name, *_summary(values)) for name, values in data.returns.items()],
        "histogram": return_histogram(data.returns),
        "curve": _curve(data),
        "on_board": data.on_board,
        **_frame(),
        **_episode(data, trace),
        **_proof(data),
        **_cost(data, trace),
        **_origin(data),
    }


def _frame() -> dict[str, Any]:
    """Style and script, and the hash by which the page lets this one script run."""
    script = _part("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {"style": _part("style.css"), "script": script, "script_hash": f"sha256-{digest}"}


def _curve(data: ReportData) -> str:
    if not data.curve:
        return ""
    return learning_curve(data.curve, data.recipe("goal"), data.recipe("spike_rate"))


def _episode(data: ReportData, trace: EpisodeTrace) -> dict[str, Any]:
    policy, closer = data.policy, choose(trace)
    channels = policy.observations, policy.actions
    fired = [spikes.any(axis=0) for spikes in trace.spikes.values()]
    return {
        "steps": len(data.observations),
        "seconds": len(trace.time_s) * policy.period_s,
        "cut": len(data.observations) > len(trace.time_s),
        "strip": strip(trace),
        "episode": whole_episode(trace, *channels, closer),
        "closer": closer_look(trace, *channels, closer) if closer.colours else "",
        "closer_neurons": len(closer.colours),
        "rates": rate_bars(trace.spikes, closer.colours) if trace.spikes else "",
        "silent": sum(int((~f).sum()) for f in fired),
        "neurons": sum(f.size for f in fired),
        "episode_data": readings(trace, *channels, policy.period_s),
    }


def _proof(data: ReportData) -> dict[str, Any]:
    program = data.policy.program
    proof = tables.proven(program)
    return {
        "equality": data.equality,
        "agreement": tables.agreements(data.equality),
        "integers": tables.integers_per_step(program),
        "proof": proof,
        "arithmetic": sum(p.op not in ("input", "state", "const") for p in proof),
        "tightest": min(proof, key=lambda p: p.spare),
        "states": tables.invariants(program),
    }


def _cost(data: ReportData, trace: EpisodeTrace) -> dict[str, Any]:
    policy, beside = data.policy, data.baseline
    worst = operations(policy.program).total
    now = operations(policy.program, trace.rates).total
    own = tables.compared("this policy", policy, trace.rates, data.deployed)
    counted = {"every neuron fires": tables.grouped(worst)} if trace.spikes else {}
    counted["this episode"] = tables.grouped(now)
    content = {
        "worst": worst,
        "own": own,
        "sizes": memory(policy.program),
        "counts": tables.count_rows(worst, now),
        "baseline": None,
        "agree": True,
        "byte_bars": "",
    }
    if beside is not None:
        seen = episode_trace(beside, data.observations[:_MOST_STEPS]).rates
        other = tables.compared("baseline", beside, seen, data.baseline_returns)
        counted = {f"this policy, {name}": kinds for name, kinds in counted.items()}
        counted["baseline"] = tables.grouped(operations(beside.program, seen).total)
        sizes = {
            "this policy": tables.bytes_by_kind(policy),
            "baseline": tables.bytes_by_kind(beside),
        }
        content["byte_bars"] = bars("bytes", "bytes", sizes, (GREEN, PURPLE))
        content |= {"baseline": other, "agree": tables.returns_agree(own, other)}
    colours = SPIKE, BLUE, ORANGE, SOFT
    label = "integer operations per step"
    content["operation_bars"] = bars("operations", label, counted, colours)
    return content


def _origin(data: ReportData) -> dict[str, Any]:
    policy = data.policy
    whole = json.dumps(dict(policy.provenance), indent=2, ensure_ascii=False, default=str)
    return {
        "hash": model_hash(policy),
        "file_bytes": len(dumps(policy)),
        "machine": data.machine,
        "provenance": _provenance(policy),
        "whole_provenance": whole,
    }


def _provenance(policy: Policy) -> list[tuple[str, str]]:
    """The plain entries; nested ones stand in the whole text."""
    rows = []
    for key, value in sorted(policy.provenance.items()):
        if isinstance(value, str | int | float):
            rows.append((key.replace("_", " "), str(value)))
        elif key == "versions" and isinstance(value, Mapping):
            rows.append((key, ", ".join(f"{k} {v}" for k, v in sorted(value.items()))))
    return rows


def _summary(values: Floats) -> tuple[float, float, float, float, int]:
    ends = float(values.min()), float(values.max())
    return float(values.mean()), standard_error(values), *ends, len(values)


# ---- numbers as text -----------------------------------------------------------------------------


def _number(value: float, digits: int = 0) -> str:
    return signed(f"{value:,.{digits}f}") if np.isfinite(value) else "–"


def _plain(value: float) -> str:
    return signed(f"{value:g}") if np.isfinite(value) else ("∞" if value > 0 else "−∞")


def _percent(share: float) -> str:
    return "< 1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def _factor(value: float) -> str:
    """A multiple, as exact as one wants to know it."""
    if not np.isfinite(value):
        return "–"
    return f"{value:,.1f} ×" if value < 10 else f"{value:,.0f} ×"
