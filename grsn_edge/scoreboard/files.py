"""The files of a scoreboard: Markdown, JSON, a page and its picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grsn_edge.errors import UsageError
from grsn_edge.policy import write_atomically
from grsn_edge.scoreboard.page import write_page
from grsn_edge.scoreboard.picture import save_pictures
from grsn_edge.scoreboard.store import Found
from grsn_edge.scoreboard.table import Scoreboard, scoreboard
from grsn_edge.scoreboard.text import as_json, markdown

__all__ = ["chosen", "write_files"]

_NAME = "scoreboard"


def chosen(found: Found) -> tuple[Sequence[Mapping[str, Any]], str]:
    """The results that make one table, and a remark on those that are not of it, or not present.

    On each task results of the present sources are taken; where there are none, those of the other
    sources that have most.  Two versions never stand in one task's comparison.

    Raises:
        UsageError: there is no result at all.
    """
    results, remarks = list(found.results), list[str]()
    have = {result["job"]["task"] for result in results}
    older: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for result in found.elsewhere:
        few = older.setdefault(result["job"]["task"], {})
        few.setdefault(result["version"], []).append(result)
    for task, versions in older.items():
        if task not in have:
            version = max(versions, key=lambda name: len(versions[name]))
            results += versions.pop(version)
            remarks.append(f"{task} is of other sources than the present ones ({version})")
    aside = found.aside + sum(len(few) for v in older.values() for few in v.values())
    if aside:
        remarks.append(f"{aside} results of other recipes or sources are left out")
    if len({result["price"].get("version") for result in results}) > 1:
        remarks.append("prices are of different sources; without --report they are found again")
    if not results:
        raise UsageError("there is no result to draw; run the suite without --report first")
    return results, "; ".join(remarks)


def write_files(
    results: Sequence[Mapping[str, Any]], out: Path, title: str, origin: Mapping[str, str]
) -> tuple[Scoreboard, tuple[Path, ...]]:
    """Write ``scoreboard.md``, ``.json``, ``.html``, ``.png`` and ``.svg``.

    Args:
        results: of jobs; at least one.
        out: folder.
        title: of the page.
        origin: how they were made, by name.

    Returns:
        The table, and the paths of what was written.

    Raises:
        UsageError: matplotlib or jinja2 is not installed; the first two files are written.
        OSError: a file cannot be written.
    """
    board = scoreboard(results)
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"{_NAME}.{kind}" for kind in ("md", "json", "html")]
    data = {**as_json(board), "origin": dict(origin)}
    write_atomically(paths[0], markdown(board).encode())
    write_atomically(paths[1], (json.dumps(data, indent=1) + "\n").encode())
    write_page(board, paths[2], title, origin)
    return board, (*paths, *save_pictures(board, out, _NAME))
