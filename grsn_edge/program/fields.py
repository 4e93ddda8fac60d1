"""Values read from a file: each function checks one type and names the culprit.

``where`` is the path of the value in its document, such as ``program.nodes[3].name``.  Every
function raises :class:`FormatError`.
"""

from __future__ import annotations

from typing import Any

from grsn_edge.errors import FormatError

__all__ = ["array", "integer", "pairs", "real", "record", "text"]

_LONGEST_TEXT = 256


def record(value: object, where: str, *keys: str) -> dict[str, Any]:
    """A JSON object with exactly these keys."""
    if not isinstance(value, dict):
        raise FormatError(f"{where} must be an object, not {_type(value)}")
    for key in keys:
        if key not in value:
            raise FormatError(f"{where} lacks the key '{key}'")
    for key in value:
        if key not in keys:
            raise FormatError(f"{where} has the unknown key {str(key)[:_LONGEST_TEXT]!r}")
    return value


def array(value: object, where: str, longest: int) -> list[Any]:
    """A JSON array of at most ``longest`` elements."""
    if not isinstance(value, list):
        raise FormatError(f"{where} must be an array, not {_type(value)}")
    if len(value) > longest:
        raise FormatError(f"{where} has {len(value)} elements, more than {longest}")
    return value


def text(value: object, where: str) -> str:
    """A string of at most 256 printable characters."""
    if not isinstance(value, str):
        raise FormatError(f"{where} must be a string, not {_type(value)}")
    if len(value) > _LONGEST_TEXT:
        raise FormatError(f"{where} has {len(value)} characters, more than {_LONGEST_TEXT}")
    if not value.isprintable():
        raise FormatError(f"{where} holds characters that cannot be printed")
    return value


def integer(value: object, where: str, lo: int, hi: int) -> int:
    """An integer in ``[lo, hi]``; neither a Boolean nor a real number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise FormatError(f"{where} must be an integer, not {_type(value)}")
    if not lo <= value <= hi:
        raise FormatError(f"{where} must lie in {lo}..{hi}")
    return value


def real(value: object, where: str) -> float:
    """A real number, written with a point or an exponent."""
    if not isinstance(value, float):
        raise FormatError(f"{where} must be a real number, not {_type(value)}")
    return value


def pairs(value: object, where: str, longest: int) -> list[tuple[str, str]]:
    """An array of at most ``longest`` pairs of strings."""
    found = []
    for i, item in enumerate(array(value, where, longest)):
        here = f"{where}[{i}]"
        if len(array(item, here, 2)) != 2:
            raise FormatError(f"{here} must be a pair of names")
        found.append((text(item[0], here), text(item[1], here)))
    return found


def _type(value: object) -> str:
    names = {bool: "a Boolean", int: "an integer", float: "a real number", str: "a string"}
    names |= {list: "an array", dict: "an object", type(None): "null"}
    return names.get(type(value), type(value).__name__)
