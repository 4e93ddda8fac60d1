"""What is profiled: a policy on this host, or on a device behind a link, real or emulated."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import numpy as np
import numpy.typing as npt

from grsn_edge.backends import Act
from grsn_edge.closing import Closing
from grsn_edge.device import Device
from grsn_edge.device.policy import DevicePolicy
from grsn_edge.device.protocol import Counter
from grsn_edge.policy import Policy
from grsn_edge.profiling.latency import LatencyKind
from grsn_edge.runtime import StreamingPolicy

__all__ = ["DeviceTarget", "HostTarget", "Target", "open_target"]

FloatArray = npt.NDArray[np.float32]
Unit = Literal["s", "cycles", "instructions"]

_COUNTS: Mapping[Counter, tuple[LatencyKind, Unit]] = {
    Counter.CYCLES: ("device cycles", "cycles"),
    Counter.INSTRUCTIONS: ("instructions, emulated", "instructions"),
    Counter.NANOSECONDS: ("device clock", "s"),
    Counter.NOTHING: ("link round trip", "s"),
}


class Target(Closing):
    """A policy somewhere, ready to step; a context manager.

    ``kind`` and ``unit`` say what :attr:`cost` counts; ``details`` are for the record.
    """

    name: str
    policy: Policy
    kind: LatencyKind
    unit: Unit
    details: Mapping[str, str]
    has_link: bool = False
    """Whether the host's time around a step is a round trip over a link."""
    running: StreamingPolicy
    """The policy on the target."""
    step: Act
    """Observation ``(n,)`` in units → action: that of :attr:`running`."""

    @property
    def cost(self) -> int | None:
        """What the last step took by the device's own counter; None where the host's clock is
        it."""
        return None

    def reset(self) -> None:
        """Begin an episode."""
        self.running.reset()

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


class HostTarget(Target):
    """This host.

    Args:
        policy: frozen.
        backend: a name, or ``auto``.
    """

    kind: LatencyKind = "host wall clock"
    unit: Unit = "s"

    def __init__(self, policy: Policy, backend: str = "auto") -> None:
        self.policy = policy
        self.running = StreamingPolicy(policy, backend)
        self.step = self.running.step
        self.name = f"host, backend {self.running.backend}"
        self.details = {"backend": self.running.backend}

    def close(self) -> None:
        self.running.close()


class DeviceTarget(Target):
    """A device behind a link.

    Args:
        device: open, and running the policy's model.
        policy: encodes and decodes here; the device computes integers.
        emulated: by what, where the board is not real.

    Raises:
        ModelMismatch: the device runs another model.
    """

    has_link = True

    def __init__(self, device: Device, policy: Policy, emulated: str | None = None) -> None:
        self.policy, self._device = policy, device
        self.running = DevicePolicy(device, policy)
        self.step = self.running.step
        board = device.info().board
        self.kind, self.unit = _COUNTS[board.counter]
        self._counts = board.counter != Counter.NOTHING
        self.name = f"{board.name}, emulated by {emulated}" if emulated else board.name
        self.details = {
            "board": board.name,
            "firmware": board.library,
            "engine": board.engine,
            "counter": f"{board.counter.name.lower()}, {board.counter_hz} Hz",
            "address": device.address,
            **({"emulator": emulated} if emulated else {}),
        }

    @property
    def cost(self) -> int | None:
        last = self._device.last
        return last.counts if self._counts and last is not None else None

    def burst(self, observations: FloatArray, until_s: float) -> int:
        """On the device alone, from observations that it keeps: no link between the steps."""
        codes, steps, ask = self.policy.encoder.encode(observations), 0, 16
        while (left := until_s - time.perf_counter()) > 0:
            began = time.perf_counter()
            self._device.profile(codes, ask)
            steps += ask
            per_step = (time.perf_counter() - began) / ask
            ask = max(16, min(4 * ask, int(0.5 * left / per_step)))
        return steps


@contextmanager
def open_target(
    on: str, policy: Policy, *, backend: str = "auto", baud: int = 115200
) -> Iterator[Target]:
    """``host``, the name of an emulated board, or the address of a device.

    An emulated board is started for the while, and runs the policy; a real device must run it
    already (``grsn-edge device flash``).

    Raises:
        DeviceError, BackendUnavailable: it is not there, or cannot be; or runs another policy.
    """
    if on == "host":
        with HostTarget(policy, backend) as target:
            yield target
        return
    from grsn_edge.device.connect import connect

    with connect(on, policy=policy, baud=baud) as connection:
        emulated = connection.emulated
        yield DeviceTarget(connection.device, policy, emulated.emulator if emulated else None)
