"""The Nordic Power Profiler Kit II's serial protocol: commands, calibration, samples.

Written from the behaviour of Nordic's own application (pc-nrfconnect-ppk, ``serialDevice.ts``) and
of IRNAS' ``ppk2-api``; ``tests/profiling/test_ppk2.py`` compares with the latter sample by sample.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import MeterFault
from grsn_edge.profiling.meters.base import MeterWarning

__all__ = ["Calibration", "Command", "SpikeFilter", "currents", "parse_calibration"]

Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint32]

RANGES = 5
ADC_BITS = 14
ADC_FULL = (1 << ADC_BITS) - 1
RANGE_SHIFT, COUNTER_SHIFT, LOGIC_SHIFT = 14, 18, 24
COUNTER_MASK = 0x3F
SAMPLE_RATE_HZ = 100_000
AMPERES_PER_COUNT_OHM = 1.8 / 163840


class Command:
    """First byte of a command; nothing acknowledges it."""

    AVERAGE_START = 0x06
    AVERAGE_STOP = 0x07
    DEVICE_RUNNING_SET = 0x0C  # 1 byte: 1 on, 0 off
    REGULATOR_SET = 0x0D  # 2 bytes: millivolts, big-endian
    SET_POWER_MODE = 0x11  # 1 byte: 1 ampere meter, 2 source meter
    GET_METADATA = 0x19


@dataclass(frozen=True, slots=True)
class Calibration:
    """A unit's constants, five each, one per range.

    Args:
        r: shunt in Ω.
        gs, gi: quadratic and linear gain.
        o: offset in ADC counts.
        s, i: offset in A per V of supply, and in A.
        ug: the user's gain.
        other: every other key of the metadata.
        warnings: values that were not numbers and are taken as the default.
    """

    r: tuple[float, ...]
    gs: tuple[float, ...]
    gi: tuple[float, ...]
    o: tuple[float, ...]
    s: tuple[float, ...]
    i: tuple[float, ...]
    ug: tuple[float, ...]
    other: Mapping[str, str]
    warnings: tuple[MeterWarning, ...] = ()


# What a healthy unit has: default, lowest, highest.  The bounds are wide (units in the field lie
# within a few per cent); they are there for memories that were overwritten.
_R_DEFAULT = (1031.64, 101.65, 10.15, 0.94, 0.043)
_PLAUSIBLE: Mapping[str, tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]] = {
    "R": (_R_DEFAULT, tuple(r / 2 for r in _R_DEFAULT), tuple(r * 2 for r in _R_DEFAULT)),
    "GS": ((1.0,) * 5, (-1e3,) * 5, (1e3,) * 5),
    "GI": ((1.0,) * 5, (0.5,) * 5, (1.5,) * 5),
    "O": ((0.0,) * 5, (-4096.0,) * 5, (4096.0,) * 5),
    "S": ((0.0,) * 5, (-0.05,) * 5, (0.05,) * 5),
    "I": ((0.0,) * 5, (-0.1,) * 5, (0.1,) * 5),
    "UG": ((1.0,) * 5, (0.5,) * 5, (2.0,) * 5),
}


def parse_calibration(text: str) -> Calibration:
    """Calibration from the metadata's text, which ends with ``END``.

    Raises:
        MeterFault: a value is missing, or no healthy unit could have it.
    """
    pairs = dict(line.strip().split(": ", 1) for line in text.splitlines() if ": " in line)
    warnings: list[MeterWarning] = []
    values: dict[str, tuple[float, ...]] = {}
    for key in _PLAUSIBLE:
        values[key.lower()] = tuple(_constant(pairs, key, n, warnings) for n in range(RANGES))
    return Calibration(**values, other=pairs, warnings=tuple(warnings))


def _constant(pairs: dict[str, str], key: str, n: int, warnings: list[MeterWarning]) -> float:
    default, low, high = (column[n] for column in _PLAUSIBLE[key])
    name = f"{key}{n}"
    text = pairs.pop(name, None)
    if text is None:
        raise MeterFault(f"PPK2: its calibration has no {name}; unplug it and plug it in again")
    try:
        value = float(text)
    except ValueError:
        raise MeterFault(f"PPK2: its calibration says {name} = {text!a}, not a number") from None
    if math.isnan(value):
        note = f"the unit has no {name} (it says {text!a}); the default {default} is assumed"
        warnings.append(MeterWarning("calibration", note, voids=True))
        return default
    if not low <= value <= high:
        raise MeterFault(
            f"PPK2: its calibration says {name} = {value:g}, outside {low:g} to {high:g}: the "
            "unit's memory is damaged; its maker can restore it"
        )
    return value


def currents(calibration: Calibration, words: Words, vdd_mv: float) -> Floats:
    """Current in A of each sample word, before the spike filter.

    The order of the operations is that of ``ppk2-api``, so that results are equal to the bit.
    """
    which = (words >> RANGE_SHIFT) & 7
    adc = ((words & ADC_FULL) * np.uint32(4)).astype(np.float64)
    r, gs, gi, o, s, i, ug = (
        np.asarray(getattr(calibration, name))[which]
        for name in ("r", "gs", "gi", "o", "s", "i", "ug")
    )
    x = (adc - o) * (AMPERES_PER_COUNT_OHM / r)
    return np.asarray(ug * (x * (gs * x + gi) + (s * (vdd_mv / 1000) + i)), dtype=np.float64)


class SpikeFilter:
    """The host's filter: after a change of range, the next three samples become an average.

    Two exponential averages run always, the slower one is used in range 4, whose first two samples
    do not feed them.
    """

    FAST, SLOW, SAMPLES = 0.18, 0.06, 3

    def __init__(self) -> None:
        self._fast: float | None = None
        self._slow: float | None = None
        self._range: int | None = None
        self._since_change = 0
        self._left = 0

    def apply(
        self, amperes: Floats, ranges: npt.NDArray[np.intp]
    ) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """The filtered current, and which samples were replaced; arrays of the shape ``(n,)``."""
        out = amperes.copy()
        replaced = np.zeros(len(amperes), dtype=np.bool_)
        begin = 0
        for at in [*_changes(ranges, self._range), len(amperes)]:
            self._average(amperes[begin:at].tolist(), begin, int(ranges[at - 1]) if at else 0, out)
            begin = at
        replaced[:] = out != amperes
        return out, replaced

    def _average(self, values: list[float], begin: int, which: int, out: Floats) -> None:
        """A run of samples in one range; writes those that are replaced into ``out``."""
        if not values:
            return
        if self._range is None:
            self._range = which
        if self._range != which:
            self._since_change, self._left, self._range = -1, self.SAMPLES, which
        done = 0
        while self._left > 0 and done < len(values):
            self._since_change += 1
            out[begin + done] = self._replace(values[done], which)
            self._left -= 1
            done += 1
        fast, slow = self._fast, self._slow
        if fast is None or slow is None:
            fast = slow = values[0]
            done = 1
        a, b, c, d = self.FAST, 1 - self.FAST, self.SLOW, 1 - self.SLOW
        for value in values[done:]:
            fast = a * value + b * fast
            slow = c * value + d * slow
        self._fast, self._slow = fast, slow

    def _replace(self, value: float, which: int) -> float:
        fast, slow = self._fast, self._slow
        if fast is None or slow is None:
            fast = slow = value
        elif which != RANGES - 1 or self._since_change >= 2:
            fast = self.FAST * value + (1 - self.FAST) * fast
            slow = self.SLOW * value + (1 - self.SLOW) * slow
        self._fast, self._slow = fast, slow
        return slow if which == RANGES - 1 else fast


def _changes(ranges: npt.NDArray[np.intp], before: int | None) -> list[int]:
    """Where the range differs from the sample before."""
    if not len(ranges):
        return []
    inside = (np.flatnonzero(np.diff(ranges)) + 1).tolist()
    return inside if before is None or ranges[0] == before else [0, *inside]
