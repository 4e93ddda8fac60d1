"""Environments that misbehave, registered on import: ``gym:tasks.odd_worlds:ID``."""

from __future__ import annotations

import os
import random
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


class Odd(gymnasium.Env[Any, Any]):
    """Two choices, one number; goes wrong, as its kind says, when choice 1 is made."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.observation_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space = spaces.Discrete(2, start=5)
        if kind == "unbounded action":
            self.action_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        if kind == "text":
            self.observation_space = spaces.Sequence(spaces.Discrete(2))

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert action in (5, 6)
        print("simulators may print")
        value = 0.5
        if action == 6 and self.kind == "raises":
            raise ValueError("the wheel came off")
        if action == 6 and self.kind == "dies":
            os._exit(3)
        if self.kind == "unrepeatable":
            value = random.SystemRandom().random()
        return np.full(1, value, np.float32), 1.0, False, bool(action == 6), {}


for kind in ("fair", "raises", "dies", "unrepeatable", "unbounded action", "text"):
    name = kind.title().replace(" ", "")
    gymnasium.register(f"{name}-v0", entry_point=Odd, kwargs={"kind": kind}, max_episode_steps=50)
