"""What runs of one robot and of a team share: the best of a phase, and parameters by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from grsn_edge.neurons import Plan, Signal
from grsn_edge.policy import Encoder, Network
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks import Task
from grsn_edge.training.progress import Evaluation
from grsn_edge.training.quantised import QuantisedActor

__all__ = [
    "CALIBRATION_SEED",
    "DONE",
    "FRESH_SEED",
    "SELECTION_SEED",
    "Best",
    "Phased",
    "Tensors",
    "Update",
]

DONE = "done"

SELECTION_SEED, FRESH_SEED, CALIBRATION_SEED = 1_000_000, 2_000_000, 3_000_000
"""Starts of the episodes that choose, that report, and that fix the scales."""

_SLOWEST = 0.1  # of the step size, at the end of a phase

Tensors = Mapping[str, Tensor]
E = TypeVar("E", bound=Evaluation)


@dataclass(frozen=True, slots=True)
class Best(Generic[E]):
    """The best parameters of a phase, and what they reached."""

    evaluation: E
    tensors: Tensors


@dataclass(frozen=True, slots=True)
class Update:
    """What one update did: scalars by name, ended episodes' mean return, and any evaluation."""

    scalars: Mapping[str, float]
    train_return: float | None
    evaluation: Evaluation | None


class _Recipe(Protocol):
    @property
    def network(self) -> Network: ...

    @property
    def evaluate_every(self) -> int: ...


class _Named(Protocol):
    def named_parameters(self) -> Iterable[tuple[str, nn.Parameter]]: ...


class Phased(ABC, Generic[E]):
    """A run that goes through phases; each begins from the best parameters of the one before.

    A subclass sets what is declared here, and has the abstract methods.
    """

    recipe: _Recipe
    seed: int
    phase: str
    update: int
    encoder: Encoder
    signal: Signal
    frozen: Tensors
    plans: list[Plan]
    best: Best[E] | None
    evaluations: list[E]

    @property
    @abstractmethod
    def sensed(self) -> Task:
        """The task whose observations the policy takes."""

    @abstractmethod
    def updates(self, phase: str) -> int:
        """Budget of a phase in updates."""

    @abstractmethod
    def evaluate(self, seed: int) -> E:
        """Greedy play of the actor as it is now."""

    @abstractmethod
    def _score(self, evaluation: E) -> tuple[float, ...]:
        """What makes one evaluation better than another."""

    @abstractmethod
    def _modules(self) -> Mapping[str, _Named]:
        """All that is trained."""

    def sense(self, observation: FloatArray) -> Tensor:
        """Observations as the present actor takes them.

        A quantised one sees them through the encoder that will be deployed.
        """
        if self.frozen:
            return torch.from_numpy(self.encoder.encode(observation) * self.signal.scale)
        return torch.from_numpy(self.sensed.normalise(observation))

    def quantised(self, tensors: Tensors) -> QuantisedActor:
        """The quantised actor of these parameters (as ``named_parameters`` names them)."""
        network = self.recipe.network
        prefix = [f"cells.{i}." for i in range(len(network.cells))]
        params = [{k[len(p) :]: v for k, v in tensors.items() if k.startswith(p)} for p in prefix]
        return QuantisedActor(network, params, self.plans, self.signal)

    def tensors(self) -> Tensors:
        """Copies of all trained parameters, by name."""
        return {name: value.detach().clone() for name, value in self._named().items()}

    def load_tensors(self, tensors: Tensors) -> None:
        """Set all trained parameters."""
        with torch.no_grad():
            for name, value in self._named().items():
                value.copy_(tensors[name])

    def best_actor(self) -> Tensors:
        """The actor's best parameters in the present phase, or its present ones."""
        best = self.tensors() if self.best is None else self.best.tensors
        return {k[len("actor.") :]: v for k, v in best.items() if k.startswith("actor.")}

    def _named(self) -> dict[str, Tensor]:
        return {
            f"{prefix}.{name}": value
            for prefix, module in self._modules().items()
            for name, value in module.named_parameters()
        }

    def _falling(self, first: float) -> float:
        """A step size that falls linearly to a tenth over the present phase."""
        left = 1.0 - self.update / max(self.updates(self.phase), 1)
        return first * (_SLOWEST + (1.0 - _SLOWEST) * left)

    def _evaluate_if_due(self) -> E | None:
        last = self.update >= self.updates(self.phase)
        if self.update % self.recipe.evaluate_every and not last:
            return None
        evaluation = self.evaluate(SELECTION_SEED + self.seed)
        self._consider(evaluation)
        return evaluation

    def _consider(self, evaluation: E) -> None:
        self.evaluations.append(evaluation)
        if self.best is None or self._score(evaluation) > self._score(self.best.evaluation):
            self.best = Best(evaluation, self.tensors())
