"""Sessions side by side: ratios, and whether a difference is larger than what is not known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from grsn_edge.errors import UsageError
from grsn_edge.profiling.session import Session

__all__ = ["Comparison", "Verdict", "compare_sessions"]

Verdict = Literal["less", "more", "no difference beyond the uncertainty", "not comparable"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of one session against the first session's.

    Args:
        figure: its name and unit.
        first, other: values; None where a session has none, or an invalid one.
        ratio: other / first, with its 95 % interval; None where it cannot be told.
        ratio_low, ratio_high: ends of that interval; equal to the ratio where the figure is exact.
        verdict: of the other against the first.
        why_not: why it is not comparable.
    """

    figure: str
    first: float | None
    other: float | None
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    verdict: Verdict
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    """A value with its interval; ``unit`` and ``kind`` must match to be compared."""

    kind: str
    value: float
    low: float
    high: float


Read = Callable[[Mapping[str, Any]], _Known | str]
"""From a session's content to a value, or why there is none."""


def compare_sessions(sessions: Sequence[Session]) -> dict[str, tuple[Comparison, ...]]:
    """Every session after the first against the first, by its folder's name.

    Raises:
        UsageError: fewer than two sessions.
    """
    if len(sessions) < 2:
        raise UsageError("a comparison needs two sessions or more")
    first, *others = sessions
    return {str(other.folder): _against(first.content, other.content) for other in others}


def _against(first: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[Comparison, ...]:
    found = []
    for name, read in _FIGURES.items():
        a, b = read(first), read(other)
        if not (isinstance(a, str) and isinstance(b, str)):
            found.append(_one(name, a, b))
    return tuple(found)


def _one(name: str, a: _Known | str, b: _Known | str) -> Comparison:
    if isinstance(a, str) or isinstance(b, str):
        return _unlike(name, a, b, a if isinstance(a, str) else str(b))
    if a.kind != b.kind:
        return _unlike(name, a, b, f"{a.kind} and {b.kind} are not the same thing")
    if not (a.low > 0 and b.low > 0):
        return _unlike(name, a, b, "an interval reaches to zero")
    ratio = b.value / a.value
    # Relative half-widths add in quadrature: the sessions are independent.
    below = math.hypot((b.value - b.low) / b.value, (a.high - a.value) / a.value)
    above = math.hypot((b.high - b.value) / b.value, (a.value - a.low) / a.value)
    low, high = ratio * max(0.0, 1 - below), ratio * (1 + above)
    verdict: Verdict = "no difference beyond the uncertainty"
    if high < 1:
        verdict = "less"
    elif low > 1:
        verdict = "more"
    return Comparison(name, a.value, b.value, ratio, low, high, verdict)


def _unlike(name: str, a: _Known | str, b: _Known | str, why: str) -> Comparison:
    first, other = (known.value if isinstance(known, _Known) else None for known in (a, b))
    return Comparison(name, first, other, None, None, None, "not comparable", why)


def _energy(which: str) -> Read:
    def read(content: Mapping[str, Any]) -> _Known | str:
        energy = content.get("energy")
        if not energy or not energy.get(which):
            return f"no {which.removesuffix('_j')} energy was measured"
        if energy["invalid"]:
            return f"an energy is invalid: {energy['invalid'][0]}"
        figure = energy[which]
        kind = "modelled energy" if energy["modelled"] else "measured energy"
        return _Known(kind, figure["value"], figure["low"], figure["high"])

    return read


def _median(kind_of: str) -> Read:
    def read(content: Mapping[str, Any]) -> _Known | str:
        for one in content.get("latency", []):
            if (one["kind"] == "link round trip") == (kind_of == "link") and one["p50"]:
                value = float(one["p50"])
                error = 0.0 if one["unit"] == "instructions" else _median_error(one)
                kind = f"{one['kind']} in {one['unit']}"
                return _Known(kind, value, value - error, value + error)
        return f"no {kind_of} latency in one of the sessions"

    return read


def _median_error(one: Mapping[str, Any]) -> float:
    """1.96 standard errors of a median, as of normal values: 1.2533 s / sqrt(n)."""
    return 1.96 * 1.2533 * float(one["std"]) / math.sqrt(max(1, int(one["n"])))


def _rate(content: Mapping[str, Any]) -> _Known | str:
    spikes = content.get("spikes")
    if not spikes:
        return "nothing spikes in one of the sessions"
    value = float(spikes["rate"])
    return _Known("spikes", value, value, value)


_FIGURES: Mapping[str, Read] = {
    "energy per step above idle (J)": _energy("net_j"),
    "energy per step, all of it (J)": _energy("gross_j"),
    "step, median": _median("step"),
    "link round trip, median": _median("link"),
    "spikes per neuron and step": _rate,
}
