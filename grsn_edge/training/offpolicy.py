"""What learning from replay needs besides a recipe, and where it may be used; without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grsn_edge.errors import TrainingError, UsageError
from grsn_edge.tasks import Simulator, Task

__all__ = ["ALGORITHMS", "OffPolicy", "check_algorithm", "off_policy_values", "torchrl_or_error"]

ALGORITHMS = ("ppo", "td3", "sac")


@dataclass(frozen=True)
class OffPolicy:
    """Settings of TD3 (arXiv 1802.09477), SAC (1812.05905) and discrete SAC (1910.07207).

    Args:
        capacity: environment steps that the replay keeps; the oldest are overwritten.
        batch: segments, each as long as a roll-out, in one gradient step.
        updates: gradient steps after each roll-out.
        delay: gradient steps of the critics for each one of the actor.
        burn_in: first steps of a segment that only bring the actor's state up to date.
        tau: share of the trained networks in each step of the target networks.
        critic_lr: Adam's step size of critics and temperature, the same in all phases.
        target_noise, noise_clip: TD3's smoothing of target actions, in halves of their range.
        alpha: SAC's first temperature; it is trained.
        entropy: SAC's target entropy in nat; None: minus one per continuous action, or 0.7 of the
            largest possible one over choices, as in the GRSN paper's code.
    """

    capacity: int = 200_000
    batch: int = 64
    updates: int = 32
    delay: int = 2
    burn_in: int = 0
    tau: float = 0.02
    critic_lr: float = 2e-3
    target_noise: float = 0.2
    noise_clip: float = 0.5
    alpha: float = 0.1
    entropy: float | None = None

    def __post_init__(self) -> None:
        if min(self.batch, self.updates, self.delay) < 1:
            raise UsageError("batch, updates and delay of off-policy learning are positive")
        if self.delay > self.updates:
            raise UsageError(
                f"with {self.updates} updates, a delay of {self.delay} trains no actor"
            )
        if self.burn_in < 0 or min(self.target_noise, self.noise_clip) < 0.0:
            raise UsageError("burn-in and noise of off-policy learning are not negative")
        if not 0.0 < self.tau <= 1.0:
            raise UsageError(f"tau is above 0 and at most 1, not {self.tau}")
        if min(self.critic_lr, self.alpha) <= 0.0:
            raise UsageError("critic_lr and alpha of off-policy learning are positive")

    def check(self, envs: int, steps: int) -> None:
        """Whether it goes with such roll-outs; raises :class:`UsageError`."""
        if self.capacity < envs * steps:
            raise UsageError(
                f"a replay of {self.capacity} steps does not hold one roll-out of {envs * steps}"
            )
        if self.burn_in >= steps:
            raise UsageError(f"a burn-in of {self.burn_in} leaves nothing of {steps} steps")


def check_algorithm(name: str, task: Task, *, taught: bool) -> None:
    """Whether an algorithm can train on a task.

    Args:
        name: one of :data:`ALGORITHMS`.
        task: what is to be learned.
        taught: whether there is a teacher or a log to imitate.

    Raises:
        UsageError: it cannot; the text says which can.
    """
    if name not in ALGORITHMS:
        raise UsageError(f"no algorithm '{name}'; there are: {', '.join(ALGORITHMS)}")
    if name == "td3" and task.is_discrete:
        raise UsageError(
            f"td3 needs continuous actions, but '{task.name}' has {len(task.actions)} choices; "
            "use sac (which is discrete SAC there) or ppo"
        )
    if name != "ppo" and taught:
        raise UsageError(f"imitation replaces {name}'s rewards; leave the algorithm out")


def torchrl_or_error(name: str) -> None:
    """Import TorchRL, quietly; raises :class:`TrainingError` where it is not installed."""
    import logging

    try:
        import torchrl.objectives  # noqa: F401
    except ImportError:
        raise TrainingError(
            f"{name} needs TorchRL; install grsn-edge[offpolicy], or train with ppo"
        ) from None
    logging.getLogger("torchrl").setLevel(logging.WARNING)


def off_policy_values(name: str, task: Task) -> Mapping[str, Any]:
    """Fields of a recipe that differ from PPO's."""
    if name == "ppo":
        return {}
    known = _FOR_TASK.get(task.name.partition("?")[0])
    values = known or (_SIMULATED if isinstance(task.dynamics, Simulator) else _COMMON)
    noise = {"log_std": _TD3_LOG_STD} if name == "td3" else {}
    return {"algorithm": name, **values, **noise}


_TD3_LOG_STD = -1.2  # exploration of 0.3 of half an action's range
_UPDATE = 64 * 16
_COMMON: Mapping[str, Any] = {
    "envs": 64,
    "steps": 16,
    "lr": 2e-3,
    "float_steps": 120 * _UPDATE,
    "quieten_steps": 100 * _UPDATE,
    "quieten_lr": 1e-3,
    "tune_steps": 5 * _UPDATE,
    "evaluate_every": 10,
    "off_policy": OffPolicy(),
}
"""Each gradient step sees 1024 transitions, and each transition is seen 32 times, on average."""

_SIMULATED: Mapping[str, Any] = {
    **_COMMON,
    "envs": 16,
    "float_steps": 400 * 256,
    "quieten_steps": 100 * 256,
    "tune_steps": 20 * 256,
    "evaluate_every": 25,
}
"""A simulator's step costs as much as learning from it: four times as many gradient steps each."""

_FOR_TASK: Mapping[str, Mapping[str, Any]] = {
    "pendulum-p": {**_COMMON, "float_steps": 80 * _UPDATE},
}
