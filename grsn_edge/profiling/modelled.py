"""What a run's counts would cost by models: chips, processes, and the counting of papers.

Every name and every figure here says "modelled": nothing was measured.  What such figures are worth
is in ``docs/modelled-energy.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from grsn_edge.errors import UsageError
from grsn_edge.policy import Policy
from grsn_edge.profiling.chips import chip
from grsn_edge.profiling.model import (
    ModelledNetwork,
    dense_network,
    gru_network,
    lstm_network,
    modelled_operations,
    modelled_step,
    program_network,
)
from grsn_edge.profiling.replay import Replayed

__all__ = ["Model", "model_from", "modelled"]


@dataclass(frozen=True, slots=True)
class Model:
    """Options of ``--meter model``.

    Args:
        chip: a name of the table in ``docs/modelled-energy.md``.
        cycles: of one step; None: what the target counted, cycles or instructions.
        sleep_a: current in sleep, where the table has none or another one is meant.
    """

    chip: str = "nRF52840"
    cycles: float | None = None
    sleep_a: float | None = None


def modelled(
    policy: Policy,
    replayed: Replayed,
    counted: tuple[float, str] | None,
    period_s: float | None,
    model: Model,
) -> dict[str, Any]:
    """JSON values: ``chip``, ``process``, ``papers``.

    Args:
        policy: what ran.
        replayed: its spikes.
        counted: mean count of a step and what it counts (cycles, instructions); or None.
        period_s: sampling period, for sleep and wake-up; None: the step alone.
        model: which chip.

    Raises:
        UsageError: an unknown chip, or a step that does not fit into the period.
    """
    activity = {name: float(spikes.mean()) for name, spikes in replayed.spikes.items()}
    return {
        "chip": _chip(counted, period_s, model),
        "process": _process(policy, activity),
        "papers": _papers(policy, activity),
    }


def _chip(
    counted: tuple[float, str] | None, period_s: float | None, model: Model
) -> dict[str, Any]:
    found = chip(model.chip)
    if model.sleep_a is not None:
        found = replace(found, sleep_a=model.sleep_a)
    if model.cycles is not None:
        cycles, by = model.cycles, "cycles as given"
    elif counted is not None and counted[1] in ("cycles", "instructions"):
        by = "cycles, counted" if counted[1] == "cycles" else "instructions, emulated, as cycles"
        cycles = counted[0]
    else:
        return {"why_not": "the target counts neither cycles nor instructions; give them"}
    step = modelled_step(found, cycles)
    result: dict[str, Any] = {
        "name": found.name,
        "source": found.source,
        "cycles": cycles,
        "cycles_by": by,
        "modelled_step_j": step.active_j,
        "modelled_step_s": step.active_s,
    }
    if period_s is not None and found.sleep_a is not None:
        whole = modelled_step(found, cycles, period_s)
        result |= {
            "modelled_period_j": whole.modelled_j,
            "modelled_sleep_j": whole.sleep_j,
            "modelled_wake_j": whole.wake_j,
            "modelled_mean_w": whole.modelled_j / period_s,
        }
    return result


def _process(policy: Policy, activity: Mapping[str, float]) -> dict[str, Any]:
    found = modelled_operations(policy.program, activity)
    return {
        "source": "M. Horowitz, ISSCC 2014: 45 nm, 0.9 V",
        "modelled_arithmetic_pj": found.modelled_arithmetic_pj,
        "modelled_with_memory_pj": found.modelled_pj,
        "memory": found.sram,
    }


def _papers(policy: Policy, activity: Mapping[str, float]) -> list[dict[str, Any]]:
    """The policy's synaptic operations beside those of dense networks of as many neurons."""
    neurons = max((policy.program[name].n for name in activity), default=0)
    inputs, outputs = policy.encoder.n, len(policy.actions)
    networks = [program_network(policy.program, activity, policy.name)]
    if neurons:
        networks += [
            gru_network(inputs, neurons, outputs),
            lstm_network(inputs, neurons, outputs),
            dense_network([inputs, neurons, neurons, outputs]),
        ]
    return [_paper(one) for one in networks]


def _paper(one: ModelledNetwork) -> dict[str, Any]:
    return {
        "network": one.name,
        "accumulates": one.accumulates,
        "multiply_accumulates": one.multiply_accumulates,
        "modelled_fp32_pj": one.modelled_fp32_pj,
        "modelled_int8_pj": one.modelled_int8_pj,
        "modelled_int8_with_weights_pj": one.modelled_int8_with_weights_pj,
    }


def model_from(options: Mapping[str, Any]) -> Model:
    """From the settings of ``--meter model``; raises :class:`UsageError` for any other."""
    unknown = set(options) - set(Model.__dataclass_fields__)
    if unknown:
        raise UsageError(
            f"--meter model takes {', '.join(Model.__dataclass_fields__)} here, not "
            f"{', '.join(sorted(unknown))}"
        )
    return Model(**options)
