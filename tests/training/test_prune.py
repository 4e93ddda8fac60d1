"""Neurons taken out: the rest computes what it did, and matrices are smaller."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from grsn_edge.errors import UsageError
from grsn_edge.neurons import Record
from grsn_edge.policy import Network
from grsn_edge.training.actor import Actor
from grsn_edge.training.prune import importance, prunable, pruned, sizes_after
from grsn_edge.training.recipes import recipe

KINDS = ("grsn", "grsn-a", "grsn-rate", "lif", "rlif", "gru", "lstm", "mlp", "tc-lif", "pmsn")
KINDS = (*KINDS, "mf-psn", "grsn-first-spike", "grsn-stochastic")
SILENT = (1, 4, 5)


def network_of(kind: str) -> Network:
    return recipe("cartpole-p", kind, hidden=8).network


def muted(network: Network) -> Actor:
    """An actor in which nobody reads the neurons ``SILENT`` of the layers that can lose some."""
    actor = Actor(network, np.random.default_rng(0))
    with torch.no_grad():
        for i in prunable(network):
            for layer, letter in ((i, "n"), (i + 1, "x")):
                for name, axes in network.cells[layer].axes().items():
                    if axes[1:] == (letter,) and axes[0] != "-":
                        actor.cells[layer][name][:, list(SILENT)] = 0.0
    return actor


def records(network: Network) -> list[Record]:
    return [Record(np.zeros((2, c.n_in)), {}, {}, np.ones((2, c.size))) for c in network.cells]


def outputs(actor: Actor, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return actor(x, torch.ones(*x.shape[:2], 1), actor.initial_state(x.shape[1])).values


@pytest.mark.parametrize("kind", KINDS)
def test_taking_out_neurons_that_nobody_reads_changes_no_output(kind: str) -> None:
    network = network_of(kind)
    actor, sizes = muted(network), dict.fromkeys(prunable(network), 5)
    smaller = pruned(actor, records(network), sizes)
    assert [smaller.network.cells[i].size for i in sizes] == [5] * len(sizes)
    assert sum(p.numel() for p in smaller.parameters()) < sum(p.numel() for p in actor.parameters())
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(20, 3, 2))).float()
    assert torch.allclose(outputs(smaller, x), outputs(actor, x), atol=1e-5)


def test_what_is_active_and_widely_read_is_important() -> None:
    network = network_of("rlif")
    actor, seen = muted(network), records(network)
    found = importance(actor, seen, 0)
    assert np.flatnonzero(found == 0).tolist() == list(SILENT)
    seen[0].out[:, 0] = 0.0  # never fires
    assert importance(actor, seen, 0)[0] == 0.0


def test_layers_lose_a_share_or_shrink_to_a_size() -> None:
    network = network_of("lif")
    assert sizes_after(network, 0.25, None) == {0: 6, 1: 6}
    assert sizes_after(network, None, 3) == {0: 3, 1: 3}
    assert sizes_after(network_of("mlp"), 0.5, None) == {1: 4, 2: 4}


def test_what_cannot_be_pruned_says_so() -> None:
    with pytest.raises(UsageError, match="no neurons can be taken out of elm"):
        prunable(network_of("elm"))
    with pytest.raises(UsageError, match=r"layers of \[8\] neurons lose none by pruning down to 9"):
        sizes_after(network_of("grsn"), None, 9)
    with pytest.raises(UsageError, match="not both"):
        recipe("cartpole-p", prune=0.5, prune_to=4)
    with pytest.raises(UsageError, match="between 0 and 1, not 1"):
        recipe("cartpole-p", prune=1.0)
    with pytest.raises(UsageError, match="at least 1 neuron, not 0"):
        recipe("cartpole-p", prune_to=0)
