"""The firmware's supervisor on the host, and the guard in front of it (``docs/SPEC.md`` §11)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import BackendUnavailable
from grsn_edge.policy import Policy, SupervisorConfig, supervisor_section
from grsn_edge.program import IntArray

if TYPE_CHECKING:
    from grsn_edge import _native

__all__ = ["Condition", "Guard", "Quality", "Reaction", "State", "Supervision"]


class State(IntEnum):
    """States of ``firmware/include/grsn_supervisor.h``."""

    BOOT, SELFTEST, IDLE, ARMED, HOLD, SAFE = range(6)


class Reaction(IntEnum):
    """What is given: the safe action and no drive, the policy's, the last, or the safe action."""

    STOP, ACT, KEEP, RETIRE = range(4)


class Condition(IntFlag):
    """Conditions, from the first that decides to the last."""

    SELFTEST_FAILED = 1 << 0
    WRONG_MODEL = 1 << 1
    CORRUPT = 1 << 2
    UNTESTED = 1 << 3
    WAS_RESET = 1 << 4
    LINK_LOST = 1 << 5
    INPUT_LOST = 1 << 6
    OVERRUN = 1 << 7
    INVALID = 1 << 8
    DISARM = 1 << 9
    STALE = 1 << 10
    ARM = 1 << 11


class Quality(IntEnum):
    """How good an observation is."""

    GOOD, CLAMPED, REFUSED = range(3)


@dataclass(frozen=True, eq=False)
class Guard:
    """Looks at observations before the encoder does.

    Good is what is finite and in the channel's range, widened by the margin on both sides where
    both its ends are finite.  Of the rest, ``clamp`` takes the nearer end for everything but NaN,
    which has none and is refused; ``hold`` and ``stop`` refuse it all.

    Args:
        low, high: float64 ``(n,)``, the widened ranges.
        clamps: whether ``on_invalid`` is ``clamp``.
    """

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    clamps: bool

    @classmethod
    def of(cls, policy: Policy) -> Guard:
        """The guard that a policy's supervisor asks for; without one, NaN and infinities alone."""
        n = len(policy.observations)
        if policy.supervisor is None:
            return cls(np.full(n, -np.inf), np.full(n, np.inf), True)
        low = np.array([channel.low for channel in policy.observations])
        high = np.array([channel.high for channel in policy.observations])
        both = np.isfinite(low) & np.isfinite(high)
        more = policy.supervisor.margin * np.subtract(high, low, where=both, out=np.zeros(n))
        return cls(low - more, high + more, policy.supervisor.on_invalid == "clamp")

    def judge(self, observation: npt.NDArray[Any]) -> tuple[Quality, npt.NDArray[Any]]:
        """The quality of an observation ``(n,)``, and what of it may be used."""
        inside = np.isfinite(observation) & (self.low <= observation) & (observation <= self.high)
        if inside.all():
            return Quality.GOOD, observation
        clamped = np.clip(observation, self.low, self.high)
        if not self.clamps or not np.isfinite(clamped).all():
            return Quality.REFUSED, observation
        return Quality.CLAMPED, clamped


class Supervision:
    """A policy's supervisor with the action that it gives, in integers.

    Args:
        policy: whose ``supervisor`` is used; without one, the default times and no limits.
        time_ns: now.

    Raises:
        BackendUnavailable: the compiled extension is missing; the text says what to do.
    """

    def __init__(self, policy: Policy, time_ns: int) -> None:
        self.policy = policy
        section = supervisor_section(policy)
        period_us = min(max(1, round(policy.period_s * 1e6)), 2**32 - 1)
        self.c: _native.Supervisor = _extension().Supervisor(
            section, period_us, policy.decoder.n, microseconds(time_ns)
        )
        self._action = np.zeros(policy.decoder.n, np.int32)
        self.c.safe(self._action)
        self._has_action = policy.supervisor is not None

    def output(self, wanted: IntArray | None) -> None:
        """Take the action of the next sampling period; None where no step ran."""
        self.c.output(None if wanted is None else wanted.astype(np.int32), self._action)
        self._has_action |= self.reaction is Reaction.ACT and wanted is not None

    @property
    def action(self) -> Any:
        """The action, decoded; None where the policy has no safe action and has not acted yet."""
        if not self._has_action:
            return None
        return self.policy.decoder.decode(self._action.astype(np.int64))

    @property
    def integers(self) -> IntArray:
        """A copy of the action's integers, int64 ``(m,)``."""
        return self._action.astype(np.int64)

    @property
    def state(self) -> State:
        """Where the supervisor is."""
        return State(self.c.state)

    @property
    def reaction(self) -> Reaction:
        """What it gives."""
        return Reaction(self.c.reaction)

    @property
    def conditions(self) -> Condition:
        """What holds now."""
        return Condition(self.c.conditions)

    @property
    def reasons(self) -> Condition:
        """What held when it last became safe."""
        return Condition(self.c.reasons)


def microseconds(time_ns: int) -> int:
    """The supervisor's time."""
    return time_ns // 1000 % 2**32


def invalid_run(config: SupervisorConfig | None) -> int:
    """Bad observations, or times, in a row that end in the safe action."""
    return SupervisorConfig(()).invalid_run if config is None else config.invalid_run


def _extension() -> Any:
    try:
        from grsn_edge import _native
    except ImportError as error:
        raise BackendUnavailable(
            f"supervised execution needs the extension grsn_edge._native ({error}); take a wheel "
            "for this platform, or install grsn-edge where a C compiler is"
        ) from None
    return _native
