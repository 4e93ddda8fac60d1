"""What a report shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grsn_edge.conformance import Report
from grsn_edge.errors import UsageError
from grsn_edge.policy import ACTION, OBSERVATION, Policy
from grsn_edge.program import IntArray, Node, Program, evaluate

__all__ = [
    "CurvePoint",
    "EpisodeTrace",
    "Floats",
    "OnBoard",
    "ReportData",
    "episode_trace",
    "standard_error",
]

Floats = npt.NDArray[np.float64]

_LARGEST_TARGET = 1e12  # beyond it (and for NaN) a recipe's number is no target to draw


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One evaluation on the way: environment steps, mean return, spikes per neuron and step."""

    env_steps: int
    mean: float
    rate: float
    phase: str


@dataclass(frozen=True, slots=True)
class OnBoard:
    """Episodes that the policy played on a board, over its link.

    Args:
        board: its name and processor.
        emulator: what emulated it, or None for a real one.
        counter: what its own counter counts, such as ``instructions``.
        episodes, steps: how many.
        ret: mean return.
        differs: first step whose action is not the reference's; None where all are equal.
        mean, most: counts of a step.
        silent: count of a step without spikes, by the fitted line; None where nothing spikes.
        per_spike: what each spike adds.
    """

    board: str
    emulator: str | None
    counter: str
    episodes: int
    steps: int
    ret: float
    differs: int | None
    mean: float
    most: int
    silent: float | None
    per_spike: float | None


@dataclass(frozen=True, eq=False)
class ReportData:
    """Everything on the page.

    Args:
        policy: the frozen policy; its provenance may name a ``recipe`` with ``goal`` and
            ``spike_rate``, which the learning curve then shows as lines to reach.
        task: its task's name.
        curve: evaluations in the order of training; none: no learning curve.
        returns: per stage (such as ``float``) the returns of fresh episodes; the last stage is
            the deployed policy.
        observations: one episode as the policy saw it, float32 ``(steps, n)``; a baseline that
            spikes is counted on it too.
        equality: the backends compared on the policy's program; the first is the reference.
        baseline: an int8 policy to set beside it, such as an MLP on stacked frames, or None.
        baseline_returns: the returns of its fresh episodes; ignored without a baseline.
        machine: versions, machine, dates and commands, as shown in the last section.
        on_board: the policy on a board, or None.

    Raises:
        UsageError: no stage, a stage without episodes, an episode without steps or not of the
            policy's channels, or a baseline of other channels.
    """

    policy: Policy
    task: str
    curve: tuple[CurvePoint, ...]
    returns: Mapping[str, Floats]
    observations: npt.NDArray[np.float32]
    equality: Report
    baseline: Policy | None
    baseline_returns: Floats
    machine: Mapping[str, str]
    on_board: OnBoard | None = None

    def __post_init__(self) -> None:
        if not self.returns:
            raise UsageError("a report needs the returns of at least one stage")
        played = dict(self.returns)
        if self.baseline is not None:
            played["the baseline"] = self.baseline_returns
        for stage, values in played.items():
            if len(values) == 0 or not np.isfinite(values).all():
                raise UsageError(f"the returns of '{stage}' are not one or more finite numbers")
        for policy in (self.policy, self.baseline):
            n = policy.encoder.n if policy else self.policy.encoder.n
            if self.observations.ndim != 2 or self.observations.shape[1] != n:
                raise UsageError(
                    f"an episode of a policy of {n} channels has the shape (steps, {n}), "
                    f"not {self.observations.shape}"
                )
        if len(self.observations) == 0:
            raise UsageError("a report shows an episode of at least one step; there is none")

    @property
    def deployed(self) -> Floats:
        """The returns of the last stage."""
        return list(self.returns.values())[-1]

    def recipe(self, name: str) -> float | None:
        """A number of the policy's recipe, or None where there is none."""
        recipe = self.policy.provenance.get("recipe")
        value = recipe.get(name) if isinstance(recipe, Mapping) else None
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        return float(value) if abs(value) < _LARGEST_TARGET else None


@dataclass(frozen=True, eq=False)
class EpisodeTrace:
    """One episode, value by value; every mapping is by the scope of a spiking layer.

    Args:
        time_s: ``(steps,)``.
        observation: ``(steps, n)`` in the channels' units.
        action: ``(steps,)`` indices or ``(steps, m)`` in the actions' units.
        spikes: 0 or 1, ``(steps, neurons)``.
        membranes: what was compared with the threshold, over the threshold: a neuron fires where
            this is 1 or more; layers in which every threshold is proven positive.
        resets: the membrane handed to the next step, over the threshold; of the same layers,
            where the membrane is a state.
        currents: gated currents in integer units, of layers that have them.
    """

    time_s: Floats
    observation: Floats
    action: Floats
    spikes: Mapping[str, IntArray]
    membranes: Mapping[str, Floats]
    resets: Mapping[str, Floats]
    currents: Mapping[str, IntArray]

    @property
    def rates(self) -> dict[str, float]:
        """Mean spikes per neuron and step of each spike value, by its name in the program."""
        return {f"{scope}.spike": float(s.mean()) for scope, s in self.spikes.items()}

    @property
    def rate(self) -> float:
        """Mean spikes per neuron and step, over all layers; 0 where nothing spikes."""
        fired = [spikes.ravel() for spikes in self.spikes.values()]
        return float(np.concatenate(fired).mean()) if fired else 0.0


def standard_error(values: Floats) -> float:
    """Of the mean of independent episodes, as ``grsn-edge eval`` prints it; NaN for one episode."""
    return float(values.std() / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def episode_trace(policy: Policy, observations: npt.NDArray[np.float32]) -> EpisodeTrace:
    """Run the reference over an episode from reset and keep what a picture needs.

    Args:
        policy: whose program runs.  Spikes are its values ``<scope>.spike``; a comparison ``ge``
            of that name gives membrane and threshold; currents are the states ``<scope>.c``.
        observations: float32 ``(steps, n)``.

    Raises:
        ObservationError: an observation that the policy's encoder refuses.
    """
    program, column = policy.program, _columns(policy, observations)
    spiking = {n.name.removesuffix(".spike"): n for n in program if _spikes(n)}
    compared = {scope: node.args for scope, node in spiking.items() if _on_threshold(program, node)}
    action = policy.decoder.decode(column[program.outputs[ACTION]])
    return EpisodeTrace(
        time_s=np.asarray(np.arange(len(observations)) * policy.period_s, np.float64),
        observation=np.asarray(observations, np.float64),
        action=np.asarray(action, np.float64),
        spikes={scope: column[node.name] for scope, node in spiking.items()},
        membranes={s: column[u] / column[theta] for s, (u, theta) in compared.items()},
        resets={
            scope: column[program.nexts[f"{scope}.u"]] / column[theta]
            for scope, (_, theta) in compared.items()
            if f"{scope}.u" in program.nexts
        },
        currents={
            scope: column[program.nexts[f"{scope}.c"]]
            for scope in spiking
            if f"{scope}.c" in program.nexts
        },
    )


def _columns(policy: Policy, observations: npt.NDArray[np.float32]) -> dict[str, IntArray]:
    """Every value of the program by name, ``(steps, n)``."""
    program, state = policy.program, policy.program.initial_state()
    kept: list[dict[str, IntArray]] = []
    for code in policy.encoder.encode(observations):
        values = evaluate(program, {OBSERVATION: code}, state)
        state = {name: values[node] for name, node in program.nexts.items()}
        kept.append(values)
    return {name: np.stack([values[name] for values in kept]) for name in kept[0]}


def _spikes(node: Node) -> bool:
    return node.name.endswith(".spike") and node.interval.is_binary


def _on_threshold(program: Program, node: Node) -> bool:
    return node.op == "ge" and program[node.args[1]].interval.low > 0
