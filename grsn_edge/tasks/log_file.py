"""Logs of what was seen and done, step by step: CSV with a header, or JSON lines."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import TaskError
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks.base import DoubleArray

__all__ = ["Log", "read_log"]

_ABOUT = frozenset(
    ("begin_s", "cost", "done", "end_s", "episode", "release_s", "reward", "step", "t", "time")
) | {"time_s"}
"""Columns that are neither observations nor actions, where the description does not say so."""

_TIMES = ("time_s", "release_s", "t", "time")
_MOST_CHOICES = 64


@dataclass(frozen=True, eq=False)
class Log:
    """Recorded steps of one file, in order.

    Args:
        path: of the file, as it was named.
        digest: SHA-256 of its bytes.
        observed, acted: names of the channels; None where the file does not name them.
        observation: float32 ``(N, n)``, in the channels' units.
        action: float64 ``(N, m)``.
        first: bool ``(N,)``, True where an episode begins.
        integers: whether every action is written as an integer from 0 to 63, in one column.
        period_s: median time between steps, or None where the file has no times.
    """

    path: str
    digest: str
    observed: tuple[str, ...] | None
    acted: tuple[str, ...] | None
    observation: FloatArray
    action: DoubleArray
    first: npt.NDArray[np.bool_]
    integers: bool
    period_s: float | None


@dataclass(frozen=True, slots=True)
class _Row:
    observation: list[str]
    action: list[str]
    first: bool
    time: str | None = None


def read_log(path: str, see: Sequence[str] | None = None, act: Sequence[str] | None = None) -> Log:
    """Read a log.

    CSV: a header, then a line per step.  Columns named ``episode`` (a change begins a new one),
    ``done`` (1 ends one) and ``time_s`` are understood, as is a session's ``steps.csv``, whose
    cells ``observation`` and ``action`` hold lists.  JSON lines: objects with ``observation`` (a
    list, or numbers by name) and ``action``, as ``grsn-edge run --task`` prints them; any other
    object begins a new episode.  Blank lines and lines that begin with ``#`` are skipped.

    Args:
        path: the file.
        see: columns (CSV) that are observed, in this order; None: all that are not said to be
            something else.
        act: columns that are actions; None: ``action``, or all that begin with it.

    Raises:
        TaskError: there is no such file, or a line of it is not a step; the line is named.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise TaskError(f"cannot read the log '{path}': {error.strerror}") from None
    lines = [
        (number, line)
        for number, line in enumerate(data.decode(errors="replace").splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise TaskError(f"the log '{path}' is empty")
    digest = hashlib.sha256(data).hexdigest()
    if lines[0][1].lstrip().startswith("{"):
        return _log(path, digest, (None, None), _json_rows(path, lines))
    return _log(path, digest, *_csv_rows(path, lines, see, act))


# ---- the two forms -------------------------------------------------------------------------------

_Names = tuple[tuple[str, ...] | None, tuple[str, ...] | None]
_Numbered = Iterable[tuple[int, _Row]]


def _csv_rows(
    path: str,
    lines: list[tuple[int, str]],
    see: Sequence[str] | None,
    act: Sequence[str] | None,
) -> tuple[_Names, _Numbered]:
    header = [cell.strip() for cell in next(csv.reader([lines[0][1]]), [])]
    if len(set(header)) < len(header) or any(_is_number(cell) for cell in header):
        raise TaskError(f"the log '{path}' begins with no header: a different name per column")
    acted = _acted(path, header, act)
    observed = _observed(path, header, acted, see)
    packed = observed == ("observation",)
    names: _Names = (None, None) if packed else (observed, acted)
    return names, _csv_steps(path, lines[1:], header, observed, acted, packed)


def _acted(path: str, header: list[str], act: Sequence[str] | None) -> tuple[str, ...]:
    if act is not None:
        return _known(path, header, act)
    found = [name for name in header if name == "action"]
    found = found or [name for name in header if name.startswith("action")]
    if not found:
        raise TaskError(
            f"the log '{path}' has no column 'action': say which columns are actions with "
            f"?act=NAME,NAME; it has {', '.join(header)}"
        )
    return tuple(found)


def _observed(
    path: str, header: list[str], acted: tuple[str, ...], see: Sequence[str] | None
) -> tuple[str, ...]:
    if see is not None:
        return _known(path, header, see)
    if "observation" in header:
        return ("observation",)
    found = tuple(name for name in header if name not in _ABOUT and name not in acted)
    if not found:
        raise TaskError(f"the log '{path}' has no column beside the actions to observe")
    return found


def _known(path: str, header: list[str], names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in header:
            raise TaskError(f"the log '{path}' has no column '{name}'; it has {', '.join(header)}")
    return tuple(names)


def _csv_steps(
    path: str,
    lines: list[tuple[int, str]],
    header: list[str],
    observed: tuple[str, ...],
    acted: tuple[str, ...],
    packed: bool,
) -> Iterator[tuple[int, _Row]]:
    time = next((name for name in _TIMES if name in header), None)
    episode, ended = None, True
    for number, line in lines:
        cells = [cell.strip() for cell in next(csv.reader([line]), [])]
        if len(cells) != len(header):
            raise TaskError(
                f"line {number} of '{path}' has {len(cells)} cells under {len(header)} columns; "
                "where the log was cut, remove the line"
            )
        by_name = dict(zip(header, cells, strict=True))
        first = ended or by_name.get("episode") != episode
        episode, ended = by_name.get("episode"), by_name.get("done", "") in _TRUE
        seen = [by_name[name] for name in observed]
        done = [by_name[name] for name in acted]
        if packed:
            seen, done = (_listed(path, number, cell) for cell in (*seen, *done))
        yield number, _Row(seen, done, first, None if time is None else by_name[time])


_TRUE = ("1", "1.0", "true", "True")


def _listed(path: str, number: int, cell: str) -> list[str]:
    try:
        value = json.loads(cell)
    except ValueError:
        raise TaskError(f"line {number} of '{path}': {cell[:40]!r} is no list") from None
    return _texts(value)


def _json_rows(path: str, lines: list[tuple[int, str]]) -> Iterator[tuple[int, _Row]]:
    first = True
    for number, line in lines:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TaskError(f"line {number} of '{path}' is not JSON: {error}") from None
        if not isinstance(value, dict) or "observation" not in value:
            first = True
            continue
        if "action" not in value:
            raise TaskError(f"line {number} of '{path}' has an observation and no action")
        seen, done = _texts(value["observation"]), _texts(value["action"])
        yield number, _Row(seen, done, first or value.get("reset") is True)
        first = False


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    return [json.dumps(item) for item in (value if isinstance(value, list) else [value])]


# ---- numbers -------------------------------------------------------------------------------------


def _log(path: str, digest: str, names: _Names, rows: _Numbered) -> Log:
    numbered = list(rows)
    if not numbered:
        raise TaskError(f"the log '{path}' has no step")
    width = (len(numbered[0][1].observation), len(numbered[0][1].action))
    for number, row in numbered:
        if (len(row.observation), len(row.action)) != width or 0 in width:
            raise TaskError(
                f"line {number} of '{path}' has {len(row.observation)} observations and "
                f"{len(row.action)} actions; the first step has {width[0]} and {width[1]}"
            )
    first = np.array([row.first for _, row in numbered])
    texts = [row.action[0] for _, row in numbered]
    return Log(
        path=path,
        digest=digest,
        observed=names[0],
        acted=names[1],
        observation=_numbers(path, [(n, r.observation) for n, r in numbered]).astype(np.float32),
        action=_numbers(path, [(n, r.action) for n, r in numbered]),
        first=first,
        integers=width[1] == 1 and all(t.isdigit() and int(t) < _MOST_CHOICES for t in texts),
        period_s=_period(path, numbered, first),
    )


def _numbers(path: str, rows: list[tuple[int, list[str]]]) -> DoubleArray:
    out = np.empty((len(rows), len(rows[0][1])))
    for i, (number, cells) in enumerate(rows):
        for j, cell in enumerate(cells):
            value = float(cell) if _is_number(cell) else np.nan
            if not abs(value) < np.finfo(np.float32).max:
                raise TaskError(f"line {number} of '{path}': {cell[:40]!r} is not a finite number")
            out[i, j] = value
    return out


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _period(path: str, rows: list[tuple[int, _Row]], first: npt.NDArray[np.bool_]) -> float | None:
    if len(rows) < 2 or any(row.time is None for _, row in rows):
        return None
    times = _numbers(path, [(number, [row.time or ""]) for number, row in rows])[:, 0]
    steps = np.diff(times)[~first[1:]]
    period = float(np.median(steps)) if steps.size else 0.0
    return period if period > 0 else None
