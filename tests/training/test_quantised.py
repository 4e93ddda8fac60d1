"""The quantised actor is the deployed program: same integers, and gradients that mean something."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from grsn_edge.neurons import Record, Signal, cell
from grsn_edge.policy import OBSERVATION, Network, assemble_cells
from grsn_edge.program import step
from grsn_edge.training.actor import Actor
from grsn_edge.training.freeze import plan_network
from grsn_edge.training.quantised import QuantisedActor

SIGNAL = Signal(1.0 / 127, -127, 127)


def network(*kinds: str) -> Network:
    width, cells = 3, []
    for kind in kinds:
        size = 9 if kind == "frames" else 12
        cells.append(cell(kind, n_in=width, size=size))
        width = size
    return Network((*cells, cell("readout", n_in=width, size=2)), "argmax")


def quantised(net: Network, seed: int = 0) -> QuantisedActor:
    rng = np.random.default_rng(seed)
    params = [dict(p.items()) for p in Actor(net, rng).cells]
    records = []
    for c in net.cells:
        states = {name: rng.normal(size=(50, n)) for name, n in c.state_sizes().items()}
        records.append(
            Record(rng.normal(size=(50, c.n_in)), states, states, rng.random((50, c.size)))
        )
    return QuantisedActor(net, params, plan_network(net, params, SIGNAL, records), SIGNAL)


CELLS = (("gru",), ("lstm",), ("elm",), ("rlif",), ("tc_lif",), ("mf_psn", "mf_psn"), ("pmsn",))


@pytest.mark.parametrize(
    "kinds", [("grsn",), ("lif", "grsn"), ("frames", "dense", "dense"), *CELLS]
)
def test_a_batched_sequence_gives_the_integers_of_the_reference_with_resets(kinds) -> None:
    actor = quantised(network(*kinds))
    program = assemble_cells(actor.network, actor.plans, actor.integers(), SIGNAL.hi)
    rng = np.random.default_rng(1)
    codes = rng.integers(-127, 128, (30, 4, 3))
    keep = (rng.random((30, 4, 1)) > 0.1).astype(np.float64)

    with torch.no_grad():
        out = actor(
            torch.from_numpy(codes * SIGNAL.scale),
            torch.from_numpy(keep),
            actor.initial_state(4),
        )
    state = program.initial_state((4,))
    for t in range(30):
        state = {name: value * keep[t].astype(int) for name, value in state.items()}
        outputs, state = step(program, {OBSERVATION: codes[t]}, state)
        unit = actor.network.cells[-1].output(actor.plans[-1]).scale
        expected = (outputs["readout"] * unit).astype(np.float32)
        assert np.array_equal(out.values[t].numpy(), expected)
    found = {
        f"{scope}.{name}": value.numpy().astype(int)
        for scope, values in zip(actor.network.scopes, out.state, strict=True)
        for name, value in values.items()
    }
    assert found.keys() == state.keys()
    for name, value in state.items():
        assert np.array_equal(found[name], value), name


@pytest.mark.parametrize("kinds", [("grsn",), ("grsn", "lif"), ("frames", "dense"), *CELLS])
def test_gradients_reach_every_parameter_and_a_descent_step_lowers_the_loss(kinds) -> None:
    actor = quantised(network(*kinds))
    x = torch.from_numpy(np.random.default_rng(2).uniform(-1, 1, (20, 16, 3)))
    keep = torch.ones(20, 16, 1)
    goal = torch.tensor([0.3, -0.2])

    def loss() -> torch.Tensor:
        return (actor(x, keep, actor.initial_state(16)).values - goal).square().mean()

    first = loss()
    first.backward()
    for p in actor.parameters():
        assert p.grad is not None
        assert torch.isfinite(p.grad).all()
        assert p.grad.abs().sum() > 0
    optimiser = torch.optim.Adam(actor.parameters(), lr=0.01)
    for _ in range(20):
        optimiser.zero_grad()
        now = loss()
        now.backward()
        optimiser.step()
    assert now < 0.5 * first


def test_quantisation_loses_little_of_the_float_network() -> None:
    net = network("dense", "dense")
    rng = np.random.default_rng(3)
    floats = Actor(net, rng)
    params = [dict(p.items()) for p in floats.cells]
    x = torch.from_numpy(rng.uniform(-1, 1, (1, 200, 3))).float()
    values, records = x[0], []
    for c, p in zip(net.cells, params, strict=True):
        state = {name: torch.zeros(200, n) for name, n in c.state_sizes().items()}
        out, after = c.float_step(p, values, state, lambda z: (z >= 0).to(z.dtype))
        arrays = [{k: v.detach().double().numpy() for k, v in s.items()} for s in (state, after)]
        records.append(
            Record(values.detach().double().numpy(), *arrays, out.detach().double().numpy())
        )
        values = out
    actor = QuantisedActor(net, params, plan_network(net, params, SIGNAL, records), SIGNAL)
    with torch.no_grad():
        integer = actor(x, torch.ones(1, 200, 1), actor.initial_state(200)).values[0]
    spread = float(values.detach().std())
    assert float((integer - values.detach()).abs().max()) < 0.1 * spread
