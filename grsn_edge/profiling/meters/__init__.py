"""Meters: ways to measure what a step costs in energy, one file each.

A new meter is one file ``<kind>_meter.py`` in this folder with one :class:`Meter` dataclass; the
registry finds it by its file name and imports it only when it is asked for.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from grsn_edge.errors import UsageError
from grsn_edge.plugins import file_names, own_classes
from grsn_edge.profiling.meters.base import (
    HOST_CLOCK,
    Accuracy,
    Block,
    Calibration,
    Clock,
    Flag,
    Found,
    Meter,
    MeterInfo,
    MeterWarning,
    WarningKind,
    merge,
    option,
)
from grsn_edge.profiling.meters.tally import Tally

__all__ = [
    "HOST_CLOCK",
    "Accuracy",
    "Block",
    "Calibration",
    "Clock",
    "Flag",
    "Found",
    "Meter",
    "MeterInfo",
    "MeterWarning",
    "Tally",
    "WarningKind",
    "create",
    "merge",
    "meter_kinds",
    "meter_type",
    "option",
]

_SUFFIX = "_meter"


@cache
def meter_kinds() -> tuple[str, ...]:
    """The names of all meters, sorted; says nothing of whether they can be used here."""
    return file_names(__path__, _SUFFIX)


@cache
def meter_type(kind: str) -> type[Meter]:
    """The class of this kind; raises :class:`UsageError` for an unknown one."""
    if kind not in meter_kinds():
        raise UsageError(f"no meter '{kind}'; there are: {', '.join(meter_kinds())}")
    found: type[Meter]
    (found,) = own_classes(importlib.import_module(f"{__name__}.{kind}{_SUFFIX}"), Meter)
    return found


def create(kind: str, **options: Any) -> Meter:
    """A meter of this kind, not yet open.

    Args:
        kind: one of :func:`meter_kinds`.
        options: fields of the meter's dataclass; see ``grsn-edge meter list``.

    Raises:
        UsageError: an unknown kind or option, or an option that cannot be honoured.
    """
    cls = meter_type(kind)
    known = {name for name, f in cls.__dataclass_fields__.items() if f.init}
    if unknown := sorted(set(options) - known):
        raise UsageError(f"meter '{kind}' has no option {', '.join(unknown)}")
    return cls(**options)
