"""Frame stack: the last ``k`` inputs side by side, oldest first; a window instead of a memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import UsageError
from grsn_edge.neurons.base import (
    Array,
    Cell,
    Integers,
    Params,
    Plan,
    Quantiser,
    Record,
    Signal,
    SpikeFunction,
    States,
    exact,
)
from grsn_edge.program import Builder, IntArray, Value

__all__ = ["Frames"]


@dataclass(frozen=True)
class Frames(Cell):
    """The last ``size / n_in`` inputs, oldest first; zeros before the first step."""

    kind: ClassVar[str] = "frames"
    summary: ClassVar[str] = "frame stack: the last k inputs side by side"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size % self.n_in or self.size == self.n_in:
            raise UsageError(f"frames: the size {self.size} is not 2 or more times {self.n_in}")

    def init(self, rng: np.random.Generator) -> dict[str, npt.NDArray[np.float64]]:
        """No parameters."""
        return {}

    def state_sizes(self) -> Mapping[str, int]:
        """The earlier inputs."""
        return {"frames": self.size - self.n_in}

    def float_step(
        self, p: Params, x: Array, state: Mapping[str, Array], spike: SpikeFunction
    ) -> tuple[Array, States]:
        """Append the newest input and drop the oldest."""
        import torch

        out = torch.cat([state["frames"], x], dim=-1)
        return out, {"frames": out[:, self.n_in :]}

    def plan(self, p: Params, x: Signal, record: Record) -> Plan:
        """The input's scale is the output's."""
        return {"scale": exact(x.scale), "lo": exact(x.lo), "hi": exact(x.hi)}

    def integers(self, p: Params, plan: Plan, q: Quantiser) -> Integers:
        """No constants."""
        return {}

    def output(self, plan: Plan) -> Signal:
        """As the input."""
        return Signal(float(plan["scale"]), int(plan["lo"]), int(plan["hi"]))

    def step(self, b: Builder, k: Mapping[str, IntArray], plan: Plan, x: Value) -> Value:
        """Layout only."""
        lo, hi = int(plan["lo"]), int(plan["hi"])
        earlier = b.state("frames", self.size - self.n_in, lo=lo, hi=hi)
        out = b.concat(earlier, x)
        b.next(earlier, out[self.n_in :])
        return out
