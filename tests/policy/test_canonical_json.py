"""Canonical JSON: one text per value, and no other is read."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grsn_edge.errors import FormatError
from grsn_edge.policy.canonical import LARGEST_INTEGER, decode, encode

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | st.floats(
    allow_nan=False, allow_infinity=False
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_what_is_written_is_read(value: Any) -> None:
    text = encode(value)
    assert decode(text, "it") == value
    assert encode(decode(text, "it")) == text


def test_keys_are_sorted_without_spaces_and_text_is_not_escaped() -> None:
    assert encode({"b": [1, 2.0, -0.0, 1e-05, 1e16], "a": "µ\n\x01"}) == (
        '{"a":"µ\\n\\u0001","b":[1,2.0,-0.0,1e-05,1e+16]}'
    )


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


UNWRITABLE: dict[str, tuple[Any, str]] = {
    "NaN": ({"a": [math.nan]}, r"the value\.a\[0\] is nan"),
    "infinite": ({"a": math.inf}, r"the value\.a is inf"),
    "huge": ([2**53], "beyond 2\\^53"),
    "key of a wrong type": ({1: 2}, "the key 1; keys are strings"),
    "bytes": ({"a": b"x"}, "a bytes, which JSON cannot hold"),
    "half a surrogate pair": (["\ud800"], "surrogate"),
    "too deep": (nested(33), "more than 32 levels"),
}


@pytest.mark.parametrize("case", UNWRITABLE)
def test_what_json_cannot_hold_is_named(case: str) -> None:
    value, message = UNWRITABLE[case]
    with pytest.raises(FormatError, match=message):
        encode(value)


def test_thirty_two_levels_are_enough_and_allowed() -> None:
    assert decode(encode(nested(32)), "it") == nested(32)


UNREADABLE = {
    "a space": '{"a": 1}',
    "a newline at the end": "1\n",
    "unsorted keys": '{"b":1,"a":2}',
    "a key twice": '{"a":1,"a":1}',
    "NaN": "[NaN]",
    "an infinity": "[-Infinity]",
    "an infinite number": "[1e999]",
    "a huge integer": "[9007199254740992]",
    "an endless integer": f"[{'9' * 10**5}]",
    "an endless fraction": f"[0.{'1' * 10**5}]",
    "a longer form of a number": "[1.50]",
    "an integer with an exponent": "[1e3]",
    "an escape that is not needed": '["\\u0041"]',
    "half a surrogate pair": '["\\ud800"]',
    "nesting without end": "[" * 10**5,
    "nesting without end, closed": "[" * 10**5 + "]" * 10**5,
    "more than 32 levels": "[" * 33 + "]" * 33,
    "objects without end": '{"a":' * 10**5,
    "no end": '{"a":1',
    "more after the end": "1 2",
    "nothing": "",
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_any_other_text_is_refused(case: str) -> None:
    with pytest.raises(FormatError):
        decode(UNREADABLE[case], "it")
