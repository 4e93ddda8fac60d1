"""``profile``: what a step costs in time and energy; ``profile compare``: sessions side by side."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from grsn_edge.cli.result import Result, columns
from grsn_edge.cli.times import period_of, seconds
from grsn_edge.errors import UsageError
from grsn_edge.policy import load

SUMMARY = "measure what a step costs, on this host, a device or an emulated board"
EXAMPLE = """grsn-edge profile models/cartpole-p.grsn --on m4 --task cartpole-p --period 10ms
  grsn-edge profile models/cartpole-p.grsn --on /dev/ttyACM0 --meter ppk2 --windows gpio
  grsn-edge profile compare out/profile/a out/profile/b"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    add = parser.add_argument
    add("model", nargs="+", help="a .grsn file; or the word compare and two or more sessions")
    add("--on", default="host", help="host, an emulated board's name, or a device's address")
    add("--backend", default="auto", help="of the host (default auto)")
    add("--baud", type=int, default=115200, help="of a serial line")
    add("--task", help="play in this task (default: the golden vectors)")
    add("--log", type=Path, help="play the observations of this CSV file")
    add("--seed", type=int, default=0, help="of the task's first episode")
    add("--steps", type=int, default=1000, help="counted (default 1000)")
    add("--warm-up", type=int, default=100, help="played before, not counted (default 100)")
    add("--period", help="sampling period, such as 10ms; 'policy' for its own (default: none)")
    add("--meter", default="none", help="a kind of `grsn-edge meter list`, auto, or none (default)")
    add("--set", nargs="+", default=[], metavar="NAME=VALUE", help="options of the meter")
    add("--emulated-meter", action="store_true", help="try it out with --meter ppk2, emulated")
    add("--windows", default="auto", choices=("auto", "gpio", "link", "burst"))
    add("--window", default="1s", help="length of a burst (default 1s)")
    add("--window-count", type=int, default=10, help="bursts (default 10)")
    add("--idle", default="1s", help="rest before and after (default 1s)")
    add("--mark-bit", type=int, default=0, help="the meter's input that the step's pin is on")
    add("--protocol", default="default", choices=("default", "mlperf-tiny"))
    add("--battery", help="estimate its life, such as 500mAh@3.7V")
    add("--mcap", action="store_true", help="write session.mcap, too, for Foxglove")
    add("--out", type=Path, help="folder (default out/profile/<policy>-<number>)")


def run(args: argparse.Namespace) -> Result:
    """Measure, or compare."""
    if args.model[0] == "compare":
        return _compare([Path(name) for name in args.model[1:]])
    if len(args.model) != 1:
        raise UsageError("profile takes one model; to compare sessions: profile compare A B")
    return _profile(args)


def _profile(args: argparse.Namespace) -> Result:
    from grsn_edge.cli.meter import chosen_settings
    from grsn_edge.cli.progress import PhaseDisplay
    from grsn_edge.profiling.profile import Request, profile
    from grsn_edge.report.session_page import write_page

    policy = load(args.model[0])
    folder = args.out or _fresh(Path("out") / "profile", policy.name)
    request = Request(
        policy,
        on=args.on,
        backend=args.backend,
        baud=args.baud,
        task=args.task,
        log=args.log,
        seed=args.seed,
        plan=_plan(args, policy.period_s),
        meter=args.meter,
        meter_options=chosen_settings(args),
        emulated_meter=args.emulated_meter,
        pack=args.battery,
        command="grsn-edge " + " ".join(sys.argv[1:]),
    )
    with PhaseDisplay(args.steps) as display:
        found = profile(request, folder, display)
    write_page(found, folder)
    if args.mcap:
        from grsn_edge.profiling.mcap_export import write_mcap

        write_mcap(folder)
    data = {"folder": str(folder), "about": dict(found.about), **found.figures}
    return Result(data, _text(found.figures, folder), 0 if _good(found.figures) else 1)


def _plan(args: argparse.Namespace, period_s: float) -> Any:
    from grsn_edge.profiling.energy import CAREFUL, MLPERF_TINY
    from grsn_edge.profiling.run import Plan

    strict = args.protocol == "mlperf-tiny"
    return Plan(
        steps=args.steps,
        warm_up=args.warm_up,
        period_s=period_of(args.period, period_s),
        windows="burst" if strict and args.windows == "auto" else args.windows,
        window_s=max(10.1, seconds(args.window)) if strict else seconds(args.window),
        window_count=5 if strict else args.window_count,
        idle_s=seconds(args.idle),
        mark_bit=args.mark_bit,
        rules=MLPERF_TINY if strict else CAREFUL,
    )


def _fresh(parent: Path, name: str) -> Path:
    number = 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{number}"


def _good(figures: Any) -> bool:
    energy = figures["energy"]
    return figures["agreement"]["first_difference"] is None and not (energy and energy["invalid"])


def _text(figures: Any, folder: Path) -> str:
    rows: list[tuple[Any, ...]] = [("target", figures["target"]["name"])]
    if figures["mean_return"] is not None:
        rows.append(("return", f"{figures['mean_return']:.1f} over {figures['episodes']} episodes"))
    if figures["spikes"]:
        rows.append(("spikes", f"{100 * figures['spikes']['rate']:.1f} % of neurons per step"))
    rows += [(one["kind"], _latency(one)) for one in figures["latency"]]
    if figures["pace"]:
        pace = figures["pace"]
        rows.append(("deadlines missed", f"{pace['misses']}, longest run {pace['longest_run']}"))
        rows.append(("duty cycle", f"{100 * pace['duty_cycle']:.2g} %"))
    if figures["cost_fit"]:
        fit = figures["cost_fit"]
        rows.append(
            ("cost of a spike", f"{_value(fit['per_spike'], fit['unit'])} over "
             f"{_value(fit['base'], fit['unit'])}, R² {fit['r2']:.3f}")
        )  # fmt: skip
    rows += _energy_rows(figures["energy"])
    rows += _modelled_rows(figures["modelled"]["chip"])
    if figures["battery"]:
        rows.append(_battery_row(figures["battery"]))
    warnings = [f"! {text}" for text in figures["warnings"]]
    return "\n".join(
        [*warnings, columns(rows), f"session  {folder}", f"report   {folder}/report.html"]
    )


def _energy_rows(energy: Any) -> list[tuple[str, str]]:
    if not energy:
        return []
    label = "modelled energy" if energy["modelled"] else "energy"
    mark = " INVALID" if energy["invalid"] else ""
    rows = []
    for name, title in (("gross_j", "per step"), ("net_j", "per step above idle")):
        if energy[name]:
            f = {k: v * 1e6 for k, v in energy[name].items()}
            text = f"{f['value']:.4g} µJ [{f['low']:.4g}, {f['high']:.4g}]{mark}"
            rows.append((f"{label} {title}", text))
    if energy["idle_w"] is not None:
        rows.append(("power, idle", f"{energy['idle_w'] * 1e3:.4g} mW"))
        rows.append(("power, stepping", f"{energy['power_w'] * 1e3:.4g} mW"))
    return rows


def _modelled_rows(chip: Any) -> list[tuple[str, str]]:
    if "why_not" in chip:
        return []
    step = f"{chip['modelled_step_j'] * 1e6:.4g} µJ on {chip['name']} ({chip['cycles_by']})"
    rows = [("modelled energy per step", step)]
    if "modelled_mean_w" in chip:
        rows.append(("modelled power, with sleep", f"{chip['modelled_mean_w'] * 1e6:.4g} µW"))
    return rows


def _battery_row(pack: Any) -> tuple[str, str]:
    if "hours" not in pack:
        return "battery", pack["why_not"]
    return (
        "modelled battery life" if pack["modelled"] else "battery life"
    ), f"{pack['hours']:,.0f} h"


def _latency(one: Any) -> str:
    unit = one["unit"]
    names = (("p50", "p50"), ("p90", "p90"), ("p99", "p99"), ("p99.9", "p999"), ("max", "max"))
    found = [f"{name} {_value(one[key], unit)}" for name, key in names if one[key] is not None]
    return f"{', '.join(found)} (n = {one['n']})"


def _value(value: float, unit: str) -> str:
    if unit != "s":
        return f"{value:,.0f} {unit}"
    return f"{value * 1e6:.3g} µs" if abs(value) < 1e-3 else f"{value * 1e3:.3g} ms"


def _compare(folders: list[Path]) -> Result:
    from grsn_edge.profiling.compare import compare_sessions
    from grsn_edge.profiling.session import Session

    sessions = [Session.read(folder) for folder in folders]
    found = compare_sessions(sessions)
    rows: list[tuple[Any, ...]] = [("figure", "session", "value", "ratio", "95 % interval", "")]
    for name, comparisons in found.items():
        for one in comparisons:
            rows.append((one.figure, folders[0].name, _short(one.first), "", "", ""))
            interval = "" if one.ratio is None else f"{one.ratio_low:.3f} to {one.ratio_high:.3f}"
            ratio = "" if one.ratio is None else f"{one.ratio:.3f}"
            verdict = one.why_not or one.verdict
            rows.append(("", Path(name).name, _short(one.other), ratio, interval, verdict))
    data = {name: [asdict(one) for one in few] for name, few in found.items()}
    return Result({"first": str(folders[0]), "against": data}, columns(rows))


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
