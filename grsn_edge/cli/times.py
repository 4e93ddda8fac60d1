"""Times as people write them on a command line."""

from __future__ import annotations

from grsn_edge.errors import UsageError

__all__ = ["period_of", "seconds"]

_UNITS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "": 1.0}


def seconds(text: str) -> float:
    """``10ms``, ``500us``, ``1s`` or ``0.5`` in s; raises :class:`UsageError`."""
    number = text.rstrip("µmus")
    try:
        value = float(number) * _UNITS[text[len(number) :]]
    except (KeyError, ValueError):
        raise UsageError(f"a time is written like 10ms, 500us or 1s, not '{text}'") from None
    if not 0 <= value < float("inf"):
        raise UsageError(f"a time is not negative, and finite, not '{text}'")
    return value


def period_of(text: str | None, policy_s: float) -> float | None:
    """A sampling period: a time, ``policy`` for the policy's own, ``none`` or None for none."""
    if text is None or text == "none":
        return None
    return policy_s if text == "policy" else seconds(text)
