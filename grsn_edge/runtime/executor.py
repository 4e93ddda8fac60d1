"""A policy in real time: steps at the rate it was trained at, in a loop that may be faster.

A recurrent policy's state means time: it may advance only once in a sampling period.  The executor
takes time-stamped observations at any rate, steps when a step is due, and holds the action in
between; every action passes the supervisor that runs on devices, too (``docs/SPEC.md`` §11).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import IntegrityError, ObservationError, UsageError
from grsn_edge.runtime.streaming import StreamingPolicy
from grsn_edge.runtime.supervisor import (
    Condition,
    Guard,
    Quality,
    Reaction,
    State,
    Supervision,
    invalid_run,
    microseconds,
)

__all__ = ["Executed", "Executor", "Reason", "Timing", "run_realtime"]

WINDOW = 100
_LEAST, _MOST = 0.8, 1.2
_EARLY = 16
"""A call counts as due from a sixteenth of a period before on: loops jitter."""
_LONGEST_RETREAT = 1000


class Reason(Enum):
    """Why a call of :meth:`Executor.execute` did, or did not, step the policy."""

    DUE = "a step was due"
    OVERDUE = "a step was due more than a period ago; periods were skipped"
    EARLY = "no step is due yet"
    NO_OBSERVATION = "a step was due, but nothing usable was observed since the last one"
    NOT_RUNNING = "the policy is not armed, or was stopped"
    BAD_TIME = "the time is not after the last one"


@dataclass(frozen=True, slots=True)
class Executed:
    """What one call did.

    Attributes:
        action: an index, or float32 ``(m,)``; None where there is no action yet: the policy names
            no safe one and has not acted.
        stepped: whether the policy's state advanced.
        reason: why, or why not.
        quality: of this call's observation; None where there was none.
        state, reaction, conditions: of the supervisor.
        lateness_s: how long after it was due the step ran; 0 where none ran.
    """

    action: Any
    stepped: bool
    reason: Reason
    quality: Quality | None
    state: State
    reaction: Reaction
    conditions: Condition
    lateness_s: float


@dataclass(frozen=True, slots=True)
class Timing:
    """How regular the steps were: the last 100 intervals between them, and counts since the start.

    Attributes:
        steps: of the policy.
        bias: mean interval, in sampling periods; nan before two steps.
        shortest, longest: interval, in sampling periods; nan likewise.
        bias_is_good, jitter_is_good: whether the mean, and every one, lies in [0.8, 1.2].
        skipped: sampling periods in which no step ran because the loop came too late.
        overruns: steps that missed their deadline.
        longest_s: from when a step was due until it ended.
        bad_times: calls whose time was not after the one before.
    """

    steps: int
    bias: float
    shortest: float
    longest: float
    bias_is_good: bool
    jitter_is_good: bool
    skipped: int
    overruns: int
    longest_s: float
    bad_times: int


class Executor:
    """A policy, its supervisor and its clock; pure: time is an argument.

    The golden vectors are replayed first.  The policy acts after :meth:`arm`.

    Args:
        policy: who acts; its state belongs to the executor from now on.
        time_ns: now, in nanoseconds of any clock that only goes forward.
        robot: name of the robot; a policy for another one is not armed.
        average: step with the mean of all good observations since the last step, not the newest.

    Raises:
        BackendUnavailable: the compiled extension is missing.
    """

    def __init__(
        self, policy: StreamingPolicy, time_ns: int, *, robot: str = "", average: bool = False
    ) -> None:
        self.policy = policy
        self.average = average
        self.supervision = Supervision(policy.policy, time_ns)
        self._guard = Guard.of(policy.policy)
        self._encoder = replace(policy.policy.encoder, on_invalid="clamp")  # the guard refuses
        self._period = max(1, round(policy.policy.period_s * 1e9))
        self._robot = robot
        self._time = time_ns
        self._due: int | None = None
        self._seen: list[npt.NDArray[Any]] = []
        self._late: int | None = None  # lateness of the step that has not ended yet
        self._last_step: int | None = None
        self._intervals: deque[int] = deque(maxlen=WINDOW)
        self._skipped = self._bad_times = self._bad_run = 0
        self._self_test()

    # ---- requests ------------------------------------------------------------------------------

    def arm(self, time_ns: int) -> State:
        """Reset the policy and let it act; the state tells whether it does."""
        c = self.supervision.c
        c.clear(Condition.WAS_RESET)
        self._time = max(self._time, time_ns)
        if c.arm(microseconds(time_ns)) == State.ARMED:
            self.policy.reset()
            self._due, self._last_step, self._late = None, None, None
            self._seen.clear()
        return self.supervision.state

    def disarm(self, time_ns: int) -> State:
        """Stop the policy; the safe action follows, as fast as the limits allow."""
        self.supervision.c.disarm(microseconds(time_ns))
        return self.supervision.state

    def report(self, condition: Condition) -> None:
        """Something that only the caller can know: a lost link, a reset, damage."""
        self.supervision.c.report(condition)

    # ---- the loop ------------------------------------------------------------------------------

    def execute(self, time_ns: int, observation: npt.ArrayLike | None = None) -> Executed:
        """One turn of the loop.

        Args:
            time_ns: now; also when the observation was made.
            observation: ``(n,)`` numbers in the policy's units, or None where nothing is new.

        Raises:
            ObservationError: an observation of the wrong shape; nothing has changed.
        """
        values = None if observation is None else self._checked(observation)
        if time_ns <= self._time and not self._first_turn(time_ns):
            return self._bad_time(time_ns)
        self._time, self._bad_run = time_ns, 0
        self._close(None)
        quality = None if values is None else self._observe(time_ns, values)
        self.supervision.c.update(microseconds(time_ns))
        return self._turn(time_ns, quality)

    def finished(self, time_ns: int) -> None:
        """The action of the last :meth:`execute` has been given: the step's deadline counts to
        here.  Without this call it counts to the call of :meth:`execute`."""
        self._close(time_ns)

    @property
    def timing(self) -> Timing:
        """Statistics; see :class:`Timing`."""
        intervals = np.array(self._intervals, np.float64) / self._period
        some = intervals if intervals.size else np.array([np.nan])
        bias, shortest, longest = some.mean(), some.min(), some.max()
        c = self.supervision.c
        return Timing(
            c.steps,
            float(bias),
            float(shortest),
            float(longest),
            not intervals.size or bool(_LEAST <= bias <= _MOST),
            not intervals.size or bool(shortest >= _LEAST and longest <= _MOST),
            self._skipped,
            c.overruns,
            c.longest_us / 1e6,
            self._bad_times,
        )

    # ---- inside --------------------------------------------------------------------------------

    def _self_test(self) -> None:
        c, config = self.supervision.c, self.policy.policy.supervisor
        if config is not None and config.robot not in ("", self._robot):
            c.report(Condition.WRONG_MODEL)
        c.update(microseconds(self._time))
        try:
            self.policy.verify()
            c.clear(Condition.UNTESTED)
        except IntegrityError:
            c.report(Condition.SELFTEST_FAILED)
        c.update(microseconds(self._time))

    def _checked(self, observation: npt.ArrayLike) -> npt.NDArray[Any]:
        x = self._encoder.checked(observation)
        if x.ndim != 1:
            raise ObservationError(f"one turn takes one observation, not the shape {x.shape}")
        return x

    def _first_turn(self, time_ns: int) -> bool:
        """Whether nothing has run since arming, which may have been in the same instant."""
        return self._due is None and time_ns == self._time

    def _bad_time(self, time_ns: int) -> Executed:
        """Count it; a clock that stays wrong stops the policy and is then followed."""
        self._bad_times += 1
        self._bad_run += 1
        if self._bad_run >= invalid_run(self.policy.policy.supervisor):
            self.supervision.c.report(Condition.LINK_LOST)
            self.supervision.c.update(microseconds(self._time))
            self._time, self._due = time_ns, None
        return self._executed(Reason.BAD_TIME, None)

    def _observe(self, time_ns: int, values: npt.NDArray[Any]) -> Quality:
        quality, usable = self._guard.judge(values)
        self.supervision.c.observation(microseconds(time_ns), quality)
        if quality is not Quality.REFUSED:
            self._seen = [*self._seen, usable] if self.average else [usable]
        return quality

    def _turn(self, time_ns: int, quality: Quality | None) -> Executed:
        if self._due is None:
            self._due = time_ns
        lateness = time_ns - self._due
        if lateness < -(self._period // _EARLY):
            return self._executed(Reason.EARLY, quality)
        skipped = max(0, lateness) // self._period
        if self.supervision.reaction not in (Reaction.ACT, Reaction.KEEP):
            self._due += (skipped + 1) * self._period
            self._seen.clear()
            self.supervision.output(None)
            return self._executed(Reason.NOT_RUNNING, quality)
        self._skipped += skipped
        self._due += skipped * self._period
        if not self._seen:  # the step waits for an observation, at most until the next is due
            if skipped:
                self.supervision.output(None)
            return self._executed(Reason.NO_OBSERVATION, quality)
        self._due += self._period
        self._step(time_ns, max(0, lateness))
        reason = Reason.OVERDUE if skipped else Reason.DUE
        return self._executed(reason, quality, max(0, lateness) / 1e9)

    def _step(self, time_ns: int, lateness: int) -> None:
        wanted = self.policy.step_integers(np.mean(self._seen, axis=0))
        self._seen.clear()
        self.supervision.output(wanted)
        self._late = lateness
        if self._last_step is not None:
            self._intervals.append(time_ns - self._last_step)
        self._last_step = time_ns

    def _close(self, time_ns: int | None) -> None:
        """Tell the supervisor how long the last step took."""
        if self._late is None:
            return
        after = 0 if time_ns is None else max(0, time_ns - self._time)
        self.supervision.c.step(min((self._late + after) // 1000, 2**32 - 1))
        self._late = None

    def _executed(self, reason: Reason, quality: Quality | None, late: float = 0.0) -> Executed:
        s = self.supervision
        stepped = reason in (Reason.DUE, Reason.OVERDUE)
        return Executed(s.action, stepped, reason, quality, s.state, s.reaction, s.conditions, late)


def run_realtime(
    executor: Executor,
    read_observation: Callable[[], npt.ArrayLike | None],
    write_action: Callable[[Executed], bool | None],
    *,
    rate_hz: float | None = None,
    clock_ns: Callable[[], int] = time.monotonic_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> Timing:
    """Arm, and loop until ``write_action`` returns True; then lead back to the safe action.

    That is also done where a callable raises, Ctrl-C included; the error goes on.

    Args:
        executor: built on the same clock.
        read_observation: the newest observation, or None where there is no new one.
        write_action: gives the action to the robot.
        rate_hz: of the loop; the policy's own rate where it is None.
        clock_ns, sleep: a monotonic clock, and waiting.

    Raises:
        UsageError: a loop slower than the policy, or a policy that cannot be armed.
    """
    period_s = executor.policy.policy.period_s
    interval = round(1e9 * (period_s if rate_hz is None else 1 / rate_hz))
    if not 0 < interval <= round(1e9 * period_s):
        raise UsageError(f"the loop runs at least {1 / period_s:g} times a second, as the policy")
    if executor.arm(clock_ns()) is not State.ARMED:
        conditions = executor.supervision.conditions
        raise UsageError(f"the policy cannot be armed: {conditions.name or int(conditions)}")
    try:
        next_ns = clock_ns()
        over = False
        while not over:
            over = write_action(executor.execute(clock_ns(), read_observation())) is True
            executor.finished(clock_ns())
            next_ns = max(next_ns + interval, clock_ns())
            sleep(max(0, next_ns - clock_ns()) / 1e9)
    finally:
        _retreat(executor, write_action, clock_ns, sleep)
    return executor.timing


def _retreat(
    executor: Executor,
    write_action: Callable[[Executed], bool | None],
    clock_ns: Callable[[], int],
    sleep: Callable[[float], None],
) -> None:
    """Disarm, and give actions until they no longer change."""
    executor.disarm(clock_ns())
    before, s = None, executor.supervision
    for _ in range(_LONGEST_RETREAT):
        sleep(executor.policy.policy.period_s)
        write_action(executor.execute(clock_ns()))
        if before is not None and np.array_equal(before, s.integers):
            return
        before = s.integers
