"""The tables of a report: equality, overflow proof, operation counts, cost beside a baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np

from grsn_edge.conformance import Report
from grsn_edge.policy import Policy
from grsn_edge.program import INT32, STORAGE, Counts, Node, Program, memory, operations
from grsn_edge.report.data import Floats, standard_error

__all__ = [
    "Agreement",
    "Compared",
    "Invariant",
    "Proven",
    "agreements",
    "bytes_by_kind",
    "cells",
    "compared",
    "count_rows",
    "grouped",
    "integers_per_step",
    "invariants",
    "proven",
    "returns_agree",
]


@dataclass(frozen=True, slots=True)
class Agreement:
    """One backend of an equality table; ``equal`` is None where the comparison ended before."""

    backend: str
    digest: str
    reference: bool
    equal: bool | None


def agreements(report: Report) -> list[Agreement]:
    """A row per backend; only the one that first left the reference is said to differ."""
    left = report.difference.backend if report.difference else None
    reference = next(iter(report.hashes), None)

    def verdict(name: str) -> bool | None:
        if report.difference is None or name == reference:
            return True
        return False if name == left else None

    return [
        Agreement(name, digest, name == reference, verdict(name))
        for name, digest in report.hashes.items()
    ]


def integers_per_step(program: Program) -> int:
    """How many integers a comparison looks at in one step: every output and every state."""
    names = [*program.outputs.values(), *program.nexts.values()]
    return sum(program[name].n for name in names)


# ---- overflow proof ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Proven:
    """A value's proven range.

    Args:
        name, op, n, low, high, dtype: of the value.
        bits: that its largest magnitude needs, without the sign: 31 fill int32.
        filled: share of its storage's range that it can use, 0 to 1.
        spare: by which factor it could still grow inside int32; infinite for zero.
    """

    name: str
    op: str
    n: int
    low: int
    high: int
    dtype: str
    bits: float
    filled: float
    spare: float


def proven(program: Program) -> list[Proven]:
    """Every value, in order of evaluation."""
    return [_proven(node) for node in program]


def _proven(node: Node) -> Proven:
    low, high = node.interval.low, node.interval.high
    used = _share(low, high, INT32)
    return Proven(
        name=node.name,
        op=node.op,
        n=node.n,
        low=low,
        high=high,
        dtype=node.dtype,
        bits=float(np.log2(max(-low, high + 1, 1))),
        filled=_share(low, high, STORAGE[node.dtype]),
        spare=1 / used if used else float("inf"),
    )


def _share(low: int, high: int, limits: tuple[int, int]) -> float:
    return max(0.0, low / limits[0], high / limits[1])


@dataclass(frozen=True, slots=True)
class Invariant:
    """A state's range, and the range proven for its next value: inside, so it holds for ever."""

    name: str
    n: int
    dtype: str
    low: int
    high: int
    next_low: int
    next_high: int
    holds: bool


def invariants(program: Program) -> list[Invariant]:
    """Every state."""
    return [_invariant(state, program[program.nexts[state.name]]) for state in program.states]


def _invariant(state: Node, after: Node) -> Invariant:
    holds = np.all(after.interval.lo >= state.interval.lo)
    holds &= np.all(after.interval.hi <= state.interval.hi)
    ends = state.interval.low, state.interval.high, after.interval.low, after.interval.high
    return Invariant(state.name, state.n, state.dtype, *ends, bool(holds))


# ---- costs ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compared:
    """A policy in the table of costs; bytes, operations per step."""

    name: str
    cells: str
    mean: float
    error: float
    operations: float
    multiplications: float
    constants: int
    state: int

    @property
    def bytes(self) -> int:
        """Constants and state."""
        return self.constants + self.state


def compared(name: str, policy: Policy, activity: Mapping[str, float], returns: Floats) -> Compared:
    """What a policy costs at the given activity, and what it reaches."""
    total, sizes = operations(policy.program, activity).total, memory(policy.program)
    return Compared(
        name=name,
        cells=cells(policy),
        mean=float(returns.mean()),
        error=standard_error(returns),
        operations=total.total,
        multiplications=float(total.multiply_accumulates + total.multiplications),
        constants=sizes.constants,
        state=sizes.state,
    )


def returns_agree(a: Compared, b: Compared) -> bool:
    """Whether the means lie within two standard errors of their difference."""
    error = float(np.hypot(np.nan_to_num(a.error), np.nan_to_num(b.error)))
    return abs(a.mean - b.mean) <= 2 * error


def grouped(counts: Counts) -> dict[str, float]:
    """Few enough kinds for a picture; together they are all operations."""
    products = float(counts.multiply_accumulates + counts.multiplications)
    return {
        "additions for spikes": counts.synaptic_additions,
        "multiplications": products,
        "other additions": float(counts.additions),
        "shifts, clips, the rest": counts.total
        - counts.synaptic_additions
        - products
        - counts.additions,
    }


def bytes_by_kind(policy: Policy) -> dict[str, float]:
    """Bytes of constants and of state."""
    sizes = memory(policy.program)
    return {"constants": float(sizes.constants), "state": float(sizes.state)}


def count_rows(worst: Counts, now: Counts) -> list[tuple[str, float, float]]:
    """Kind, worst case and measured case, for every kind that occurs, and their sum."""
    most, real = asdict(worst), asdict(now)
    names = [field.name for field in fields(worst) if most[field.name]]
    rows = [(name.replace("_", " "), float(most[name]), float(real[name])) for name in names]
    return [*rows, ("all", worst.total, now.total)]


def cells(policy: Policy) -> str:
    """The network as its provenance tells it, such as ``grsn 32 → readout 2``."""
    network = policy.provenance.get("network")
    listed = network.get("cells", ()) if isinstance(network, Mapping) else ()
    listed = listed if isinstance(listed, list | tuple) else ()
    return " → ".join(f"{c.get('kind')} {c.get('size')}" for c in listed if isinstance(c, Mapping))
