"""A budget for a step of the deployed policy.

Training cannot count what a processor does; who calls it passes a :class:`Pricing` that can
(``grsn_edge.profiling.price``).  How the budget is met: ``grsn_edge.training.shrink``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from grsn_edge.errors import UsageError
from grsn_edge.policy import Policy
from grsn_edge.policy.encoder import FloatArray

__all__ = ["UNITS", "Budget", "Cost", "Pricing", "parse_budget"]

UNITS = ("instr", "cycles", "nJ")
"""Instructions or cycles on a board; modelled nanojoules on a chip."""

_FORM = re.compile(r"(\d+(?:\.\d+)?)(instr|cycles|nJ)@([A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class Budget:
    """At most ``amount`` of ``unit`` for a mean step on ``on``, a board or (for nJ) a chip."""

    amount: float
    unit: str
    on: str

    def __str__(self) -> str:
        return f"{self.amount:g}{self.unit}@{self.on}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step of a policy costs.

    Args:
        mean: of all steps that were counted, in the budget's unit.
        base: of a step without spikes; the mean, where costs do not vary with spikes.
        per_rate: what it costs more where all neurons fire; 0 where nothing spikes.
        rate: spikes per neuron and step in the counted steps.
        steps: that were counted.
        counted: what was counted, in words: by which emulator, and what is modelled.
    """

    mean: float
    base: float
    per_rate: float
    rate: float
    steps: int
    counted: str

    def config(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


class Pricing(Protocol):
    """Counts what the steps of a frozen policy cost."""

    def __call__(self, policy: Policy, episodes: Sequence[FloatArray], budget: Budget) -> Cost:
        """Over what the policy saw in episodes, each float32 ``(steps, n)``."""


def parse_budget(text: str) -> Budget:
    """The budget that a text such as ``3000instr@m4`` means; raises :class:`UsageError`."""
    found = _FORM.fullmatch(text)
    if found is None or not float(found[1]):
        raise UsageError(
            f"'{text}' is not a budget; it is an amount, {', '.join(UNITS)}, @, and a board or a "
            "chip: 3000instr@m4, 60000cycles@avr, 500nJ@nRF52840"
        )
    return Budget(float(found[1]), found[2], found[3])
