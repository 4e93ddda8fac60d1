"""From a recorded run to the figures of a session: plain JSON values, one meaning each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass, replace
from typing import Any

import numpy as np

from grsn_edge.profiling.energy import Energy, battery
from grsn_edge.profiling.latency import Latency, cost_fit, latency, pace
from grsn_edge.profiling.modelled import Model, modelled
from grsn_edge.profiling.recorder import Recorded
from grsn_edge.profiling.replay import Replayed
from grsn_edge.profiling.run import Run
from grsn_edge.profiling.targets import Target

__all__ = ["figures", "plain"]


def figures(
    run: Run,
    target: Target,
    replayed: Replayed,
    meter: Mapping[str, Any] | None = None,
    pack: str | None = None,
    model: Model | None = None,
) -> dict[str, Any]:
    """Every figure of a run.

    Args:
        run: finished, or interrupted.
        target: what ran.
        replayed: its steps, through the reference.
        meter: description of the meter, for the record.
        pack: a battery such as ``500mAh@3.7V`` whose life is to be estimated.
        model: a chip to model, or None for the default one.

    Raises:
        UsageError: a battery that is not one, or a chip that cannot be modelled.
    """
    played = run.played
    latencies = _latencies(run, target)
    found: dict[str, Any] = {
        "target": {"name": target.name, "kind": target.kind, "unit": target.unit},
        "plan": plain(run.plan),
        "interrupted": run.interrupted,
        "steps": len(played.rows),
        "episodes": len(played.returns),
        "mean_return": float(np.mean(played.returns)) if played.returns else None,
        "agreement": _agreement(replayed),
        "spikes": _spikes(replayed),
        "latency": [plain(one) for one in latencies],
        "pace": _pace(run),
        "cost_fit": plain(_fit(run, replayed, target)),
        "meter": dict(meter) if meter else None,
        "energy": None,
        "battery": None,
        "modelled": modelled(
            target.policy, replayed, _counted(run, target), run.plan.period_s, model or Model()
        ),
    }
    if run.energy is not None and run.recorded is not None:
        found["energy"] = _energy(run, run.energy)
        found["power"] = _power(run.recorded, run.origin_s)
    found["battery"] = _battery(run, pack, found["modelled"]["chip"])
    found["warnings"] = _warnings(run, replayed)
    return found


def plain(value: Any) -> Any:
    """Dataclasses, arrays and numbers of NumPy as JSON values; what is not finite as None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {key: plain(item) for key, item in asdict(value).items()}
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _latencies(run: Run, target: Target) -> list[Latency]:
    rows, found = run.played.rows, []
    if not rows:
        return []
    warm_up = run.plan.warm_up
    own = run.played.costs(target.unit)
    if own is not None:
        found.append(_of(own, target.kind, target.unit, warm_up))
    around = run.played.end_s - run.played.begin_s
    found.append(_of(around, "link round trip" if target.has_link else target.kind, "s", warm_up))
    if run.gpio_s is not None:
        found.append(_of(run.gpio_s, "GPIO window", "s", warm_up))
    return found


def _of(values: Any, kind: Any, unit: Any, warm_up: int) -> Latency:
    """The warm-up was played apart: it is told, not cut off again."""
    return replace(latency(values, kind, unit), warm_up=warm_up)


def _pace(run: Run) -> Any:
    rows, period = run.played.rows, run.plan.period_s
    if period is None or len(rows) < 2:
        return None
    release = np.array([row.release_s for row in rows])
    return plain(pace(release, run.played.begin_s, run.played.end_s, period))


def _fit(run: Run, replayed: Replayed, target: Target) -> Any:
    if not replayed.steps or not replayed.spikes:
        return None
    own = run.played.costs(target.unit)
    cost = run.played.end_s - run.played.begin_s if own is None else own
    unit = "s" if own is None else target.unit
    fit = cost_fit(replayed.counts, cost[: replayed.steps])
    return None if fit is None else {**asdict(fit), "unit": unit}


def _agreement(replayed: Replayed) -> dict[str, Any]:
    return {"steps": replayed.steps, "first_difference": replayed.differs}


def _spikes(replayed: Replayed) -> dict[str, Any] | None:
    if not replayed.spikes or not replayed.steps:
        return None
    neurons = sum(spikes.shape[1] for spikes in replayed.spikes.values())
    counts = replayed.counts
    return {
        "neurons": neurons,
        "mean_per_step": float(counts.mean()),
        "rate": float(counts.mean() / neurons),
        "most_per_step": int(counts.max()),
    }


def _energy(run: Run, energy: Energy) -> dict[str, Any]:
    """Per step, and what follows from it: per episode, per unit of return, while it infers."""
    found: dict[str, Any] = plain(energy)
    found["valid"] = energy.is_valid
    found["windows_by"] = run.plan.windows
    steps, played = len(run.played.rows), run.played
    has_net = energy.net_j is not None and energy.net_j.low > 0
    per_step = energy.net_j if has_net else energy.gross_j
    found["basis"] = "net" if has_net else "gross"
    found["per_inference_second_w"] = energy.power_w
    if per_step is not None and played.returns:
        whole = per_step.scaled(steps)
        found["per_episode_j"] = plain(whole.scaled(1.0 / len(played.returns)))
        rewarding = played.reward > 0
        found["per_return_j"] = plain(whole.scaled(1.0 / played.reward)) if rewarding else None
    return found


def _power(recorded: Recorded, origin_s: float) -> dict[str, Any]:
    whole = recorded.whole
    return {
        "duration_s": whole.duration_s,
        "energy_j": whole.energy_j,
        "mean_w": whole.power_w,
        "samples": recorded.samples,
        "lost": recorded.lost,
        "begins_s": recorded.sync_s - origin_s,  # the meter's zero, on the axis of the steps
        "clock_error_s": recorded.sync_error_s,
        "fault": recorded.fault,
    }


def _counted(run: Run, target: Target) -> tuple[float, str] | None:
    costs = run.played.costs(target.unit)
    return None if costs is None else (float(costs.mean()), target.unit)


def _battery(run: Run, pack: str | None, chip: Mapping[str, Any]) -> Any:
    """From the power at rest and a step's energy above it; else from the model."""
    if pack is None:
        return None
    energy, period = run.energy, run.plan.period_s
    if energy is not None and energy.idle_w is not None and energy.net_j is not None and period:
        power = energy.idle_w + max(0.0, energy.net_j.value) / period
        return {**plain(battery(pack, power)), "modelled": energy.modelled}
    if "modelled_mean_w" in chip:
        return {**plain(battery(pack, chip["modelled_mean_w"])), "modelled": True}
    return {"why_not": "needs a sampling period, and a meter or a device that counts cycles"}


def _warnings(run: Run, replayed: Replayed) -> list[str]:
    """What a reader must know first."""
    found: list[str] = []
    if run.interrupted:
        found.append("the run was interrupted: what is shown is what was played until then")
    if replayed.differs is not None:
        found.append(
            f"the action of step {replayed.differs} is not the reference's: the target does not "
            "run this policy rightly, and no figure here is of this policy"
        )
    if run.energy is not None:
        found += [f"the energy is invalid: {reason}" for reason in run.energy.invalid]
        found += list(run.energy.notes)
        if run.energy.net_j is not None and run.energy.net_j.low <= 0:
            found.append("a step's energy above the power at rest cannot be told from zero")
    if run.recorded is not None:
        found += [
            f"meter: {w.text}" + (f" ({w.count} times)" if w.count > 1 else "")
            for w in run.recorded.warnings
            if not w.voids
        ]
    return list(dict.fromkeys(found))
