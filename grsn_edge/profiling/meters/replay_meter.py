"""A recorded file as a meter: our ``power.csv``, other programs' CSV, plain, gzip or zstandard.

Columns are found by their names, units included: ``time_s`` (or ``timestamp(ms)``, ``time (s)``,
``Timestamp(us)``), ``current_a`` (or ``current(uA)``, ``Current (mA)``), ``voltage_v``,
``power_w``, ``duration_s``, ``digital`` (or ``D0`` … ``D7``).  A name without a unit that is known
is refused: a guess would be a factor of a thousand.
"""

from __future__ import annotations

import gzip
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, ClassVar

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import MeterFault, MeterUnavailable, UsageError
from grsn_edge.profiling.meters.base import (
    Block,
    Flag,
    Meter,
    MeterInfo,
    MeterWarning,
    merge,
    option,
)

__all__ = ["ReplayMeter"]

Floats = npt.NDArray[np.float64]

_ROWS = 20_000
_PREFIX = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "n": 1e-9}
_UNIT = {"time": "s", "duration": "s", "current": "a", "voltage": "v", "power": "w"}
_NAMES = {"timestamp": "time", "t": "time", "curr": "current", "volt": "voltage"}
_COLUMN = re.compile(r"^([a-z]+)[ _]*[(\[]?\s*([mnuµμ]?)([avws])\s*[)\]]?$")


@dataclass
class ReplayMeter(Meter):
    """Plays a file as fast as it is read; ends with it."""

    kind: ClassVar[str] = "replay"
    summary: ClassVar[str] = "a recorded file: power.csv or another program's CSV, .gz, .zst"

    file: str = option("", "the file; needed")
    voltage_v: float | None = option(None, "supply in V, where the file has current alone")

    _lines: Iterator[str] | None = field(default=None, init=False)
    _handle: IO[str] | None = field(default=None, init=False)
    _columns: dict[str, tuple[int, float]] = field(default_factory=dict, init=False)
    _width: int = field(default=0, init=False)
    _number: int = field(default=0, init=False)
    _zero_s: float | None = field(default=None, init=False)
    _held: list[list[float]] = field(default_factory=list, init=False)
    _step_s: float = field(default=0.0, init=False)
    _cut: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if not self.file:
            raise UsageError("replay: which file? give it with 'file'")

    def _open(self) -> MeterInfo:
        self._begin()
        has = set(self._columns)
        if "power" not in has and "current" not in has:
            raise MeterUnavailable(f"replay: {self.file} has no column of current or power")
        if "power" not in has and "voltage" not in has and self.voltage_v is None:
            raise MeterUnavailable(f"replay: {self.file} has current alone: give voltage_v")
        return MeterInfo(
            kind=self.kind,
            serial=Path(self.file).name,
            quantity="power" if has & {"power", "voltage"} else "current",
            sample_rate_hz=None,
            channels=("recorded",),
            digital_inputs=8 if any(c == "digital" or c.startswith("d") for c in has) else 0,
            calibration="unknown",
            accuracy=None,
            time_stamps="of the file, from its first sample",
            details={"file": self.file, "columns": ", ".join(sorted(has))},
        )

    def _begin(self) -> None:
        self._close()
        try:
            self._handle = _text(Path(self.file))
            header = self._handle.readline()
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise MeterUnavailable(f"replay: {self.file} cannot be read: {error}") from None
        self._number, self._zero_s, self._held, self._cut = 1, None, [], False
        self._columns, self._width = _columns(self.file, header)
        self._lines = iter(self._handle)

    def _start(self) -> None:
        self._begin()

    def _stop(self) -> None:
        """Nothing runs."""

    def _close(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle, self._lines = None, None

    # ---- rows ------------------------------------------------------------------------------------

    def _read(self) -> Block | None:
        warnings: list[MeterWarning] = []
        rows = self._held
        bad = self._rows(rows, warnings)
        last = self._lines is None
        # Without durations a sample lasts until the next one: keep the last row for the next block.
        keep = 0 if last or "duration" in self._columns else 1
        if len(rows) <= keep:
            return None if last else _nothing(bad, warnings)
        table = np.array(rows)
        self._held = rows[len(rows) - 1 :] if keep else []
        return self._block(table, keep, bad, warnings)

    def _rows(self, rows: list[list[float]], warnings: list[MeterWarning]) -> int:
        """Append up to 20 000 rows; returns how many could not be read."""
        bad = 0
        while self._lines is not None and len(rows) < _ROWS:
            try:
                line = next(self._lines)
            except StopIteration:
                self._lines = None
                break
            except (OSError, EOFError, ValueError) as error:
                # gzip and zstandard: the end of a recording that was cut off.
                self._lines = None
                text = f"the file ends in the middle ({error}): the rest is lost"
                warnings.append(MeterWarning("damaged", text, None, 1))
                break
            self._number += 1
            if not line.endswith("\n"):
                self._lines = None
                text = "the file ends in the middle of a line: what follows is lost"
                warnings.append(MeterWarning("damaged", text))
                break
            if not line.strip() or line.startswith("#"):
                continue
            row = self._row(line)
            if row is None:
                bad += 1
                text = "lines that are not rows of numbers were dropped"
                at = rows[-1][self._columns["time"][0]] if rows else None
                warnings.append(MeterWarning("damaged", text, at))
            else:
                rows.append(row)
        return bad

    def _row(self, line: str) -> list[float] | None:
        cells = line.rstrip("\n").split(",")
        if len(cells) != self._width:
            return None
        try:
            return [float(c) if c.strip() else math.nan for c in cells]
        except ValueError:
            return None

    def _block(self, table: Floats, keep: int, bad: int, warnings: list[MeterWarning]) -> Block:
        time_s = self._column(table, "time")
        if time_s is None:
            raise MeterFault("replay: no time")
        if self._zero_s is None:
            self._zero_s = float(time_s[0])
        time_s = time_s - self._zero_s
        if np.any(np.diff(time_s) < 0):
            at = int(np.argmax(np.diff(time_s) < 0))
            raise MeterFault(
                f"replay: {self.file}: time goes back after {float(time_s[at]):.6f} s: samples "
                "are out of order, or two recordings were put together"
            )
        durations = self._durations(table, time_s, warnings)
        rows = len(table) - keep
        table, time_s, durations = table[:rows], time_s[:rows], durations[:rows]
        current, voltage = self._column(table, "current"), self._column(table, "voltage")
        power = self._column(table, "power")
        if voltage is None and self.voltage_v is not None:
            voltage = np.full(rows, self.voltage_v)
        if power is None:
            if current is None or voltage is None:
                raise MeterFault("replay: neither power nor current and voltage")
            power = current * voltage
        flags = self._column(table, "flags", 0.0)
        if flags is None:
            flags = np.zeros(rows)
        return Block(
            time_s=time_s,
            duration_s=durations,
            power_w=power,
            current_a=_known(current),
            voltage_v=_known(voltage),
            digital=self._digital(table),
            flags=flags.astype(np.uint8),
            lost=bad + self._holes(time_s, durations, flags),
            warnings=merge(warnings),
            host_s=self.clock.now(),
        )

    def _holes(self, time_s: Floats, durations: Floats, flags: Floats) -> int:
        """Samples that the recording itself marks as missing."""
        marked = flags.astype(np.uint8) & int(Flag.GAP_BEFORE) > 0
        if not marked.any() or len(time_s) < 2:
            return 0
        gaps = np.diff(time_s) - durations[:-1]
        typical = float(np.median(durations))
        return int(np.sum(np.rint(gaps[marked[1:]] / typical))) if typical > 0 else 0

    def _durations(self, table: Floats, time_s: Floats, warnings: list[MeterWarning]) -> Floats:
        given = self._column(table, "duration")
        if given is not None:
            return given
        steps = np.diff(time_s)
        self._step_s = float(np.median(steps)) if len(steps) else self._step_s
        durations = np.append(steps, self._step_s)
        wide = durations > 3 * self._step_s
        if self._step_s > 0 and wide.any():
            text = "gaps of more than three sample times in the recording are holes"
            at = float(time_s[int(np.argmax(wide))])
            missing = int(np.sum(np.rint(durations[wide] / self._step_s) - 1))
            warnings.append(MeterWarning("lost", text, at, missing))
            durations[wide] = self._step_s
        return durations

    def _column(self, table: Floats, name: str, empty: float | None = None) -> Floats | None:
        if name not in self._columns:
            return None
        index, factor = self._columns[name]
        values = table[:, index] * factor
        return np.nan_to_num(values, nan=empty) if empty is not None else np.asarray(values)

    def _digital(self, table: Floats) -> npt.NDArray[np.uint8]:
        bits = np.zeros(len(table), np.uint8)
        whole = self._column(table, "digital", 0.0)
        if whole is not None:
            bits |= whole.astype(np.uint8)
        for n in range(8):
            line = self._column(table, f"d{n}", 0.0)
            if line is not None:
                bits |= ((line > 0.5).astype(np.uint8) << n).astype(np.uint8)
        return bits


def _text(path: Path) -> IO[str]:
    if path.suffix == ".zst":
        try:
            import zstandard
        except ImportError:
            raise MeterUnavailable(
                "replay: the package zstandard is missing: pip install zstandard"
            ) from None
        raw = zstandard.ZstdDecompressor().stream_reader(path.open("rb"), closefd=True)
        return io.TextIOWrapper(raw, encoding="utf-8-sig")
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def _columns(file: str, header: str) -> tuple[dict[str, tuple[int, float]], int]:
    names = [cell.strip().strip('"').lower() for cell in header.rstrip("\n").split(",")]
    found: dict[str, tuple[int, float]] = {}
    for index, name in enumerate(names):
        if re.fullmatch(r"d[0-7]|digital|flags", name):
            found[name] = (index, 1.0)
        elif match := _COLUMN.match(name):
            kind = _NAMES.get(match[1], match[1])
            if _UNIT.get(kind) == match[3]:
                found[kind] = (index, _PREFIX[match[2]])
    if "time" not in found:
        raise MeterUnavailable(
            f"replay: {file} has no column of time with a unit, such as time_s or time(ms); its "
            f"columns are: {', '.join(names)[:200]}"
        )
    return found, len(names)


def _known(values: Floats | None) -> Floats | None:
    """None where the file leaves the whole column empty."""
    return None if values is None or np.isnan(values).all() else values


def _nothing(bad: int, warnings: list[MeterWarning]) -> Block:
    none, bits = np.empty(0), np.empty(0, np.uint8)
    return Block(none, none, none, none, none, bits, bits, bad, merge(warnings))
