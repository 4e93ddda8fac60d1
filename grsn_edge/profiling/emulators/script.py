"""What an emulated device draws: a current that is known exactly, with marks on digital lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import UsageError

__all__ = ["Script", "Segment", "bursts", "read_script", "script_from_json"]

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a script.

    Args:
        duration_s: above 0.
        current_a: at its beginning.
        end_a: at its end, reached linearly; None: constant.
        digital: bits of the digital lines while it lasts.
    """

    duration_s: float
    current_a: float
    end_a: float | None = None
    digital: int = 0


class Script:
    """A piecewise linear current at a constant voltage; charge and energy are closed forms.

    Args:
        segments: in order; at least one.
        voltage_v: of the supply.
        loop: whether it begins again at its end; otherwise the last value stays.
    """

    def __init__(self, segments: Sequence[Segment], voltage_v: float = 3.0, loop: bool = True):
        if not segments or any(not 0 < s.duration_s < float("inf") for s in segments):
            raise UsageError("a current script needs segments that last longer than 0 s")
        self.segments = tuple(segments)
        self.voltage_v = voltage_v
        self.loop = loop
        self._begin = np.array([s.current_a for s in segments])
        self._end = np.array([s.current_a if s.end_a is None else s.end_a for s in segments])
        self._duration = np.array([s.duration_s for s in segments])
        self._digital = np.array([s.digital for s in segments], dtype=np.uint8)
        self._starts = np.concatenate(([0.0], np.cumsum(self._duration)))
        charges = (self._begin + self._end) / 2 * self._duration
        self._charges = np.concatenate(([0.0], np.cumsum(charges)))

    @property
    def duration_s(self) -> float:
        """Of one pass."""
        return float(self._starts[-1])

    def charge_c(self, t: npt.ArrayLike) -> Floats:
        """Charge in C from 0 to ``t`` (s, any shape)."""
        whole, index, into = self._locate(t)
        slope = (self._end - self._begin)[index] / self._duration[index]
        inside = self._charges[index] + into * (self._begin[index] + slope * into / 2)
        if self.loop:
            return np.asarray(inside + whole * self._charges[-1])
        after = np.maximum(np.asarray(t, dtype=np.float64) - self.duration_s, 0.0)
        return np.asarray(inside + after * self._end[-1])

    def energy_j(self, begin_s: float, end_s: float) -> float:
        """Energy in J between two times: the truth that a meter is judged by."""
        return float(self.charge_c(end_s) - self.charge_c(begin_s)) * self.voltage_v

    def current_a(self, t: npt.ArrayLike) -> Floats:
        """Current in A at ``t`` (s, any shape)."""
        _, index, into = self._locate(t)
        slope = (self._end - self._begin)[index] / self._duration[index]
        return np.asarray(self._begin[index] + slope * into)

    def mean_current_a(self, edges_s: Floats) -> Floats:
        """Mean current in A between neighbouring ``edges_s`` (``(n + 1,)``), shape ``(n,)``."""
        return np.asarray(np.diff(self.charge_c(edges_s)) / np.diff(edges_s))

    def digital(self, t: npt.ArrayLike) -> Bytes:
        """Bits of the digital lines at ``t`` (s, any shape)."""
        _, index, _ = self._locate(t)
        return np.asarray(self._digital[index])

    def to_json(self) -> str:
        """As one line that :func:`script_from_json` reads."""
        rows = [(s.duration_s, s.current_a, s.end_a, s.digital) for s in self.segments]
        return json.dumps({"voltage_v": self.voltage_v, "loop": self.loop, "segments": rows})

    def _locate(self, t: npt.ArrayLike) -> tuple[Floats, npt.NDArray[np.intp], Floats]:
        """Whole passes, the segment's index, and how far ``t`` lies in that segment."""
        time = np.asarray(t, dtype=np.float64)
        whole = np.floor(time / self.duration_s) if self.loop else np.zeros_like(time)
        local = np.clip(time - whole * self.duration_s, 0.0, self.duration_s)
        index = np.searchsorted(self._starts, local, side="right") - 1
        index = np.clip(index, 0, len(self._duration) - 1)
        return whole, index, local - self._starts[index]


def script_from_json(text: str) -> Script:
    """What :meth:`Script.to_json` wrote."""
    data = json.loads(text)
    return Script([Segment(*row) for row in data["segments"]], data["voltage_v"], data["loop"])


def read_script(path: Path, voltage_v: float = 3.0) -> Script:
    """A script from CSV with the columns ``duration_s,current_a[,end_a][,digital]``.

    Raises:
        UsageError: a missing column, or a cell that is not a number; the text has the line.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        columns = set(rows.fieldnames or ())
        if not {"duration_s", "current_a"} <= columns:
            raise UsageError(f"{path}: needs the columns duration_s and current_a")
        segments = [_segment(path, rows.line_num, row) for row in rows]
    return Script(segments, voltage_v)


def _segment(path: Path, line: int, row: dict[str, str]) -> Segment:
    try:
        end = row.get("end_a") or None
        return Segment(
            float(row["duration_s"]),
            float(row["current_a"]),
            None if end is None else float(end),
            int(row.get("digital") or 0),
        )
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path}, line {line}: {error}") from None


def bursts(
    idle_a: float = 1e-3,
    active_a: float = 5e-3,
    step_s: float = 2e-3,
    period_s: float = 10e-3,
    voltage_v: float = 3.0,
) -> Script:
    """A policy's usual picture: line D0 high and more current while a step runs."""
    idle = Segment((period_s - step_s) / 2, idle_a)
    return Script([idle, Segment(step_s, active_a, digital=1), idle], voltage_v)
