"""The supervisor's rules, written down a second time, for comparison with the table in C.

Nothing here is taken from the table: failures are looked for in the order of how much they take
away, and each rule is a sentence.
"""

from __future__ import annotations

STATES = ("boot", "selftest", "idle", "armed", "hold", "safe")
REACTIONS = ("stop", "act", "keep", "retire")
CONDITIONS = (
    "selftest failed",
    "wrong model",
    "corrupt",
    "untested",
    "was reset",
    "link lost",
    "input lost",
    "overrun",
    "invalid",
    "disarm",
    "stale",
    "arm",
)
UNTRUSTED = {"selftest failed", "wrong model", "corrupt"}
FAILURES = {"was reset", "link lost", "input lost", "overrun", "invalid"}


def following(state: str, holding: set[str]) -> tuple[str, str]:
    """The next state and its reaction."""
    if holding & UNTRUSTED:
        return "safe", "stop"  # no policy that can be trusted
    if "untested" in holding:  # every policy is tested before it may act, and once in a run is safe
        return ("selftest" if state in ("boot", "selftest", "idle") else "safe"), "stop"
    if state in ("boot", "selftest"):
        return ("selftest" if state == "boot" else "idle"), "stop"
    if state in ("idle", "safe"):
        return _waiting(state, holding)
    return _running(holding)


def _waiting(state: str, holding: set[str]) -> tuple[str, str]:
    """Arming succeeds where nothing else holds; nothing but arming leads out."""
    if holding == {"arm"}:
        return "armed", "act"
    return ("idle", "stop") if state == "idle" else ("safe", "retire")


def _running(holding: set[str]) -> tuple[str, str]:
    if holding & FAILURES:
        return "safe", "retire"
    if "disarm" in holding:
        return "idle", "stop"
    return ("hold", "keep") if "stale" in holding else ("armed", "act")
