"""Emulators of power meters: the real protocols, with exact currents and faults, one file each."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from grsn_edge.errors import UsageError
from grsn_edge.plugins import file_names, own_classes
from grsn_edge.profiling.emulators.base import Emulator, PolledEmulator, ScaledClock, SteppedClock
from grsn_edge.profiling.emulators.script import (
    Script,
    Segment,
    bursts,
    read_script,
    script_from_json,
)

__all__ = [
    "Emulator",
    "PolledEmulator",
    "ScaledClock",
    "Script",
    "Segment",
    "SteppedClock",
    "bursts",
    "emulator",
    "emulator_names",
    "emulator_type",
    "read_script",
    "script_from_json",
]

_SUFFIX = "_emulator"


@cache
def emulator_names() -> tuple[str, ...]:
    """The names of all emulators, sorted; a file ``ina_i2c_emulator.py`` is ``ina-i2c``."""
    return tuple(sorted(name.replace("_", "-") for name in file_names(__path__, _SUFFIX)))


@cache
def emulator_type(name: str) -> type[Emulator]:
    """The class of this name; raises :class:`UsageError` for an unknown one."""
    if name not in emulator_names():
        raise UsageError(f"no emulator '{name}'; there are: {', '.join(emulator_names())}")
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}{_SUFFIX}")
    found: type[Emulator]
    (found,) = own_classes(module, Emulator)
    return found


def emulator(name: str, **options: Any) -> Emulator:
    """An emulator of this name, not yet started; raises :class:`UsageError`."""
    return emulator_type(name)(**options)
