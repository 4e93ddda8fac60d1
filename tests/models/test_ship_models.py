"""A finished scoreboard's policies go into models/ with the command that makes them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
import ship_models

from grsn_edge.policy import load, save
from grsn_edge.training.recipes import recipe

MODELS = Path(__file__).parents[2] / "models"
TASK = "cartpole-p"


def finished(folder: Path, seed: int, around: float, **changes: Any) -> dict[str, Any]:
    """A job's folder, as the scoreboard leaves it; its policy is the shipped one."""
    place = folder / TASK / f"grsn-{seed}" / "key"
    place.mkdir(parents=True)
    made = recipe(TASK, "grsn", **changes).config()
    result = {
        "key": "key",
        "version": "v",
        "job": {"task": TASK, "network": "grsn", "seed": seed},
        "training": {"recipe": json.loads(json.dumps(made)), "env_steps": 7, "cpu_s": 1.0},
        "play": {"int8": [around] * 4, "float": [around] * 4, "rate": 0.1},
        "price": {"instructions": {"mean": 900.0}},
    }
    (place / "result.json").write_text(json.dumps(result))
    save(load(MODELS / f"{TASK}.grsn"), place / "model.grsn")
    return result


def test_the_best_seed_is_shipped_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, around in enumerate((10.0, 30.0, 20.0)):
        finished(tmp_path, seed, around, updates=7, spike_rate=0.1)
    monkeypatch.setattr(
        sys, "argv", ["ship", str(tmp_path), "--tasks", TASK, "--models", str(tmp_path)]
    )
    assert ship_models.main() == 0
    command = "grsn-edge train cartpole-p --network grsn --seed 1 --spike-rate 0.1 --updates 7"
    assert load(tmp_path / f"{TASK}.grsn").provenance["command"] == command
    card = (tmp_path / f"{TASK}.md").read_text()
    assert command in card
    assert "| grsn | 2 | 1 | 7 | 20.0 | 20.0 ± 0.0 | 10.0 % | 900 |" in card


def test_a_recipe_that_no_option_makes_is_not_shipped(tmp_path: Path) -> None:
    result = finished(tmp_path, 0, 10.0, lr=0.5)
    with pytest.raises(SystemExit, match="not a recipe that options"):
        ship_models.command_of(result)
