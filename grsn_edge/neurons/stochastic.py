r"""Stochastic read-out: the action whose neuron fires first, by chance, replayable.

Each action is a neuron that fires at random, at the rate ``exp(v / T)``, with v the leaky
integrator of :mod:`grsn_edge.neurons.readout`.  The first spike decides (first-to-spike coding of
stochastic neurons, arXiv 2404.17719).  The time of a first spike is ``-ln(U) exp(-v / T)`` with U
uniform in (0, 1), so the first one is the greatest of::

    y = v + T G,    G = -ln(-ln U)

(a Gumbel number), and an argmax of y draws from ``softmax(v / T)``.  No tick is simulated.

Integers: U is the upper byte of a seeded random number (:mod:`grsn_edge.neurons.chance`), its
middle (i + 1/2) / 256 through a table of 256 entries: T G is within [-1.83 T, 6.24 T], and an
action much rarer than one in 256 may never be drawn.  A reset repeats the same numbers.

One action and step costs what the read-out costs, and 1 multiplication, 1 table look-up and 4
bytes of state more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from grsn_edge.errors import UsageError
from grsn_edge.neurons.base import (
    INT16_MAX,
    Array,
    Params,
    Plan,
    Record,
    ScanGradients,
    ScanTape,
    Signal,
    SpikeFunction,
    States,
)
from grsn_edge.neurons.chance import draw, float_draw, seeds
from grsn_edge.neurons.readout import Readout
from grsn_edge.program import Builder, IntArray, Value

__all__ = ["Stochastic"]

_GUMBEL = -np.log(-np.log((np.arange(256) + 0.5) / 256))
_REACH = 7.0  # of G, with room


@dataclass(frozen=True)
class Stochastic(Readout):
    """Read-out whose argmax is a draw from a softmax; see the module's text.

    Args:
        temperature: T.
        seed: of the random numbers.
    """

    kind: ClassVar[str] = "stochastic"
    summary: ClassVar[str] = "stochastic read-out: the first random spike decides, seeded"

    temperature: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.temperature > 0 and self.seed >= 0):
            raise UsageError("stochastic: the temperature is positive, the seed not negative")

    def state_sizes(self) -> Mapping[str, int]:
        """v, where it is leaky, and the random numbers' halves."""
        return {**super().state_sizes(), "digit": self.size, "carry": self.size}

    def float_step(
        self, p: Params, x: Array, state: Mapping[str, Array], spike: SpikeFunction
    ) -> tuple[Array, States]:
        """The read-out's step, and noise from the very numbers that the integers draw."""
        v, after = super().float_step(p, x, state, spike)
        number, chance = float_draw(state, seeds(self.seed, self.size))
        noise = v.new_tensor(self.temperature * _GUMBEL)[number // 256]
        return v + noise, after | chance

    def scan_backward(
        self,
        p: Params,
        tape: ScanTape,
        grad_out: Array,
        grad_final: Mapping[str, Array],
        surrogate: Callable[[Array], Array],
    ) -> ScanGradients | None:
        """The read-out's; nothing flows into the random numbers."""
        found = super().scan_backward(p, tape, grad_out, grad_final, surrogate)
        assert found is not None
        chance = {name: 0.0 * grad_final[name] for name in ("digit", "carry")}
        return replace(found, state={**found.state, **chance})

    def plan(self, p: Params, x: Signal, record: Record) -> Plan:
        """The read-out's, with room for the noise."""
        most = np.maximum(np.abs(record.out), _REACH * self.temperature)
        return super().plan(p, x, replace(record, out=most))

    def step(self, b: Builder, k: Mapping[str, IntArray], plan: Plan, x: Value) -> Value:
        """``clip(v + table[number])``."""
        v = super().step(b, k, plan, x)
        number = draw(b, seeds(self.seed, self.size))
        index = (number - (2**15 + 2**7)).shr(8)
        noise = b.lut(index, self._table(float(plan["unit"])), name="noise")
        return (v + noise).clip(-(2**15), INT16_MAX)

    def _table(self, unit: float) -> IntArray:
        entries = np.rint(self.temperature * _GUMBEL / unit)
        return np.asarray(np.clip(entries, -INT16_MAX, INT16_MAX), dtype=np.int64)
