"""A profiling session from beginning to end: opens target and meter, runs, writes the folder."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from grsn_edge.errors import UsageError
from grsn_edge.policy import Policy, model_hash
from grsn_edge.profiling.emulators import emulator
from grsn_edge.profiling.emulators.wired import WiredScript
from grsn_edge.profiling.figures import figures, plain
from grsn_edge.profiling.meters import (
    Meter,
    MeterInfo,
    MeterWarning,
    create,
    meter_kinds,
    meter_type,
)
from grsn_edge.profiling.modelled import model_from
from grsn_edge.profiling.recorder import Recorder
from grsn_edge.profiling.replay import Replayed, replay
from grsn_edge.profiling.run import Plan, Run, run
from grsn_edge.profiling.session import SessionWriter, StepRow
from grsn_edge.profiling.sources import GoldenSource, LogSource, Source, TaskSource
from grsn_edge.profiling.targets import Target, open_target
from grsn_edge.profiling.wiring import Wiring

__all__ = ["Request", "Result", "choose_meter", "profile"]

Watch = Callable[[str, int, StepRow | None, Recorder | None], None]

_EMULATED = MeterWarning(
    "setup", "the meter is emulated and plays a script: its joules are no measurement of anything"
)
_PACKAGES = ("grsn-edge", "numpy", "onnxruntime", "unicorn", "pyserial", "ziglang", "scipy")


@dataclass(frozen=True)
class Request:
    """What is to be profiled.

    Args:
        policy: frozen.
        on: ``host``, the name of an emulated board, or a device's address.
        backend: of the host.
        baud: of a serial line.
        task: play in it; or
        log: a CSV of observations; with neither, the golden vectors are played.
        seed: of the task's first episode.
        plan: how the run goes.
        meter: a kind, ``auto`` or ``none``; ``model`` models what the target counts.
        meter_options: of the meter, by name.
        emulated_meter: take the meter's emulator, wired to the target: to try things out; what it
            gives is a script's, and is labelled so.
        pack: a battery such as ``500mAh@3.7V``.
        command: for the record.
    """

    policy: Policy
    on: str = "host"
    backend: str = "auto"
    baud: int = 115200
    task: str | None = None
    log: Path | None = None
    seed: int = 0
    plan: Plan = field(default_factory=Plan)
    meter: str = "none"
    meter_options: Mapping[str, Any] = field(default_factory=dict)
    emulated_meter: bool = False
    pack: str | None = None
    command: str = ""


@dataclass(frozen=True, eq=False)
class Result:
    """A session's figures (JSON values), its record, and what fired."""

    about: Mapping[str, Any]
    figures: Mapping[str, Any]
    run: Run
    replayed: Replayed


def profile(request: Request, writer_folder: Path, watch: Watch | None = None) -> Result:
    """Carry out a request and write its folder (without the page).

    Raises:
        UsageError, DeviceError, MeterError, BackendUnavailable, TaskError: before anything runs, or
            of the target while it runs; what was measured until then is in the folder.
    """
    with ExitStack() as stack:
        target = stack.enter_context(
            open_target(request.on, request.policy, backend=request.backend, baud=request.baud)
        )
        source = _source(request)
        model = model_from(request.meter_options) if request.meter == "model" else None
        meter = None if model else _meter(request, target, stack)
        info = None if meter is None else stack.enter_context(meter).info
        about = _about(request, source.name, target, info)
        writer = stack.enter_context(SessionWriter(writer_folder, about))
        recorder = None
        if meter is not None:
            bit = request.plan.mark_bit if info and info.digital_inputs else None
            longest = max(request.plan.window_s, request.plan.idle_s)
            recorder = stack.enter_context(Recorder(meter, writer, bit, longest))
        done = run(
            target,
            source,
            request.plan,
            writer=writer,
            recorder=recorder,
            voltage_v=_voltage(meter),
            watch=None if watch is None else lambda phase, i, row: watch(phase, i, row, recorder),
        )
        played = done.played
        episodes = [row.episode for row in played.rows]
        replayed = replay(request.policy, played.observations, episodes, played.actions)
        if request.emulated_meter and info is not None:
            info = replace(info, serial=f"{info.serial} EMULATED", warnings=(_EMULATED,))
        found = figures(done, target, replayed, plain(info) if info else None, request.pack, model)
        if request.emulated_meter:
            found["warnings"].append(_EMULATED.text)
        writer.finish(found)
    return Result(about, found, done, replayed)


def _meter(request: Request, target: Target, stack: ExitStack) -> Meter | None:
    if not request.emulated_meter:
        return choose_meter(request.meter, request.meter_options)
    if request.meter != "ppk2":
        raise UsageError("--emulated-meter is for --meter ppk2, which sees the step's pin")
    script = WiredScript()
    device = stack.enter_context(emulator(request.meter, script=script))
    Wiring(target, script)
    return create(request.meter, **{**device.options(), **request.meter_options})


def choose_meter(kind: str, options: Mapping[str, Any]) -> Meter | None:
    """The meter that was asked for, not yet open; ``auto`` takes the one that is there.

    Raises:
        UsageError: an unknown kind, or ``auto`` where there is none or more than one.
    """
    if kind == "none":
        return None
    if kind != "auto":
        return create(kind, **options)
    found = [
        (name, one)
        for name in meter_kinds()
        if meter_type(name).unavailable() is None
        for one in meter_type(name).discover()
    ]
    if len(found) != 1:
        listed = "; ".join(f"{name}: {one.text}" for name, one in found) or "none"
        raise UsageError(f"--meter auto needs exactly one meter, here are: {listed}; name one")
    name, one = found[0]
    return create(name, **{**one.options, **options})


def _source(request: Request) -> Source:
    if request.task is not None and request.log is not None:
        raise UsageError("observations come from a task or from a log, not from both")
    if request.task is not None:
        return TaskSource(request.task, request.seed)
    if request.log is not None:
        return LogSource.read(request.log, request.policy)
    return GoldenSource(request.policy)


def _voltage(meter: Meter | None) -> float:
    return float(getattr(meter, "voltage_v", 0.0) or 0.0)


def _about(request: Request, source: str, target: Target, info: MeterInfo | None) -> dict[str, Any]:
    policy = request.policy
    return {
        "policy": policy.name,
        "model_hash": model_hash(policy),
        "period_s": policy.period_s,
        "target": target.name,
        "target_details": dict(target.details),
        "observations": source,
        "meter": info.kind if info else None,
        "command": request.command,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "python": sys.version.split()[0],
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
