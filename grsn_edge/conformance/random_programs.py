"""Random frozen networks of every cell and size, pushed towards the edges of their ranges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import FreezeError, RangeProofError
from grsn_edge.neurons import Cell, Plan, Record, Signal, cell
from grsn_edge.neurons.quantise import NumpyQuantiser
from grsn_edge.policy import Network, assemble
from grsn_edge.policy.encoder import LIMITS
from grsn_edge.program import IntArray, Program

__all__ = ["HIDDEN", "READOUTS", "RandomProgram", "random_program", "random_programs"]

Floats = npt.NDArray[np.float64]
Integers = dict[str, IntArray]

HIDDEN: Mapping[str, Mapping[str, object]] = {
    "grsn": {"gates": "spikes"},
    "grsn-a": {"gates": "input"},
    "lif": {"reset": "soft"},
    "lif-hard": {"reset": "hard"},
    "dense": {},
    "frames": {},
    "gru": {},
    "lstm": {},
    "grsn-rate": {"inner_steps": 4},
    "grsn-a-rate": {"gates": "input", "inner_steps": 3},
    "lif-rate": {"inner_steps": 4},
    "rlif": {},
    "tc_lif": {},
    "tc_lif-feedforward": {"recurrent": False},
    "elm": {},
    "pmsn": {},
    "pmsn-1": {"compartments": 1},
    "mf_psn": {"order": 3, "dilation": 2},
    "grsn-pow2": {"coefficients": "pow2"},
    "grsn-a-pow2": {"gates": "input", "inner_steps": 2, "coefficients": "pow2"},
    "lif-pow2": {"coefficients": "pow2"},
    "rlif-pow2": {"coefficients": "pow2"},
}
"""Hidden cells to draw from, with their options; the part before a dash is the kind."""

READOUTS: Mapping[str, Mapping[str, object]] = {
    "first_spike": {},
    "stochastic": {},
    "readout-pow2": {"coefficients": "pow2"},
    "first_spike-pow2": {"coefficients": "pow2"},
}
"""Read-outs to draw besides ``readout``, with their options; each above a hidden LIF layer."""

_SIZES = (1, 2, 3, 5, 8, 16, 31, 32, 33, 64, 100, 128, 255, 256)
_ATTEMPTS = 50


@dataclass(frozen=True)
class RandomProgram:
    """A program and how it was drawn: ``label`` names cells and sizes, ``seed`` repeats it."""

    seed: int
    label: str
    program: Program


def random_programs(count: int, seed: int = 0) -> Iterator[RandomProgram]:
    """``count`` programs; the first ones hold each kind of cell alone, then come mixtures."""
    names = [*HIDDEN, *READOUTS]
    for i in range(count):
        first = names[i % len(names)]
        yield random_program(seed + i, first)


def random_program(seed: int, first: str | None = None) -> RandomProgram:
    """One random frozen network; ``first`` fixes the kind of its first cell, or of its read-out.

    A draw whose overflow proof fails is drawn again with the next random numbers.
    """
    rng = np.random.default_rng(seed)
    for _ in range(_ATTEMPTS):
        try:
            label, program = _draw(rng, first)
        except (FreezeError, RangeProofError):
            continue
        return RandomProgram(seed, label, program)
    raise FreezeError(f"no provable network in {_ATTEMPTS} draws from seed {seed}")


def _draw(rng: np.random.Generator, first: str | None) -> tuple[str, Program]:
    network, label = _network(rng, first)
    dtype = str(rng.choice(list(LIMITS)))
    signal = Signal(float(10 ** rng.uniform(-1, 1)) / LIMITS[dtype], -LIMITS[dtype], LIMITS[dtype])
    wildness = float(rng.choice([0.3, 1.0, 4.0]))
    plans: list[Plan] = []
    integers: list[Integers] = []
    for layer in network.cells:
        params = {k: v * wildness for k, v in layer.init(rng).items()}
        plan = layer.plan(params, signal, _record(rng, layer, signal))
        plans.append(plan)
        integers.append(_to_the_edge(rng, layer.integers(params, plan, NumpyQuantiser())))
        signal = layer.output(plan)
    return f"{label} {dtype}", assemble(network, plans, integers, LIMITS[dtype])


def _network(rng: np.random.Generator, first: str | None) -> tuple[Network, str]:
    last = first if first is not None and first in READOUTS else "readout"
    first = first if last == "readout" else "lif"
    kinds = [first or str(rng.choice(list(HIDDEN)))]
    kinds += [str(kind) for kind in rng.choice(["grsn", "lif", "dense"], rng.integers(0, 3))]
    n_in = int(rng.integers(1, 9))
    cells, label, width = [], [str(n_in)], n_in
    for kind in kinds:
        size = width * int(rng.integers(2, 5)) if kind == "frames" else int(rng.choice(_SIZES))
        cells.append(cell(kind.partition("-")[0], n_in=width, size=size, **HIDDEN[kind]))
        label.append(f"{kind}{size}")
        width = size
    actions = int(rng.integers(1, 7))
    leaky = bool(rng.random() < 0.7)
    options = {"leaky": leaky} if last == "readout" else READOUTS[last]
    cells.append(cell(last.partition("-")[0], n_in=width, size=actions, **options))
    label += [] if last == "readout" else [last]
    decoder = rng.choice(np.array(["argmax", "clip", "tanh"]))
    return Network(tuple(cells), str(decoder)), "-".join([*label, f"{decoder}{actions}"])  # type: ignore[arg-type]


def _record(rng: np.random.Generator, layer: Cell, signal: Signal) -> Record:
    """Plausible magnitudes in place of roll-outs; they only choose scales."""
    x = rng.uniform(signal.lo, signal.hi, (8, layer.n_in)) * signal.scale
    sizes = layer.state_sizes()
    states = {name: rng.normal(0.0, 1.0, (8, n)) for name, n in sizes.items()}
    return Record(x, states, states, np.abs(rng.normal(0.0, 1.0, (8, layer.size))))


def _to_the_edge(rng: np.random.Generator, integers: Integers) -> Integers:
    """Some weights become -128 or 127, some rows silent; the proof decides whether it may stay."""
    edged = dict(integers)
    for key, value in integers.items():
        if key.endswith(".weight"):
            extreme = rng.choice(np.array([-128, 0, 127]), value.shape)
            edged[key] = np.where(rng.random(value.shape) < 0.1, extreme, value)
        elif key == "theta.value":
            extreme = rng.choice(np.array([1, 2**15 - 1]), value.shape)
            edged[key] = np.where(rng.random(value.shape) < 0.05, extreme, value)
    return edged
