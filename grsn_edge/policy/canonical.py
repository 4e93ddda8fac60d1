"""Canonical JSON: one text per value, and a reader of no other (``docs/SPEC.md`` §6.2)."""

from __future__ import annotations

import json
import math
from typing import Any

from grsn_edge.errors import FormatError

__all__ = ["LARGEST_INTEGER", "decode", "encode"]

LARGEST_INTEGER = 2**53 - 1
"""Largest magnitude of an integer, so that every JSON reader keeps it."""
_DEEPEST = 32
_LONGEST_NUMBER = 32


def encode(value: object) -> str:
    """The one text of ``value``: sorted keys, no spaces, shortest numbers, nothing but JSON types.

    Raises:
        FormatError: NaN, infinities, integers beyond 2^53 - 1, keys that are not strings, broken
            surrogates, other types, or more than 32 levels.
    """
    _check(value, "the value", _DEEPEST)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def decode(text: str, what: str) -> Any:
    """The value of a canonical text.

    Raises:
        FormatError: not JSON, or JSON that :func:`encode` would not have written; ``what`` names
            the text.
    """
    value = parse(text, what)
    if encode(value) != text:
        raise FormatError(f"{what} is not canonical JSON: sorted keys, no spaces, shortest numbers")
    return value


def parse(text: str, what: str) -> Any:
    """The value of a JSON text in any layout, without duplicate keys, NaN or huge numbers."""
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=_real,
            parse_constant=_refuse,
        )
    except RecursionError:
        raise FormatError(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise FormatError(f"{what} is not JSON: {error}") from None
    except FormatError as error:
        raise FormatError(f"{what}: {error}") from None


def _check(value: object, where: str, levels: int) -> None:
    if isinstance(value, dict | list | tuple) and not levels:
        raise FormatError(f"{where[:80]}… is nested more than {_DEEPEST} levels deep")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise FormatError(f"{where} has the key {key!r}; keys are strings")
            _check_text(key, where)
            _check(item, f"{where}.{key}", levels - 1)
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            _check(item, f"{where}[{i}]", levels - 1)
    elif isinstance(value, str):
        _check_text(value, where)
    elif type(value) is int:
        _check_integer(value, where)
    elif type(value) is float:
        if not math.isfinite(value):
            raise FormatError(f"{where} is {value}; JSON holds finite numbers only")
    elif value is not None and type(value) is not bool:
        raise FormatError(f"{where} is a {type(value).__name__}, which JSON cannot hold")


def _check_text(text: str, where: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise FormatError(f"{where} holds half of a surrogate pair")


def _check_integer(value: int, where: str) -> None:
    if abs(value) > LARGEST_INTEGER:
        raise FormatError(f"{where} is an integer beyond 2^53 - 1; write it as a string")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise FormatError(f"the key '{key[:80]}' is there twice")
        found[key] = value
    return found


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise FormatError(f"the number {digits[:20]}… is too long")
    value = int(digits)
    _check_integer(value, f"the number {digits}")
    return value


def _real(digits: str) -> float:
    value = float(digits) if len(digits) <= _LONGEST_NUMBER else math.inf
    if not math.isfinite(value):
        raise FormatError(f"the number {digits[:20]}… is too long or too large")
    return value


def _refuse(name: str) -> Any:
    raise FormatError(f"{name} is not a number")
