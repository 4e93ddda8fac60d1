"""The page of a profiling session: one file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from grsn_edge.errors import UsageError
from grsn_edge.policy import write_atomically
from grsn_edge.profiling.profile import Result
from grsn_edge.report.session_figures import (
    cost_against_spikes,
    energy_budget,
    latency_histograms,
    scale_of,
)

__all__ = ["REPORT", "render_session", "write_page"]

REPORT = "report.html"
_MOST_WINDOWS = 2000


def write_page(result: Result, folder: Path) -> None:
    """Write ``report.html`` into a session's folder.

    Raises:
        UsageError: matplotlib or jinja2 is not installed.
        OSError: the file cannot be written; the rest of the session stays.
    """
    write_atomically(folder / REPORT, render_session(result).encode())


def render_session(result: Result) -> str:
    """The page as HTML text."""
    try:
        import matplotlib  # noqa: F401
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise UsageError(f"a report needs {error.name}; install grsn-edge[report]") from None
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": "{:,}".format, "duration": _duration}
    return environment.from_string(_part("session.html")).render(_content(result))


def _part(name: str) -> str:
    return files("grsn_edge.report").joinpath(name).read_text(encoding="utf-8")


def _content(result: Result) -> dict[str, Any]:
    figures, script = result.figures, _part("session.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    data = _data(result)
    fit = figures["cost_fit"]
    return {
        "style": _part("style.css"),
        "script": script,
        "script_hash": f"sha256-{digest}",
        "about": result.about,
        "figures": figures,
        "tiles": _tiles(figures),
        "trace": data["trace"] is not None,
        "close_up": data["close_up"] is not None,
        "modelled": bool(figures["energy"] and figures["energy"]["modelled"]),
        "histograms": latency_histograms(figures["latency"]),
        "latency_rows": [_latency_row(one) for one in figures["latency"]],
        "pace_text": _pace_text(figures["pace"]),
        "cost": _cost(result),
        "cost_text": _cost_text(fit) if fit else "",
        "budget": _budget(figures),
        "energy_rows": _energy_rows(figures),
        "modelled_chip": _modelled_chip(figures["modelled"]["chip"]),
        "process": figures["modelled"]["process"],
        "papers": figures["modelled"]["papers"],
        "facts": _facts(result),
        "data": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    }


# ---- the data of the zoomable pictures -----------------------------------------------------------


def _data(result: Result) -> dict[str, Any]:
    recorded = result.run.recorded
    if recorded is None or not len(recorded.trace.time_s):
        return {"trace": None, "close_up": None}
    trace = recorded.trace
    spans = [[w.span.begin_s, w.span.end_s] for w in result.run.windows[:_MOST_WINDOWS]]
    return {
        "trace": {
            "width_s": trace.width_s,
            "index": _packed(np.rint(trace.time_s / trace.width_s), "<u4"),
            "low": _packed(trace.low_w, "<f4"),
            "mean": _packed(trace.mean_w, "<f4"),
            "high": _packed(trace.high_w, "<f4"),
            "windows": spans,
        },
        "close_up": _close_up(result),
    }


def _close_up(result: Result) -> dict[str, Any] | None:
    """The first samples of the run, unthinned, with the steps and spikes that fall into them."""
    recorded, replayed, run = result.run.recorded, result.replayed, result.run
    if recorded is None or not recorded.close_up or not replayed.spikes:
        return None
    time_s = np.concatenate([block.time_s for block in recorded.close_up])
    power = np.concatenate([block.power_w for block in recorded.close_up])
    fired = np.concatenate(list(replayed.spikes.values()), axis=1)
    shift = run.origin_s - recorded.sync_s
    steps = []
    marked = run.windows if run.gpio_s is not None else None
    for i, row in enumerate(run.played.rows[: replayed.steps]):
        begin, end = shift + row.begin_s, shift + row.end_s
        if marked is not None:
            begin, end = marked[i].span.begin_s, marked[i].span.end_s
        if begin > time_s[-1]:
            break
        if end >= time_s[0]:
            steps.append([begin, end, np.flatnonzero(fired[i]).tolist()])
    return {
        "begin_s": float(time_s[0]),
        "after_s": _packed(time_s - time_s[0], "<f4"),
        "power_w": _packed(power, "<f4"),
        "neurons": int(fired.shape[1]),
        "steps": steps,
    }


def _packed(values: Any, dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype).tobytes()).decode()


# ---- figures and tables --------------------------------------------------------------------------


def _tiles(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for one in figures["latency"][:2]:
        factor, unit = scale_of(one["unit"], one["p50"] or one["mean"])
        value = _digits((one["p50"] or one["mean"]) * factor)
        found.append(_tile(value, unit, f"a step's median, {one['kind']}"))
    energy = figures["energy"]
    if energy:
        best = energy[f"{energy['basis']}_j"]
        word = "modelled" if energy["modelled"] else "measured"
        is_net = energy["basis"] == "net"
        basis = "above the power at rest" if is_net else "everything the meter saw"
        factor, unit = _joules(best["value"]) if best else (1.0, "")
        value = _digits(best["value"] * factor) if best else "–"
        text = f"energy per step, {word}, {basis}"
        if energy["invalid"]:
            text = "invalid: " + text
        found.append(_tile(value, unit, text, bad=bool(energy["invalid"])))
    if figures["spikes"]:
        rate = 100 * figures["spikes"]["rate"]
        found.append(_tile(f"{rate:.1f}", "%", "of the neurons fire in a step"))
    if figures["pace"]:
        misses = figures["pace"]["misses"]
        found.append(_tile(f"{misses:,}", "", "deadlines missed", bad=misses > 0))
    if figures["mean_return"] is not None:
        n = figures["episodes"]
        text = f"mean return of {n} whole episodes" if n > 1 else "return of one whole episode"
        found.append(_tile(f"{figures['mean_return']:.1f}".replace("-", "−"), "", text))
    return found


def _joules(value: float) -> tuple[float, str]:
    """A factor and a unit for an energy of this size."""
    for factor, unit in ((1.0, "J"), (1e3, "mJ"), (1e6, "µJ")):
        if abs(value) * factor >= 1:
            return factor, unit
    return 1e9, "nJ"


def _tile(value: str, unit: str, text: str, *, bad: bool = False) -> dict[str, Any]:
    return {"value": value, "unit": unit, "text": text, "bad": bad}


def _digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}".replace("-", "−")


def _duration(seconds: float) -> str:
    factor, unit = scale_of("s", seconds)
    return f"{seconds * factor:.4g} {unit}"


def _latency_row(one: Mapping[str, Any]) -> dict[str, Any]:
    factor, unit = scale_of(one["unit"], one["p50"] or one["mean"])

    def cell(value: float | None) -> str:
        return "–" if value is None else f"{_digits(value * factor)} {unit}"

    keys = ("p50", "p90", "p99", "p999", "max", "mean")
    return {"kind": one["kind"], "cells": [*(cell(one[k]) for k in keys), f"{one['n']:,}"]}


def _pace_text(pace: Mapping[str, Any] | None) -> str:
    if pace is None:
        return ""
    return (
        f"Period {_duration(pace['period_s'])}: between the beginnings of two steps lie "
        f"{_duration(pace['interval_mean_s'])} ± {_duration(pace['interval_std_s'])}, at worst "
        f"{_duration(pace['interval_worst_s'])} off; a step runs {100 * pace['duty_cycle']:.2g} % "
        f"of the time. {pace['misses']:,} deadlines missed, at most {pace['longest_run']:,} in a "
        f"row; {pace['skipped']:,} periods skipped."
    )


def _cost(result: Result) -> str:
    fit, played, replayed = result.figures["cost_fit"], result.run.played, result.replayed
    if not fit:
        return ""
    own = played.costs(fit["unit"])
    cost = played.end_s - played.begin_s if own is None else own
    return cost_against_spikes(replayed.counts, cost[: replayed.steps], fit["unit"], fit)


def _cost_text(fit: Mapping[str, Any]) -> str:
    factor, unit = scale_of(fit["unit"], abs(fit["base"]))
    return (
        f"A silent step: {_digits(fit['base'] * factor)} {unit}; each spike: "
        f"{_digits(fit['per_spike'] * factor)} ± {_digits(fit['per_spike_error'] * factor)} {unit} "
        f"(standard error); the line explains {100 * fit['r2']:.1f} % of the variance."
    )


def _budget(figures: Mapping[str, Any]) -> str:
    """What a sampling period's energy is made of, where rest and step are both known."""
    energy, period = figures["energy"], figures["plan"]["period_s"]
    if not energy or not energy["net_j"] or energy["idle_w"] is None or not period:
        return ""
    if energy["net_j"]["value"] <= 0 or energy["idle_w"] <= 0:
        return ""
    return energy_budget({"rest": energy["idle_w"] * period, "step": energy["net_j"]["value"]})


def _energy_rows(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    energy = figures["energy"]
    if not energy:
        return []
    bad = bool(energy["invalid"])
    names = {
        "gross_j": "per step, gross",
        "net_j": "per step, net",
        "per_episode_j": f"per episode, {energy['basis']}",
        "per_return_j": f"per unit of return, {energy['basis']}",
    }
    rows = [_energy_row(names[k], energy[k], bad) for k in names if energy.get(k)]
    if energy["meter_bound_j"] is not None:
        factor, unit = _joules(energy["meter_bound_j"])
        value = f"± {energy['meter_bound_j'] * factor:.4g} {unit}"
        rows.append(
            {"name": "of it the meter's bound", "value": value, "interval": "", "bad": False}
        )
    plain_rows = (
        ("power while stepping", energy["power_w"], 1e3, "mW"),
        ("power at rest", energy["idle_w"], 1e3, "mW"),
    )
    rows += [
        {"name": name, "value": f"{value * f:.4g} {unit}", "interval": "", "bad": False}
        for name, value, f, unit in plain_rows
        if value is not None
    ]
    rows.append(
        {
            "name": f"{energy['windows']:,} windows by {energy['windows_by']}, "
            f"{energy['steps']:,} steps, rules: {energy['rules']}",
            "value": f"{energy['duration_s']:.4g} s",
            "interval": f"{100 * energy['lost']:.2g} % lost",
            "bad": False,
        }
    )
    battery = figures["battery"]
    if battery and "hours" in battery:
        pack = f"{battery['capacity_ah'] * 1e3:g} mAh at {battery['voltage_v']:g} V"
        word = "modelled" if battery["modelled"] else "estimated"
        text = f"life of a battery of {pack}, {word}"
        value = f"{battery['hours']:,.0f} h"
        rows.append({"name": text, "value": value, "interval": "", "bad": False})
    return rows


def _modelled_chip(chip: Mapping[str, Any]) -> list[tuple[str, str]]:
    if "why_not" in chip:
        return [("no chip is modelled", chip["why_not"])]
    names = {
        "modelled_step_j": "modelled: a step",
        "modelled_period_j": "modelled: a period with sleep and wake-up",
        "modelled_sleep_j": "modelled: of it asleep",
    }
    rows = [("chip", f"{chip['name']}; {chip['source']}")]
    rows.append(("cycles of a step", f"{chip['cycles']:,.0f} ({chip['cycles_by']})"))
    for key, name in names.items():
        if key in chip:
            factor, unit = _joules(chip[key])
            rows.append((name, f"{chip[key] * factor:.3g} {unit}"))
    return rows


def _energy_row(name: str, figure: Mapping[str, float], bad: bool) -> dict[str, Any]:
    factor, unit = _joules(max(abs(figure["low"]), abs(figure["high"])))
    low, high = figure["low"] * factor, figure["high"] * factor
    value = f"{figure['value'] * factor:.4g} {unit}" + (" (invalid)" if bad else "")
    return {"name": name, "value": value, "interval": f"{low:.4g} to {high:.4g} {unit}", "bad": bad}


def _facts(result: Result) -> list[tuple[str, str]]:
    about, meter = result.about, result.figures["meter"]
    facts = [
        ("command", about["command"]),
        ("date", about["date"]),
        ("model hash", about["model_hash"]),
        ("target", "; ".join(f"{k}: {v}" for k, v in about["target_details"].items())),
        ("machine", about["machine"]),
        ("python", about["python"]),
        ("versions", ", ".join(f"{k} {v}" for k, v in about["versions"].items())),
    ]
    if meter:
        accuracy = meter["accuracy"]
        stated = (
            f"± {100 * accuracy['gain']:g} %, {accuracy['source']}" if accuracy else "not stated"
        )
        facts += [
            ("meter", f"{meter['kind']} {meter['serial']}".strip()),
            ("calibration", meter["calibration"]),
            ("accuracy", stated),
            ("time stamps", meter["time_stamps"]),
        ]
        power = result.figures["power"]
        facts.append(
            ("samples", f"{power['samples']:,}, {power['lost']:,} lost; clocks agree within "
             f"{power['clock_error_s'] * 1e3:.2g} ms")
        )  # fmt: skip
    return facts
