"""From a trained actor to a frozen policy: scales, integers, program, golden trajectory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from grsn_edge.neurons import Plan, Record, Signal
from grsn_edge.policy import (
    MAX_GOLDEN,
    Encoder,
    Network,
    Policy,
    assemble,
    make_decoder,
    record_golden,
)
from grsn_edge.policy.encoder import LIMITS
from grsn_edge.tasks import Task
from grsn_edge.training.quantised import QuantisedActor

__all__ = ["freeze", "observation_signal", "plan_network", "task_encoder"]


def task_encoder(task: Task, dtype: str = "int8", on_invalid: str = "refuse") -> Encoder:
    """The encoder whose codes span a task's normalised observation, ``±task.clip``."""
    gain = LIMITS[dtype] / (task.clip * np.asarray(task.scale, np.float64))
    return Encoder(np.asarray(task.offset), gain.astype(np.float32), dtype, on_invalid)  # type: ignore[arg-type]


def observation_signal(task: Task, dtype: str = "int8") -> Signal:
    """What those codes mean in normalised units."""
    return Signal(task.clip / LIMITS[dtype], -LIMITS[dtype], LIMITS[dtype])


def plan_network(
    network: Network,
    params: Sequence[Mapping[str, Tensor]],
    signal: Signal,
    records: Sequence[Record],
) -> list[Plan]:
    """Scales and shifts of every cell, from its parameters and its calibration record.

    Raises:
        FreezeError: a cell has no integer form with these parameters.
    """
    plans = []
    for cell, p, record in zip(network.cells, params, records, strict=True):
        arrays = {name: value.detach().cpu().double().numpy() for name, value in p.items()}
        plans.append(cell.plan(arrays, signal, record))
        signal = cell.output(plans[-1])
    return plans


def freeze(
    actor: QuantisedActor,
    task: Task,
    encoder: Encoder,
    observations: npt.NDArray[np.float32],
    provenance: Mapping[str, Any],
) -> Policy:
    """The policy that the actor computes at this moment, with its overflow proof.

    Args:
        actor: whose integers are taken as they are.
        task: names, units, sampling period and action bounds.
        encoder: of the observations; its codes are what ``actor.signal`` describes.
        observations: float32 ``(steps, n)``, a trajectory to record as golden vectors.
        provenance: JSON values to keep in the file.

    Raises:
        RangeProofError: a value could leave int32.
    """
    network = actor.network
    low = [channel.low for channel in task.actions]
    high = [channel.high for channel in task.actions]
    discrete = network.decoder == "argmax"
    policy = Policy(
        name=task.name,
        program=assemble(network, actor.plans, actor.integers(), encoder.limit),
        encoder=encoder,
        decoder=make_decoder(network, actor.plans, *(() if discrete else (low, high))),
        period_s=task.period_s,
        observations=task.observations,
        actions=task.actions,
        provenance={"task": task.name, "network": network.config(), **provenance},
        weight_bits=max(cell.weight_bits for cell in network.cells),
    )
    return replace(policy, golden=record_golden(policy, observations[:MAX_GOLDEN]))
