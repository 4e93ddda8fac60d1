"""The supervisor's configuration: in the file, and as the integers of a policy image."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spec_examples import blocks
from toy_policy import toy_policy

from grsn_edge.errors import FormatError, PolicyFileError, UsageError
from grsn_edge.policy import (
    ActionChoices,
    ActionLimit,
    Channel,
    Decoder,
    Encoder,
    Policy,
    SupervisorConfig,
    dumps,
    load,
    loads,
    model_hash,
    robot_id,
    supervisor_section,
)
from grsn_edge.policy.layout import pack, unpack
from grsn_edge.program import Builder

ROBOT = 0x8B71ACB8
CHOICES = SupervisorConfig(ActionChoices(1, (0, 1, 2)), margin=0.25, robot="cart 7")


def driving(offset: float = 0.0, scale: float = 2 / 127, period_s: float = 0.02) -> Policy:
    """A policy with one continuous action in [-2, 2] N m."""
    b = Builder()
    b.output("action", b.input("observation", 1, lo=-127, hi=127).clip(-127, 127))
    return Policy(
        "driving",
        b.build(),
        Encoder(np.zeros(1, np.float32), np.ones(1, np.float32)),
        Decoder("clip", np.float32([offset]), np.float32([scale])),
        period_s,
        (Channel("x", "m", -1.0, 1.0),),
        (Channel("torque", "N m", -2.0, 2.0),),
    )


def limits(policy: Policy, *limit: float, **options: Any) -> tuple[int, ...]:
    """The five integers of the first channel."""
    config = SupervisorConfig((ActionLimit(*limit),), **options)
    section = supervisor_section(replace(policy, supervisor=config))
    return struct.unpack("<iiiII", section[24:])


# ---- the file ------------------------------------------------------------------------------------

CONFIGS = {
    "choices": (toy_policy, CHOICES),
    "limits": (driving, SupervisorConfig((ActionLimit(-1.5, 2.0, 0.25, 0.5),), lost_periods=9)),
    "no bounds": (driving, SupervisorConfig((ActionLimit(-math.inf, math.inf, 0.0),))),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_supervisor_survives_the_file(case: str) -> None:
    make, config = CONFIGS[case]
    policy = replace(make(), supervisor=config)
    again = loads(dumps(policy))
    assert again.supervisor == config
    assert dumps(again) == dumps(policy)
    assert model_hash(again) == model_hash(policy) != model_hash(make())


def test_only_files_with_a_supervisor_have_version_2() -> None:
    plain, _ = unpack(dumps(toy_policy()))
    guarded, _ = unpack(dumps(replace(toy_policy(), supervisor=CHOICES)))
    assert (plain["version"], guarded["version"]) == (1, 2)
    assert set(guarded) - set(plain) == {"supervisor"}


def test_shipped_models_keep_their_bytes() -> None:
    for path in sorted((Path(__file__).parents[2] / "models").glob("*.grsn")):
        assert dumps(load(path)) == path.read_bytes()


FORGERIES: dict[str, tuple[Any, str]] = {
    "version 1": (lambda c: c.update(version=1), "unknown key 'supervisor'"),
    "version 2 without": (lambda c: c.pop("supervisor"), "lacks the key 'supervisor'"),
    "null": (lambda c: c.update(supervisor=None), "supervisor must be an object"),
    "another key": (lambda c: c["supervisor"].update(more=1), "unknown key 'more'"),
    "an unsafe choice": (lambda c: c["supervisor"]["actions"].update(safe=3), "safe choice 3"),
    "unsorted": (lambda c: c["supervisor"]["actions"].update(allowed=[1, 0]), "ascending"),
    "no such choice": (
        lambda c: c["supervisor"]["actions"].update(allowed=[1, 3]),
        "choice 3 is allowed, but the policy has only 3",
    ),
    "limits": (lambda c: c["supervisor"].update(actions=[]), "a discrete policy's supervisor"),
    "patience": (lambda c: c["supervisor"].update(lost_periods=2), "later than it is stale"),
    "a word": (lambda c: c["supervisor"].update(on_invalid="pray"), "on_invalid is one of"),
    "an integer": (lambda c: c["supervisor"].update(margin=1), "margin must be a real number"),
}


@pytest.mark.parametrize("case", FORGERIES)
def test_a_forged_supervisor_is_refused(case: str) -> None:
    change, message = FORGERIES[case]
    content, tensors = unpack(dumps(replace(toy_policy(), supervisor=CHOICES)))
    change(content)
    with pytest.raises(FormatError, match=message):
        loads(pack(content, tensors))


def test_a_safe_action_is_a_number() -> None:
    content, tensors = unpack(dumps(replace(driving(), supervisor=CONFIGS["limits"][1])))
    content["supervisor"]["actions"][0]["safe"] = None
    with pytest.raises(PolicyFileError, match="safe must be a real number"):
        loads(pack(content, tensors))


# ---- integers ------------------------------------------------------------------------------------


def test_limits_in_units_become_integers_of_the_action() -> None:
    assert limits(driving(), -2.0, 2.0, 0.0, 0.1, 0.5) == (-127, 127, 0, 6, 31)
    assert limits(driving(), -1.0, 0.5, 0.5) == (-63, 31, 31, 2**32 - 1, 2**32 - 1)
    assert limits(driving(offset=1.0), -2.0, 2.0, 0.0) == (-190, 63, -64, 2**32 - 1, 2**32 - 1)


def test_a_falling_decoder_turns_the_limits_round() -> None:
    least, most, safe, slew, brake = limits(driving(scale=-2 / 127), -2.0, 1.0, 1.0, 0.1, 0.5)
    assert (least, most, safe, slew, brake) == (-63, 127, -63, 6, 31)


@given(
    low=st.floats(-3, 0),
    high=st.floats(0, 3),
    offset=st.floats(-0.5, 0.5, width=32),
    scale=st.floats(2**-12, 2**-6, width=32),
)
def test_every_integer_inside_decodes_to_an_action_inside(
    low: float, high: float, offset: float, scale: float
) -> None:
    policy = driving(offset, scale)
    if high - low < 2 * scale:
        return
    least, most, safe, _, _ = limits(policy, low, high, low + (high - low) / 2)
    ends = [float(policy.decoder.decode(np.array([q]))[0]) for q in (least, safe, most)]
    grain = scale / 32
    assert low - grain <= ends[0] <= ends[1] <= ends[2] <= high + grain
    assert ends[0] - scale < low
    assert ends[2] + scale > high


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ActionLimit(1.0, 0.0, 0.5), "must be finite and lie in its limits"),
        (lambda: ActionLimit(-1.0, 1.0, 2.0), "safe value 2"),
        (lambda: ActionLimit(-1.0, 1.0, 0.0, slew=0.0), "must be above 0"),
        (lambda: ActionLimit(math.nan, 1.0, 0.0), "'low' of a supervisor is NaN"),
        (lambda: ActionChoices(0, ()), "the safe choice 0|ascending"),
        (lambda: SupervisorConfig(CHOICES.actions, invalid_run=0), "invalid_run lies in 1"),
        (lambda: SupervisorConfig(CHOICES.actions, deadline_periods=0.0), "a deadline lies in"),
        (lambda: limits(driving(), 0.001, 0.002, 0.001), "no integer of the action 'torque'"),
        (lambda: limits(driving(), -1.0, 1.0, 0.0, 0.001), "is below its resolution"),
        (lambda: limits(driving(scale=0.0), -1.0, 1.0, 0.0), "always 0: it has no limits"),
        (lambda: limits(driving(period_s=300.0), -1.0, 1.0, 0.0), "waits at most 1073741824 µs"),
        (lambda: replace(driving(), supervisor=CHOICES), "any other's ActionLimits"),
        (lambda: replace(driving(), supervisor=SupervisorConfig(())), "0 actions have limits"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_a_robot_is_a_number_on_a_device() -> None:
    assert robot_id("") == 0
    assert robot_id("cart 7") == ROBOT
    assert robot_id("cart 7") != robot_id("cart 8")


def test_a_policy_without_a_supervisor_has_no_section() -> None:
    assert supervisor_section(toy_policy()) == b""


@pytest.mark.parametrize("line", blocks("supervisor"), ids=lambda line: line["name"])
def test_the_examples_of_the_specification(line: dict[str, Any]) -> None:
    policy = toy_policy() if line["policy"] == "toy" else driving()
    content, tensors = unpack(dumps(policy))
    content |= {"supervisor": json.loads(json.dumps(line["supervisor"])), "version": 2}
    policy = loads(pack(content, tensors))
    assert supervisor_section(policy).hex(" ", 4) == line["section"]
