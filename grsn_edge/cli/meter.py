"""``meter``: power meters and their emulators: list, measure once, emulate a device."""

from __future__ import annotations

import argparse
import time
import types
import typing
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from grsn_edge.cli.inspect import activity_of
from grsn_edge.cli.result import Result, columns
from grsn_edge.errors import UsageError
from grsn_edge.policy import Policy, load
from grsn_edge.profiling.emulators import (
    Emulator,
    PolledEmulator,
    Script,
    bursts,
    emulator,
    emulator_names,
    emulator_type,
    read_script,
)
from grsn_edge.profiling.meters import Meter, MeterInfo, Tally, create, meter_kinds, meter_type
from grsn_edge.profiling.model import (
    dense_network,
    gru_network,
    lstm_network,
    modelled_operations,
    program_network,
)

SUMMARY = "list power meters, read one, emulate one with its faults; or model a policy's energy"
EXAMPLE = """grsn-edge meter list ppk2
  grsn-edge meter read ppk2 --set voltage_v=3.0 --seconds 10
  grsn-edge meter read ppk2 --emulated --fault lost
  grsn-edge meter emulate ppk2 --script current.csv
  grsn-edge meter model models/cartpole-p.grsn"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    add = parser.add_argument
    add("action", choices=("list", "read", "emulate", "model"), help="what to do")
    add("kind", nargs="?", help="a meter (list, read), an emulator, or a .grsn file (model)")
    add("--set", nargs="+", default=[], metavar="NAME=VALUE", help="options of the meter")
    add("--seconds", type=float, help="how long (read: 5; emulate: until Ctrl-C)")
    add("--emulated", action="store_true", help="read: from its emulator, in the same process")
    add("--script", type=Path, help="current of the emulated device: duration_s,current_a,… as CSV")
    add("--voltage", type=float, default=3.0, help="supply of the emulated device in V")
    add("--fault", help="what goes wrong with the emulated device; see list")
    add(
        "--hidden", type=int, help="model: neurons of the GRU and LSTM beside it (default: as many)"
    )
    add("--speed", type=float, default=1.0, help="of the emulated device, against real time")


def run(args: argparse.Namespace) -> Result:
    """One of the four."""
    if args.action == "list":
        return _list(args.kind)
    if args.kind is None:
        raise UsageError(f"meter {args.action} what? see: grsn-edge meter list")
    if args.action == "model":
        return _model(Path(args.kind), args.hidden)
    return _read(args) if args.action == "read" else _emulate(args)


# ---- list ----------------------------------------------------------------------------------------


def _list(kind: str | None) -> Result:
    if kind is not None:
        return _describe(kind)
    meters: list[dict[str, Any]] = [
        {
            "kind": name,
            "summary": meter_type(name).summary,
            "unavailable": meter_type(name).unavailable(),
            "found": [{"text": f.text, "options": dict(f.options)} for f in _found(name)],
        }
        for name in meter_kinds()
    ]
    rows = [("meter", "here", "")]
    rows += [(m["kind"], _here(m), m["summary"]) for m in meters]
    emulators = [
        {
            "name": name,
            "meter": emulator_type(name).meter_kind,
            "summary": emulator_type(name).summary,
            "faults": dict(emulator_type(name).faults),
        }
        for name in emulator_names()
    ]
    more: list[tuple[str, ...]] = [("emulator", "faults", "")]
    more += [(str(e["name"]), str(len(e["faults"])), str(e["summary"])) for e in emulators]
    text = f"{columns(rows)}\n\n{columns(more)}\n\noptions and faults: grsn-edge meter list NAME"
    return Result({"meters": meters, "emulators": emulators}, text)


def _found(name: str) -> Sequence[Any]:
    return () if meter_type(name).unavailable() else meter_type(name).discover()


def _here(entry: dict[str, Any]) -> str:
    if entry["unavailable"]:
        return "no package"
    return "; ".join(found["text"] for found in entry["found"]) or "-"


def _describe(kind: str) -> Result:
    if kind not in meter_kinds() and kind not in emulator_names():
        known = ", ".join(sorted({*meter_kinds(), *emulator_names()}))
        raise UsageError(f"no meter or emulator '{kind}'; there are: {known}")
    data: dict[str, Any] = {"name": kind}
    parts = []
    if kind in meter_kinds():
        options = _options(meter_type(kind))
        data["options"] = {
            name: {"default": default, "help": text} for name, default, text in options
        }
        rows = [("option", "default", ""), *((n, str(d), t) for n, d, t in options)]
        parts.append(f"{meter_type(kind).summary}\n\n{columns(rows)}")
    names = [n for n in emulator_names() if kind in (n, emulator_type(n).meter_kind)]
    for name in names:
        faults = emulator_type(name).faults
        data.setdefault("faults", {})[name] = dict(faults)
        parts.append(columns([(f"fault of emulated {name}", ""), *faults.items()]))
    return Result(data, "\n\n".join(parts))


def _options(cls: type[Meter]) -> list[tuple[str, Any, str]]:
    return [(f.name, f.default, f.metadata["help"]) for f in fields(cls) if "help" in f.metadata]


# ---- read ----------------------------------------------------------------------------------------


def _read(args: argparse.Namespace) -> Result:
    seconds = 5.0 if args.seconds is None else args.seconds
    if not seconds > 0:
        raise UsageError(f"--seconds is above 0, not {seconds}")
    if not args.emulated:
        if args.script or args.fault:
            raise UsageError("--script and --fault belong to --emulated")
        with create(args.kind, **settings(args.kind, args.set)) as meter:
            return _measure(meter, seconds, None)
    with _emulator(args, live=False) as device:
        options = {**device.options(), **settings(device.meter_kind, args.set)}
        with create(device.meter_kind, **options) as meter:
            return _measure(meter, seconds, device)


def _measure(meter: Meter, seconds: float, device: Emulator | None) -> Result:
    tally = Tally(meter.info)
    meter.start()
    while tally.end_s < seconds and (block := meter.read()) is not None:
        tally.add(block)
    meter.stop()
    data = _data(meter.info, tally)
    if device is not None:
        data["exact_j"] = device.exact_j(tally.begin_s or 0.0, tally.end_s)
    return Result(data, _page(data), 1 if tally.void else 0)


def _data(info: MeterInfo, tally: Tally) -> dict[str, Any]:
    prefix = "modelled_" if info.modelled else ""
    return {
        "meter": {name: value for name, value in asdict(info).items() if name != "warnings"},
        f"{prefix}energy_j": tally.energy_j,
        f"{prefix}mean_power_w": tally.mean_power_w,
        f"{prefix}charge_c": tally.charge_c,
        "meter_bound_j": tally.bound_j,
        "sampled_s": tally.sampled_s,
        "samples": tally.samples,
        "lost": tally.lost,
        "warnings": [asdict(w) for w in tally.warnings],
        "void": list(tally.void),
    }


def _page(data: dict[str, Any]) -> str:
    meter = data["meter"]
    label = "modelled " if meter["modelled"] else ""
    prefix = "modelled_" if meter["modelled"] else ""
    energy, power = data[f"{prefix}energy_j"], data[f"{prefix}mean_power_w"]
    bound = data["meter_bound_j"]
    error = "unknown" if bound is None else f"± {bound:.3g} J ({meter['accuracy']['source']})"
    rows = [
        ("meter", f"{meter['kind']} {meter['serial']}".strip()),
        ("time", f"{data['sampled_s']:.6g} s, {data['samples']} samples, {data['lost']} lost"),
        (f"{label}energy", f"{energy:.6g} J"),
        (f"{label}power", f"{power:.6g} W on average"),
        ("meter's error", error),
    ]
    charge = data[f"{prefix}charge_c"]
    if charge is not None:
        rows.insert(3, (f"{label}charge", f"{charge:.6g} C"))
    if "exact_j" in data:
        rows.append(("exact energy", f"{data['exact_j']:.6g} J, of the emulated script"))
    lines = [columns(rows)]
    for warning in data["warnings"]:
        at = "" if warning["at_s"] is None else f" from {warning['at_s']:.4g} s"
        lines.append(f"{warning['kind']}{at}, {warning['count']} times: {warning['text']}")
    if data["void"]:
        lines.append("VOID: these figures must not be used")
    return "\n".join(lines)


def settings(kind: str, texts: Sequence[str]) -> dict[str, Any]:
    """``NAME=VALUE`` texts as the meter's options, by their annotated types."""
    cls = meter_type(kind)
    known = {name for name, _, _ in _options(cls)}
    hints = typing.get_type_hints(cls)
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise UsageError(f"--set {text!a}: meter '{kind}' has {', '.join(sorted(known))}")
        found[name] = _value(name, value, hints[name])
    return found


def chosen_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The options in ``--set`` of a verb that takes its meter from ``--meter``."""
    if args.meter in ("none", "auto"):
        if args.set:
            raise UsageError("--set needs the kind of the meter: --meter KIND")
        return {}
    return settings(args.meter, args.set)


def _value(name: str, text: str, hint: Any) -> Any:
    wanted = [hint]
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        wanted = [h for h in typing.get_args(hint) if h is not type(None)]
    try:
        if wanted[0] is bool:
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
                text.lower()
            ]
        if wanted[0] is int:
            return int(text, 0)
        return float(text) if wanted[0] is float else text
    except (ValueError, KeyError):
        raise UsageError(f"--set {name}: {text!a} is not a {wanted[0].__name__}") from None


# ---- emulate -------------------------------------------------------------------------------------


def _emulate(args: argparse.Namespace) -> Result:
    with _emulator(args, live=True) as device:
        print(f"{device.summary}; read it with:\n  {device.hint()}", flush=True)
        began = time.monotonic()
        try:
            while args.seconds is None or time.monotonic() - began < args.seconds:
                time.sleep(0.05)
        except KeyboardInterrupt:
            pass  # the way to end it
        lived = time.monotonic() - began
    data = {"emulator": device.name, "fault": device.fault, "seconds": lived}
    return Result(data, f"ended after {lived:.1f} s")


def _emulator(args: argparse.Namespace, live: bool) -> Emulator:
    names = [n for n in emulator_names() if args.kind in (n, emulator_type(n).meter_kind)]
    if not names:
        raise UsageError(f"no emulator '{args.kind}'; there are: {', '.join(emulator_names())}")
    options: dict[str, Any] = {
        "script": _script(args),
        "fault": args.fault,
        "speed": args.speed,
    }
    name = args.kind if args.kind in names else names[0]
    cls = emulator_type(name)
    if issubclass(cls, PolledEmulator) or "live" in cls.__dataclass_fields__:
        options["live"] = live
    return emulator(name, **options)


def _script(args: argparse.Namespace) -> Script:
    if args.script is not None:
        return read_script(args.script, args.voltage)
    return bursts(voltage_v=args.voltage)


# ---- model ---------------------------------------------------------------------------------------


def _model(path: Path, hidden: int | None) -> Result:
    """Modelled picojoules of one step, beside networks that a policy could have been."""
    policy = load(path)
    program, activity = policy.program, activity_of(policy)
    inputs, outputs = len(policy.observations), _outputs(policy)
    neurons = hidden or max((n.n for n in program.states), default=1)
    networks = [
        program_network(program, activity, name=policy.name),
        gru_network(inputs, neurons, outputs),
        lstm_network(inputs, neurons, outputs),
        dense_network([inputs, 64, 64, outputs]),
    ]
    found = modelled_operations(program, activity)
    data: dict[str, Any] = {
        "activity": activity or "all spikes, the worst case",
        "modelled_arithmetic_pj": found.modelled_arithmetic_pj,
        "modelled_pj": found.modelled_pj,
        "by_operation_modelled_pj": dict(found.arithmetic_pj),
        "networks": [
            {
                **asdict(n),
                "modelled_fp32_pj": n.modelled_fp32_pj,
                "modelled_int8_pj": n.modelled_int8_pj,
                "modelled_int8_with_weights_pj": n.modelled_int8_with_weights_pj,
            }
            for n in networks
        ],
    }
    return Result(data, _model_page(data))


def _outputs(policy: Policy) -> int:
    """Elements of the action's value before it is decoded: one per choice."""
    program = policy.program
    return max(
        program[program[name].args[0]].n if program[name].args else 1
        for name in program.outputs.values()
    )


def _model_page(data: dict[str, Any]) -> str:
    rows: list[tuple[Any, ...]] = [
        ("modelled pJ per step", "SynOps", "MACs", "fp32", "int8", "int8 and its weights")
    ]
    keys = ("modelled_fp32_pj", "modelled_int8_pj", "modelled_int8_with_weights_pj")
    for n in data["networks"]:
        counts = (f"{n['accumulates']:.0f}", n["multiply_accumulates"])
        rows.append((n["name"], *counts, *(f"{n[key]:.0f}" for key in keys)))
    arithmetic, whole = data["modelled_arithmetic_pj"], data["modelled_pj"]
    notes = (
        "SynOps leave out what each neuron does by itself; with it, "
        f"all operations of the policy: modelled {arithmetic:.0f} pJ, with memory {whole:.0f} pJ\n"
        "45 nm, Horowitz 2014; what such figures are worth: docs/modelled-energy.md"
    )
    return f"{columns(rows)}\n\n{notes}"
