"""A training run as a thing that can be advanced one update at a time, saved, and gone on with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import nn

from grsn_edge.errors import UsageError
from grsn_edge.neurons import Plan
from grsn_edge.tasks import BatchedEnv, Task, held_out, lessons, task
from grsn_edge.training.actor import Actor, ActorLike
from grsn_edge.training.agreement import Beside
from grsn_edge.training.algorithms import algorithm
from grsn_edge.training.budget import Pricing
from grsn_edge.training.evaluate import ActorAct, play
from grsn_edge.training.freeze import observation_signal, plan_network, task_encoder
from grsn_edge.training.head import Head
from grsn_edge.training.imitation import student_share
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
from grsn_edge.training.recipes import Recipe
from grsn_edge.training.shrink import Deployment, shrunk
from grsn_edge.training.teacher import LogTeacher, Teacher, TeacherLike, load_teacher

__all__ = ["PHASES", "Session"]

PHASES = ("float", "quieten", "tune")

_FIRST_PENALTY, _LARGEST_PENALTY = 0.1, 0.6
_RAISE, _LOWER = 1.12, 0.5


class Session(Phased[Evaluation]):
    """One run of a recipe: ``float``, then ``quieten``, then ``tune``, then ``done``.

    ``float`` learns the task.  Then neurons may be taken out.  ``quieten`` lowers the firing rate
    while the return holds, and recovers what the neurons cost, or other coefficients than those
    that were learned with.  ``tune`` freezes the scales and goes on through the very integers that
    will be deployed.  Each phase begins from the best parameters of the one before it.

    Args:
        recipe: what to do; its network and spike rate become those that neurons taken out, and a
            budget, ask for.
        seed: decides everything that is random.
        pricing: counts what deployed steps cost, for a budget.
    """

    recipe: Recipe

    def __init__(self, recipe: Recipe, seed: int, pricing: Pricing | None = None) -> None:
        self.recipe = recipe
        self.seed = seed
        self.task = task(recipe.task)
        self.encoder = task_encoder(self.task, recipe.observation)
        self.signal = observation_signal(self.task, recipe.observation)
        self.rng = np.random.default_rng(seed)
        self.algorithm = algorithm(recipe, self.task)
        self.head = Head(self.task, recipe.log_std)
        actor = Actor(recipe.network, self.rng)
        self.lessons = lessons(self.task, recipe.log)
        self.held_out = None if self.lessons is None else held_out(self.task, self.lessons)
        played = self.lessons or self.task
        self.critic = self.algorithm.critic(played, self.head, recipe, self.rng)
        env = BatchedEnv(played, recipe.envs)
        self.teacher = self._find_teacher(env)
        self.collector = self.algorithm.collector(env, recipe, self.rng, self.teacher)
        self.phase, self.update, self.env_steps = PHASES[0], 0, 0
        self.penalty, self.hold = 0.0, 0.0
        self.best: Best[Evaluation] | None = None
        self.evaluations: list[Evaluation] = []
        self.results: dict[str, Evaluation] = {}
        self.plans: list[Plan] = []
        self.frozen: Tensors = {}
        self.sizes_before = [layer.size for layer in recipe.network.cells]
        self.goes_on = False
        calibration = CALIBRATION_SEED + seed
        self.deployment = Deployment(self.task, self.encoder, self.signal, calibration, pricing)
        self.act_as(actor)

    def _find_teacher(self, env: BatchedEnv) -> TeacherLike | None:
        if self.lessons is not None and self.recipe.teacher is not None:
            raise UsageError("one learns from a teacher or from a log, not from both")
        if self.lessons is not None:
            return LogTeacher(env)
        if self.recipe.teacher is not None:
            return load_teacher(self.recipe.teacher, self.task, self.recipe.envs)
        if self.recipe.stop_agreement is not None:
            raise UsageError("without a teacher or a log there is nothing to agree with")
        return None

    # ---- one update ----------------------------------------------------------------------------

    def updates(self, phase: str) -> int:
        """Budget of a phase in updates."""
        recipe = self.recipe
        steps = {"float": recipe.float_steps, "tune": recipe.tune_steps}
        quiet = recipe.spike_rate is not None and any(c.spikes for c in recipe.network.cells)
        recovers = self._is_smaller or self.goes_on or self.phase == "quieten"
        steps["quieten"] = recipe.quieten_steps if quiet or recovers else 0
        return -(-steps.get(phase, 0) // recipe.steps_per_update)

    def advance(self) -> Update:
        """One roll-out and update; an evaluation and a change of phase where they are due."""
        learned = self.update / self.updates("float") if self.phase == "float" else 1.0
        self.collector.share = student_share(learned)
        batch = self.collector.collect(self.actor, self.head, self.critic, self.sense)
        scalars = self.learner.update(batch, self._lr(), self.penalty, self.rng)
        self.update += 1
        self.env_steps += self.recipe.steps_per_update
        scalars |= {"lr": self._lr(), "penalty": self.penalty}
        evaluation = self._evaluate_if_due()
        self._steer_penalty(scalars["rate"], evaluation)
        ended = self.collector.finished
        if self._phase_is_over(evaluation):
            self._leave()
        return Update(scalars, float(np.mean(ended)) if ended else None, evaluation)

    def close(self) -> None:
        """Close the environments; the session can be saved and evaluated, but not advanced."""
        self.collector.env.close()

    def evaluate(self, seed: int) -> Evaluation:
        """Greedy play of the actor as it is now."""
        episodes = self.recipe.evaluate_episodes
        act = ActorAct(self.actor, self.task, self.sense, episodes)
        agreement = None
        if isinstance(self.teacher, Teacher):
            beside = Beside(act, Teacher(self.teacher.policy, self.task, episodes), self.task)
            returns = play(beside, self.task, episodes, seed, beside.watch).returns
            agreement = beside.agreement
        else:
            returns = play(act, self.task, episodes, seed).returns
        mean, std = float(returns.mean()), float(returns.std())
        if self.held_out is self.task:
            agreement = mean / 100.0
        elif self.held_out is not None:
            again = ActorAct(self.actor, self.held_out, self.sense, episodes)
            agreement = play(again, self.held_out, episodes, seed).mean / 100.0
        return Evaluation(self.phase, self.env_steps, mean, std, act.rate, agreement)

    def _lr(self) -> float:
        recipe = self.recipe
        first = {"float": recipe.lr, "quieten": recipe.quieten_lr, "tune": recipe.tune_lr}
        return self._falling(first.get(self.phase, 0.0))

    def _score(self, evaluation: Evaluation) -> tuple[float, float, float]:
        """First hold the return, then come down to the spike rate, then raise the return.

        A budget comes before the return.
        """
        if self.phase == "float" or self.recipe.spike_rate is None:
            return evaluation.mean, 0.0, 0.0
        loud = max(evaluation.rate, self.recipe.spike_rate)
        if self.recipe.budget is not None:
            return -loud, evaluation.mean, 0.0
        return min(evaluation.mean, self.hold), -loud, evaluation.mean

    def _steer_penalty(self, rate: float, evaluation: Evaluation | None) -> None:
        """Raise the weight of spikes while the return holds; back off when it falls.

        For a budget, raise it while there are too many.
        """
        if self.phase == "float" or self.recipe.spike_rate is None:
            return
        if self.recipe.budget is not None:
            step = _RAISE if rate > self.recipe.spike_rate else 1.0 / _RAISE
            self.penalty = min(max(self.penalty, 0.1 * _FIRST_PENALTY) * step, _LARGEST_PENALTY)
            return
        if evaluation is not None and evaluation.mean < self.hold:
            self.penalty = max(self.penalty * _LOWER, 0.1 * _FIRST_PENALTY)
        elif self.evaluations[-1].mean >= self.hold and rate > self.recipe.spike_rate:
            self.penalty = min(self.penalty * _RAISE, _LARGEST_PENALTY)

    # ---- phases --------------------------------------------------------------------------------

    def _phase_is_over(self, evaluation: Evaluation | None) -> bool:
        if self.update >= self.updates(self.phase):
            return True
        if evaluation is None or self.phase == "tune":
            return False
        stop, target = self.recipe.stop_at, self.recipe.spike_rate
        agree = self.recipe.stop_agreement
        learned = stop is not None and evaluation.mean >= stop
        if agree is not None and evaluation.agreement is not None:
            learned = learned or evaluation.agreement >= agree
        return learned and (self.phase == "float" or evaluation.rate <= (target or 1.0))

    def _leave(self) -> None:
        """Keep the best of this phase, measure it on fresh episodes, and begin the next."""
        assert self.best is not None
        self.load_tensors(self.best.tensors)
        self.results[self.phase] = self.evaluate(FRESH_SEED + self.seed)
        if self.phase == "tune":
            self.phase = DONE
            return
        if self.phase == "float":
            reached, goal = self.best.evaluation.mean, self.recipe.goal
            self.hold = reached if goal is None else min(goal, reached)
            self._shrink()
        if self.phase == "float" and self.updates("quieten"):
            self._begin_to_quieten()
        else:
            self.begin_to_tune()
            if not self.updates("tune"):
                self._leave()

    def _begin_to_quieten(self) -> None:
        self.phase, self.update = "quieten", 0
        self.penalty = 0.0 if self.recipe.spike_rate is None else _FIRST_PENALTY
        self.act_as(self.actor)

    @property
    def _is_smaller(self) -> bool:
        return [layer.size for layer in self.recipe.network.cells] != self.sizes_before

    def _shrink(self) -> None:
        """Take neurons out, and aim at a firing rate, as the recipe and its budget ask."""
        assert isinstance(self.actor, Actor)
        actor, rate = shrunk(self.actor, self.recipe, self.deployment)
        self.recipe = replace(self.recipe, network=actor.network, spike_rate=rate)
        if self._is_smaller:
            self.act_as(actor)
            fresh = self.evaluate(FRESH_SEED + self.seed)
            self.results["prune"] = replace(fresh, phase="prune")
            self.best = Best(self.evaluate(SELECTION_SEED + self.seed), self.tensors())

    def begin_from(self, tensors: Tensors) -> None:
        """Take the first phase for done with these parameters, and begin the next.

        Args:
            tensors: of another run of the same task and network, as :meth:`tensors` gives them.
        """
        self.goes_on = True
        self.load_tensors(tensors)
        self.best = Best(self.evaluate(SELECTION_SEED + self.seed), self.tensors())
        self.evaluations.append(self.best.evaluation)
        self._leave()

    def begin_to_tune(self) -> None:
        """Fix the scales from roll-outs of the float actor, and go on in integers."""
        assert isinstance(self.actor, Actor)
        records = self.deployment.records(self.actor)
        params = [dict(cell.named_parameters()) for cell in self.actor.cells]
        self.plans = plan_network(self.recipe.network, params, self.signal, records)
        self.frozen = {k: v.detach().clone() for k, v in self.actor.named_parameters()}
        self.phase, self.update = "tune", 0
        self.act_as(self.quantised(self.frozen))
        fresh = self.evaluate(FRESH_SEED + self.seed)
        self.results["freeze"] = replace(fresh, phase="freeze")
        self.best = None
        self._consider(self.evaluate(SELECTION_SEED + self.seed))

    def act_as(self, actor: ActorLike) -> None:
        """Go on with this actor, a fresh optimiser and reset states."""
        self.actor = actor
        self.learner = self.algorithm.learner(actor, self.head, self.critic, self.recipe)
        self.collector.begin(actor)

    # ---- what all runs share -------------------------------------------------------------------

    @property
    def sensed(self) -> Task:
        """The task that is learned."""
        return self.task

    def _modules(self) -> dict[str, ActorLike | Head | nn.Module]:
        return {"actor": self.actor, "head": self.head, "critic": self.critic}
