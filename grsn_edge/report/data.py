"""What a report shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grsn_edge.conformance import Report
from grsn_edge.policy import ACTION, OBSERVATION, Policy
from grsn_edge.program import IntArray, evaluate

__all__ = ["CurvePoint", "EpisodeTrace", "ReportData", "episode_trace"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One evaluation on the way: environment steps, mean return, spikes per neuron and step."""

    env_steps: int
    mean: float
    rate: float
    phase: str


@dataclass(frozen=True, eq=False)
class ReportData:
    """Everything on the page.

    Args:
        policy: the frozen policy.
        task: its task's name.
        curve: evaluations in the order of training.
        returns: per stage (such as ``float``) the returns of fresh episodes; the last stage is
            the deployed policy.
        observations: one episode as the policy saw it, float32 ``(steps, n)``.
        equality: the backends compared on the policy's program.
        baseline: an int8 policy to set beside it, such as an MLP on stacked frames.
        baseline_returns: the returns of its fresh episodes.
        machine: versions and machine, as shown in the last section.
    """

    policy: Policy
    task: str
    curve: tuple[CurvePoint, ...]
    returns: Mapping[str, Floats]
    observations: npt.NDArray[np.float32]
    equality: Report
    baseline: Policy
    baseline_returns: Floats
    machine: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class EpisodeTrace:
    """One episode, value by value.

    Args:
        time_s: ``(steps,)``.
        observation: ``(steps, n)`` in the channels' units.
        action: ``(steps,)`` indices or ``(steps, m)`` in the actions' units.
        spikes: per spiking layer, 0 or 1, ``(steps, neurons)``.
        membranes: per layer with a membrane, after the reset, over the threshold of its neuron.
        currents: per gated layer, in integer units.
    """

    time_s: Floats
    observation: Floats
    action: Floats
    spikes: Mapping[str, IntArray]
    membranes: Mapping[str, Floats]
    currents: Mapping[str, IntArray]

    @property
    def rates(self) -> dict[str, float]:
        """Mean spikes per neuron and step of each spike value, by its name in the program."""
        return {f"{scope}.spike": float(s.mean()) for scope, s in self.spikes.items()}


def episode_trace(policy: Policy, observations: npt.NDArray[np.float32]) -> EpisodeTrace:
    """Run the reference over an episode from reset and keep what a picture needs.

    Args:
        policy: whose program runs; spikes are its values ``<scope>.spike``.
        observations: float32 ``(steps, n)``.
    """
    program, state = policy.program, policy.program.initial_state()
    kept: list[dict[str, IntArray]] = []
    for code in policy.encoder.encode(observations):
        values = evaluate(program, {OBSERVATION: code}, state)
        state = {name: values[node] for name, node in program.nexts.items()}
        kept.append(values | {f"next {name}": value for name, value in state.items()})
    column = {name: np.stack([values[name] for values in kept]) for name in kept[0]}
    scopes = [n.name.removesuffix(".spike") for n in program if n.name.endswith(".spike")]
    action = policy.decoder.decode(column[program.outputs[ACTION]])
    return EpisodeTrace(
        time_s=np.asarray(np.arange(len(kept)) * policy.period_s, np.float64),
        observation=np.asarray(observations, np.float64),
        action=np.asarray(action, np.float64),
        spikes={s: column[f"{s}.spike"] for s in scopes},
        membranes={
            s: column[f"next {s}.u"] / column[f"{s}.theta"]
            for s in scopes
            if f"next {s}.u" in column and f"{s}.theta" in column
        },
        currents={s: column[f"next {s}.c"] for s in scopes if f"next {s}.c" in column},
    )
