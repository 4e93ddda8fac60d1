"""What every cell promises: a sequence is its steps, and adding one is one class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from grsn_edge.backends import backend, backend_names
from grsn_edge.conformance import compare, random_program
from grsn_edge.conformance.random_programs import HIDDEN, READOUTS
from grsn_edge.errors import UsageError
from grsn_edge.neurons import Cell, Plan, Signal, _shipped, cell, cell_kinds, register
from grsn_edge.neurons.base import INT16_MAX, Record, exact
from grsn_edge.neurons.quantise import NumpyQuantiser
from grsn_edge.policy import Network, assemble
from grsn_edge.program import step

USABLE = [name for name in backend_names() if backend(name).unavailable() is None]


@pytest.mark.parametrize("kind", [*HIDDEN, *READOUTS])
def test_a_batched_sequence_is_its_streams_step_by_step_with_resets_in_the_middle(
    kind: str,
) -> None:
    program = random_program(11, kind).program
    (observation,) = program.inputs
    rng = np.random.default_rng(5)
    T, B = 40, 3
    x = rng.integers(observation.interval.lo, observation.interval.hi, (T, B, observation.n))
    keep = rng.random((T, B)) > 0.1

    batched = program.initial_state((B,))
    singles = [program.initial_state() for _ in range(B)]
    for t in range(T):
        fresh = program.initial_state((B,))
        batched = {n: np.where(keep[t][:, None], v, fresh[n]) for n, v in batched.items()}
        outputs, batched = step(program, {"observation": x[t]}, batched)
        for i in range(B):
            before = singles[i] if keep[t, i] else program.initial_state()
            alone, singles[i] = step(program, {"observation": x[t, i]}, before)
            assert np.array_equal(outputs["action"][i], alone["action"])
            for name, value in singles[i].items():
                assert np.array_equal(batched[name][i], value), (t, i, name)


def test_every_shipped_cell_is_drawn() -> None:
    drawn = {kind.partition("-")[0] for kind in (*HIDDEN, *READOUTS)}
    assert set(_shipped()) == drawn | {"readout"}


def test_grsn_hands_on_membrane_current_and_spikes() -> None:
    program = random_program(0, "grsn").program
    names = {state.name for state in program.states}
    assert {"layer0.u", "layer0.c", "layer0.o"} <= names


def test_form_a_has_no_spike_state_because_its_gates_do_not_read_spikes() -> None:
    program = random_program(1, "grsn-a").program
    names = {state.name for state in program.states}
    assert {"layer0.u", "layer0.c"} <= names
    assert "layer0.o" not in names


def test_the_gated_current_is_proven_to_stay_in_range_without_a_clip() -> None:
    program = random_program(0, "grsn").program
    current = program[program.nexts["layer0.c"]]
    assert current.op == "add"
    assert current.interval.within(0, INT16_MAX)


def test_unknown_cells_and_options_are_named() -> None:
    with pytest.raises(UsageError, match="no cell 'gnu'"):
        cell("gnu", n_in=1, size=1)
    with pytest.raises(UsageError, match="colour"):
        cell("grsn", n_in=1, size=1, colour="red")
    with pytest.raises(UsageError, match="sizes"):
        cell("lif", n_in=0, size=4)


@dataclass(frozen=True)
class Toy(Cell):
    """Counts up by its input's sum of weights and spikes at a threshold of 100."""

    kind: ClassVar[str] = "toy"
    summary: ClassVar[str] = "integrate and fire, for a test"

    @property
    def spikes(self) -> bool:
        return True

    def init(self, rng):
        return {"w": rng.normal(0.0, 1.0, (self.size, self.n_in))}

    def state_sizes(self) -> Mapping[str, int]:
        return {"u": self.size}

    def float_step(self, p, x, state, spike):
        u = state["u"] + x @ p["w"].T
        o = spike(u - 100.0)
        return o, {"u": u - 100.0 * o.detach()}

    def plan(self, p, x: Signal, record: Record) -> Plan:
        return {"unit": exact(np.abs(p["w"]).max() * x.scale / 127)}

    def integers(self, p, plan, q):
        return {"drive.weight": q.round(p["w"] / float(plan["unit"]), -127, 127)}

    def output(self, plan: Plan) -> Signal:
        return Signal.spikes()

    def step(self, b, k, plan, x):
        u = b.state("u", self.size, lo=-(2**15), hi=INT16_MAX)
        charged = (u + b.matvec(k["drive.weight"], x, name="drive")).clip(-(2**15), INT16_MAX)
        theta = b.const(np.full(self.size, 100))
        o = charged >= theta
        b.next(u, charged - theta * o)
        return o


def test_a_cell_in_its_own_file_runs_on_every_backend_with_no_other_edit() -> None:
    register(Toy)
    assert "toy" in cell_kinds()
    rng = np.random.default_rng(0)
    network = Network((cell("toy", n_in=3, size=17), cell("readout", n_in=17, size=2)), "argmax")
    assert Network.from_config(network.config()) == network
    signal, plans, integers = Signal(1 / 127, -127, 127), [], []
    for layer in network.cells:
        params = layer.init(rng)
        states = {name: np.ones((1, n)) for name, n in layer.state_sizes().items()}
        record = Record(np.ones((1, layer.n_in)), states, states, np.ones((1, layer.size)))
        plans.append(layer.plan(params, signal, record))
        integers.append(layer.integers(params, plans[-1], NumpyQuantiser()))
        signal = layer.output(plans[-1])
    program = assemble(network, plans, integers, 127)

    names = ["numpy", *(name for name in USABLE if name != "numpy")]
    report = compare(program, names, steps=1000)
    assert report.equal, report.difference
    assert len(set(report.hashes.values())) == 1
