"""Lines of text to observations, and actions to lines: JSON lines or CSV, whichever comes in."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from grsn_edge.errors import ObservationError, UsageError
from grsn_edge.policy import Policy
from grsn_edge.runtime.streaming import StreamingPolicy

__all__ = ["Format", "LineResult", "read_lines", "read_observations"]

Format = Literal["auto", "json", "csv"]

_MAX_LINE = 1 << 20


@dataclass(frozen=True, slots=True)
class LineResult:
    """What one input line led to: an action (as JSON values), or an error; and its output line."""

    line: int
    action: Any
    error: str | None
    text: str


def read_lines(
    policy: StreamingPolicy, lines: Iterable[str], form: Format = "auto"
) -> Iterator[LineResult]:
    """Step the policy with every line.

    JSON lines: ``[…]``, ``{"observation": […]}`` or an object with a number per channel name;
    ``"reset": true`` in an object resets first, and alone.  CSV: numbers, after an optional
    header of channel names in any order.  Blank lines and lines that begin with ``#`` are skipped.
    A bad line gives a result with an ``error`` and leaves the state as it was.

    Args:
        policy: who acts.
        lines: text, with or without line ends.
        form: ``auto`` takes the form from the first line.
    """
    for number, reader, line in _parsed_by(policy.policy, lines, form):
        yield _one(policy, reader, number, line)


def read_observations(
    policy: Policy, lines: Iterable[str], form: Format = "auto"
) -> Iterator[list[float] | ObservationError]:
    """Observations ``(n,)`` of the same lines, for a loop that keeps its own time.

    There a reset has no meaning: such a line, and a bad one, gives an error instead.
    """
    for number, reader, line in _parsed_by(policy, lines, form):
        try:
            yield _observation(reader, line)
        except ObservationError as error:
            yield ObservationError(f"line {number}: {error}")


def _observation(reader: _Reader, line: str) -> list[float]:
    request = _request(reader, line)
    if request.observation is None or request.reset:
        raise ObservationError("a reset has no place in real time; arming resets")
    if len(request.observation) != len(reader.names):
        raise ObservationError(
            f"{len(request.observation)} numbers; the channels are {', '.join(reader.names)}"
        )
    return request.observation


def _parsed_by(
    policy: Policy, lines: Iterable[str], form: Format
) -> Iterator[tuple[int, _Reader, str]]:
    """Lines that say something, with their numbers and the reader of their form."""
    reader: _Reader | None = None
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if reader is None:
            reader = _reader(policy, form, line)
            if reader.take_header(line):
                continue
        yield number, reader, line


def _request(reader: _Reader, line: str) -> _Request:
    if len(line) > _MAX_LINE:
        raise ObservationError(f"the line is longer than {_MAX_LINE} characters")
    return reader.parse(line)


def _one(policy: StreamingPolicy, reader: _Reader, number: int, line: str) -> LineResult:
    try:
        request = _request(reader, line)
        if request.observation is None:
            policy.reset()
            return LineResult(number, None, None, reader.write_reset())
        if request.reset:
            action = _after_reset(policy, request.observation)
        else:
            action = policy.step(request.observation)
    except ObservationError as error:
        return LineResult(number, None, str(error), reader.write_error(number, str(error)))
    value = action.tolist() if isinstance(action, np.ndarray) else int(action)
    return LineResult(number, value, None, reader.write(value))


def _after_reset(policy: StreamingPolicy, observation: list[float]) -> Any:
    """Reset and step; where the observation is refused, the state before the reset stays."""
    before = policy.state
    policy.reset()
    try:
        return policy.step(observation)
    except ObservationError:
        policy.state = before
        raise


@dataclass(frozen=True, slots=True)
class _Request:
    observation: list[float] | None
    reset: bool = False


class _Reader:
    """One text form, both ways."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def take_header(self, line: str) -> bool:
        """Whether the first line was a header."""
        return False

    def parse(self, line: str) -> _Request:
        raise ObservationError("no form")

    def write(self, action: Any) -> str:
        """An action's line."""
        return json.dumps({"action": action})

    def write_reset(self) -> str:
        """The line that answers a reset."""
        return json.dumps({"reset": True})

    def write_error(self, number: int, error: str) -> str:
        """A bad line's line."""
        return json.dumps({"line": number, "error": error})

    def ordered(self, values: Mapping[str, Any]) -> list[float]:
        """Values by channel name in the policy's order."""
        if set(values) != set(self.names):
            raise ObservationError(
                f"the channels are {', '.join(self.names)}; the line has {', '.join(values)}"
            )
        return [_number(values[name]) for name in self.names]


class _JsonReader(_Reader):
    def parse(self, line: str) -> _Request:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ObservationError(f"not JSON: {error}") from None
        if isinstance(value, list):
            return _Request([_number(item) for item in value])
        if not isinstance(value, dict):
            raise ObservationError("a JSON line is an array or an object")
        reset = value.pop("reset", False) is True
        if not value and reset:
            return _Request(None, True)
        if set(value) == {"observation"} and isinstance(value["observation"], list):
            return _Request([_number(item) for item in value["observation"]], reset)
        return _Request(self.ordered(value), reset)


class _CsvReader(_Reader):
    columns: list[str] | None = None

    def take_header(self, line: str) -> bool:
        cells = self._cells(line)
        if set(cells) == set(self.names):
            self.columns = cells
            return True
        return False

    def parse(self, line: str) -> _Request:
        cells = self._cells(line)
        if self.columns is None:
            return _Request([_number(cell) for cell in cells])
        if len(cells) != len(self.columns):
            raise ObservationError(f"{len(cells)} cells under {len(self.columns)} columns")
        return _Request(self.ordered(dict(zip(self.columns, cells, strict=True))))

    def write(self, action: Any) -> str:
        return ",".join(map(repr, action)) if isinstance(action, list) else str(action)

    def write_error(self, number: int, error: str) -> str:
        return f"# line {number}: {' '.join(error.split())}"

    @staticmethod
    def _cells(line: str) -> list[str]:
        try:
            return [cell.strip() for cell in next(csv.reader([line]), [])]
        except csv.Error as error:
            raise ObservationError(f"not CSV: {error}") from None


def _reader(policy: Policy, form: Format, line: str) -> _Reader:
    names = [channel.name for channel in policy.observations]
    if form not in ("auto", "json", "csv"):
        raise UsageError(f"a stream is json or csv, not '{form}'")
    is_json = form == "json" or (form == "auto" and line[0] in "[{")
    return _JsonReader(names) if is_json else _CsvReader(names)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ObservationError(f"{str(value)[:40]!r} is not a number")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise ObservationError(f"{str(value)[:40]!r} is not a number") from None
