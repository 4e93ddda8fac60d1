"""How names and integers of a program are spelt in C."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy.typing as npt

__all__ = [
    "C_TYPE",
    "SUFFIX",
    "fields",
    "identifiers",
    "in_quads",
    "literal",
    "numbers",
    "short_literal",
]

C_TYPE = {"int8": "int8_t", "int16": "int16_t", "int32": "int32_t"}
SUFFIX = {"int8": "i8", "int16": "i16", "int32": "i32"}

_PER_LINE = {"int8": 16, "int16": 12, "int32": 8}  # the longest numbers then fit in 100 columns
_LEAST = -(2**31)

_KEYWORDS = """
    [ alignas , alignof , and , and_eq , asm , auto , bitand , bitor , bool , break , case , catch ,
    char , class , compl , const , const_cast , constexpr , continue , decltype , default , delete ,
    do , double , dynamic_cast , else , enum , explicit , export , extern , false , float , for ,
    friend , goto , i386 , if , inline , int , linux , long , mutable , namespace , new , noexcept ,
    not , not_eq , nullptr , operator , or , or_eq , private , protected , public , register ,
    reinterpret_cast , restrict , return , short , signed , sizeof , static , static_assert ,
    static_cast , struct , switch , template , this , thread_local , throw , true , try , typedef ,
    typeid , typename , typeof , union , unix , unsigned , using , virtual , void , volatile ,
    wchar_t , while , xor , xor_eq , ]
"""
"""Of C and C++, and the lower-case macros of GNU dialects."""

_MACRO = re.compile(r"_.*|[A-Z0-9_]+")


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """The tail of a C identifier for each name, distinct where dots and underscores would collide.

    Not safe alone (a value may be called ``int``): everything generated puts a prefix before it,
    and no such prefix begins another.
    """
    return _distinct(names, frozenset())


def fields(names: Iterable[str]) -> dict[str, str]:
    """A C identifier for each name that stands alone: no keyword and no macro."""
    names = list(names)
    return _distinct(
        names, frozenset(n for n in names if n in _KEYWORDS.split() or _MACRO.fullmatch(n))
    )


def _distinct(names: Iterable[str], avoided: frozenset[str]) -> dict[str, str]:
    taken: set[str] = set()
    found: dict[str, str] = {}
    for name in names:
        identifier = name.replace(".", "_") + ("_" if name in avoided else "")
        while identifier in taken:
            identifier += "_"
        taken.add(identifier)
        found[name] = identifier
    return found


def literal(value: int) -> str:
    """An integer of at least 32 bits on every target; AVR's int has 16."""
    if value == _LEAST:
        return "(-INT32_C(2147483647) - 1)"
    text = f"INT32_C({abs(value)})"
    return f"(-{text})" if value < 0 else text


def short_literal(value: int) -> str:
    """Small numbers are of type int, so that 16-bit processors stay in 16 bits."""
    if -(2**15) < value < 2**15:
        return str(value) if value >= 0 else f"({value})"
    return literal(value)


def numbers(values: npt.NDArray[Any], dtype: str) -> str:
    """The lines between the braces of a table."""
    texts = [str(v) if v != _LEAST else "(-2147483647 - 1)" for v in values.ravel().tolist()]
    step = _PER_LINE[dtype]
    rows = (", ".join(texts[i : i + step]) for i in range(0, len(texts), step))
    return ",\n".join(f"    {row}" for row in rows)


def in_quads(values: npt.NDArray[Any]) -> str:
    """The same for int8, four numbers at a time in an order that the header chooses."""
    quads = values.reshape(-1, 4).tolist()
    texts = [f"GRSN_QUAD({', '.join(map(str, quad))})" for quad in quads]
    rows = (", ".join(texts[i : i + 3]) for i in range(0, len(texts), 3))
    return ",\n".join(f"    {row}" for row in rows)
