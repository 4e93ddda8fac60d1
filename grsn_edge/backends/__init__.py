"""Backends: ways to run a step program, all equal to the NumPy reference.

A new backend is one file ``<name>_backend.py`` in this folder with one :class:`Backend` subclass;
the registry finds it by its file name and imports it only when it is asked for.
"""

from __future__ import annotations

import importlib
from functools import cache

from grsn_edge.backends.base import Act, ActInto, Backend, ExportOptions, Runner, Values
from grsn_edge.errors import BackendUnavailable
from grsn_edge.plugins import file_names, own_classes

__all__ = [
    "Act",
    "ActInto",
    "Backend",
    "ExportOptions",
    "Runner",
    "Values",
    "backend",
    "backend_names",
]

_SUFFIX = "_backend"


@cache
def backend_names() -> tuple[str, ...]:
    """The names of all backends, sorted; says nothing of whether they can be used here."""
    return file_names(__path__, _SUFFIX)


@cache
def backend(name: str) -> Backend:
    """The backend of this name; raises :class:`BackendUnavailable` for an unknown one."""
    if name not in backend_names():
        raise BackendUnavailable(f"no backend '{name}'; there are: {', '.join(backend_names())}")
    (found,) = own_classes(importlib.import_module(f"{__name__}.{name}{_SUFFIX}"), Backend)
    instance: Backend = found()
    return instance
