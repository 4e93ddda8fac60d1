"""A frozen policy: encoder → step program → decoder, with what one must know to use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grsn_edge.errors import UsageError
from grsn_edge.policy.decoder import Decoder
from grsn_edge.policy.encoder import Encoder, FloatArray
from grsn_edge.policy.limits import SupervisorConfig, check_supervisor
from grsn_edge.program import IntArray, Node, Program
from grsn_edge.program.packing import PACKED_BITS

__all__ = ["ACTION", "OBSERVATION", "Channel", "Golden", "Policy"]

OBSERVATION, ACTION = "observation", "action"
"""Names of the one input and the one output of a policy's program."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One observation or action channel: its name, unit and usual range (in that unit)."""

    name: str
    unit: str
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Golden:
    """A recorded trajectory from reset that every backend must repeat.

    Args:
        observation: float32 ``(steps, n)``.
        code: int64 ``(steps, n)``, the encoder's codes.
        action: int64 ``(steps, m)``, the program's output.
        state: int64 ``(n,)`` by name, after the last step.
    """

    observation: FloatArray
    code: IntArray
    action: IntArray
    state: Mapping[str, IntArray]

    @property
    def steps(self) -> int:
        """Number of steps recorded."""
        return int(self.observation.shape[0])


@dataclass(frozen=True, eq=False)
class Policy:
    """A frozen policy.

    Args:
        name: what it is called, such as ``cartpole-p``.
        program: one input ``observation``, one output ``action``, any states.
        encoder, decoder: float to integers and back; they fit the program.
        period_s: sampling period in seconds: one step per period.
        observations, actions: a description per channel; for ``argmax`` one per choice.
        provenance: JSON values: command, seed, versions, returns, spike rates.
        golden: a recorded trajectory, or None.
        supervisor: limits and reactions on a robot, or None.
        weight_bits: in which its file holds each weight: 8, 6 or 4, whatever they are.
    """

    name: str
    program: Program
    encoder: Encoder
    decoder: Decoder
    period_s: float
    observations: tuple[Channel, ...]
    actions: tuple[Channel, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    golden: Golden | None = None
    supervisor: SupervisorConfig | None = None
    weight_bits: int = 8

    def __post_init__(self) -> None:
        inputs = {node.name: node for node in self.program.inputs}
        if set(inputs) != {OBSERVATION} or set(self.program.outputs) != {ACTION}:
            raise UsageError("a policy's program has the input 'observation' and output 'action'")
        node, limit = inputs[OBSERVATION], self.encoder.limit
        if node.n != self.encoder.n or not _holds(node.interval.lo, node.interval.hi, limit):
            raise UsageError(
                f"the encoder gives {self.encoder.n} codes of up to {limit}; the program takes "
                f"{node.n} in [{node.interval.low}, {node.interval.high}]"
            )
        if len(self.observations) != self.encoder.n:
            raise UsageError("a policy describes every observation channel")
        self._check_actions(self.program[self.program.outputs[ACTION]])
        if not 0 < self.period_s < float("inf"):
            raise UsageError("a policy's sampling period is a positive number of seconds")
        if self.weight_bits not in (8, *PACKED_BITS):
            raise UsageError(f"a file holds weights of 8, 6 or 4 bits, not {self.weight_bits}")
        check_supervisor(self)

    def _check_actions(self, action: Node) -> None:
        if action.n != self.decoder.n:
            raise UsageError("the decoder does not have the length of the program's action")
        if self.decoder.is_discrete:
            if not action.interval.within(0, len(self.actions) - 1):
                raise UsageError(
                    f"the program chooses among {action.interval.high + 1} actions, but "
                    f"{len(self.actions)} are described"
                )
            return
        if len(self.actions) != action.n:
            raise UsageError(f"{len(self.actions)} actions are described, {action.n} are given")
        with np.errstate(over="ignore"):
            ends = [self.decoder.decode(q) for q in (action.interval.lo, action.interval.hi)]
        if not np.isfinite(ends).all():
            raise UsageError("the decoder could give an infinite action; its scale is too large")


def _holds(lo: IntArray, hi: IntArray, limit: int) -> bool:
    return bool(np.all(lo <= -limit) and np.all(hi >= limit))
