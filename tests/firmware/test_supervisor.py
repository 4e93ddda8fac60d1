"""The supervisor: every state under every set of conditions, every clock, every limit."""

from __future__ import annotations

import ctypes
import random
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from spec_examples import raw
from supervisor_library import (
    ACT,
    ARM,
    ARMED,
    BOOT,
    CLAMPED,
    CORRUPT,
    DISARM,
    GOOD,
    HOLD,
    IDLE,
    INPUT_LOST,
    INVALID,
    KEEP,
    LINK_LOST,
    NO_LIMIT,
    OVERRUN,
    REFUSED,
    RETIRE,
    SAFE,
    SELFTEST,
    SELFTEST_FAILED,
    STALE,
    STOP,
    UNTESTED,
    WAS_RESET,
    WRONG_MODEL,
    Config,
    Status,
    Supervisor,
    choices,
    library,
    values,
)
from supervisor_rules import CONDITIONS, REACTIONS, STATES, following
from toy_policy import toy_policy

from grsn_edge.backends._image import image
from grsn_edge.policy import ActionChoices, SupervisorConfig, supervisor_section

PERIOD = 1000
FREE = values((-100, 100, 0, NO_LIMIT, NO_LIMIT), period_us=PERIOD)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("supervisor")
    return library(folder, Path(__file__).with_name("supervisor_exhaustive.c"))


@pytest.fixture
def armed(loaded: ctypes.CDLL) -> Supervisor:
    supervisor = Supervisor(loaded, FREE)
    supervisor.ready(0)
    return supervisor


# ---- the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", range(6), ids=STATES)
def test_the_table_is_the_rules_for_all_4096_sets_of_conditions(
    state: int, loaded: ctypes.CDLL
) -> None:
    for conditions in range(4096):
        found = loaded.grsn_supervisor_next(state, conditions)
        holding = {name for bit, name in enumerate(CONDITIONS) if conditions >> bit & 1}
        expected = following(STATES[state], holding)
        assert (STATES[found.state], REACTIONS[found.reaction]) == expected, holding


def test_the_table_of_the_specification_is_the_one_in_c(loaded: ctypes.CDLL) -> None:
    entries = {
        "TEST": (SELFTEST, STOP),
        "IDLE": (IDLE, STOP),
        "RUNS": (ARMED, ACT),
        "HOLD": (HOLD, KEEP),
        "SAFE": (SAFE, RETIRE),
        "STOP": (SAFE, STOP),
    }
    _, *rows = [line.split() for line in raw("transitions")[0].splitlines()]
    assert [row[0].lower() for row in rows] == list(STATES)
    for state, (_, *columns, none) in enumerate(rows):
        for bit, entry in enumerate(columns):
            found = loaded.grsn_supervisor_next(state, 1 << bit)
            heeded = none if entry == "-" else entry
            assert (found.state, found.reaction) == entries[heeded], (state, bit)
            assert found.condition == (0 if entry == "-" else 1 << bit)
        found = loaded.grsn_supervisor_next(state, 0)
        assert (found.state, found.reaction) == entries[none]


def test_what_must_hold_of_every_transition_holds(loaded: ctypes.CDLL) -> None:
    distrust = SELFTEST_FAILED | WRONG_MODEL | CORRUPT | UNTESTED
    failures = WAS_RESET | LINK_LOST | INPUT_LOST | OVERRUN | INVALID
    for state in range(6):
        for conditions in range(4096):
            found = loaded.grsn_supervisor_next(state, conditions)
            runs = found.state in (ARMED, HOLD)
            assert (found.reaction in (ACT, KEEP)) == runs
            assert not (runs and conditions & (distrust | failures | DISARM))
            assert not (found.reaction == ACT and conditions & STALE)
            if runs and state not in (ARMED, HOLD):
                assert conditions == ARM
                assert state in (IDLE, SAFE)
            if state == SAFE and found.state != SAFE:
                assert conditions == ARM
            if found.condition:
                assert found.condition & conditions
                assert bin(found.condition).count("1") == 1


def test_a_state_that_does_not_exist_is_safe(loaded: ctypes.CDLL) -> None:
    for state in range(6, 256):
        assert loaded.grsn_supervisor_next(state, 0).state == SAFE
        assert loaded.grsn_supervisor_next(state, UNTESTED).reaction == STOP


# ---- starting ------------------------------------------------------------------------------------


def test_nothing_acts_before_the_self_test_has_passed_and_the_host_has_armed(
    loaded: ctypes.CDLL,
) -> None:
    supervisor = Supervisor(loaded, FREE)
    assert (supervisor.status.state, supervisor.status.reaction) == (BOOT, STOP)
    assert supervisor.arm(0) == SELFTEST
    assert supervisor.arm(0) == SELFTEST
    assert supervisor.output(50) == [0]
    supervisor.clear(UNTESTED)
    assert [supervisor.update(0) for _ in range(3)] == [IDLE, IDLE, IDLE]
    assert supervisor.output(50) == [0]
    assert supervisor.arm(0) == ARMED
    assert supervisor.output(50) == [50]


@pytest.mark.parametrize("fault", [SELFTEST_FAILED, WRONG_MODEL, CORRUPT])
def test_a_policy_that_cannot_be_trusted_is_never_armed(fault: int, loaded: ctypes.CDLL) -> None:
    supervisor = Supervisor(loaded, FREE)
    supervisor.clear(UNTESTED)
    supervisor.report(fault)
    assert [supervisor.update(0), supervisor.arm(0), supervisor.arm(0)] == [SAFE] * 3
    assert supervisor.status.reaction == STOP
    assert supervisor.status.reasons == fault


def test_after_a_reset_in_a_run_the_host_decides_about_the_state_before_it_arms(
    loaded: ctypes.CDLL,
) -> None:
    supervisor = Supervisor(loaded, FREE)
    supervisor.report(WAS_RESET)
    supervisor.clear(UNTESTED)
    supervisor.update(0), supervisor.update(0)
    assert supervisor.arm(0) == IDLE
    supervisor.clear(WAS_RESET)
    assert supervisor.arm(0) == ARMED


def test_exchanging_the_policy_under_way_stops_it(armed: Supervisor) -> None:
    armed.output(70)
    armed.report(UNTESTED)
    assert (armed.update(10), armed.status.reaction) == (SAFE, STOP)
    armed.clear(UNTESTED)
    assert armed.update(20) == SAFE
    assert armed.arm(30) == ARMED


def test_only_reports_can_be_reported_and_cleared(armed: Supervisor) -> None:
    armed.report(0xFFFF & ~0b111111)
    assert armed.update(1) == ARMED
    armed.update(9 * PERIOD)
    armed.clear(0xFFFF)
    assert (armed.update(9 * PERIOD), armed.status.conditions) == (SAFE, INPUT_LOST | STALE)


# ---- time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [0, 5, 2**31 - 2500, 2**32 - 2500, 2**32 - 1])
def test_a_host_that_stops_sending_is_held_after_two_periods_and_safe_after_five(
    start: int, loaded: ctypes.CDLL
) -> None:
    supervisor = Supervisor(loaded, FREE, start)
    supervisor.ready(start)
    supervisor.observe(start)
    supervisor.output(60)
    for age in range(0, 12 * PERIOD, 50):
        state = supervisor.update((start + age) % 2**32)
        assert state == (ARMED if age < 2000 else HOLD if age < 5000 else SAFE), age
        assert supervisor.output() == [60 if age < 5000 else 0]
    status = supervisor.status
    assert (status.holds, status.safes) == (1, 1)
    assert status.reasons == INPUT_LOST | STALE


def test_the_input_stays_lost_though_the_clock_wraps_around(armed: Supervisor) -> None:
    for now in range(0, 2**32 + 2**31, 2**29):
        armed.update(now % 2**32)
    assert armed.status.state == SAFE
    armed.observe(2**31)
    assert armed.update(2**31) == SAFE  # observations alone do not lead back
    assert armed.arm(2**31) == ARMED


def test_a_clock_that_goes_back_is_a_lost_input(armed: Supervisor) -> None:
    armed.observe(100)
    assert armed.update(99) == SAFE


def test_an_observation_in_time_ends_the_hold(armed: Supervisor) -> None:
    assert armed.update(3 * PERIOD) == HOLD
    armed.observe(3 * PERIOD)
    assert armed.update(3 * PERIOD) == ARMED
    assert armed.status.conditions == 0


def test_an_observation_that_comes_too_late_changes_nothing(armed: Supervisor) -> None:
    armed.observe(6 * PERIOD)  # the first look at the clock for six periods
    assert armed.update(6 * PERIOD) == SAFE


def test_three_missed_deadlines_in_a_row_stop_and_two_do_not(armed: Supervisor) -> None:
    for took in (PERIOD + 1, PERIOD + 1, PERIOD, PERIOD + 1, PERIOD + 1):
        armed.step(took)
        assert armed.update(1) == ARMED
    armed.step(5000)
    assert armed.update(1) == SAFE
    status = armed.status
    assert (status.steps, status.overruns, status.longest_us) == (6, 5, 5000)
    assert status.reasons == OVERRUN


def test_five_bad_observations_in_a_row_stop_and_four_do_not(armed: Supervisor) -> None:
    for quality in (CLAMPED, REFUSED, CLAMPED, CLAMPED, GOOD, CLAMPED, CLAMPED, CLAMPED, CLAMPED):
        armed.observe(1, quality)
        assert armed.update(1) == ARMED
    armed.observe(1, REFUSED)
    assert armed.update(1) == SAFE
    assert (armed.status.invalid, armed.status.reasons) == (9, INVALID)


def test_refused_observations_do_not_count_as_input(armed: Supervisor) -> None:
    for now in range(0, 2 * PERIOD, 900):
        armed.observe(now, REFUSED)
    assert armed.update(2 * PERIOD) == HOLD
    armed.observe(2 * PERIOD, CLAMPED)
    assert armed.update(2 * PERIOD) == ARMED


def test_one_bad_observation_stops_where_the_policy_says_so(loaded: ctypes.CDLL) -> None:
    supervisor = Supervisor(loaded, values((-1, 1, 0, 1, 1), on_invalid=2))
    supervisor.ready(0)
    supervisor.observe(1, REFUSED)
    assert supervisor.update(1) == SAFE


@pytest.mark.parametrize("fault", [WAS_RESET, LINK_LOST])
def test_a_lost_link_or_a_reset_retires_to_the_safe_action(fault: int, armed: Supervisor) -> None:
    armed.output(33)
    armed.report(fault)
    assert (armed.update(1), armed.status.reaction) == (SAFE, RETIRE)
    assert armed.output(33) == [0]


def test_disarming_and_arming_again(armed: Supervisor) -> None:
    assert armed.disarm(1) == IDLE
    assert armed.output(9) == [0]
    assert armed.disarm(1) == IDLE
    assert armed.update(10 * PERIOD) == IDLE  # nobody sends, nobody minds
    assert armed.arm(10 * PERIOD) == ARMED


def test_disarming_does_not_acknowledge_a_failure(armed: Supervisor) -> None:
    armed.update(9 * PERIOD)
    assert armed.disarm(9 * PERIOD) == SAFE


def test_arming_does_not_cover_a_failure_that_it_finds(armed: Supervisor) -> None:
    assert armed.arm(9 * PERIOD) == SAFE
    assert armed.arm(9 * PERIOD) == ARMED


@pytest.mark.parametrize("seed", range(20))
def test_random_histories_never_act_against_a_condition(seed: int, loaded: ctypes.CDLL) -> None:
    rng = random.Random(seed)
    limit = (-50, 80, 5, 7, 19)
    supervisor = Supervisor(loaded, values(limit, period_us=PERIOD), rng.randrange(2**32))
    now, last = supervisor.status.input_us, 5
    faults = (SELFTEST_FAILED, WRONG_MODEL, CORRUPT, WAS_RESET, LINK_LOST, UNTESTED)
    for _ in range(3000):
        now = (now + rng.choice((0, 1, 400, 400, 900, 1000, 2100, 5200))) % 2**32
        before = supervisor.status.state
        event = rng.choice("oooossrcad")
        if event == "o":
            supervisor.observe(now, rng.choice((GOOD, GOOD, GOOD, CLAMPED, REFUSED)))
        elif event == "s":
            supervisor.step(rng.choice((1, 1, 1001)))
        elif event == "r" and rng.random() < 0.3:
            supervisor.report(rng.choice(faults))
        elif event == "c":
            supervisor.clear(rng.choice(faults))
        elif event == "a":
            supervisor.arm(now)
        elif event == "d" and rng.random() < 0.3:
            supervisor.disarm(now)
        if before == SAFE and supervisor.status.state != SAFE:
            assert event == "a"
        supervisor.update(now)
        (given,) = supervisor.output(rng.randrange(-128, 128))
        assert -50 <= given <= 80
        assert abs(given - last) <= 19
        if supervisor.status.reaction == ACT:
            assert not supervisor.status.conditions
        last = given


def test_counters_stop_at_their_largest_value(armed: Supervisor) -> None:
    armed.status.overruns = armed.status.invalid = 0xFFFF
    armed.status.overrun_run = armed.status.invalid_run = 0xFF
    armed.step(10**6)
    armed.observe(0, REFUSED)
    status = armed.status
    assert (status.overruns, status.overrun_run) == (0xFFFF, 0xFF)
    assert (status.invalid, status.invalid_run) == (0xFFFF, 0xFF)


def test_the_status_has_32_bytes() -> None:
    assert ctypes.sizeof(Status) == 32


# ---- actions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limit",
    [
        (-128, 127, 0, 1, 1),
        (-128, 127, 0, 3, 10),
        (-128, 127, 0, 10, 3),
        (-100, 90, 20, 7, 30),
        (-100, 90, -100, 5, 200),
        (-100, 90, 90, 300, 4),
        (5, 5, 5, 1, 1),
        (-128, 127, -1, NO_LIMIT, NO_LIMIT),
        (-128, 127, 3, 9, NO_LIMIT),
    ],
    ids=str,
)
def test_every_pair_of_last_and_wanted_action_obeys_limits_and_slew(
    limit: tuple[int, int, int, int, int], loaded: ctypes.CDLL
) -> None:
    section = values(limit)
    slew, brake = (min(rate, 2**30) for rate in limit[3:])
    assert loaded.pairs_wrong(section, len(section), slew, brake) == 0


@pytest.mark.parametrize("rates", [(1, 1), (NO_LIMIT, NO_LIMIT), (2**31, 5), (5, 2**31)], ids=str)
def test_actions_at_the_ends_of_int32_do_not_overflow(
    rates: tuple[int, int], loaded: ctypes.CDLL
) -> None:
    low, high = -(2**31), 2**31 - 1
    for safe in (low, 0, high):
        supervisor = Supervisor(loaded, values((low, high, safe, *rates)))
        supervisor.ready(0)
        for last in (low, -1, safe, high):
            for wanted in (low, 0, high):
                supervisor.action[0] = last
                (given,) = supervisor.output(wanted)
                assert min(last, wanted) <= given <= max(last, wanted)
                assert abs(given - last) <= max(rates)


def test_the_safe_action_is_approached_at_the_brake_rate(loaded: ctypes.CDLL) -> None:
    supervisor = Supervisor(loaded, values((-100, 100, 0, 10, 25)))
    supervisor.ready(0)
    assert [supervisor.output(100)[0] for _ in range(7)] == [10, 20, 30, 40, 50, 60, 70]
    supervisor.report(LINK_LOST)
    supervisor.update(0)
    assert [supervisor.output()[0] for _ in range(4)] == [45, 20, 0, 0]
    assert supervisor.status.slewed == 7 + 2


def test_a_damaged_last_action_is_brought_inside_the_limits(loaded: ctypes.CDLL) -> None:
    supervisor = Supervisor(loaded, values((-100, 100, 0, 10, 25)))
    supervisor.ready(0)
    supervisor.action[0] = 2**30
    assert supervisor.output(100) == [100]


def test_a_choice_outside_the_allowed_set_becomes_the_safe_one(loaded: ctypes.CDLL) -> None:
    supervisor = Supervisor(loaded, choices(40, 3, [3, 5, 39]))
    supervisor.ready(0)
    for wanted in (-(2**31), -1, *range(45), 2**31 - 1):
        assert supervisor.output(wanted) == [wanted if wanted in (3, 5, 39) else 3]
    assert supervisor.status.clipped == 48 - 3
    supervisor.output(39)
    assert supervisor.output() == [39]
    supervisor.update(9 * PERIOD)
    assert supervisor.output() == [3]


def test_without_limits_the_last_action_stays_and_the_reaction_says_what_is_wrong(
    loaded: ctypes.CDLL,
) -> None:
    supervisor = Supervisor(loaded, values((-1, 1, 0, 1, 1), (-1, 1, 0, 1, 1)))
    loaded.grsn_supervisor_config_default(PERIOD, 2, ctypes.byref(supervisor.config))
    supervisor.ready(0)
    assert supervisor.output(7, -9) == [7, -9]
    supervisor.update(9 * PERIOD)
    assert supervisor.output() == [7, -9]
    assert supervisor.status.reaction == RETIRE


# ---- configuration -------------------------------------------------------------------------------


def read(loaded: ctypes.CDLL, section: bytes) -> int:
    return int(loaded.grsn_supervisor_config_read(section, len(section), Config()))


SECTIONS = {
    "one value": values((-5, 5, 0, 1, 2)),
    "three values": values((-5, 5, 0, 1, 2), (0, 9, 0, 3, 3), (-9, 9, 9, NO_LIMIT, 1)),
    "32 choices": choices(32, 0, range(32)),
    "33 choices": choices(33, 32, [32]),
}


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_is_read_at_its_own_length_only(name: str, loaded: ctypes.CDLL) -> None:
    section = SECTIONS[name]
    assert read(loaded, section) == 0
    for size in range(len(section)):
        assert read(loaded, section[:size]) == -1
    for more in (1, 4, 20):
        assert read(loaded, section + bytes(more)) == -1


def test_the_configuration_of_a_policy_reaches_the_device_in_its_image(
    loaded: ctypes.CDLL,
) -> None:
    guarded = SupervisorConfig(ActionChoices(1, (1, 2)), stale_periods=3, lost_periods=7)
    policy = replace(toy_policy(), supervisor=guarded)
    section, found = supervisor_section(policy), Config()
    assert section in image(policy)
    assert loaded.grsn_supervisor_config_read(section, len(section), found) == 0
    assert (found.is_discrete, found.n, found.period_us) == (1, 3, 20_000)
    assert (found.stale_periods, found.lost_periods) == (3, 7)


@pytest.mark.parametrize(
    "section",
    [
        values((-5, 5, 0, 1, 2), version=2),
        values((-5, 5, 0, 1, 2), zero=1),
        values((-5, 5, 0, 1, 2), period_us=0),
        values((-5, 5, 0, 1, 2), period_us=2**30 // 5 + 1),
        values((-5, 5, 0, 1, 2), deadline_us=0),
        values((-5, 5, 0, 1, 2), stale=0),
        values((-5, 5, 0, 1, 2), stale=5),
        values((-5, 5, 0, 1, 2), overrun=0),
        values((-5, 5, 0, 1, 2), invalid=0),
        values((-5, 5, 0, 1, 2), on_invalid=3),
        values((-5, 5, 6, 1, 2)),
        values((5, -5, 0, 1, 2)),
        values((-5, 5, 0, 0, 2)),
        values((-5, 5, 0, 1, 0)),
        values(),
        choices(33, 33, [0]),
        choices(33, 1, [0]),
        choices(33, 0, [0, 33]),
        choices(0, 0, []),
    ],
)
def test_a_section_that_cannot_be_is_refused(section: bytes, loaded: ctypes.CDLL) -> None:
    assert read(loaded, section) == -1


def test_random_sections_are_refused_or_keep_every_action_inside_their_limits(
    loaded: ctypes.CDLL,
) -> None:
    rng = random.Random(0)
    taken = 0
    for _ in range(20_000):
        section = bytearray(rng.choice(list(SECTIONS.values())))
        for _ in range(rng.randrange(1, 4)):
            section[rng.randrange(len(section))] = rng.randrange(256)
        if read(loaded, bytes(section)) == 0:
            taken += 1
            supervisor = Supervisor(loaded, bytes(section))
            if supervisor.config.is_discrete:
                continue
            for i, given in enumerate(supervisor.action):
                least, most = struct.unpack_from("<ii", section, 24 + 20 * i)
                assert least <= given <= most
    assert taken > 1000
