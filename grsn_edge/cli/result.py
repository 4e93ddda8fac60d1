"""What a verb gives back: the same content for people and for programs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Result", "Verb", "columns"]


@dataclass(frozen=True, slots=True)
class Result:
    """``data``: JSON values for ``--json``; ``text``: for people; ``code``: the exit status."""

    data: Mapping[str, Any]
    text: str
    code: int = 0


class Verb(Protocol):
    """A module of this package."""

    SUMMARY: str
    EXAMPLE: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Result]


def columns(rows: Sequence[Sequence[Any]]) -> str:
    """Rows of cells as aligned text."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))] if cells else []
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)
