"""Cells: neurons and read-outs, each with a float step, an integer step and the way between.

A new cell is one file in this folder with one :class:`Cell` subclass; :func:`register` takes one
that lives elsewhere.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from grsn_edge.errors import UsageError
from grsn_edge.neurons.base import Cell, Plan, Quantiser, Record, ScanGradients, ScanTape, Signal
from grsn_edge.plugins import file_names, own_classes

__all__ = [
    "Cell",
    "Plan",
    "Quantiser",
    "Record",
    "ScanGradients",
    "ScanTape",
    "Signal",
    "cell",
    "cell_kinds",
    "register",
]

CellType = TypeVar("CellType", bound=type[Cell])

_registered: dict[str, type[Cell]] = {}


def register(kind: CellType) -> CellType:
    """Class decorator: make a cell defined outside this folder known under its ``kind``."""
    _registered[kind.kind] = kind
    return kind


@cache
def _shipped() -> Mapping[str, type[Cell]]:
    found: dict[str, type[Cell]] = {}
    for name in file_names(__path__, ""):
        module = importlib.import_module(f"{__name__}.{name}")
        found |= {member.kind: member for member in own_classes(module, Cell)}
    return found


def cell_kinds() -> Mapping[str, type[Cell]]:
    """Every known cell class by its kind, sorted."""
    return dict(sorted({**_shipped(), **_registered}.items()))


def cell(kind: str, /, **config: Any) -> Cell:
    """A cell of this kind; raises :class:`UsageError` for unknown kinds and options."""
    kinds = cell_kinds()
    if kind not in kinds:
        raise UsageError(f"no cell '{kind}'; there are: {', '.join(kinds)}")
    try:
        return kinds[kind](**config)
    except TypeError as error:
        raise UsageError(f"cell '{kind}': {error}") from None
