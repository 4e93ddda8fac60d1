"""A session's folder: written as it goes, so that whatever ends it, what was measured is there.

==================  ==============================================================================
``session.json``    what was run and, at the end, every figure; ``status`` is ``running`` until then
``steps.csv``       one line per step, appended as it happens
``power.csv.gz``    the meter's samples; one gzip member per part, so that a cut costs one part
``report.html``     the page
==================  ==============================================================================

Times are seconds on the host's clock since the session began in ``steps.csv``, and on the meter's
clock in ``power.csv.gz``; ``session.json`` says how the one becomes the other.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import FormatError, UsageError
from grsn_edge.policy.atomic import write_atomically
from grsn_edge.profiling.meters import Block

__all__ = ["POWER", "POWER_COLUMNS", "SESSION", "STEPS", "Session", "SessionWriter", "StepRow"]

SESSION, STEPS, POWER, REPORT = "session.json", "steps.csv", "power.csv.gz", "report.html"
FORMAT = 1
POWER_COLUMNS = (
    "time_s", "duration_s", "power_w", "current_a", "voltage_v", "digital", "flags"
)  # fmt: skip

_PART = 1 << 16  # samples of one gzip member: at 100 kS/s a cut loses less than a second


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step.

    Args:
        step: counts from 0, through all episodes.
        episode: counts from 0.
        release_s, begin_s, end_s: when it was due, began and ended, on the host's clock.
        cost: what the device says it took, in the session's unit; None where it does not say.
        reward: of the action, or None without a task.
        action: as it was applied: an index, or numbers in the action's unit.
        observation: as it was given, in the channels' units.
    """

    step: int
    episode: int
    release_s: float
    begin_s: float
    end_s: float
    cost: int | None
    reward: float | None
    action: tuple[float, ...]
    observation: tuple[float, ...]


class SessionWriter:
    """Writes a session; a context manager that leaves a readable folder however it is left.

    Steps may come from one thread and samples from another.

    Args:
        folder: made; must not hold a session yet.
        about: JSON values: what is run, on what, with which versions.

    Raises:
        UsageError: the folder holds a session, or cannot be written.
    """

    def __init__(self, folder: str | os.PathLike[str], about: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        self._about = dict(about)
        self.full: str | None = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if (self.folder / SESSION).exists():
                raise UsageError(f"'{self.folder}' holds a session already; name another folder")
            self._write("running", {})
            self._steps: IO[str] = (self.folder / STEPS).open("w", encoding="utf-8", newline="")
            self._power: IO[bytes] = (self.folder / POWER).open("wb")
        except OSError as error:
            raise UsageError(f"cannot write a session to '{self.folder}': {error}") from None
        self._table = csv.writer(self._steps, lineterminator="\n")
        self._table.writerow([field.name for field in fields(StepRow)])
        self._lock = threading.RLock()
        self._parts: list[Block] = []
        self._waiting = 0
        self.samples = 0
        self._pack(",".join(POWER_COLUMNS) + "\n")

    def step(self, row: StepRow) -> None:
        """Append a step."""
        cells = ["" if v is None else _cell(v) for v in astuple(row)]
        with self._lock:
            self._guarded(lambda: self._table.writerow(cells))

    def power(self, block: Block) -> None:
        """Append samples; they reach the disk in parts of 65,536."""
        with self._lock:
            if len(block):
                self._parts.append(block)
                self._waiting += len(block)
            if self._waiting >= _PART:
                self.flush()

    def flush(self) -> None:
        """Everything given so far goes to the disk."""
        with self._lock:
            parts, self._parts, self._waiting = self._parts, [], 0
            for block in parts:
                self._pack(_lines(block))
                self.samples += len(block)
            self._guarded(self._steps.flush)
            self._guarded(self._power.flush)

    def finish(self, figures: Mapping[str, Any]) -> None:
        """Write what was found; the session is complete."""
        self.flush()
        self._guarded(lambda: self._write("complete" if self.full is None else "cut", figures))

    def file(self, name: str, data: bytes) -> None:
        """Put a further file, such as the report, beside the others."""
        self._guarded(lambda: write_atomically(self.folder / name, data))

    def __enter__(self) -> SessionWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
        for file in (self._steps, self._power):
            self._guarded(file.close)

    def _write(self, status: str, figures: Mapping[str, Any]) -> None:
        content = {"format": FORMAT, "status": status, "about": self._about, **figures}
        if self.full is not None:
            content["cut"] = self.full
        text = json.dumps(content, indent=1, allow_nan=False)
        write_atomically(self.folder / SESSION, text.encode() + b"\n")

    def _pack(self, text: str) -> None:
        data = gzip.compress(text.encode("ascii"), 1)
        self._guarded(lambda: self._power.write(data))

    def _guarded(self, write: Any) -> None:
        """A full disk ends the recording, not the measurement; it is said in the result."""
        try:
            write()
        except OSError as error:
            if self.full is None:
                self.full = f"recording ended: {error.strerror or error}"


def _cell(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, tuple) else value


def _lines(block: Block) -> str:
    """Rows of :data:`POWER_COLUMNS`; a missing current or voltage is an empty cell."""
    optional = [block.current_a, block.voltage_v]
    cells = ["%.7f", "%.7f", "%.7g", *("" if a is None else "%.7g" for a in optional), "%d", "%d"]
    form = ",".join(cells) + "\n"
    given = [a for a in optional if a is not None]
    arrays: list[npt.NDArray[Any]] = [block.time_s, block.duration_s, block.power_w, *given]
    columns = [array.tolist() for array in (*arrays, block.digital, block.flags)]
    return "".join(map(form.__mod__, zip(*columns, strict=True)))


@dataclass(frozen=True, eq=False)
class Session:
    """A session that was read back.

    Args:
        folder: where.
        content: of ``session.json``.
    """

    folder: Path
    content: Mapping[str, Any]

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Session:
        """Raises :class:`FormatError` where there is no session, or one of a newer format."""
        path = Path(folder) / SESSION
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise FormatError(f"'{path}' is not a session: {error}") from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise FormatError(f"'{path}' is not a session of format {FORMAT}")
        return cls(Path(folder), content)

    @property
    def is_complete(self) -> bool:
        """Whether the run came to its end and everything was recorded."""
        return bool(self.content["status"] == "complete")

    def steps(self) -> dict[str, list[str]]:
        """Columns of ``steps.csv``, as text, by name; a line that was cut is left out."""
        with (self.folder / STEPS).open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        names = [field.name for field in fields(StepRow)]
        if not rows or rows[0] != names:
            raise FormatError(f"'{self.folder / STEPS}' does not begin with {','.join(names)}")
        whole = [row for row in rows[1:] if len(row) == len(names)]
        return {name: [row[i] for row in whole] for i, name in enumerate(names)}

    def power(self) -> Iterator[npt.NDArray[np.float64]]:
        """Samples in parts ``(n, 7)`` of :data:`POWER_COLUMNS`; NaN for an empty cell."""
        for text in _members(self.folder / POWER):
            body = text.removeprefix(",".join(POWER_COLUMNS) + "\n")
            if body:
                whole = body.replace(",,", ",nan,").replace(",,", ",nan,")
                yield np.loadtxt(io.StringIO(whole), np.float64, delimiter=",", ndmin=2)


def _members(path: Path) -> Iterator[str]:
    """Texts of the gzip members that are whole; what follows a damaged one is left out."""
    member, text = zlib.decompressobj(wbits=31), bytearray()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            while chunk:
                try:
                    text += member.decompress(chunk)
                except zlib.error:
                    return
                chunk = member.unused_data
                if member.eof:
                    yield text.decode("ascii", "replace")
                    member, text = zlib.decompressobj(wbits=31), bytearray()
