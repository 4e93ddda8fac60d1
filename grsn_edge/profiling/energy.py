"""Energy per step with its uncertainty, from windows of known numbers of steps.

A figure is the ratio of all energy to all steps.  Its 95 % interval has two parts, kept apart until
they are added: the *spread* over repeated windows (bias-corrected and accelerated bootstrap: Efron,
"Better Bootstrap Confidence Intervals", 1987), and the *meter's bound*, as its maker states it,
which no repetition makes smaller.  Windows in a row are alike, so they are joined to at most fifty
groups first, and groups are what is drawn.

Figures that break a rule are marked invalid with the reason, and stay so wherever they are shown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import MeterUnavailable, UsageError
from grsn_edge.profiling.ledger import Span
from grsn_edge.profiling.meters import Accuracy

__all__ = [
    "CAREFUL",
    "MLPERF_TINY",
    "Battery",
    "Energy",
    "Figure",
    "Idle",
    "Rules",
    "Window",
    "battery",
    "energy_per_step",
]

Floats = npt.NDArray[np.float64]

_GROUPS = 50
_RESAMPLES = 4999
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Window:
    """A span in which the device did nothing but ``steps`` steps."""

    span: Span
    steps: int


@dataclass(frozen=True, slots=True)
class Idle:
    """The device at rest before and after the windows; ``after`` None where it was not seen."""

    before: Span
    after: Span | None = None

    @property
    def power_w(self) -> float:
        """Mean of both."""
        spans = [self.before] if self.after is None else [self.before, self.after]
        return float(np.mean([span.power_w for span in spans]))

    @property
    def drift(self) -> float:
        """Relative difference of both; 0 where one is missing."""
        if self.after is None or not self.power_w:
            return 0.0
        return abs(self.after.power_w - self.before.power_w) / abs(self.power_w)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and the 95 % interval around it, in the same unit.

    ``spread_low`` and ``spread_high`` are the interval of the repeated windows alone; ``low`` and
    ``high`` have the meter's bound added to both sides.
    """

    value: float
    low: float
    high: float
    spread_low: float
    spread_high: float

    def scaled(self, factor: float) -> Figure:
        """The figure in another unit; ``factor`` is positive."""
        ends = (self.value, self.low, self.high, self.spread_low, self.spread_high)
        return Figure(*(end * factor for end in ends))


@dataclass(frozen=True, slots=True)
class Rules:
    """What makes a figure invalid.

    Args:
        name: shown beside the figure.
        min_windows: fewer are too few to know their spread.
        max_windows: more are against the rules; None for any number.
        min_window_s: a shorter window is too short.
        min_window_steps: of each window.
        min_samples: of each window; its ends are known to one sample only.
        max_lost: share of the windows' time without samples.
        max_idle_drift: relative change of the idle power, beyond which nothing is subtracted.
        max_spread: (largest − smallest) / median over the windows; None for any.
        median: the figure is the median of the windows, not the ratio of the sums.
    """

    name: str
    min_windows: int = 5
    max_windows: int | None = None
    min_window_s: float = 0.0
    min_window_steps: int = 1
    min_samples: int = 10
    max_lost: float = 1e-3
    max_idle_drift: float = 0.02
    max_spread: float | None = None
    median: bool = False


CAREFUL = Rules("default")
"""Rules that hold for every figure."""
MLPERF_TINY = Rules(
    "mlperf-tiny",
    min_windows=5,
    max_windows=5,
    min_window_s=10.0,
    min_window_steps=10,
    max_spread=0.05,
    median=True,
)
"""MLPerf Tiny v1.2: five windows of at least 10 s and 10 inferences, the median, 0.1 % lost."""


@dataclass(frozen=True, slots=True)
class Energy:
    """What a step costs.

    Args:
        rules: by which it was judged.
        windows, steps: how many.
        duration_s: of all windows.
        gross_j: per step, everything that the meter saw; None where there is no window.
        net_j: per step, above the idle power; None where idle was not measured, or has drifted.
        power_w: mean during the windows.
        idle_w: mean at rest; None where it was not measured.
        lost: share of the windows' time without samples.
        meter_bound_j: part of the interval that is the meter's, per step; None where unknown.
        invalid: why the figures must not be used; empty where they may.
        notes: what a reader must know, though the figures are valid.
        modelled: nothing was measured.
    """

    rules: str
    windows: int
    steps: int
    duration_s: float
    gross_j: Figure | None
    net_j: Figure | None
    power_w: float
    idle_w: float | None
    lost: float
    meter_bound_j: float | None
    invalid: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    modelled: bool = False

    @property
    def is_valid(self) -> bool:
        """Whether no rule is broken."""
        return not self.invalid

    def marked(self, *reasons: str) -> Energy:
        """The same with further reasons against it."""
        return replace(self, invalid=(*self.invalid, *reasons))


def energy_per_step(
    windows: Sequence[Window],
    *,
    idle: Idle | None = None,
    accuracy: Accuracy | None = None,
    voltage_v: float = 0.0,
    rules: Rules = CAREFUL,
    modelled: bool = False,
    seed: int = 0,
) -> Energy:
    """Judge and summarise windows.

    Args:
        windows: in order of time.
        idle: the device at rest; what is subtracted for ``net_j``.
        accuracy: the meter's, or None where nobody states it.
        voltage_v: of the supply, for bounds stated as a current.
        rules: what makes the figure invalid.
        modelled: the energies come from a model.
        seed: of the bootstrap: the same windows give the same interval.

    Raises:
        MeterUnavailable: scipy is not installed.
        UsageError: a window without steps.
    """
    if any(window.steps < 1 for window in windows):
        raise UsageError("a window holds at least one step")
    reasons = _broken(windows, rules)
    steps = sum(window.steps for window in windows)
    duration = sum(window.span.duration_s for window in windows)
    covered = sum(window.span.covered_s for window in windows)
    total = sum(window.span.energy_j for window in windows)
    lost = 1.0 - covered / duration if duration > 0 else 0.0
    notes = [] if accuracy else ["nobody states this meter's accuracy: the interval is the spread"]
    gross = net = bound = None
    if windows:
        energies = np.array([_filled(window.span) for window in windows])
        counts = np.array([window.steps for window in windows], np.float64)
        bound = accuracy.energy_bound_j(total, duration, voltage_v) / steps if accuracy else None
        gross = _figure(energies, counts, bound or 0.0, rules, seed)
    if windows and idle is not None:
        net, text = _net(windows, idle, accuracy, rules, seed)
        notes += text
    return Energy(
        rules.name,
        len(windows),
        steps,
        duration,
        gross,
        net,
        total / covered if covered > 0 else 0.0,
        idle.power_w if idle else None,
        max(lost, 0.0),
        bound,
        tuple(reasons),
        tuple(notes),
        modelled,
    )


def _filled(span: Span) -> float:
    """A window's energy; a hole within the allowed share counts as the mean of the rest."""
    return span.power_w * span.duration_s


def _broken(windows: Sequence[Window], rules: Rules) -> list[str]:
    """Every rule that is broken, in words."""
    if len(windows) < rules.min_windows:
        return [f"{len(windows)} windows are too few: {rules.min_windows} are needed"]
    spans = [window.span for window in windows]
    found: list[str] = []
    if rules.max_windows is not None and len(windows) > rules.max_windows:
        found.append(f"{len(windows)} windows, where the rules want {rules.max_windows}")
    if (shortest := min(s.duration_s for s in spans)) < rules.min_window_s * (1 - 1e-9):
        found.append(f"a window of {shortest:.3g} s is shorter than {rules.min_window_s:g} s")
    if (fewest := min(w.steps for w in windows)) < rules.min_window_steps:
        found.append(f"a window of {fewest} steps has fewer than {rules.min_window_steps}")
    if (samples := min(s.samples for s in spans)) < rules.min_samples:
        found.append(
            f"a window of {samples} samples is too short for this meter: put more steps into one"
        )
    duration = sum(s.duration_s for s in spans)
    if (lost := 1 - sum(s.covered_s for s in spans) / duration) > rules.max_lost:
        found.append(
            f"{100 * lost:.2g} % of the samples are lost; {100 * rules.max_lost:g} % may be"
        )
    if (doubtful := sum(s.doubtful_s for s in spans) / duration) > rules.max_lost:
        found.append(f"{100 * doubtful:.2g} % of the samples are saturated or doubtful")
    each = np.array([w.span.energy_j / w.steps for w in windows])
    if rules.max_spread is not None and np.ptp(each) > rules.max_spread * abs(np.median(each)):
        found.append(f"unstable: the windows differ by more than {100 * rules.max_spread:g} %")
    return found


def _net(
    windows: Sequence[Window], idle: Idle, accuracy: Accuracy | None, rules: Rules, seed: int
) -> tuple[Figure | None, list[str]]:
    """The figure above idle, and notes.  A constant offset of the meter cancels; its gain stays."""
    if idle.after is None:
        note = ["idle was measured before the run only: its drift is unknown"]
    elif idle.drift > rules.max_idle_drift:
        return None, [
            f"idle power changed by {100 * idle.drift:.1f} % between before and after: "
            "nothing is subtracted"
        ]
    else:
        note = []
    durations = np.array([window.span.duration_s for window in windows])
    counts = np.array([window.steps for window in windows], np.float64)
    energies = np.array([_filled(w.span) for w in windows]) - idle.power_w * durations
    gain = accuracy.gain + accuracy.clock if accuracy else 0.0
    unsure_w = 0.5 * idle.drift * abs(idle.power_w)
    bound = (gain * abs(energies.sum()) + unsure_w * durations.sum()) / counts.sum()
    return _figure(energies, counts, float(bound), rules, seed), note


def _figure(energies: Floats, counts: Floats, bound: float, rules: Rules, seed: int) -> Figure:
    if rules.median:
        each = energies / counts
        value, low, high = float(np.median(each)), float(each.min()), float(each.max())
    else:
        value = float(energies.sum() / counts.sum())
        low, high = _bootstrap(*_grouped(energies, counts), seed)
    return Figure(value, low - bound, high + bound, low, high)


def _grouped(energies: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Neighbours joined to at most :data:`_GROUPS` groups."""
    groups = min(_GROUPS, energies.size)
    parts = np.array_split(np.arange(energies.size), groups)
    return (
        np.array([energies[part].sum() for part in parts]),
        np.array([counts[part].sum() for part in parts]),
    )


def _bootstrap(energies: Floats, counts: Floats, seed: int) -> tuple[float, float]:
    """The 95 % interval of the ratio of the sums."""
    ratio = float(energies.sum() / counts.sum())
    each = energies / counts
    if energies.size < 2 or np.ptp(each) <= 1e-12 * abs(ratio):
        return ratio, ratio
    try:
        from scipy.stats import bootstrap
    except ImportError:
        raise MeterUnavailable(
            "confidence intervals need scipy; pip install grsn-edge[profile]"
        ) from None
    found = bootstrap(
        (energies, counts),
        lambda e, c, axis: e.sum(axis=axis) / c.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=_RESAMPLES,
        confidence_level=_CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    if not np.isfinite([found.low, found.high]).all():
        return float(each.min()), float(each.max())
    return float(found.low), float(found.high)


@dataclass(frozen=True, slots=True)
class Battery:
    """How long a battery lasts at a mean power.

    Args:
        capacity_ah, voltage_v: nominal, of the battery.
        usable: share of its energy that reaches the load.
        power_w: mean power of the load.
        hours: the estimate.
    """

    capacity_ah: float
    voltage_v: float
    usable: float
    power_w: float
    hours: float


def battery(text: str, power_w: float, usable: float = 0.85) -> Battery:
    """The estimate for a battery written as ``500mAh@3.7V`` or ``2Ah@12V``.

    Raises:
        UsageError: another form, or a power that is not positive.
    """
    match = re.fullmatch(r"\s*([\d.]+)\s*(m?)Ah\s*@\s*([\d.]+)\s*V\s*", text, re.IGNORECASE)
    try:
        capacity = float(match[1]) * (1e-3 if match[2] else 1.0) if match else 0.0
        voltage = float(match[3]) if match else 0.0
    except ValueError:
        capacity = voltage = 0.0
    if capacity <= 0 or voltage <= 0:
        raise UsageError(f"a battery is written like 500mAh@3.7V, not '{text}'")
    if not power_w > 0:
        raise UsageError("a battery's life needs a mean power above zero")
    return Battery(capacity, voltage, usable, power_w, capacity * voltage * usable / power_w)
