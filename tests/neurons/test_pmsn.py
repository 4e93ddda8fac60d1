"""PMSN has two modes, parallel and serial, and they are one neuron."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from grsn_edge.errors import UsageError
from grsn_edge.neurons import Cell, Record, Signal, cell
from grsn_edge.neurons.quantise import NumpyQuantiser
from grsn_edge.policy import Network, assemble_cells
from grsn_edge.program import Builder, Program, step
from grsn_edge.training.scan import scan

T, B = 48, 6


def course(c: Cell, dtype: torch.dtype) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    rng = np.random.default_rng(4)
    params = {k: torch.from_numpy(v).to(dtype) for k, v in c.init(rng).items()}
    x = torch.from_numpy(rng.normal(0.0, 1.0, (T, B, c.n_in))).to(dtype)
    keep = torch.from_numpy(rng.random((T, B, 1)) > 0.1).to(dtype)
    return params, x, keep


@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_all_steps_at_once_are_the_serial_steps_within_rounding(
    dtype: torch.dtype, near: float
) -> None:
    c = cell("pmsn", n_in=3, size=16)
    params, x, keep = course(c, dtype)
    rng = np.random.default_rng(5)
    state = {
        k: torch.from_numpy(rng.uniform(0.0, 0.9, (B, n))).to(dtype)
        for k, n in c.state_sizes().items()
    }
    with torch.no_grad():
        spikes, final = scan(c, params, x, keep, state)
        summed, end = c.parallel(params, x, keep, state)  # type: ignore[attr-defined]
    before = torch.cat([state["v"][None], summed[:-1]]) * keep
    parallel = summed.floor() - before.floor()
    for name in ("re", "im"):
        assert torch.allclose(end[name], final[name], atol=near)
    assert torch.allclose(summed[-1] - summed[-1].floor(), final["v"], atol=10 * near)
    assert 0.05 < float(spikes.mean()) < 0.6
    assert float((parallel != spikes).double().mean()) <= (0.0 if dtype == torch.float64 else 1e-3)


def frozen(network: Network) -> tuple[list[Program], Program]:
    """Each cell as a program of its own, and all of them as one."""
    rng = np.random.default_rng(6)
    signal, plans, integers, singles = Signal(1 / 127, -127, 127), [], [], []
    for c in network.cells:
        params = c.init(rng)
        states = {name: rng.normal(size=(50, n)) for name, n in c.state_sizes().items()}
        record = Record(rng.normal(size=(50, c.n_in)), states, states, rng.random((50, c.size)))
        plans.append(c.plan(params, signal, record))
        integers.append(c.integers(params, plans[-1], NumpyQuantiser()))
        b = Builder()
        x = b.input("observation", c.n_in, lo=signal.lo, hi=signal.hi)
        b.output("out", c.step(b, integers[-1], plans[-1], x))
        singles.append(b.build())
        signal = c.output(plans[-1])
    return singles, assemble_cells(network, plans, integers, 127)


def test_layer_at_a_time_and_step_at_a_time_give_the_same_integers() -> None:
    """As training runs a sequence, layer after layer, and as a device does, step after step."""
    layers = cell("pmsn", n_in=3, size=16), cell("pmsn", n_in=16, size=8)
    network = Network((*layers, cell("readout", n_in=8, size=2)), "argmax")
    singles, whole = frozen(network)
    rng = np.random.default_rng(7)
    codes = rng.integers(-127, 128, (T, B, 3))
    keep = rng.random((T, B, 1)) > 0.1

    sequence = codes
    for program in singles:
        state, outputs = program.initial_state((B,)), []
        for t in range(T):
            state = {name: value * keep[t] for name, value in state.items()}
            out, state = step(program, {"observation": sequence[t]}, state)
            outputs.append(out["out"])
        sequence = np.stack(outputs)

    state = whole.initial_state((B,))
    for t in range(T):
        state = {name: value * keep[t] for name, value in state.items()}
        out, state = step(whole, {"observation": codes[t]}, state)
        assert np.array_equal(out["readout"], sequence[t])


def test_the_membrane_stays_below_the_threshold_by_proof_and_without_a_clip() -> None:
    singles, _ = frozen(
        Network((cell("pmsn", n_in=3, size=4), cell("readout", n_in=4, size=2)), "clip")
    )
    after = singles[0][singles[0].nexts["v"]]
    assert after.op == "sub"
    assert after.interval.within(0, 2**14 - 1)


def test_compartments_are_1_to_16() -> None:
    with pytest.raises(UsageError, match="1 to 16 compartments"):
        cell("pmsn", n_in=3, size=4, compartments=0)
