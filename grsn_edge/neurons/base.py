"""What a cell is: a float step to train, an integer step to deploy, and the way between them.

A cell is one file in this folder with one class that derives from :class:`Cell`; the registry
finds it there.  Every backend, proof, export and test then applies to it with no other edit.

The float half works on torch tensors; it uses tensor methods, or imports torch where it must, so
that importing a cell never loads torch.  Arrays are written ``Array`` below where both NumPy
arrays and torch tensors are meant.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import UsageError
from grsn_edge.program import Builder, IntArray, Value

__all__ = [
    "INT16_MAX",
    "WEIGHT_BITS",
    "Array",
    "Cell",
    "Integers",
    "Params",
    "Plan",
    "Quantiser",
    "Record",
    "ScanGradients",
    "ScanTape",
    "Signal",
    "SpikeFunction",
    "States",
]

Array = Any
"""A NumPy array or a torch tensor."""
Params = Mapping[str, Array]
"""Float parameters by name."""
States = dict[str, Array]
"""Float states by name, each ``(batch, n)``."""
Plan = dict[str, npt.NDArray[np.float64]]
"""Scales, exponents and shifts fixed when a policy is frozen, by name; scalars are 0-d."""
Integers = dict[str, Array]
"""Integer constants by ``"<value name>.<constant>"``, as the integer step uses them."""
SpikeFunction = Callable[[Array], Array]
"""1 where its argument is >= 0, else 0, in the argument's dtype; surrogate gradient in training."""

INT16_MAX = 2**15 - 1
WEIGHT_BITS = (8, 6, 4)
"""Widths of synaptic weights."""


@dataclass(frozen=True, slots=True)
class Signal:
    """What the integers on a wire mean: ``real = scale * integer``, integers in ``[lo, hi]``."""

    scale: float
    lo: int
    hi: int

    @classmethod
    def spikes(cls) -> Signal:
        """Spikes: 0 or 1."""
        return cls(1.0, 0, 1)

    @property
    def magnitude(self) -> int:
        """Largest absolute integer."""
        return max(abs(self.lo), abs(self.hi))


@dataclass(frozen=True, slots=True)
class Record:
    """What one cell saw and did in calibration roll-outs, float64.

    ``x``: input ``(samples, n_in)``; ``before`` and ``after``: the states around each step
    ``(samples, n)`` by name; ``out``: output ``(samples, size)``.
    """

    x: npt.NDArray[np.float64]
    before: Mapping[str, npt.NDArray[np.float64]]
    after: Mapping[str, npt.NDArray[np.float64]]
    out: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScanTape:
    """What a forward scan over ``T`` steps left for its backward pass.

    ``x``: ``(T, batch, n_in)``; ``before`` and ``after``: states ``(T, batch, n)`` by name around
    each step; ``keep``: ``(T, batch, 1)``, 0 where an episode began and the state was reset.
    """

    x: Array
    before: Mapping[str, Array]
    after: Mapping[str, Array]
    keep: Array


@dataclass(frozen=True, slots=True)
class ScanGradients:
    """Gradients of a scan: of its input ``(T, batch, n_in)``, parameters and initial state."""

    x: Array
    params: Mapping[str, Array]
    state: Mapping[str, Array]


class Quantiser(Protocol):
    """Float parameters to integers; on tensors the gradient passes straight through."""

    def round(self, x: Array, lo: int, hi: int) -> Array:
        """Round half to even, then clamp to ``[lo, hi]``."""

    def power_of_two(self, x: Array, lo: int, hi: int) -> Array:
        """The sign of x times the nearest power of two, its exponent in ``[lo, hi]``."""

    def sigmoid(self, x: Array) -> Array:
        """Logistic function."""

    def exp(self, x: Array) -> Array:
        """Exponential function."""

    def cos(self, x: Array) -> Array:
        """Cosine."""

    def sin(self, x: Array) -> Array:
        """Sine."""

    def constant(self, value: npt.NDArray[np.float64], *, like: Array) -> Array:
        """A plan's array as an array of the kind of ``like``."""


@dataclass(frozen=True)
class Cell(ABC):
    """A layer of neurons (or a read-out): one step per environment step.

    Args:
        n_in: number of inputs.
        size: number of outputs.
        weight_bits: of a synaptic weight, 8, 6 or 4; weights are symmetric, ±(2^(bits - 1) - 1).

    Subclasses are frozen dataclasses; their further fields are options with defaults.
    """

    kind: ClassVar[str]
    summary: ClassVar[str]

    n_in: int
    size: int
    weight_bits: int = 8

    def __post_init__(self) -> None:
        if self.weight_bits not in WEIGHT_BITS:
            raise UsageError(f"weights have 8, 6 or 4 bits, not {self.weight_bits}")
        if not (1 <= self.n_in <= 4096 and 1 <= self.size <= 4096):
            raise UsageError(f"{self.kind}: sizes are 1..4096, not {self.n_in} -> {self.size}")

    # ---- float half --------------------------------------------------------------------------

    @abstractmethod
    def init(self, rng: np.random.Generator) -> dict[str, npt.NDArray[np.float64]]:
        """Fresh float parameters by name."""

    @abstractmethod
    def state_sizes(self) -> Mapping[str, int]:
        """Length of each float state by name; every state starts at 0."""

    @abstractmethod
    def float_step(
        self, p: Params, x: Array, state: Mapping[str, Array], spike: SpikeFunction
    ) -> tuple[Array, States]:
        """One float step: input ``(batch, n_in)`` → output ``(batch, size)`` and next state."""

    def scan_backward(
        self,
        p: Params,
        tape: ScanTape,
        grad_out: Array,
        grad_final: Mapping[str, Array],
        surrogate: Callable[[Array], Array],
    ) -> ScanGradients | None:
        """Hand-written gradients of a scan; None leaves them to automatic differentiation.

        ``grad_out`` ``(T, batch, size)`` and ``grad_final`` (by state) are the loss's gradients;
        ``surrogate(z)`` is the derivative that stands for the spike's at ``z = u - theta``.
        """
        return None

    @property
    def spikes(self) -> bool:
        """Whether the output is spikes."""
        return False

    @property
    def weight_limit(self) -> int:
        """Largest magnitude of a synaptic weight, in integers."""
        return (1 << (self.weight_bits - 1)) - 1

    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """What the axes of each float parameter count; empty where neurons cannot be taken out.

        An axis is ``n``, the neurons; ``nn``, ``nnn``, …, so many blocks of them; ``x``, the
        inputs; or ``-``, neither.
        """
        return {}

    # ---- from float to integers ----------------------------------------------------------------

    @abstractmethod
    def plan(self, p: Params, x: Signal, record: Record) -> Plan:
        """Scales and shifts for these parameters (NumPy), this input and these roll-outs."""

    @abstractmethod
    def integers(self, p: Params, plan: Plan, q: Quantiser) -> Integers:
        """The integer constants of :meth:`step`; NumPy in, NumPy out; tensors in, tensors out."""

    @abstractmethod
    def output(self, plan: Plan) -> Signal:
        """What the integers of the output mean."""

    def spike_scales(self, plan: Plan) -> Mapping[str, npt.NDArray[np.float64]]:
        """Real value of one membrane unit, ``(size,)``, by the name of the spike's ``ge``."""
        return {}

    # ---- integer half --------------------------------------------------------------------------

    @abstractmethod
    def step(self, b: Builder, k: Mapping[str, IntArray], plan: Plan, x: Value) -> Value:
        """Trace the integer step and set the next states; returns the output."""

    # ---- configuration -------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """The cell as JSON values; :func:`grsn_edge.neurons.cell` makes it again."""
        return {"kind": self.kind, **asdict(self)}


def membrane_range(theta: float, *membranes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Largest real magnitude that a membrane must represent, ``(size,)``, with a 25 % margin."""
    reached = np.stack([np.abs(u).max(axis=0, initial=0.0) for u in membranes]).max(axis=0)
    margin: npt.NDArray[np.float64] = np.maximum(1.25 * reached, 2.0 * theta)
    return margin


def largest(weight: Array) -> npt.NDArray[np.float64]:
    """Largest magnitude in each row of a weight matrix, at least 1e-6."""
    rows = np.abs(np.asarray(weight, dtype=np.float64)).max(axis=1)
    return np.asarray(np.maximum(rows, 1e-6), dtype=np.float64)


def reach(weight: Array, limit: int) -> npt.NDArray[np.float64]:
    """The magnitude in each row of a matrix that the integer ``limit`` should stand for.

    The largest, where a weight has 8 bits.  With fewer, larger ones may be cut off so that the
    squared error of all is least.
    """
    most, rows = largest(weight), np.asarray(weight, dtype=np.float64)
    if limit >= 127:
        return most
    shares = np.linspace(0.4, 1.0, 25)[::-1]
    units = shares[:, None, None] * most[:, None] / limit
    rounded = np.clip(np.rint(rows / units), -limit, limit) * units
    best = np.square(rounded - rows).sum(axis=2).argmin(axis=0)
    return np.asarray(most * shares[best], dtype=np.float64)


def exponent_to_fill(bound: float, limit: int = INT16_MAX) -> int:
    """The largest ``k`` with ``bound · 2^k <= limit``, within [-30, 14]."""
    return int(np.clip(math.floor(math.log2(limit / max(bound, 1.0))), -30, 14))


def exact(value: float) -> npt.NDArray[np.float64]:
    """A scalar of a :data:`Plan`."""
    return np.asarray(value, dtype=np.float64)
