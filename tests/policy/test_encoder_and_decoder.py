"""Floats to integers and back, bit by bit, and policies whose parts do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from spec_examples import blocks
from toy_policy import toy_policy

from grsn_edge.errors import ObservationError, UsageError
from grsn_edge.policy import Channel, Decoder, Encoder, Policy
from grsn_edge.program import Builder

SPECIAL: Mapping[Any, float] = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}


@pytest.mark.parametrize("line", blocks("encode"), ids=lambda line: str(line["observation"]))
def test_the_encoder_gives_the_codes_in_the_specification(line: Any) -> None:
    encoder = Encoder(
        np.float32(line["offset"]), np.float32(line["gain"]), line["dtype"], line["on_invalid"]
    )
    observation = [[SPECIAL.get(x, x) for x in row] for row in line["observation"]]
    if line["code"] == "refused":
        with pytest.raises(ObservationError):
            encoder.encode(observation)
    else:
        assert encoder.encode(observation).tolist() == line["code"]


@pytest.mark.parametrize("line", blocks("decode"), ids=lambda line: line["kind"])
def test_the_decoder_gives_the_actions_in_the_specification(line: Any) -> None:
    decoder = Decoder(line["kind"], np.float32(line["offset"]), np.float32(line["scale"]))
    action = decoder.decode(np.asarray(line["q"]))
    assert np.asarray(action).tolist() == line["action"]


def unit_encoder(**options: Any) -> Encoder:
    return Encoder(np.zeros(2, np.float32), np.ones(2, np.float32), **options)


REFUSED = {
    "NaN": [0.0, np.nan],
    "infinite": [0.0, np.inf],
    "beyond float32": [0.0, 1e39],
    "beyond any float": [0, 10**400],
    "too few": [0.0],
    "a number": 0.0,
    "text": ["a", "b"],
    "nothing": None,
    "ragged": [[1.0], [1.0, 2.0]],
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_observation_that_is_not_finite_numbers_is_refused(case: str) -> None:
    with pytest.raises(ObservationError, match="observation"):
        unit_encoder().encode(REFUSED[case])  # type: ignore[arg-type]


def test_the_refusal_names_the_channel() -> None:
    with pytest.raises(ObservationError, match="channel 1 is NaN or infinite"):
        unit_encoder().encode([[0.0, 0.0], [0.0, np.nan]])


def test_codes_of_a_batch_are_those_of_its_rows() -> None:
    encoder = Encoder(np.float32([0.5, -1.0]), np.float32([42.5, 3.0]), "int16")
    x = np.random.default_rng(0).normal(0.0, 100.0, (50, 2))
    assert np.array_equal(encoder.encode(x), [encoder.encode(row) for row in x])
    assert np.abs(encoder.encode(x * 1e6)).max() == 32512


BAD_ENCODERS: Mapping[str, Mapping[str, Any]] = {
    "gain of zero": {"gain": [1.0, 0.0]},
    "negative gain": {"gain": [1.0, -1.0]},
    "infinite offset": {"offset": [0.0, np.inf]},
    "NaN gain": {"gain": [1.0, np.nan]},
    "lengths": {"offset": [0.0]},
    "empty": {"offset": [], "gain": []},
    "dtype": {"dtype": "int4"},
    "rule": {"on_invalid": "ignore"},
}


@pytest.mark.parametrize("case", BAD_ENCODERS)
def test_an_encoder_that_means_nothing_is_refused(case: str) -> None:
    good = {"offset": [0.0, 0.0], "gain": [1.0, 1.0]}
    with pytest.raises(UsageError):
        Encoder(**{**good, **BAD_ENCODERS[case]})


def continuous(scale: float, actions: int = 1) -> Policy:
    b = Builder()
    b.output("action", b.input("observation", 1, lo=-127, hi=127) * 256)
    channel = Channel("x", "m", -1.0, 1.0)
    return Policy(
        name="line",
        program=b.build(),
        encoder=Encoder(np.zeros(1, np.float32), np.ones(1, np.float32)),
        decoder=Decoder("clip", np.zeros(1, np.float32), np.float32([scale])),
        period_s=0.01,
        observations=(channel,),
        actions=(channel,) * actions,
    )


def test_a_decoder_that_could_give_an_infinite_action_is_refused() -> None:
    assert continuous(1e30).decoder.n == 1
    with pytest.raises(UsageError, match="infinite action"):
        continuous(3e38)


def test_actions_are_described_one_by_one() -> None:
    with pytest.raises(UsageError, match="2 actions are described, 1 are given"):
        continuous(1.0, actions=2)
    with pytest.raises(UsageError, match="chooses among 3 actions, but 2 are described"):
        replace(toy_policy(), actions=toy_policy().actions[:2])


BAD_POLICIES: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "encoder of another length": (
        {"encoder": Encoder(np.zeros(3, np.float32), np.ones(3, np.float32))},
        "the encoder gives 3 codes",
    ),
    "codes beyond the input": ({"encoder": unit_encoder(dtype="int16")}, "up to 32512"),
    "decoder of another length": (
        {"decoder": Decoder("clip", np.zeros(2, np.float32), np.ones(2, np.float32))},
        "length of the program's action",
    ),
    "channels": ({"observations": ()}, "every observation channel"),
    "period of zero": ({"period_s": 0.0}, "positive number of seconds"),
    "period of NaN": ({"period_s": float("nan")}, "positive number of seconds"),
}


@pytest.mark.parametrize("case", BAD_POLICIES)
def test_a_policy_whose_parts_do_not_fit_is_refused(case: str) -> None:
    changes, message = BAD_POLICIES[case]
    with pytest.raises(UsageError, match=message):
        replace(toy_policy(), **changes)


def test_a_program_with_other_names_is_no_policy() -> None:
    b = Builder()
    b.output("action", b.argmax(b.input("obs", 2, lo=-127, hi=127)))
    with pytest.raises(UsageError, match="the input 'observation' and output 'action'"):
        replace(toy_policy(), program=b.build())
