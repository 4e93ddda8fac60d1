"""The executor: steps at the trained rate in any loop, and nothing unsafe whatever comes in."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from toy_policy import toy_policy

from grsn_edge.errors import IntegrityError, ObservationError, UsageError
from grsn_edge.policy import (
    ActionChoices,
    ActionLimit,
    Channel,
    Decoder,
    Encoder,
    Policy,
    SupervisorConfig,
)
from grsn_edge.program import Builder
from grsn_edge.runtime import StreamingPolicy
from grsn_edge.runtime.executor import Executed, Executor, Reason, run_realtime
from grsn_edge.runtime.supervisor import Condition, Quality, Reaction, State

pytest.importorskip("grsn_edge._native", reason="the extension is not built")

MS = 10**6
PERIOD = 20 * MS


def driving(**config: Any) -> Policy:
    """Torque = position / 10 of a channel in [-1, 1] m, within [-2, 2] N m, slew 0.1, brake 0.5."""
    b = Builder()
    b.output("action", b.input("observation", 1, lo=-32512, hi=32512).clip(-32512, 32512))
    return Policy(
        "driving",
        b.build(),
        Encoder(np.zeros(1, np.float32), np.float32([1000]), "int16"),
        Decoder("clip", np.zeros(1, np.float32), np.float32([0.001])),
        PERIOD / 1e9,
        (Channel("x", "m", -1.0, 1.0),),
        (Channel("torque", "N m", -2.0, 2.0),),
        supervisor=SupervisorConfig((ActionLimit(-2.0, 2.0, 0.0, 0.1, 0.5),), **config),
    )


def executor(policy: Policy, **options: Any) -> Executor:
    return Executor(StreamingPolicy(policy, "numpy"), 0, **options)


def armed(policy: Policy, **options: Any) -> Executor:
    made = executor(policy, **options)
    assert made.arm(0) is State.ARMED
    return made


# ---- rates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize("faster", [1, 2, 4, 7])
def test_a_faster_loop_gives_the_actions_of_the_trained_rate(faster: int, backend: str) -> None:
    rng = np.random.default_rng(0)
    observations = rng.normal(0, 2, (200 * faster, 2)).astype(np.float32)
    plain = StreamingPolicy(toy_policy(), "numpy")
    turns = Executor(StreamingPolicy(toy_policy(), backend), 0)
    turns.arm(0)
    for i, observation in enumerate(observations):
        done = turns.execute(i * PERIOD // faster, observation)
        assert done.stepped == (i % faster == 0)
        assert done.reason is (Reason.DUE if done.stepped else Reason.EARLY)
        if done.stepped:
            expected = plain.step(observation)
        assert done.action == expected
    for name, value in plain.state.items():
        assert np.array_equal(value, turns.policy.state[name])


def test_averaging_steps_with_the_mean_of_what_was_seen_in_between() -> None:
    turns = armed(driving(), average=True)
    turns.execute(0, [0.0])
    for i, x in enumerate((0.02, 0.04, 0.06), 1):
        turns.execute(i * 5 * MS, [x])
    done = turns.execute(PERIOD, [0.08])
    assert done.action.tolist() == pytest.approx([0.05], abs=1e-6)


def test_a_turn_slightly_early_counts_as_due_and_no_drift_builds_up() -> None:
    turns, rng = armed(toy_policy()), random.Random(1)
    for i in range(500):
        jitter = 0 if i == 0 else rng.randint(-MS, MS)
        assert turns.execute(i * PERIOD + jitter, [0.0, 0.0]).stepped, i
    timing = turns.timing
    assert (timing.steps, timing.skipped) == (499, 0)  # the last one has not ended yet
    assert timing.bias == pytest.approx(1.0, abs=0.01)
    assert timing.jitter_is_good
    assert timing.bias_is_good


def test_a_slow_or_uneven_loop_is_named() -> None:
    turns = armed(toy_policy())
    for i in range(120):
        turns.execute(i * PERIOD * 13 // 10, [0.0, 0.0])
    assert not turns.timing.jitter_is_good
    even = armed(toy_policy())
    for i in range(120):
        even.execute(i * PERIOD, [0.0, 0.0])
    assert even.timing.jitter_is_good
    even.execute(119 * PERIOD + PERIOD * 3 // 2, [0.0, 0.0])
    timing = even.timing
    assert (timing.longest, timing.bias_is_good, timing.jitter_is_good) == (1.5, True, False)


def test_periods_that_were_missed_are_skipped_not_made_up_for() -> None:
    turns = armed(toy_policy())
    turns.execute(0, [0.0, 0.0])
    late = turns.execute(PERIOD * 35 // 10, [0.0, 0.0])
    assert (late.reason, late.stepped) == (Reason.OVERDUE, True)
    assert late.lateness_s == pytest.approx(0.05)
    assert turns.execute(PERIOD * 36 // 10, [0.0, 0.0]).reason is Reason.EARLY
    assert turns.execute(PERIOD * 4, [0.0, 0.0]).stepped
    assert turns.timing.skipped == 2


def test_a_due_step_waits_for_an_observation() -> None:
    turns = armed(toy_policy())
    turns.execute(0, [0.0, 0.0])
    assert turns.execute(PERIOD).reason is Reason.NO_OBSERVATION
    assert turns.execute(PERIOD + 5 * MS, [0.0, 0.0]).reason is Reason.DUE
    assert turns.execute(2 * PERIOD, [0.0, 0.0]).reason is Reason.DUE


# ---- deadlines -----------------------------------------------------------------------------------


def test_three_steps_that_end_too_late_stop_the_policy() -> None:
    turns = armed(driving())
    for i in range(3):
        assert turns.execute(2 * i * PERIOD, [0.01]).state is State.ARMED
        turns.finished(2 * i * PERIOD + PERIOD + MS)
    done = turns.execute(6 * PERIOD, [0.01])
    assert (done.state, done.reaction) == (State.SAFE, Reaction.RETIRE)
    assert turns.supervision.reasons & Condition.OVERRUN
    assert turns.timing.overruns == 3
    assert turns.timing.longest_s >= 0.021


# ---- observations --------------------------------------------------------------------------------


def test_what_is_out_of_range_is_clamped_and_counted() -> None:
    turns = armed(driving(margin=0.25))
    done = turns.execute(0, [1.4])
    assert done.quality is Quality.GOOD
    done = turns.execute(PERIOD, [math.inf])
    assert (done.quality, done.stepped) == (Quality.CLAMPED, True)
    assert turns.supervision.c.invalid == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, 2.0])
@pytest.mark.parametrize("on_invalid", ["clamp", "hold", "stop"])
def test_five_bad_observations_in_a_row_end_in_the_safe_action(
    on_invalid: str, value: float
) -> None:
    turns = armed(driving(on_invalid=on_invalid, margin=0.25))
    turns.execute(0, [0.1])
    states = [turns.execute(i * PERIOD, [value]).state for i in range(1, 7)]
    assert states[-1] is State.SAFE
    assert states[0] is (State.SAFE if on_invalid == "stop" else State.ARMED)
    assert states[4] is State.SAFE
    assert turns.execute(7 * PERIOD, [0.1]).action.tolist() == [0.0]


def test_an_observation_of_the_wrong_shape_changes_nothing() -> None:
    turns = armed(toy_policy())
    with pytest.raises(ObservationError):
        turns.execute(1, [0.0])
    with pytest.raises(ObservationError):
        turns.execute(1, [[0.0, 0.0]])
    assert turns.execute(0, [0.0, 0.0]).stepped


# ---- time ----------------------------------------------------------------------------------------


def test_a_host_that_stops_observing_is_held_and_then_safe() -> None:
    turns = armed(driving())
    for i in range(6):
        turns.execute(i * PERIOD, [1.0])
    last, states = 5 * PERIOD, {}
    for ms in range(1, 200):
        done = turns.execute(last + ms * MS)
        states.setdefault(done.state, ms)
    assert states == {State.ARMED: 1, State.HOLD: 40, State.SAFE: 100}
    assert done.action.tolist() == [0.0]


def test_times_that_do_not_go_forward_are_counted_and_ignored() -> None:
    turns = armed(toy_policy())
    turns.execute(PERIOD, [0.0, 0.0])
    done = turns.execute(PERIOD, [0.0, 0.0])
    assert (done.reason, done.stepped) == (Reason.BAD_TIME, False)
    assert turns.execute(2 * PERIOD, [0.0, 0.0]).stepped
    assert turns.timing.bad_times == 1


def test_a_clock_that_stays_wrong_stops_the_policy() -> None:
    turns = armed(driving())
    turns.execute(PERIOD, [0.1])
    states = [turns.execute(i * MS, [0.1]).state for i in range(6)]
    assert states[3] is State.ARMED
    assert states[-1] is State.SAFE
    assert turns.arm(10 * MS) is State.ARMED


# ---- arming --------------------------------------------------------------------------------------


def test_nothing_acts_before_it_is_armed() -> None:
    turns = executor(driving())
    done = turns.execute(1, [1.0])
    assert (done.state, done.stepped, done.action.tolist()) == (State.IDLE, False, [0.0])
    assert executor(toy_policy()).execute(1, [1.0, 0.0]).action is None


def test_a_policy_for_another_robot_is_never_armed() -> None:
    policy = driving(robot="cart 7")
    assert executor(policy, robot="cart 7").arm(0) is State.ARMED
    for robot in ("", "cart 8"):
        turns = executor(policy, robot=robot)
        assert turns.arm(0) is State.SAFE
        assert turns.supervision.conditions == Condition.WRONG_MODEL


def test_a_policy_that_fails_its_golden_vectors_is_never_armed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def differs(self: StreamingPolicy) -> int:
        raise IntegrityError("differs")

    monkeypatch.setattr(StreamingPolicy, "verify", differs)
    turns = executor(toy_policy())
    assert turns.arm(0) is State.SAFE
    assert turns.supervision.reaction is Reaction.STOP


def test_arming_again_begins_with_a_fresh_state() -> None:
    turns = armed(toy_policy())
    first = [turns.execute(i * PERIOD, [1.0, 2.0]).action for i in range(30)]
    assert turns.disarm(30 * PERIOD) is State.IDLE
    assert turns.arm(40 * PERIOD) is State.ARMED
    again = [turns.execute((41 + i) * PERIOD, [1.0, 2.0]).action for i in range(30)]
    assert again == first


# ---- whatever comes in ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_no_history_leads_outside_the_limits_or_moves_too_fast(seed: int) -> None:
    rng = random.Random(seed)
    turns, now, last = armed(driving()), 0, 0.0
    for _ in range(1500):
        now += (
            rng.choice((1, 3, 5, 5, 5, 20, 20, 45, 130)) * MS * (1 if rng.random() > 0.02 else -1)
        )
        event = rng.random()
        if event < 0.03:
            turns.arm(now)
        elif event < 0.04:
            turns.disarm(now)
        elif event < 0.05:
            turns.report(rng.choice((Condition.LINK_LOST, Condition.WAS_RESET)))
        x = rng.choice((None, rng.uniform(-9, 9), 1e38, math.nan, -math.inf, rng.uniform(-1, 1)))
        done = turns.execute(now, None if x is None else [x])
        (action,) = done.action.tolist()
        assert -2.0 <= action <= 2.0
        assert abs(action - last) <= 0.5 + 1e-6
        assert not done.stepped or done.reaction in (Reaction.ACT, Reaction.KEEP)
        last = action


def test_a_choice_that_is_not_allowed_becomes_the_safe_one() -> None:
    policy = replace(toy_policy(), supervisor=SupervisorConfig(ActionChoices(1, (1, 2))))
    turns, plain = armed(policy), StreamingPolicy(toy_policy(), "numpy")
    rng, seen = np.random.default_rng(2), set()
    for i in range(300):
        x = rng.uniform((-2, -9), (2, 9)).astype(np.float32)
        wanted = int(plain.step(x))
        seen.add(wanted)
        assert turns.execute(i * PERIOD, x).action == (1 if wanted == 0 else wanted)
    assert 0 in seen


# ---- the loop on a clock -------------------------------------------------------------------------


class Clock:
    """Time that passes by waiting, and a little by reading."""

    def __init__(self) -> None:
        self.now = 0

    def read(self) -> int:
        self.now += 1000
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)


def test_the_loop_steps_at_the_trained_rate_and_leads_back_to_the_safe_action() -> None:
    clock, done = Clock(), []

    def write(executed: Executed) -> bool:
        done.append(executed)
        return len(done) >= 400

    turns = executor(driving())
    timing = run_realtime(
        turns, lambda: [1.0], write, rate_hz=200.0, clock_ns=clock.read, sleep=clock.sleep
    )
    assert timing.steps == 100
    assert timing.jitter_is_good
    assert max(e.action[0] for e in done) == pytest.approx(1.0)
    assert done[-1].action.tolist() == [0.0]
    assert done[-1].state is State.IDLE


def test_the_loop_leads_back_to_the_safe_action_when_a_sensor_raises() -> None:
    clock, done = Clock(), []

    def read() -> list[float]:
        if len(done) > 50:
            raise OSError("unplugged")
        return [1.0]

    with pytest.raises(OSError, match="unplugged"):
        run_realtime(
            executor(driving()),
            read,
            lambda e: done.append(e),
            clock_ns=clock.read,
            sleep=clock.sleep,
        )
    assert done[-1].action.tolist() == [0.0]


def test_the_loop_is_not_slower_than_the_policy_and_needs_an_armed_one() -> None:
    with pytest.raises(UsageError, match="at least 50 times a second"):
        run_realtime(executor(driving()), lambda: None, lambda e: True, rate_hz=10.0)
    with pytest.raises(UsageError, match="cannot be armed: WRONG_MODEL"):
        run_realtime(executor(driving(robot="x")), lambda: None, lambda e: True)
