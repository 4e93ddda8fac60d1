"""What is profiled: a policy on this host, or on a device behind a link, real or emulated."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from grsn_edge.backends import Act
from grsn_edge.policy import Policy
from grsn_edge.profiling.latency import LatencyKind
from grsn_edge.runtime import StreamingPolicy

__all__ = ["HostTarget", "Target"]

FloatArray = npt.NDArray[np.float32]


class Target(ABC):
    """A policy somewhere, ready to step; a context manager.

    ``kind`` and ``unit`` say what :attr:`cost` counts; ``details`` are for the record.
    """

    name: str
    policy: Policy
    kind: LatencyKind
    unit: Literal["s", "cycles", "instructions"]
    details: Mapping[str, str]
    has_link: bool = False
    """Whether the host's time around a step is a round trip over a link."""
    cost: int | None = None
    """What the last step took by the device's own counter; None where the host's clock is it."""

    step: Act
    """Observation ``(n,)`` in units → action, as :attr:`StreamingPolicy.step`."""

    @abstractmethod
    def reset(self) -> None:
        """Begin an episode."""

    def burst(self, observations: FloatArray, until_s: float) -> int:
        """Step through ``(steps, n)``, again and again and as fast as it goes, until the host's
        clock (``time.perf_counter``) shows ``until_s``; the number of steps."""
        steps = 0
        while time.perf_counter() < until_s:
            for observation in observations:
                self.step(observation)
            steps += len(observations)
        return steps

    def close(self) -> None:
        """Give back what the target holds."""

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class HostTarget(Target):
    """This host.

    Args:
        policy: frozen.
        backend: a name, or ``auto``.
    """

    kind: LatencyKind = "host wall clock"
    unit: Literal["s", "cycles", "instructions"] = "s"

    def __init__(self, policy: Policy, backend: str = "auto") -> None:
        self.policy = policy
        self._running = StreamingPolicy(policy, backend)
        self.step = self._running.step
        self.name = f"host, backend {self._running.backend}"
        self.details = {"backend": self._running.backend}

    def reset(self) -> None:
        self._running.reset()

    def close(self) -> None:
        self._running.close()
