"""What a power meter is: something that gives blocks of samples, and says what is wrong with them.

A meter is one file ``<kind>_meter.py`` in this folder with one dataclass that derives from
:class:`Meter`; the registry finds it there.  Use it as a context manager::

    with meter:                 # open: find it, read its calibration
        meter.start()
        while (block := meter.read()) is not None:
            energy_j += block.energy_j
        meter.stop()

**A sample is a piece of time**, not a point: sample ``i`` holds from ``time_s[i]`` for
``duration_s[i]``, and its power is the mean over that piece.  Energy is therefore
``sum(power_w * duration_s)`` for every meter: one that streams, one that is polled (the trapezoid
is taken before the sample is made), and one that counts joules (the power is the counter's
difference over the time between two readings, so that the sum gives the counter back).  What was
lost is a hole between two samples: no meter fills it.

No meter repairs in silence: what it corrects, drops or doubts is a :class:`MeterWarning`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntFlag
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import MeterFault, UsageError

__all__ = [
    "HOST_CLOCK",
    "Accuracy",
    "Block",
    "Calibration",
    "Clock",
    "Flag",
    "Found",
    "Meter",
    "MeterInfo",
    "MeterWarning",
    "WarningKind",
    "merge",
    "option",
]

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

Calibration = Literal["factory", "user", "none", "unknown", "not applicable"]
WarningKind = Literal[
    "lost",  # samples that the meter took and the host did not get
    "misaligned",  # the stream lost its place and was found again
    "damaged",  # something that cannot be a sample was dropped
    "duplicated",  # the same sample came twice
    "stale",  # the meter shows an old value
    "saturated",  # the current or voltage is outside what the meter can see
    "range",  # the meter changed its range; samples after it are less exact
    "negative",  # power that flows back, or a zero that is not at zero
    "calibration",  # calibration that is missing, partial or assumed
    "clock",  # the meter's clock and the host's do not agree
    "wrap",  # a counter that may have wrapped more often than can be known
    "supply",  # the measured device or the meter is not properly supplied
    "resolution",  # the meter's steps are coarse against what it measures
    "setup",  # a setting that does not fit
    "modelled",  # not a measurement
]


class Flag(IntFlag):
    """Bits of :attr:`Block.flags`, per sample."""

    GAP_BEFORE = 1
    """At least one sample is missing just before this one."""
    SATURATED = 2
    """The value is at or beyond the end of the meter's range: the truth may be larger."""
    RANGE_SWITCH = 4
    """Taken within the settling time of a range switch, or replaced by the meter's own filter."""
    DOUBTFUL = 8
    """Kept, but a warning of this block says why it may be wrong."""


class Clock(Protocol):
    """The host's clock: replaced in tests by one that an emulator drives."""

    jitter_s: float
    """By how much a look at it may come late, for reasons of the host."""

    def now(self) -> float:
        """Seconds; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Return when :meth:`now` is ``seconds`` later."""


class _HostClock:
    jitter_s = 0.05

    def now(self) -> float:
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))


HOST_CLOCK: Clock = _HostClock()


@dataclass(frozen=True, slots=True)
class MeterWarning:
    """Something that a reader of the figures must know.

    Args:
        kind: what sort of thing it is.
        text: what happened and what to do, for people.
        at_s: when it was first seen, on the meter's clock; None for a property of the meter.
        count: how often, in samples or events.
        voids: whether figures from the samples around it must not be used.
    """

    kind: WarningKind
    text: str
    at_s: float | None = None
    count: int = 1
    voids: bool = False


def merge(warnings: Iterable[MeterWarning]) -> tuple[MeterWarning, ...]:
    """One warning per kind and text: the first place, how often in all, and whether any voids."""
    merged: dict[tuple[str, str], MeterWarning] = {}
    for w in warnings:
        if (first := merged.get((w.kind, w.text))) is not None:
            w = replace(first, count=first.count + w.count, voids=first.voids or w.voids)
        merged[w.kind, w.text] = w
    return tuple(merged.values())


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Bounds of a reading's error, as its maker (or the source named) states them.

    Args:
        gain: relative, for example 0.01 for one per cent of the reading.
        offset_a: in A, of a current.
        offset_w: in W, of a power.
        clock: relative error of the meter's clock, hence of durations.
        source: where the figures come from.
    """

    gain: float
    offset_a: float = 0.0
    offset_w: float = 0.0
    clock: float = 0.0
    source: str = ""

    def energy_bound_j(self, energy_j: float, duration_s: float, voltage_v: float = 0.0) -> float:
        """By how much ``energy_j``, taken over ``duration_s`` at ``voltage_v``, may be wrong."""
        offset_w = self.offset_w + self.offset_a * abs(voltage_v)
        return abs(energy_j) * (self.gain + self.clock) + offset_w * duration_s


@dataclass(frozen=True, slots=True)
class MeterInfo:
    """What a session must know of the meter that made its figures.

    Args:
        kind: the registry's name.
        serial: of the unit, or what names it best; "" where nothing does.
        quantity: ``current`` (voltage given), ``power`` (both measured), ``energy`` (counted).
        sample_rate_hz: nominal; None for one that is polled and takes what it gets.
        channels: what the figures are the sum of: rails, domains, or one supply.
        digital_inputs: how many bits of :attr:`Block.digital` mean something.
        calibration: its state.
        accuracy: None where nobody states one: then no uncertainty of the meter can be given.
        time_stamps: what ``time_s`` means, in words.
        modelled: not a measurement; whatever shows its figures says "modelled".
        details: firmware, calibration constants, shunt, settings: for the record.
        warnings: what was known when it was opened.
    """

    kind: str
    serial: str
    quantity: Literal["current", "power", "energy"]
    sample_rate_hz: float | None
    channels: tuple[str, ...]
    digital_inputs: int
    calibration: Calibration
    accuracy: Accuracy | None
    time_stamps: str
    modelled: bool = False
    details: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[MeterWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """Samples that follow each other; every array has the shape ``(n,)``, ``n`` may be 0.

    Args:
        time_s: float64, beginning of each sample on the meter's clock; rises, 0 at the start.
        duration_s: float64, how long each sample holds; samples do not overlap.
        power_w: float64, the mean over the sample.
        current_a: float64, or None where the meter has no current (RAPL, several rails).
        voltage_v: float64, or None likewise.
        digital: uint8, bit ``k`` is digital input ``k``, at the sample's beginning.
        flags: uint8, bits of :class:`Flag`.
        lost: samples known to be missing, before or between those of this block.
        warnings: what happened in this block; at most a few of each kind.
        host_s: the host's clock when the block's last byte was there: ties both clocks together.
    """

    time_s: Floats
    duration_s: Floats
    power_w: Floats
    current_a: Floats | None
    voltage_v: Floats | None
    digital: Bytes
    flags: Bytes
    lost: int = 0
    warnings: tuple[MeterWarning, ...] = ()
    host_s: float = 0.0

    def __len__(self) -> int:
        return len(self.time_s)

    @property
    def energy_j(self) -> float:
        """Of the samples of this block; what was lost is not in it."""
        return float(self.power_w @ self.duration_s)

    @property
    def end_s(self) -> float:
        """Where the last sample ends; 0 of an empty block."""
        return float(self.time_s[-1] + self.duration_s[-1]) if len(self) else 0.0

    def select(self, keep: npt.NDArray[np.bool_]) -> Block:
        """The samples where ``keep`` (bool, ``(n,)``) is true."""
        arrays: dict[str, Any] = {
            name: None if (array := getattr(self, name)) is None else array[keep]
            for name in ("time_s", "duration_s", "power_w", "current_a", "voltage_v")
        }
        return replace(self, **arrays, digital=self.digital[keep], flags=self.flags[keep])


@dataclass(frozen=True, slots=True)
class Found:
    """A meter seen on this machine: options that open it, and a line for people."""

    options: Mapping[str, Any]
    text: str


def option(default: Any, text: str) -> Any:
    """A field of a meter's dataclass that a user may set by name; ``text`` is its help."""
    return field(default=default, metadata={"help": text}, kw_only=True)


@dataclass
class Meter(ABC):
    """One power meter.  Life: open, (start, read…, stop)…, close; not thread-safe.

    A subclass gives the five hooks ``_open`` to ``_close``; this class holds the order of calls and
    looks at every block: see :meth:`read`.
    """

    kind: ClassVar[str]
    summary: ClassVar[str]
    """One line for ``grsn-edge meter list``."""

    clock: Clock = field(default=HOST_CLOCK, kw_only=True)
    _info: MeterInfo | None = field(default=None, init=False)
    _running: bool = field(default=False, init=False)
    _end_s: float = field(default=0.0, init=False)

    @classmethod
    def unavailable(cls) -> str | None:
        """Why this kind cannot be used here and what to install; None where it can."""
        return None

    @classmethod
    def discover(cls) -> tuple[Found, ...]:
        """Those that can be seen from here, without opening them."""
        return ()

    # ---- what a user calls -----------------------------------------------------------------------

    @property
    def info(self) -> MeterInfo:
        """Of an open meter; raises :class:`UsageError` before."""
        if self._info is None:
            raise UsageError(f"meter '{self.kind}' is not open")
        return self._info

    def open(self) -> MeterInfo:
        """Connect, identify, read calibration.

        Raises:
            MeterUnavailable: not there, in use, or its package is missing.
            MeterFault: it answers with something that cannot be right.
        """
        if self._info is None:
            try:
                self._info = self._open()
            except BaseException:
                self._close()
                raise
        return self._info

    def start(self) -> None:
        """Begin to sample; ``time_s`` counts from here.  Raises :class:`MeterFault`."""
        if self._running:
            raise UsageError(f"meter '{self.info.kind}' is already running")
        _ = self.info
        self._end_s = 0.0
        self._start()
        self._running = True

    def read(self) -> Block | None:
        """The next samples; waits for at least one, but not for long, so it may be empty.

        None at the end of something that ends (a recording).  Every block has been looked at: time
        that goes back is a fault, samples that are not finite are dropped and counted as lost, and
        a mean power below zero is a warning.

        Raises:
            MeterFault: it fell silent, was unplugged, or sends what cannot be right.
            UsageError: not started.
        """
        if not self._running:
            raise UsageError(f"meter '{self.kind}' is not running: call start() first")
        block = self._read()
        return None if block is None else self._checked(block)

    def stop(self) -> None:
        """End sampling; what was not read is dropped.  No error when not running."""
        if self._running:
            self._running = False
            self._stop()

    def close(self) -> None:
        """Stop and give everything back.  No error when not open."""
        try:
            if self._info is not None:
                self.stop()
        finally:
            self._info = None
            self._close()

    def __enter__(self) -> Meter:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- what a meter gives ----------------------------------------------------------------------

    @abstractmethod
    def _open(self) -> MeterInfo:
        """Connect and describe."""

    @abstractmethod
    def _start(self) -> None:
        """Begin; time 0 is now."""

    @abstractmethod
    def _read(self) -> Block | None:
        """See :meth:`read`."""

    @abstractmethod
    def _stop(self) -> None:
        """End; the meter can be started again.  Must not raise when the device has gone."""

    @abstractmethod
    def _close(self) -> None:
        """Give back; also called when ``_open`` failed half-way, and more than once."""

    # ---- what holds for every meter --------------------------------------------------------------

    def _checked(self, block: Block) -> Block:
        block = _finite(block)
        if not len(block):
            return block
        begins = block.time_s
        ends = np.concatenate(([self._end_s], begins[:-1] + block.duration_s[:-1]))
        slack = 1e-9 * (1.0 + abs(block.end_s))
        if np.any(begins < ends - slack) or np.any(block.duration_s < 0):
            raise MeterFault(
                f"meter '{self.kind}': time goes back near {float(begins[0]):.6f} s; "
                "the recording or the meter's clock is broken"
            )
        self._end_s = block.end_s
        return _negative(block)


def _finite(block: Block) -> Block:
    good = np.isfinite(block.power_w)
    for array in (block.time_s, block.duration_s, block.current_a, block.voltage_v):
        if array is not None:
            good &= np.isfinite(array)
    bad = len(block) - int(good.sum())
    if not bad:
        return block
    at = float(block.time_s[int(np.argmin(good))])
    text = "values that are not numbers were dropped; the meter marks lost samples so"
    warning = MeterWarning("lost", text, at if np.isfinite(at) else None, bad)
    flags = block.flags.copy()
    flags[1:][~good[:-1]] |= np.uint8(Flag.GAP_BEFORE)
    kept = replace(block, flags=flags).select(good)
    return replace(kept, lost=block.lost + bad, warnings=(*block.warnings, warning))


def _negative(block: Block) -> Block:
    if float(block.energy_j) >= 0.0:
        return block
    text = "the mean power of a block is below zero: reversed leads, or an offset without load"
    count = int(np.sum(block.power_w < 0))
    warning = MeterWarning("negative", text, float(block.time_s[0]), count, voids=True)
    return replace(block, warnings=(*block.warnings, warning))
