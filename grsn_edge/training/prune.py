"""Neurons taken out of a trained network: smaller matrices, fewer states, the rest as it was.

A neuron's importance is its mean activity in calibration roll-outs (its firing rate, where it
spikes) times the norm of all weights that read it, in its own layer and in the one above.  The
least important ones go; nothing else changes, and the phases that follow recover the return.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from grsn_edge.errors import UsageError
from grsn_edge.neurons import Cell, Record
from grsn_edge.policy import Network
from grsn_edge.training.actor import Actor

__all__ = ["importance", "prunable", "pruned", "sizes_after"]

Params = Mapping[str, Tensor]
Chosen = npt.NDArray[np.int64]


def prunable(network: Network) -> tuple[int, ...]:
    """The hidden layers that neurons can be taken out of.

    Raises:
        UsageError: there is none, or a layer above one of them cannot have fewer inputs.
    """
    hidden = network.cells[:-1]
    found = tuple(i for i, layer in enumerate(hidden) if "n" in _letters(layer))
    if not found:
        kinds = ", ".join(layer.kind for layer in hidden) or "a read-out"
        raise UsageError(f"no neurons can be taken out of {kinds}; see docs/quantisation.md")
    for i in found:
        if "x" not in _letters(network.cells[i + 1]):
            raise UsageError(
                f"'{network.cells[i].kind}' cannot lose neurons below "
                f"'{network.cells[i + 1].kind}', whose inputs are fixed"
            )
    return found


def sizes_after(network: Network, share: float | None, left: int | None) -> dict[int, int]:
    """Neurons that each prunable layer keeps, by its place.

    Args:
        network: before.
        share: of each layer's neurons to take out, in (0, 1); or None.
        left: neurons that each layer keeps at most; or None.

    Raises:
        UsageError: no layer would lose a neuron.
    """
    sizes = {i: network.cells[i].size for i in prunable(network)}
    kept = {
        i: max(1, round(size * (1.0 - share))) if share is not None else min(size, left or size)
        for i, size in sizes.items()
    }
    if kept == sizes:
        asked = f"{share:g} of each layer" if share is not None else f"down to {left}"
        raise UsageError(f"layers of {[*sizes.values()]} neurons lose none by pruning {asked}")
    return kept


def pruned(actor: Actor, records: Sequence[Record], sizes: Mapping[int, int]) -> Actor:
    """The actor with the most important neurons of each layer, in the order they stood in.

    Args:
        actor: in floats; it is not changed.
        records: of its cells, from roll-outs.
        sizes: neurons that layers keep, by their place; others keep all.
    """
    network, cells, params = actor.network, [], []
    below: Chosen | None = None
    for i, layer in enumerate(network.cells):
        here = None
        if i in sizes:
            ranked = np.argsort(-importance(actor, records, i), kind="stable")
            here = np.sort(ranked[: sizes[i]])
        given = dict(actor.cells[i].named_parameters())
        params.append(_taken(layer, given, here, below))
        n_in = layer.n_in if below is None else below.size
        cells.append(replace(layer, n_in=n_in, size=layer.size if here is None else here.size))
        below = here
    smaller = Actor(Network(tuple(cells), network.decoder), np.random.default_rng(0))
    with torch.no_grad():
        for module, values in zip(smaller.cells, params, strict=True):
            for name, value in module.named_parameters():
                value.copy_(values[name])
    return smaller


def importance(actor: Actor, records: Sequence[Record], i: int) -> npt.NDArray[np.float64]:
    """Mean activity times the norm of outgoing weights, for each neuron of layer ``i``."""
    cells = actor.network.cells
    outgoing = np.zeros(cells[i].size)
    for layer, letter in ((i, "n"), (i + 1, "x")):
        params = dict(actor.cells[layer].named_parameters())
        for name, axes in cells[layer].axes().items():
            if axes[1:] == (letter,) and axes[0] != "-":
                weight = params[name].detach().double().numpy()
                outgoing += np.square(weight).sum(axis=0)
    return np.asarray(np.abs(records[i].out).mean(axis=0) * np.sqrt(outgoing), np.float64)


def _taken(
    layer: Cell, params: Params, neurons: Chosen | None, inputs: Chosen | None
) -> dict[str, Tensor]:
    """Parameters of some neurons and inputs of a layer; None takes all."""
    found = dict(params)
    for name, axes in layer.axes().items():
        for axis, letters in enumerate(axes):
            chosen = inputs if letters == "x" else neurons
            if chosen is None or letters == "-":
                continue
            starts = np.arange(len(letters))[:, None] * (layer.size if letters != "x" else 0)
            rows = torch.from_numpy((starts + chosen).reshape(-1))
            found[name] = found[name].index_select(axis, rows)
    return found


def _letters(layer: Cell) -> set[str]:
    return {letter for axes in layer.axes().values() for axis in axes for letter in axis}
