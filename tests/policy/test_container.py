"""The ``.grsn`` file: what was saved is loaded, and a failed write changes nothing."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spec_examples import raw
from toy_policy import toy_policy

from grsn_edge.conformance import random_programs
from grsn_edge.errors import PolicyFileError
from grsn_edge.policy import (
    Channel,
    Decoder,
    Encoder,
    Policy,
    dumps,
    load,
    loads,
    model_hash,
    record_golden,
    save,
)
from grsn_edge.policy.layout import digest, pack
from grsn_edge.program import Program, step, text


@pytest.fixture(scope="module")
def policy() -> Policy:
    return toy_policy()


@pytest.fixture(scope="module")
def data(policy: Policy) -> bytes:
    return dumps(policy)


# ---- what was saved is loaded --------------------------------------------------------------------


def test_a_saved_policy_is_loaded_as_it_was(policy: Policy, tmp_path: Path) -> None:
    path = tmp_path / "toy.grsn"
    save(policy, path)
    again = load(path)
    assert text(again.program) == text(policy.program)
    for name in ("name", "period_s", "observations", "actions", "provenance"):
        assert getattr(again, name) == getattr(policy, name)
    for part, fields in (("encoder", ("offset", "gain")), ("decoder", ("offset", "scale"))):
        for field in fields:
            before, after = (getattr(getattr(p, part), field) for p in (policy, again))
            assert before.tobytes() == after.tobytes()
    assert (again.encoder.dtype, again.decoder.kind) == ("int8", "argmax")
    assert again.golden is not None
    assert again.golden.action.tolist() == policy.golden.action.tolist()  # type: ignore[union-attr]


def test_the_same_policy_gives_the_same_bytes_and_hash(policy: Policy, data: bytes) -> None:
    assert dumps(toy_policy()) == data == dumps(loads(data))
    assert model_hash(loads(data)) == model_hash(policy)
    assert model_hash(policy) == model_hash(toy_policy())


def test_any_change_gives_another_hash(policy: Policy) -> None:
    changed = [
        replace(policy, name="toys"),
        replace(policy, period_s=0.01),
        replace(policy, provenance={}),
        replace(policy, golden=None),
        replace(policy, encoder=replace(policy.encoder, gain=np.float32([42.5, 10.000001]))),
    ]
    assert len({model_hash(p) for p in [policy, *changed]}) == 6


def test_a_policy_without_golden_vectors_is_saved_too(policy: Policy) -> None:
    assert loads(dumps(replace(policy, golden=None))).golden is None


@pytest.mark.parametrize("drawn", [*random_programs(6, seed=40)], ids=lambda d: d.label)
def test_policies_of_every_cell_survive_the_file(drawn: Any) -> None:
    policy = as_policy(drawn.program)
    again = loads(dumps(policy))
    rng = np.random.default_rng(0)
    states = policy.program.initial_state(), again.program.initial_state()
    for _ in range(20):
        code = rng.integers(-policy.encoder.limit, policy.encoder.limit, policy.encoder.n)
        results = [
            step(p.program, {"observation": code}, state)
            for p, state in zip((policy, again), states, strict=True)
        ]
        assert results[0][0]["action"].tolist() == results[1][0]["action"].tolist()
        states = results[0][1], results[1][1]


def as_policy(program: Program) -> Policy:
    (x,), y = program.inputs, program[program.outputs["action"]]
    kind = "argmax" if y.op == "argmax" else "clip"
    count = y.interval.high + 1 if kind == "argmax" else y.n
    policy = Policy(
        name="drawn",
        program=program,
        encoder=Encoder(
            np.zeros(x.n, np.float32),
            np.ones(x.n, np.float32),
            "int8" if x.interval.high == 127 else "int16",
        ),
        decoder=Decoder(kind, np.zeros(y.n, np.float32), np.ones(y.n, np.float32)),
        period_s=0.05,
        observations=(Channel("x", "", -1.0, 1.0),) * x.n,
        actions=(Channel("y", "", -1.0, 1.0),) * count,
    )
    golden = record_golden(policy, np.random.default_rng(0).normal(0.0, 99.0, (64, x.n)))
    return replace(policy, golden=golden)


def test_the_example_of_the_specification_has_its_digest_and_text() -> None:
    content, *tensors, written = raw("container")[0].splitlines()
    types = {"F32": np.float32, "I8": np.int8, "I16": np.int16, "I32": np.int32}
    arrays = {
        name: np.array(values, types[dtype])
        for line in tensors
        for name, (dtype, values) in json.loads(line).items()
    }
    assert digest(json.loads(content), arrays) == json.loads(written)
    policy = loads(pack(json.loads(content), arrays))
    assert model_hash(policy) == json.loads(written)
    assert text(policy.program) == raw("text")[0]


# ---- writing -------------------------------------------------------------------------------------

UNSAVEABLE: dict[str, tuple[dict[str, Any], str]] = {
    "provenance with NaN": ({"provenance": {"return": float("nan")}}, "provenance.return is nan"),
    "provenance with an array": ({"provenance": {"x": np.ones(2)}}, "a ndarray"),
    "provenance with a huge integer": ({"provenance": {"seed": 2**64}}, "write it as a string"),
    "an unprintable name": ({"name": "a\x1b[2J"}, "cannot be printed"),
    "a channel of NaN": (
        {"observations": (Channel("x", "m", float("nan"), 1.0),) * 2},
        "low is nan",
    ),
}


@pytest.mark.parametrize("case", UNSAVEABLE)
def test_what_could_not_be_loaded_is_not_saved(case: str, policy: Policy, tmp_path: Path) -> None:
    changes, message = UNSAVEABLE[case]
    path = tmp_path / "toy.grsn"
    path.write_bytes(b"old")
    with pytest.raises(PolicyFileError, match=message):
        save(replace(policy, **changes), path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["toy.grsn"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_no_other(
    call: str, policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "toy.grsn"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, call, full)
    with pytest.raises(PolicyFileError, match=r"toy\.grsn: cannot be written: No space left"):
        save(policy, path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["toy.grsn"]


def test_an_interrupted_write_leaves_the_old_file_and_no_other(
    policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "toy.grsn"
    save(policy, path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(replace(policy, name="new"), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["toy.grsn"]


def test_a_missing_file_or_directory_is_named(policy: Policy, tmp_path: Path) -> None:
    with pytest.raises(PolicyFileError, match=r"none\.grsn: cannot be read: No such file"):
        load(tmp_path / "none.grsn")
    with pytest.raises(PolicyFileError, match="cannot be read: Is a directory"):
        load(tmp_path)
    with pytest.raises(PolicyFileError, match=r"toy\.grsn: cannot be written: No such file"):
        save(policy, tmp_path / "none" / "toy.grsn")


def test_golden_vectors_are_at_most_64_steps(policy: Policy) -> None:
    assert policy.golden is not None
    golden = replace(policy.golden, observation=np.zeros((65, 2), np.float32))
    with pytest.raises(PolicyFileError, match=r"0\.\.64"):
        dumps(replace(policy, golden=golden))
