"""What a package finds in its own folder: one class a file, by the file's name."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterable
from types import ModuleType
from typing import Any

__all__ = ["file_names", "own_classes"]


def file_names(folders: Iterable[str], suffix: str) -> tuple[str, ...]:
    """Names of the modules in ``folders`` that end with ``suffix``, without it, sorted."""
    modules = (module.name for module in pkgutil.iter_modules(folders))
    return tuple(sorted(name.removesuffix(suffix) for name in modules if name.endswith(suffix)))


def own_classes(module: ModuleType, base: type) -> list[Any]:
    """Classes that derive from ``base``, are not abstract, and are defined in ``module`` itself."""
    return [
        member
        for _, member in inspect.getmembers(module, _is_class)
        if issubclass(member, base)
        and member.__module__ == module.__name__
        and not inspect.isabstract(member)
    ]


def _is_class(member: object) -> bool:
    """A class; to ``inspect.isclass`` of Python 3.10, aliases such as ``list[int]`` are, too."""
    return issubclass(type(member), type)
