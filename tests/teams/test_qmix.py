"""QMIX: the mixer's one property, the targets, and that a team learns."""

from __future__ import annotations

import sys

import pytest
import torch

from grsn_edge.errors import TrainingError
from grsn_edge.teams.qmix import lambda_returns, make_mixer


def test_the_teams_value_never_falls_when_an_agents_value_rises() -> None:
    pytest.importorskip("torchrl")
    mixer = make_mixer(agents=4, state_size=6, embed=8, seed=0)
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(200, 4, 1, generator=generator, requires_grad=True)
    state = torch.randn(200, 6, generator=generator)
    mixer(values, state).sum().backward()
    assert values.grad is not None
    assert (values.grad >= 0).all()
    assert (values.grad > 0).any(dim=0).all()


def test_the_mixer_is_the_seeds_and_leaves_torchs_generator_alone() -> None:
    pytest.importorskip("torchrl")
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    one, same, other = (make_mixer(2, 3, 4, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(one.hyper_b_1.weight, same.hyper_b_1.weight)
    assert not torch.equal(one.hyper_b_1.weight, other.hyper_b_1.weight)


def test_without_torchrl_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchrl.modules.models.multiagent", None)
    with pytest.raises(TrainingError, match=r"install grsn-edge\[teams\]"):
        make_mixer(2, 3, 4, 0)


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None]


def test_targets_look_one_step_ahead_or_to_the_end() -> None:
    reward, following = column(1, 2, 3), column(10, 20, 30)
    none, taken = column(0, 0, 0), column(1, 1, 1)
    one = lambda_returns(reward, following, none, taken, 0.5, 0.0)
    assert one[:, 0].tolist() == [6, 12, 18]
    whole = lambda_returns(reward, following, none, taken, 0.5, 1.0)
    assert whole[:, 0].tolist() == [1 + 0.5 * (2 + 0.5 * 18), 2 + 0.5 * 18, 18]
    ended = lambda_returns(reward, following, column(0, 0, 1), taken, 0.5, 1.0)
    assert ended[:, 0].tolist() == [1 + 0.5 * (2 + 0.5 * 3), 2 + 0.5 * 3, 3]


def test_what_lies_behind_an_episodes_end_does_not_reach_its_targets() -> None:
    def targets(behind: float) -> list[float]:
        reward, following = column(1, 2, behind), column(10, 20, behind)
        taken = column(1, 1, 0)
        return lambda_returns(reward, following, column(0, 0, 0), taken, 0.9, 0.7)[:2, 0].tolist()

    assert targets(0.0) == targets(1e6)
