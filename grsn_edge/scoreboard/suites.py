"""The suites as data: which networks are trained on which tasks, from which seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from grsn_edge.errors import TaskError, UsageError
from grsn_edge.tasks import Task, task
from grsn_edge.teams.recipes import TeamRecipe, team_network_kinds, team_recipe
from grsn_edge.teams.registry import team_task, team_task_names
from grsn_edge.training.recipes import Recipe, network_kinds, recipe

__all__ = ["OURS", "SUITES", "Job", "Suite", "is_team", "suite"]

OURS = "grsn"
"""The network that the others are compared with."""


@dataclass(frozen=True)
class Job:
    """One policy: trained, frozen, played and priced.

    Args:
        task: its name or description; of a robot's task or a team's.
        network: a kind of :func:`~grsn_edge.training.recipes.recipe`, or ``KIND:HIDDEN`` with
            another number of neurons in each layer.
        seed: of training.
        changes: fields of the recipe that differ from the default one's.
        episodes: that the frozen policy plays.
    """

    task: str
    network: str
    seed: int
    changes: Mapping[str, Any] = field(default_factory=dict)
    episodes: int = 100

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.task} {self.network} {self.seed}"

    def recipe(self) -> Recipe | TeamRecipe:
        """What is trained.

        Raises:
            TaskError, UsageError: as :func:`~grsn_edge.training.recipes.recipe`.
        """
        kind, hidden = split_network(self.network)
        changes = dict(self.changes)
        if hidden is not None:
            changes["hidden"] = hidden
        if is_team(self.task):
            return team_recipe(self.task, kind, **changes)
        made = recipe(self.task, kind, **changes)
        if any(cell.spikes for cell in made.network.cells):
            return made
        return replace(made, spike_rate=None)


def is_team(name: str) -> bool:
    """Whether a task is one for a team."""
    base = name.partition("?")[0]
    return base in team_task_names() or base.startswith("vmas:")


def split_network(name: str) -> tuple[str, int | None]:
    """``gru:16`` → kind and neurons per layer; None where the recipe decides.

    Raises:
        UsageError: neither a kind nor a kind with a number.
    """
    kind, colon, hidden = name.partition(":")
    if kind not in network_kinds() or (colon and not (hidden.isdigit() and int(hidden))):
        raise UsageError(
            f"no network '{name}'; there are {', '.join(network_kinds())}, each also with its "
            "neurons per layer, such as gru:16"
        )
    return kind, int(hidden) if colon else None


@dataclass(frozen=True)
class Suite:
    """Tasks × networks × seeds.

    Args:
        name: for the command line.
        summary: for people.
        tasks: by name; several networks are compared on each.
        networks: as in :class:`Job`.
        seeds: of training; three or more for a table to compare by.
        changes: of the recipes: by task, for all networks alike, or by ``TASK NETWORK``.
        episodes: fresh ones that each frozen policy plays.
    """

    name: str
    summary: str
    tasks: tuple[str, ...]
    networks: tuple[str, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    episodes: int = 100

    def jobs(self) -> tuple[Job, ...]:
        """Seed by seed, so that an unfinished suite compares all networks already.

        A team is not trained with networks that its recipes do not know.
        """
        return tuple(
            Job(name, network, seed, self.changed(name, network), self.episodes)
            for seed in self.seeds
            for name in self.tasks
            for network in self.networks
            if not is_team(name) or split_network(network)[0] in team_network_kinds()
        )

    def changed(self, name: str, network: str) -> dict[str, Any]:
        """What differs from the default recipe; a network of another size has its kind's."""
        kind = network.partition(":")[0]
        return {**self.changes.get(name, {}), **self.changes.get(f"{name} {kind}", {})}

    def narrowed(
        self,
        tasks: Sequence[str] | None = None,
        networks: Sequence[str] | None = None,
        seeds: Sequence[int] | None = None,
        updates: int | None = None,
        episodes: int | None = None,
    ) -> Suite:
        """The suite with other tasks, networks or seeds (they need not be its own) or budgets.

        Args:
            tasks, networks, seeds: instead of the suite's; None leaves them.
            updates: length of every first phase; other phases in proportion.
            episodes: that each frozen policy plays.

        Raises:
            TaskError, UsageError: what does not exist, or a list of nothing.
        """
        for name in tasks or ():
            _found(name)
        for name in networks or ():
            split_network(name)
        if updates is not None and updates < 1:
            raise UsageError(f"a run has at least 1 update, not {updates}")
        if episodes is not None and episodes < 1:
            raise UsageError(f"a policy plays at least 1 episode, not {episodes}")
        chosen = replace(
            self,
            tasks=_unique(tasks) or self.tasks,
            networks=_unique(networks) or self.networks,
            seeds=_unique(seeds) or self.seeds,
            episodes=episodes or self.episodes,
        )
        if updates is None:
            return chosen
        shorter = {
            name: {**self.changes.get(name, {}), "updates": updates} for name in chosen.tasks
        }
        return replace(chosen, changes={**self.changes, **shorter})

    def left_out(self) -> dict[str, str]:
        """Tasks that cannot be played here, with the reason."""
        return {name: reason for name in self.tasks if (reason := _missing(name))}


def _unique(values: Any) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values or ()))


def _found(name: str) -> Task:
    return team_task(name).member if is_team(name) else task(name)


def _missing(name: str) -> str | None:
    try:
        _found(name).check_installed()
    except TaskError as error:
        return str(error)
    return None


_CELLS = (OURS, "gru", "lstm", "mlp", "lif")
_CLASSIC = ("cartpole-p", "cartpole-v", "pendulum-p", "pendulum-v")
_MEMORY = ("tmaze", "repeat-previous")
_LUNAR = ("lunarlander-p", "lunarlander-v")
_ROBOTS = ("hopper", "walker2d", "halfcheetah", "ant")
_MUJOCO = tuple(f"{robot}-{half}" for robot in _ROBOTS for half in "pv")
_TEAMS = team_task_names()
_EVERYTHING = (*_CLASSIC, *_LUNAR, *_MEMORY, *_MUJOCO, *_TEAMS)

_UPDATE = 512 * 32  # environment steps between two updates of the classic tasks
_QUIET: Mapping[str, Mapping[str, Any]] = {
    "cartpole-p": {"spike_rate": 0.04, "quieten_steps": 80 * _UPDATE},
    "cartpole-v": {"spike_rate": 0.04, "quieten_steps": 80 * _UPDATE},
    "pendulum-p": {"spike_rate": 0.1, "quieten_steps": 80 * _UPDATE},
}
"""Spike rates to come down to; networks that do not spike ignore them."""

_TUNED: Mapping[str, Mapping[str, Any]] = {
    "pendulum-p gru": {"lr": 6e-3},
    "pendulum-p lstm": {"lr": 6e-3},
    "pendulum-p mlp": {"lr": 6e-3},
    "pendulum-v gru": {"lr": 6e-3},
    "pendulum-v lstm": {"lr": 6e-3},
}
"""Learning rates from the sweep in docs/scoreboard.md, where the recipe's own was beaten."""

_TUNE = {"tune_steps": 5 * _UPDATE}
_SHORT = {**_TUNED, **{name: {**_QUIET.get(name, {}), **_TUNE} for name in _CLASSIC}}
"""Half the recipes' fine-tuning, for all networks alike: it takes most of their time."""

SUITES: Mapping[str, Suite] = {
    found.name: found
    for found in (
        Suite(
            "quick",
            "classic control, half an hour on two cores",
            _CLASSIC,
            _CELLS[:-1],
            changes=_SHORT,
        ),
        Suite(
            "paper",
            "classic control, LunarLander, MuJoCo, memory and team tasks: hours to days",
            _EVERYTHING,
            _CELLS,
            changes={**_QUIET, **_TUNED},
        ),
        Suite(
            "full",
            "the same tasks, every cell, the opponents in three sizes, five seeds: for a cluster",
            _EVERYTHING,
            (
                *network_kinds(),
                *(f"{n}:{h}" for n in (OURS, "gru", "lstm", "mlp") for h in (8, 16)),
            ),
            seeds=(0, 1, 2, 3, 4),
            changes={**_QUIET, **_TUNED},
        ),
    )
}


def suite(name: str) -> Suite:
    """The suite of this name; raises :class:`UsageError`."""
    if name not in SUITES:
        raise UsageError(f"no suite '{name}'; there are {', '.join(SUITES)}")
    return SUITES[name]
