"""Pendulum with positions only or velocity only: gymnasium's Pendulum-v1, masked.

From the velocity alone the angle can be inferred only by integrating the equation of motion, whose
torque the policy must know: Pendulum-V therefore also observes the last applied torque.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from grsn_edge.policy import Channel
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks.base import BoolArray, DoubleArray, Task
from grsn_edge.tasks.physics import Dynamics

__all__ = ["TASKS", "Pendulum"]


class Pendulum(Dynamics):
    """State ``(θ, θ̇)``: gymnasium's expressions in gymnasium's order and precision."""

    environment: ClassVar[str | None] = "Pendulum-v1"
    full_scale: ClassVar[tuple[float, ...]] = (1.0, 1.0, 4.0)

    gravity, mass, length, dt = 10.0, 1.0, 1.0, 0.05
    max_speed, max_torque = 8.0, 2.0

    def start(self, rng: np.random.Generator, n: int) -> DoubleArray:
        """Any angle, speed uniform in ±1."""
        return rng.uniform((-np.pi, -1.0), (np.pi, 1.0), (n, 2))

    def advance(
        self, state: DoubleArray, action: npt.NDArray[Any]
    ) -> tuple[DoubleArray, DoubleArray, BoolArray]:
        """One step under a torque; the torque's terms are float32, as in gymnasium."""
        theta, speed = state.T
        g, m, length, dt = self.gravity, self.mass, self.length, self.dt
        torque = np.clip(action, -self.max_torque, self.max_torque)[:, 0]
        angle = ((theta + np.pi) % (2 * np.pi)) - np.pi
        costs = angle**2 + 0.1 * speed**2 + 0.001 * (torque**2)
        pull = 3 * g / (2 * length) * np.sin(theta)
        speed = speed + (pull + 3.0 / (m * length**2) * torque) * dt
        speed = np.clip(speed, -self.max_speed, self.max_speed)
        after = np.stack([theta + speed * dt, speed], axis=1)
        return after, -costs, np.zeros(len(state), bool)

    def full(self, state: DoubleArray) -> FloatArray:
        """``(cos θ, sin θ, θ̇)``."""
        theta, speed = state.T
        return np.stack([np.cos(theta), np.sin(theta), speed], axis=1).astype(np.float32)


_TORQUE = Channel("torque", "N·m", -2.0, 2.0)

TASKS = (
    Task(
        name="pendulum-p",
        environment="grsn_edge/Pendulum-P-v0",
        summary="swing a pendulum up, seeing its position only",
        dynamics=Pendulum(),
        observed=(0, 1),
        observations=(Channel("cos θ", "1", -1.0, 1.0), Channel("sin θ", "1", -1.0, 1.0)),
        actions=(_TORQUE,),
        decoder="clip",
        period_s=Pendulum.dt,
        offset=(0.0, 0.0),
        scale=(1.0, 1.0),
        clip=1.0,
        max_steps=200,
    ),
    Task(
        name="pendulum-v",
        environment="grsn_edge/Pendulum-V-v0",
        summary="swing a pendulum up, seeing its speed and the last torque only",
        dynamics=Pendulum(),
        observed=(2,),
        sees_action=True,
        observations=(
            Channel("angular velocity", "rad/s", -8.0, 8.0),
            Channel("last torque", "N·m", -2.0, 2.0),
        ),
        actions=(_TORQUE,),
        decoder="clip",
        period_s=Pendulum.dt,
        offset=(0.0, 0.0),
        scale=(4.0, 1.0),
        clip=2.0,
        max_steps=200,
    ),
)
