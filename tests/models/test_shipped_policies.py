"""The policies in models/: they load, repeat their golden vectors everywhere, and have a card."""

from __future__ import annotations

from pathlib import Path

import pytest
from tasks.simulators import skip_without_packages

from grsn_edge.backends import backend, backend_names
from grsn_edge.policy import model_hash
from grsn_edge.runtime import StreamingPolicy, play_episode
from grsn_edge.tasks import task
from grsn_edge.tasks.environments import make_environment

MODELS = sorted((Path(__file__).parents[2] / "models").glob("*.grsn"))
USABLE = [name for name in backend_names() if backend(name).unavailable() is None]
LEARNED = {
    "cartpole-p": 495.0,
    "cartpole-v": 495.0,
    "pendulum-p": -500.0,
    "pendulum-v": -500.0,
    "tmaze": 3.9,
    "repeat-previous": 0.9,
    "hopper-p": 500.0,
    "halfcheetah-p": 2500.0,
    "hopper-v": 250.0,
    "walker2d-p": 300.0,
    "ant-p": 800.0,
    "lunarlander-p": 100.0,
}
"""What one episode brings at least."""
RECORDED = {"tmaze": 11, "repeat-previous": 52}
"""Golden steps of tasks with episodes shorter than 64 steps."""


def test_every_task_has_its_policy() -> None:
    assert {path.stem for path in MODELS} == set(LEARNED)


@pytest.mark.parametrize("name", USABLE)
@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_golden_vectors_are_repeated(path: Path, name: str) -> None:
    with StreamingPolicy.load(path, backend=name) as policy:
        assert policy.verify() == RECORDED.get(path.stem, 64)


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_the_card_names_the_file_and_how_to_make_it(path: Path) -> None:
    policy = StreamingPolicy.load(path, backend="numpy").policy
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert model_hash(policy) in card
    assert policy.provenance["command"] in card
    assert f"{path.stat().st_size:,} bytes" in card


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_an_episode_goes_well(path: Path) -> None:
    skip_without_packages(path.stem)
    with StreamingPolicy.load(path) as policy:
        environment = make_environment(path.stem)
        episode = play_episode(
            policy, environment, seed=10_001, max_steps=task(path.stem).max_steps
        )
    assert episode.ret >= LEARNED[path.stem]
