"""A frozen GRSN policy of a given size that fires at a given rate: what the benchmarks run.

Its weights are random; the threshold is bisected until the wanted share of neurons fires on the
benchmark's own observations.  Time does not depend on what a policy has learned, only on its sizes
and on how many neurons fire.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grsn_edge.neurons import Record, Signal, cell
from grsn_edge.neurons.quantise import NumpyQuantiser
from grsn_edge.policy import Channel, Encoder, Network, Policy, assemble, make_decoder
from grsn_edge.program import IntArray, evaluate

N_OBSERVATIONS = 1024


@dataclass(frozen=True)
class Measured:
    """A policy, the observations that it is driven with, and the rate at which it then fires."""

    policy: Policy
    observations: np.ndarray
    rate: float


def spiking_policy(
    rate: float,
    *,
    hidden: int = 64,
    inputs: int = 8,
    actions: int = 2,
    coefficients: str = "q15",
) -> Measured:
    """A policy of ``hidden`` neurons that fire with a mean probability near ``rate``."""
    rng = np.random.default_rng(0)
    observations = _smooth_noise(rng, inputs)
    low, high = 0.02, 20.0
    for _ in range(12):
        theta = float(np.sqrt(low * high))
        policy = _policy(theta, hidden, inputs, actions, coefficients)
        found = firing_rate(policy, observations)
        low, high = (theta, high) if found > rate else (low, theta)
    return Measured(policy, observations, found)


def firing_rate(policy: Policy, observations: np.ndarray) -> float:
    """Mean spikes per neuron and step over the observations, from reset."""
    state, fired = policy.program.initial_state(), []
    for code in policy.encoder.encode(observations):
        values = evaluate(policy.program, {"observation": code}, state)
        state = {name: values[node] for name, node in policy.program.nexts.items()}
        fired.append(float(values["layer0.spike"].mean()))
    return float(np.mean(fired))


def _policy(theta: float, hidden: int, inputs: int, actions: int, coefficients: str) -> Policy:
    rng = np.random.default_rng(1)
    cells = (
        cell("grsn", n_in=inputs, size=hidden, theta=theta, coefficients=coefficients),
        cell("readout", n_in=hidden, size=actions, coefficients=coefficients),
    )
    network, signal = Network(cells, "argmax"), Signal(1 / 127, -127, 127)
    plans, integers = [], []
    for layer in cells:
        params = layer.init(rng)
        plans.append(layer.plan(params, signal, _record(rng, layer.n_in, layer)))
        integers.append(_integers(layer, params, plans[-1]))
        signal = layer.output(plans[-1])
    return Policy(
        name="benchmark",
        program=assemble(network, plans, integers, 127),
        encoder=Encoder(np.zeros(inputs, np.float32), np.full(inputs, 127, np.float32)),
        decoder=make_decoder(network, plans),
        period_s=0.01,
        observations=tuple(Channel(f"x{i}", "1", -1.0, 1.0) for i in range(inputs)),
        actions=tuple(Channel(f"choice {i}", "1", 0.0, 1.0) for i in range(actions)),
    )


def _integers(layer, params, plan) -> dict[str, IntArray]:  # type: ignore[no-untyped-def]
    return layer.integers(params, plan, NumpyQuantiser())


def _record(rng: np.random.Generator, n_in: int, layer) -> Record:  # type: ignore[no-untyped-def]
    states = {name: rng.normal(0.0, 1.5, (64, n)) for name, n in layer.state_sizes().items()}
    return Record(rng.normal(size=(64, n_in)), states, states, rng.random((64, layer.size)))


def _smooth_noise(rng: np.random.Generator, inputs: int) -> np.ndarray:
    steps = rng.normal(0.0, 0.3, (N_OBSERVATIONS, inputs))
    value, out = np.zeros(inputs), []
    for step in steps:
        value = 0.95 * value + step
        out.append(np.clip(value, -1.0, 1.0))
    return np.array(out, dtype=np.float32)
