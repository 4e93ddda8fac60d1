"""What each cell costs: operations and bytes per neuron, counted from its step program.

One layer of 32 neurons on 4 observations, frozen with fresh parameters; spiking inputs do not
occur.  Recurrent spikes are counted at the rate given.  Prints the table of docs/cells.md.
"""

from __future__ import annotations

import argparse

import numpy as np

from grsn_edge.neurons import Cell, Record, Signal, cell
from grsn_edge.neurons.quantise import NumpyQuantiser
from grsn_edge.program import Builder, Program, memory, operations

N_IN, SIZE = 4, 32
CELLS: tuple[tuple[str, dict[str, object]], ...] = (
    ("grsn", {}),
    ("grsn", {"gates": "input"}),
    ("grsn", {"inner_steps": 4}),
    ("lif", {}),
    ("lif", {"inner_steps": 4}),
    ("rlif", {}),
    ("tc_lif", {"shared": False}),
    ("pmsn", {}),
    ("mf_psn", {}),
    ("elm", {}),
    ("gru", {}),
    ("lstm", {}),
    ("dense", {}),
    ("readout", {}),
    ("first_spike", {}),
    ("stochastic", {}),
)


def program(c: Cell) -> Program:
    """The cell alone, frozen."""
    rng = np.random.default_rng(0)
    states = {name: rng.normal(size=(50, n)) for name, n in c.state_sizes().items()}
    record = Record(rng.normal(size=(50, N_IN)), states, states, rng.random((50, SIZE)))
    params = c.init(rng)
    plan = c.plan(params, Signal(1 / 127, -127, 127), record)
    b = Builder()
    x = b.input("x", N_IN, lo=-127, hi=127)
    b.output("y", c.step(b, c.integers(params, plan, NumpyQuantiser()), plan, x))
    return b.build()


def row(kind: str, options: dict[str, object], rate: float) -> tuple[str, ...]:
    """One line of the table."""
    p = program(cell(kind, n_in=N_IN, size=SIZE, **options))
    binary = {node.name: rate for node in p if node.interval.is_binary}
    counts, bytes_ = operations(p, binary).total, memory(p)
    simple = counts.additions + counts.selections + counts.shifts + counts.clips
    numbers = (
        counts.synaptic_additions,
        counts.multiply_accumulates,
        counts.multiplications,
        simple + counts.comparisons,
        counts.lookups,
        bytes_.state,
        bytes_.constants,
    )
    given = ", ".join(f"{k}={v}" for k, v in options.items())
    return (f"`{kind}`" + (f" {given}" if given else ""), *(f"{n / SIZE:.1f}" for n in numbers))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=0.1, help="recurrent spikes (default 0.1)")
    rate = parser.parse_args().rate
    counted = ("synaptic additions", "MACs", "multiplications", "other", "look-ups")
    heads = ("cell", *counted, "state bytes", "constant bytes")
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for kind, options in CELLS:
        print("| " + " | ".join(row(kind, options, rate)) + " |")


if __name__ == "__main__":
    main()
