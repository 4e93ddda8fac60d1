"""A team's training as a thing that can be advanced one update at a time, saved, and gone on with.

Every update plays whole episodes from a drawn seed, so that between updates no world is half-way:
a checkpoint needs none of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from grsn_edge.neurons import Plan, Record
from grsn_edge.tasks import Task
from grsn_edge.teams.base import View
from grsn_edge.teams.episodes import Episodes, Replay, empty_episodes
from grsn_edge.teams.play import TeamPlay, acting, play_team
from grsn_edge.teams.qmix import QLearner, make_mixer
from grsn_edge.teams.recipes import TeamRecipe
from grsn_edge.teams.registry import team_task
from grsn_edge.training.actor import Actor
from grsn_edge.training.calibrate import Recorder
from grsn_edge.training.evaluate import ActorAct
from grsn_edge.training.freeze import observation_signal, plan_network, task_encoder
from grsn_edge.training.phases import (
    CALIBRATION_SEED,
    DONE,
    FRESH_SEED,
    SELECTION_SEED,
    Best,
    Phased,
    Tensors,
    Update,
)
from grsn_edge.training.progress import Evaluation
from grsn_edge.training.quantised import QuantisedActor

__all__ = ["PHASES", "TeamEvaluation", "TeamSession"]

PHASES = ("float", "tune")

_CALIBRATION_EPISODES, _SAMPLES = 64, 4096


@dataclass(frozen=True, slots=True)
class TeamEvaluation(Evaluation):
    """Greedy play; ``wins``: part of the episodes that were won, None without winners."""

    wins: float | None = None


class TeamSession(Phased[TeamEvaluation]):
    """One run of a recipe: ``float``, then ``tune``, then ``done``.

    ``float`` learns the task.  ``tune`` freezes the scales and goes on through the very integers
    that will be deployed, from the best parameters of ``float``.

    Args:
        recipe: what to do.
        seed: decides everything that is random.
    """

    recipe: TeamRecipe

    def __init__(self, recipe: TeamRecipe, seed: int) -> None:
        self.recipe = recipe
        self.seed = seed
        self.task = team_task(recipe.task)
        self.encoder = task_encoder(self.task.member, recipe.observation)
        self.signal = observation_signal(self.task.member, recipe.observation)
        self.rng = np.random.default_rng(seed)
        self.worlds = self.task.open(recipe.envs)
        self.replay = Replay(self.task, recipe.replay)
        self.phase, self.update, self.env_steps = PHASES[0], 0, 0
        self.best: Best[TeamEvaluation] | None = None
        self.evaluations: list[TeamEvaluation] = []
        self.results: dict[str, TeamEvaluation] = {}
        self.plans: list[Plan] = []
        self.frozen: Tensors = {}
        self.actor: Actor | QuantisedActor = Actor(recipe.network, self.rng)
        sizes = (self.task.layout.agents, self.task.world.state_size, recipe.embed)
        self.mixer, self.target_mixer = (make_mixer(*sizes, seed) for _ in range(2))
        self.act_as(self.actor, Actor(recipe.network, np.random.default_rng(seed)))

    # ---- one update ----------------------------------------------------------------------------

    def updates(self, phase: str) -> int:
        """Budget of a phase in updates."""
        return {"float": self.recipe.updates, "tune": self.recipe.tune_updates}.get(phase, 0)

    def advance(self) -> Update:
        """Play, learn; an evaluation and a change of phase where they are due."""
        episodes = self._explore()
        self.replay.add(episodes)
        returns = episodes.reward.sum(1)
        lr = self._lr()
        steps = [
            self.learner.update(self.replay.draw(self.rng, self.recipe.batch), self.sense, lr)
            for _ in range(self.recipe.learn)
        ]
        scalars = {name: float(np.mean([s[name] for s in steps])) for name in steps[0]}
        scalars |= {"lr": lr, "epsilon": self.epsilon}
        self.update += 1
        evaluation = self._evaluate_if_due()
        if evaluation is not None and evaluation.wins is not None:
            scalars["wins"] = evaluation.wins
        if self.update >= self.updates(self.phase):
            self._leave()
        return Update(scalars, float(returns.mean()), evaluation)

    @property
    def epsilon(self) -> float:
        """Part of random actions in this update."""
        if self.phase != "float":
            return self.recipe.epsilon
        gone = self.update / (self.recipe.explore * self.recipe.updates)
        return max(self.recipe.epsilon, 1.0 - (1.0 - self.recipe.epsilon) * gone)

    def play(self, episodes: int, seed: int) -> tuple[TeamPlay, float]:
        """Greedy play of the actor as it is now, and its spikes per neuron and step."""
        rows = episodes * self.task.layout.agents
        act = ActorAct(self.actor, self.task.member, self.sense, rows)
        played = play_team(acting(act, self.task.layout), self.task, episodes, seed)
        return played, act.rate

    def evaluate(self, seed: int) -> TeamEvaluation:
        """Greedy play, summarised."""
        played, rate = self.play(self.recipe.evaluate_episodes, seed)
        std = float(played.returns.std())
        return TeamEvaluation(
            self.phase, self.env_steps, played.mean, std, rate, wins=played.win_rate
        )

    @torch.no_grad()
    def _explore(self) -> Episodes:
        """One batch of episodes with ε-greedy actions."""
        recipe, layout = self.recipe, self.task.layout
        episodes = empty_episodes(self.task, recipe.envs)
        act = ActorAct(self.actor, self.task.member, self.sense, recipe.envs * layout.agents)
        last = np.full((recipe.envs, layout.agents), -1, np.int64)
        view = self.worlds.begin(int(self.rng.integers(2**31)))
        running = np.ones(recipe.envs, bool)
        episodes.see(0, view, running)
        for t in range(self.task.member.max_steps):
            inputs = layout.inputs(view.observation, last).reshape(-1, layout.channels)
            last = self._or_random(np.asarray(act(inputs), np.int64).reshape(last.shape))
            step = self.worlds.step(last)
            view = step.view
            episodes.note(t, last, step, running)
            episodes.see(t + 1, view, running)
            self.env_steps += int(running.sum())
            running = running & ~step.terminated
            if not running.any():
                break
        return episodes

    def _or_random(self, greedy: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        random = self.rng.integers(0, self.task.layout.actions, greedy.shape)
        return np.where(self.rng.random(greedy.shape) < self.epsilon, random, greedy)

    def _lr(self) -> float:
        first = {"float": self.recipe.lr, "tune": self.recipe.tune_lr}.get(self.phase, 0.0)
        return self._falling(first)

    # ---- phases --------------------------------------------------------------------------------

    def _leave(self) -> None:
        """Keep the best of this phase, measure it on fresh episodes, and begin the next."""
        assert self.best is not None
        self.load_tensors(self.best.tensors)
        self.results[self.phase] = self.evaluate(FRESH_SEED + self.seed)
        if self.phase == "tune":
            self.phase = DONE
            return
        self.begin_to_tune()
        if not self.updates("tune"):
            self._leave()

    def begin_to_tune(self) -> None:
        """Fix the scales from episodes of the float actor, and go on in integers."""
        assert isinstance(self.actor, Actor)
        params = [dict(cell.named_parameters()) for cell in self.actor.cells]
        records = self._records(self.actor)
        self.plans = plan_network(self.recipe.network, params, self.signal, records)
        self.frozen = {k: v.detach().clone() for k, v in self.actor.named_parameters()}
        self.phase, self.update = "tune", 0
        self.act_as(self.quantised(self.frozen), self.quantised(self.frozen))
        fresh = self.evaluate(FRESH_SEED + self.seed)
        self.results["freeze"] = replace(fresh, phase="freeze")
        self.best = None
        self._consider(self.evaluate(SELECTION_SEED + self.seed))

    def _records(self, actor: Actor) -> list[Record]:
        """What the cells of all living agents see and do in greedy episodes."""
        layout, seed = self.task.layout, CALIBRATION_SEED + self.seed
        recorder = Recorder(actor, self.task.member, _CALIBRATION_EPISODES * layout.agents)

        def watch(view: View, running: npt.NDArray[np.bool_]) -> None:
            recorder.watch(view.observation, (view.alive & running[:, None]).reshape(-1))

        play_team(acting(recorder, layout), self.task, _CALIBRATION_EPISODES, seed, watch)
        return recorder.records(np.random.default_rng(seed), _SAMPLES)

    def act_as(self, actor: Any, target: Any) -> None:
        """Go on with this actor, a target of the same form, and a fresh optimiser."""
        self.actor = actor
        self.learner = QLearner(
            actor, target, self.mixer, self.target_mixer, self.task.layout, self.recipe
        )

    # ---- parameters ----------------------------------------------------------------------------

    def target_tensors(self) -> Tensors:
        """Copies of the target networks' parameters."""
        pairs = (("actor", self.learner.target), ("mixer", self.target_mixer))
        return {
            f"{prefix}.{name}": value.detach().clone()
            for prefix, module in pairs
            for name, value in module.named_parameters()
        }

    def load_target_tensors(self, tensors: Tensors) -> None:
        """Set the target networks' parameters."""
        for prefix, module in (("actor.", self.learner.target), ("mixer.", self.target_mixer)):
            own = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
            module.load_state_dict(own)

    # ---- what all runs share -------------------------------------------------------------------

    @property
    def sensed(self) -> Task:
        """What one agent takes."""
        return self.task.member

    def _score(self, evaluation: TeamEvaluation) -> tuple[float, float]:
        """Wins count first, where there are any."""
        return evaluation.wins or 0.0, evaluation.mean

    def _modules(self) -> dict[str, Any]:
        return {"actor": self.actor, "mixer": self.mixer}
