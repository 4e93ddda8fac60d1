"""Recipes: everything that decides how a team is trained, by task and kind of network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from grsn_edge.errors import UsageError
from grsn_edge.neurons import Cell, cell
from grsn_edge.policy import Network
from grsn_edge.teams.registry import team_task

__all__ = ["TeamRecipe", "team_network_kinds", "team_recipe"]


@dataclass(frozen=True)
class TeamRecipe:
    """How to train one policy for a team by QMIX (Rashid et al., arXiv 1803.11485).

    An update plays ``envs`` episodes side by side, then takes ``learn`` steps of the optimiser,
    each on ``batch`` episodes drawn from the last ``replay``, replayed from their beginning.

    Args:
        task: its name.
        network: the agents' cells.
        updates, tune_updates: budgets of the two phases, float and exact integers.
        gamma: discount.
        trace: λ of the targets: 0 looks one step ahead, 1 to the episode's end.
        reward_scale: multiplies rewards.
        lr, tune_lr: Adam's step sizes; each falls linearly to a tenth.
        grad_norm: gradients are clipped to this norm.
        copy_every: optimiser steps between copies to the target networks.
        embed: width of the mixer.
        explore: part of the first phase in which ε falls linearly from 1 to ``epsilon``.
        epsilon: part of random actions from then on.
        envs, learn, batch, replay: see above.
        evaluate_every: updates between evaluations, each of ``evaluate_episodes``.
        observation: storage of the observation codes, ``int8`` or ``int16``.
    """

    task: str
    network: Network
    updates: int
    tune_updates: int
    gamma: float = 0.99
    trace: float = 0.8
    reward_scale: float = 1.0
    lr: float = 2e-3
    tune_lr: float = 2e-4
    grad_norm: float = 10.0
    copy_every: int = 25
    embed: int = 32
    explore: float = 0.5
    epsilon: float = 0.05
    envs: int = 32
    learn: int = 10
    batch: int = 32
    replay: int = 1024
    evaluate_every: int = 20
    evaluate_episodes: int = 64
    observation: str = "int8"

    def __post_init__(self) -> None:
        sizes = (self.updates, self.envs, self.learn, self.batch, self.embed, self.copy_every)
        if min(*sizes, self.evaluate_every, self.evaluate_episodes) < 1 or self.tune_updates < 0:
            raise UsageError("the sizes and the first budget of a recipe are positive")
        if self.replay < max(self.envs, self.batch):
            raise UsageError("a replay holds at least the episodes of one update and of one batch")
        if not (0 <= self.epsilon <= 1 and 0 < self.explore <= 1 and 0 <= self.trace <= 1):
            raise UsageError("epsilon, explore and trace of a recipe are parts of 1")

    def config(self) -> dict[str, Any]:
        """The recipe as JSON values."""
        return {**asdict(self), "network": self.network.config()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TeamRecipe:
        """The recipe of :meth:`config`; raises :class:`UsageError` where it is not one."""
        try:
            return cls(**{**config, "network": Network.from_config(config["network"])})
        except (KeyError, TypeError) as error:
            raise UsageError(f"not the configuration of a recipe: {error!r}") from None


def team_recipe(task_name: str, kind: str = "grsn", **changes: Any) -> TeamRecipe:
    """The recipe for a team's task and a kind of network, with changes.

    Args:
        task_name: such as ``battle``.
        kind: one of :func:`team_network_kinds`.
        changes: fields of :class:`TeamRecipe`, or ``hidden``, the neurons of each layer.  With
            ``updates`` the second phase is lengthened or shortened in proportion.

    Raises:
        TaskError: unknown task.
        UsageError: unknown kind or field, or a value that cannot be.
    """
    task = team_task(task_name)
    if kind not in _MEMORIES:
        raise UsageError(f"no network '{kind}'; there are: {', '.join(team_network_kinds())}")
    updates, hidden = changes.pop("updates", None), changes.pop("hidden", 64)
    values = {**_BUDGET, **_FOR_TASK.get(task_name.partition("?")[0], {}), **changes}
    cells = (
        cell("dense", n_in=task.layout.channels, size=hidden),
        *_MEMORIES[kind](hidden),
        cell("readout", n_in=hidden, size=task.layout.actions, leaky=False),
    )
    try:
        made = TeamRecipe(task.name, Network(cells, "argmax"), **values)
    except TypeError as error:
        raise UsageError(f"a recipe has no such field: {error}") from None
    if updates is None:
        return made
    tuned = -(-made.tune_updates * updates // made.updates)
    return replace(made, updates=updates, tune_updates=tuned)


def team_network_kinds() -> tuple[str, ...]:
    """The kinds of networks that :func:`team_recipe` makes."""
    return tuple(_MEMORIES)


def _one(kind: str, **options: Any) -> Callable[[int], tuple[Cell, ...]]:
    return lambda hidden: (cell(kind, n_in=hidden, size=hidden, **options),)


_MEMORIES: Mapping[str, Callable[[int], tuple[Cell, ...]]] = {
    "grsn": _one("grsn"),
    "grsn-a": _one("grsn", gates="input"),
    "lif": _one("lif"),
    "rlif": _one("rlif"),
    "gru": _one("gru"),
    "lstm": _one("lstm"),
    "mlp": _one("dense"),
}
"""What stands between the dense layer and the read-out."""

_BUDGET = {"updates": 200, "tune_updates": 10}
_FOR_TASK: Mapping[str, Mapping[str, Any]] = {
    "battle": {"gamma": 0.97, "reward_scale": 4.0},
    "navigation-p": {
        "gamma": 0.95,
        "reward_scale": 3.0,
        "envs": 64,
        "learn": 8,
        "updates": 80,
        "tune_updates": 3,
    },
}
