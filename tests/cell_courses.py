"""Cells on smooth inputs such as a robot sees: in floats, and frozen to integers beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from grsn_edge.neurons import Cell, Plan, Record, Signal
from grsn_edge.neurons.base import Integers
from grsn_edge.neurons.quantise import NumpyQuantiser
from grsn_edge.program import Builder, Program, step
from grsn_edge.training.scan import spike

CODES = Signal(1.0 / 127, -127, 127)
STEPS, STREAMS = 200, 8


def codes(n_in: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """Slow waves with some noise as observation codes, ``(steps, streams, n_in)``."""
    rng = np.random.default_rng(seed)
    t = np.arange(STEPS)[:, None, None]
    period, phase = rng.uniform(10, 80, (2, STREAMS, n_in))
    wave = np.sin(2 * np.pi * t / period + phase) * rng.uniform(0.3, 0.9, (STREAMS, n_in))
    noisy = wave + rng.normal(0.0, 0.05, (STEPS, STREAMS, n_in))
    return np.clip(np.rint(noisy * 127), -127, 127).astype(np.int64)


def drawn(cell: Cell, seed: int = 1) -> dict[str, npt.NDArray[np.float64]]:
    """Fresh float parameters."""
    return cell.init(np.random.default_rng(seed))


@dataclass(frozen=True)
class Course:
    """What a cell did in floats: outputs ``(steps, streams, size)`` and a calibration record."""

    out: npt.NDArray[np.float64]
    record: Record


def in_floats(cell: Cell, params: dict[str, npt.NDArray[np.float64]], x: Tensor) -> Course:
    """Float64 steps from a reset state."""
    p = {name: torch.from_numpy(value) for name, value in params.items()}
    state = {n: torch.zeros(x.shape[1], s, dtype=x.dtype) for n, s in cell.state_sizes().items()}
    rows: list[Any] = []
    for now in x:
        out, after = cell.float_step(p, now, state, spike)
        rows.append((now, state, after, out))
        state = after
    before, after = ({k: _joined(rows, i, k) for k in state} for i in (1, 2))
    record = Record(_joined(rows, 0), before, after, _joined(rows, 3))
    return Course(torch.stack([r[3] for r in rows]).numpy(), record)


def _joined(rows: list[Any], part: int, name: str | None = None) -> npt.NDArray[np.float64]:
    values = (row[part] if name is None else row[part][name] for row in rows)
    return torch.cat(list(values)).numpy()


def traced(cell: Cell, plan: Plan, integers: Integers) -> Program:
    """The cell alone as a program: input ``x``, output ``y``."""
    b = Builder()
    b.output("y", cell.step(b, integers, plan, b.input("x", cell.n_in, lo=-127, hi=127)))
    return b.build()


def frozen(cell: Cell, params: dict[str, npt.NDArray[np.float64]], record: Record) -> Program:
    """The cell frozen after these roll-outs."""
    plan = cell.plan(params, CODES, record)
    return traced(cell, plan, cell.integers(params, plan, NumpyQuantiser()))


def in_integers(program: Program, x: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Outputs ``(steps, streams, size)`` from a reset state."""
    state = program.initial_state((x.shape[1],))
    outputs = []
    for now in x:
        out, state = step(program, {"x": now}, state)
        outputs.append(out["y"])
    return np.stack(outputs)
