"""Lines in, lines out: every form, and what bad lines do."""

from __future__ import annotations

import json

import numpy as np
import pytest
from toy_policy import toy_policy

from grsn_edge.errors import UsageError
from grsn_edge.runtime import StreamingPolicy, read_lines


@pytest.fixture
def policy() -> StreamingPolicy:
    return StreamingPolicy(toy_policy(), "numpy")


def texts(policy: StreamingPolicy, *lines: str, form: str = "auto") -> list[str]:
    return [result.text for result in read_lines(policy, lines, form)]


def test_all_forms_of_a_line_mean_the_same(policy: StreamingPolicy) -> None:
    forms = ("[0.7, 1.5]", '{"observation": [0.7, 1.5]}', '{"v": 1.5, "x": 0.7}')
    actions = []
    for line in forms:
        policy.reset()
        actions.append([json.loads(text)["action"] for text in texts(policy, line, line, line)])
    policy.reset()
    actions.append([int(text) for text in texts(policy, "0.7,1.5", "0.7, 1.5", "0.7,1.5")])
    policy.reset()
    actions.append([int(text) for text in texts(policy, "v,x", "1.5,0.7", "1.5,0.7", "1.5,0.7")])
    assert all(found == actions[0] for found in actions)


def test_bad_lines_are_numbered_and_do_not_stop_or_change_anything(policy: StreamingPolicy) -> None:
    lines = ["[0.1, 0.2]", "", "# note", "[0.1]", "{", '{"x": 1}', "[NaN, 0]", '["a", 1]', "3"]
    lines += ["[true, 0]", "[1e999, 0]", "\x00\ufffd", "[" * 5000]
    results = list(read_lines(policy, [*lines, "[0.1, 0.2]"]))
    assert [r.line for r in results if r.error] == list(range(4, 14))
    assert all(json.loads(r.text)["line"] == r.line for r in results if r.error)
    clean = StreamingPolicy(toy_policy(), "numpy")
    list(read_lines(clean, ["[0.1, 0.2]", "[0.1, 0.2]"]))
    for name, value in clean.state.items():
        assert np.array_equal(value, policy.state[name])


def test_csv_errors_are_comments(policy: StreamingPolicy) -> None:
    assert texts(policy, "0.1,0.2", "0.1", "x,y")[1:] == [
        "# line 2: an observation has 2 channels, not the shape (1,)",
        "# line 3: 'x' is not a number",
    ]


def test_reset_alone_and_with_an_observation(policy: StreamingPolicy) -> None:
    line = "[0.9, 2.0]"
    first = texts(policy, line, line, line)
    policy.reset()
    again = texts(policy, line, '{"reset": true}', line, line, line)
    assert again[1] == '{"reset": true}'
    assert again[2:] == first
    with_reset = texts(policy, '{"reset": true, "observation": [0.9, 2.0]}', line, line)
    assert with_reset == first


def test_a_refused_observation_with_a_reset_does_not_reset(policy: StreamingPolicy) -> None:
    texts(policy, "[0.9, 2.0]")
    before = policy.state
    (text,) = texts(policy, '{"reset": true, "observation": [NaN, 0]}')
    assert "error" in json.loads(text)
    for name, value in before.items():
        assert np.array_equal(value, policy.state[name])


def test_a_line_of_megabytes_is_an_error_not_a_crash(policy: StreamingPolicy) -> None:
    (result,) = read_lines(policy, ["[" + "0," * (1 << 20) + "0]"])
    assert "longer" in (result.error or "")


def test_an_unknown_form_is_refused(policy: StreamingPolicy) -> None:
    with pytest.raises(UsageError, match="xml"):
        texts(policy, "<x/>", form="xml")
