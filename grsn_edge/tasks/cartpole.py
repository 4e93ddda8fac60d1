"""CartPole with positions only or velocities only: gymnasium's CartPole-v1, masked."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from grsn_edge.policy import Channel
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks.base import BoolArray, DoubleArray, Task
from grsn_edge.tasks.physics import Dynamics

__all__ = ["TASKS", "CartPole"]


class CartPole(Dynamics):
    """State ``(x, ẋ, θ, θ̇)``: gymnasium's expressions in gymnasium's order."""

    environment: ClassVar[str | None] = "CartPole-v1"
    full_scale: ClassVar[tuple[float, ...]] = (2.4, 2.0, 0.2095, 2.0)

    gravity, masspole, total_mass = 9.8, 0.1, 1.0 + 0.1
    length, polemass_length = 0.5, 0.1 * 0.5
    force_mag, tau = 10.0, 0.02
    theta_threshold, x_threshold = 12 * 2 * math.pi / 360, 2.4

    def start(self, rng: np.random.Generator, n: int) -> DoubleArray:
        """Uniform in ±0.05."""
        return rng.uniform(-0.05, 0.05, (n, 4))

    def advance(
        self, state: DoubleArray, action: npt.NDArray[Any]
    ) -> tuple[DoubleArray, DoubleArray, BoolArray]:
        """One Euler step; action 1 pushes to the right; the reward is 1."""
        x, x_dot, theta, theta_dot = state.T
        force = np.where(action == 1, self.force_mag, -self.force_mag)
        costheta, sintheta = np.cos(theta), np.sin(theta)
        temp = (force + self.polemass_length * np.square(theta_dot) * sintheta) / self.total_mass
        thetaacc = (self.gravity * sintheta - costheta * temp) / (
            self.length * (4.0 / 3.0 - self.masspole * np.square(costheta) / self.total_mass)
        )
        xacc = temp - self.polemass_length * thetaacc * costheta / self.total_mass
        x, x_dot = x + self.tau * x_dot, x_dot + self.tau * xacc
        theta, theta_dot = theta + self.tau * theta_dot, theta_dot + self.tau * thetaacc
        failed = (np.abs(x) > self.x_threshold) | (np.abs(theta) > self.theta_threshold)
        return np.stack([x, x_dot, theta, theta_dot], axis=1), np.ones(len(state)), failed

    def full(self, state: DoubleArray) -> FloatArray:
        """The state."""
        return state.astype(np.float32)


_CHANNELS = (
    Channel("cart position", "m", -2.4, 2.4),
    Channel("cart velocity", "m/s", -4.0, 4.0),
    Channel("pole angle", "rad", -0.2095, 0.2095),
    Channel("pole angular velocity", "rad/s", -4.0, 4.0),
)
_ACTIONS = (Channel("push left", "N", -10.0, -10.0), Channel("push right", "N", 10.0, 10.0))


def _masked(suffix: str, summary: str, observed: tuple[int, int], clip: float) -> Task:
    return Task(
        name=f"cartpole-{suffix.lower()}",
        environment=f"grsn_edge/CartPole-{suffix}-v0",
        summary=summary,
        dynamics=CartPole(),
        observed=observed,
        observations=tuple(_CHANNELS[i] for i in observed),
        actions=_ACTIONS,
        decoder="argmax",
        period_s=CartPole.tau,
        offset=(0.0, 0.0),
        scale=tuple(CartPole.full_scale[i] for i in observed),
        clip=clip,
        max_steps=500,
    )


TASKS = (
    _masked("P", "balance a pole, seeing positions only", (0, 2), 1.0),
    _masked("V", "balance a pole, seeing velocities only", (1, 3), 2.0),
)
