"""What a policy is guarded by when it acts on a robot (``docs/SPEC.md`` §11).

A :class:`SupervisorConfig` is an optional part of a policy.  In a ``.grsn`` file it has the units
of the channels; in a policy image it is the integers of :func:`supervisor_section`, which
``firmware/src/grsn_supervisor.c`` reads.
"""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

import numpy as np

from grsn_edge.errors import UsageError

if TYPE_CHECKING:
    from grsn_edge.policy.policy import Policy

__all__ = [
    "ActionChoices",
    "ActionLimit",
    "SupervisorConfig",
    "check_supervisor",
    "robot_id",
    "supervisor_section",
]

OnInvalid = Literal["clamp", "hold", "stop"]

_ON_INVALID = ("clamp", "hold", "stop")
_SECTION_VERSION = 1
_NO_LIMIT = 2**32 - 1
_INT32 = (-(2**31), 2**31 - 1)
_LONGEST_US = 2**30
_GRAIN = 1 / 64
"""Share of an action's resolution by which a limit may be passed: float32 rounds there."""


@dataclass(frozen=True, slots=True)
class ActionLimit:
    """Limits of one action channel, in its unit.

    Args:
        low, high: the least and the greatest action that is given; -inf and inf for none.
        safe: given when the policy may not act; inside them.
        slew: largest change in one sampling period, away from ``safe``; inf for none.
        brake: the same, back towards ``safe``.
    """

    low: float
    high: float
    safe: float
    slew: float = math.inf
    brake: float = math.inf

    def __post_init__(self) -> None:
        for entry in fields(self):
            object.__setattr__(self, entry.name, _number(entry.name, getattr(self, entry.name)))
        if not self.low <= self.safe <= self.high or math.isinf(self.safe):
            raise UsageError(
                f"an action's safe value {self.safe:g} must be finite and lie in its limits "
                f"[{self.low:g}, {self.high:g}]"
            )
        if self.slew <= 0 or self.brake <= 0:
            raise UsageError("an action's largest changes, slew and brake, must be above 0")


@dataclass(frozen=True, slots=True)
class ActionChoices:
    """Limits of a discrete action.

    Args:
        safe: index of the choice that is made when the policy may not act.
        allowed: indices that may be given; any other becomes ``safe``.  Ascending.
    """

    safe: int
    allowed: tuple[int, ...]

    def __post_init__(self) -> None:
        if list(self.allowed) != sorted(set(self.allowed)) or min(self.allowed, default=-1) < 0:
            raise UsageError("the allowed choices are indices from 0 on, ascending, none twice")
        if self.safe not in self.allowed:
            raise UsageError(f"the safe choice {self.safe} must be one of the allowed choices")


@dataclass(frozen=True, slots=True)
class SupervisorConfig:
    """How a policy is guarded.

    Args:
        actions: one :class:`ActionLimit` per action channel, or :class:`ActionChoices` for a
            discrete policy.
        stale_periods: age of the last usable observation, in sampling periods, from which the last
            action is held.
        lost_periods: age from which the safe action is given.
        deadline_periods: longest that a step may take, in sampling periods.
        overrun_run: missed deadlines in a row that end in the safe action.
        invalid_run: observations in a row that are not good that end in the safe action.
        on_invalid: an observation that is NaN, infinite or out of range is clamped where that can
            be (``clamp``), not used (``hold``), or stops the policy at once (``stop``).
        margin: share of a channel's range by which an observation may lie outside it and is good.
        robot: name of the robot that the policy is for; empty for any.
    """

    actions: tuple[ActionLimit, ...] | ActionChoices
    stale_periods: int = 2
    lost_periods: int = 5
    deadline_periods: float = 1.0
    overrun_run: int = 3
    invalid_run: int = 5
    on_invalid: OnInvalid = "clamp"
    margin: float = 0.5
    robot: str = ""

    def __post_init__(self) -> None:
        for name in ("stale_periods", "lost_periods", "overrun_run", "invalid_run"):
            if not 1 <= getattr(self, name) <= 255:
                raise UsageError(f"a supervisor's {name} lies in 1..255")
        if self.lost_periods <= self.stale_periods:
            raise UsageError("an input is lost (lost_periods) later than it is stale")
        for name in ("deadline_periods", "margin"):
            object.__setattr__(self, name, _number(name, getattr(self, name)))
        if not 0 < self.deadline_periods <= 255 or not 0 <= self.margin < math.inf:
            raise UsageError("a deadline lies in (0, 255] periods, and a margin is not negative")
        if self.on_invalid not in _ON_INVALID:
            raise UsageError(f"on_invalid is one of {', '.join(_ON_INVALID)}")


def robot_id(robot: str) -> int:
    """The number that stands for a robot's name on a device; 0 for the empty name, any robot."""
    if not robot:
        return 0
    return int.from_bytes(hashlib.sha256(robot.encode()).digest()[:4], "little") or 1


def check_supervisor(policy: Policy) -> None:
    """Raise :class:`UsageError` where a policy's supervisor does not fit its actions and period."""
    if policy.supervisor is not None:
        supervisor_section(policy)


def supervisor_section(policy: Policy) -> bytes:
    """The supervisor section of a policy image; empty where the policy has no supervisor.

    Little-endian on every device; ``docs/SPEC.md`` §11.2 has every byte.

    Raises:
        UsageError: the limits do not fit the policy's actions: another number of them, a range
            without an action, a change smaller than the action's resolution.
    """
    config = policy.supervisor
    if config is None:
        return b""
    discrete = isinstance(config.actions, ActionChoices)
    if discrete != policy.decoder.is_discrete:
        raise UsageError(
            "a discrete policy's supervisor has ActionChoices, any other's ActionLimits"
        )
    if isinstance(config.actions, ActionChoices):
        n, body = len(policy.actions), _choices(config.actions, len(policy.actions))
    else:
        n, body = policy.decoder.n, _limits(policy, config.actions)
    return _head(policy, config, discrete, n) + body


def _head(policy: Policy, config: SupervisorConfig, discrete: bool, n: int) -> bytes:
    period = max(1, round(policy.period_s * 1e6))
    if period * config.lost_periods > _LONGEST_US:
        raise UsageError(
            f"a supervisor waits at most {_LONGEST_US} µs for an input; {config.lost_periods} "
            f"periods of {policy.period_s:g} s are more"
        )
    return struct.pack(
        "<8B4I",
        _SECTION_VERSION,
        discrete,
        config.stale_periods,
        config.lost_periods,
        config.overrun_run,
        config.invalid_run,
        _ON_INVALID.index(config.on_invalid),
        0,
        period,
        max(1, round(period * config.deadline_periods)),
        robot_id(config.robot),
        n,
    )


def _choices(choices: ActionChoices, n: int) -> bytes:
    if choices.allowed[-1] >= n:
        raise UsageError(f"choice {choices.allowed[-1]} is allowed, but the policy has only {n}")
    words = [0] * -(-n // 32)
    for choice in choices.allowed:
        words[choice // 32] |= 1 << choice % 32
    return struct.pack(f"<I{len(words)}I", choices.safe, *words)


def _limits(policy: Policy, limits: tuple[ActionLimit, ...]) -> bytes:
    if len(limits) != policy.decoder.n:
        raise UsageError(f"{len(limits)} actions have limits, the policy has {policy.decoder.n}")
    return b"".join(
        struct.pack("<iiiII", *_integers(policy, limit, i)) for i, limit in enumerate(limits)
    )


def _integers(policy: Policy, limit: ActionLimit, i: int) -> tuple[int, int, int, int, int]:
    """Least, greatest, safe, slew and brake in the integers of the program's action."""
    offset, scale = float(policy.decoder.offset[i]), float(policy.decoder.scale[i])
    name = policy.actions[i].name
    if scale == 0:
        raise UsageError(f"the action '{name}' is always {offset:g}: it has no limits")
    ends = [(end - offset) / scale for end in (limit.low, limit.high)]
    least = math.ceil(np.clip(min(ends) - _GRAIN, *_INT32))
    most = math.floor(np.clip(max(ends) + _GRAIN, *_INT32))
    if least > most:
        raise UsageError(
            f"no integer of the action '{name}' lies in [{limit.low:g}, {limit.high:g}]; "
            f"its resolution is {abs(scale):g}"
        )
    safe = min(max(round((limit.safe - offset) / scale), least), most)
    return least, most, safe, *(_change(name, c / abs(scale)) for c in (limit.slew, limit.brake))


def _change(name: str, change: float) -> int:
    """A largest change in integers; at least one, for else the action could never move."""
    if change >= _NO_LIMIT:
        return _NO_LIMIT
    whole = math.floor(change + _GRAIN)
    if whole < 1:
        raise UsageError(f"a largest change of the action '{name}' is below its resolution")
    return whole


def _number(name: str, value: float) -> float:
    number = float(value)
    if math.isnan(number):
        raise UsageError(f"'{name}' of a supervisor is NaN")
    return number
