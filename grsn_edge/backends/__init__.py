"""Backends: ways to run a step program, all equal to the NumPy reference.

A new backend is one file ``<name>_backend.py`` in this folder with one :class:`Backend` subclass;
the registry finds it by its file name and imports it only when it is asked for.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache

from grsn_edge.backends.base import Act, ActInto, Backend, ExportOptions, Runner, Values
from grsn_edge.errors import BackendUnavailable

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
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(m.removesuffix(_SUFFIX) for m in modules if m.endswith(_SUFFIX)))


@cache
def backend(name: str) -> Backend:
    """The backend of this name; raises :class:`BackendUnavailable` for an unknown one."""
    if name not in backend_names():
        raise BackendUnavailable(f"no backend '{name}'; there are: {', '.join(backend_names())}")
    module = importlib.import_module(f"{__name__}.{name}{_SUFFIX}")
    (found,) = (
        member
        for _, member in inspect.getmembers(module, _is_class)
        if issubclass(member, Backend) and member.__module__ == module.__name__
    )
    instance: Backend = found()
    return instance


def _is_class(member: object) -> bool:
    """A class; to ``inspect.isclass`` of Python 3.10, aliases such as ``list[int]`` are, too."""
    return issubclass(type(member), type)
