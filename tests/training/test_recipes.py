"""Recipes hold everything that decides a run."""

from __future__ import annotations

import json

import pytest

from grsn_edge.errors import TaskError, UsageError
from grsn_edge.tasks import task_names
from grsn_edge.training.recipes import Recipe, network_kinds, recipe


@pytest.mark.parametrize("name", task_names())
@pytest.mark.parametrize("kind", network_kinds())
def test_a_recipe_survives_json(name: str, kind: str) -> None:
    made = recipe(name, kind, spike_rate=0.05)
    again = Recipe.from_config(json.loads(json.dumps(made.config())))
    assert again == made


def test_a_recipe_can_be_changed() -> None:
    made = recipe("cartpole-p", hidden=64, lr=1e-3, spike_rate=0.1)
    assert made.network.cells[0].size == 64
    assert (made.lr, made.spike_rate) == (1e-3, 0.1)


def test_the_mlp_sees_four_frames() -> None:
    cells = recipe("cartpole-p", "mlp").network.cells
    assert [c.kind for c in cells] == ["frames", "dense", "dense", "readout"]
    assert cells[0].size == 4 * cells[0].n_in


def test_wrong_names_and_values_are_refused() -> None:
    with pytest.raises(TaskError, match="no task"):
        recipe("walker")
    with pytest.raises(UsageError, match="no network 'gru2'; there are: grsn"):
        recipe("cartpole-p", "gru2")
    with pytest.raises(UsageError, match="no such field"):
        recipe("cartpole-p", learning_rate=1.0)
    with pytest.raises(UsageError, match="between 0 and 1, not 5"):
        recipe("cartpole-p", spike_rate=5)
    with pytest.raises(UsageError, match="do not divide into 3"):
        recipe("cartpole-p", minibatches=3)
    with pytest.raises(UsageError, match="not the configuration"):
        Recipe.from_config({"task": "cartpole-p"})
