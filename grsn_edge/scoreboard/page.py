"""The table and its picture as one HTML page that loads nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from grsn_edge.errors import UsageError
from grsn_edge.policy import write_atomically
from grsn_edge.report.theme import signed
from grsn_edge.scoreboard.picture import svg
from grsn_edge.scoreboard.table import Scoreboard
from grsn_edge.scoreboard.targets import targets
from grsn_edge.scoreboard.text import HEAD, cells, losses, notes

__all__ = ["render", "write_page"]


def write_page(
    board: Scoreboard, path: str | os.PathLike[str], title: str, origin: Mapping[str, str]
) -> None:
    """Render to a file.

    Args:
        board: the table.
        path: of the file.
        title: of the page.
        origin: how the table was made, by name.

    Raises:
        UsageError: matplotlib or jinja2 is not installed.
        OSError: the file cannot be written.
    """
    write_atomically(path, render(board, title, origin).encode())


def render(board: Scoreboard, title: str, origin: Mapping[str, str]) -> str:
    """The page as HTML text; raises :class:`UsageError` as :func:`write_page`."""
    try:
        import matplotlib  # noqa: F401
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise UsageError(f"a report needs {error.name}; install grsn-edge[report]") from None
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = files("grsn_edge.scoreboard").joinpath("page.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(_content(board, title, origin))


def _content(board: Scoreboard, title: str, origin: Mapping[str, str]) -> dict[str, Any]:
    return {
        "title": title,
        "style": files("grsn_edge.report").joinpath("style.css").read_text(encoding="utf-8"),
        "picture": svg(board),
        "head": HEAD,
        "tasks": [
            (task, [[signed(cell) for cell in cells(board, row)] for row in board.of(task)])
            for task in board.tasks
        ],
        "targets": targets(board),
        "losses": [signed(text) for text in losses(board)],
        "notes": [note.replace("*", "") for note in notes(board)],
        "origin": origin,
    }
