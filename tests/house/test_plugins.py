"""A package finds the classes of its own files, and nothing else in them."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from pathlib import Path
from types import ModuleType

from grsn_edge.plugins import file_names, own_classes


class Base(ABC):
    """What files of a package would derive from."""

    @abstractmethod
    def do(self) -> None: ...


class Own(Base):
    def do(self) -> None: ...


class Unfinished(Base): ...


def test_a_file_gives_its_finished_classes_but_no_alias_and_no_import() -> None:
    module = sys.modules[__name__]
    given = ModuleType(__name__)
    given.__dict__.update(vars(module), Alias=dict[str, int], Elsewhere=type("X", (Own,), {}))
    given.__dict__["Elsewhere"].__module__ = "elsewhere"
    assert own_classes(given, Base) == [Own]


def test_files_are_found_by_the_end_of_their_name(tmp_path: Path) -> None:
    for name in ("b_meter.py", "a_meter.py", "other.py"):
        (tmp_path / name).touch()
    assert file_names([str(tmp_path)], "_meter") == ("a", "b")
