"""A supervisor's configuration as JSON values, both ways (``docs/SPEC.md`` §6.3)."""

from __future__ import annotations

import math
from typing import Any

from grsn_edge.errors import FormatError
from grsn_edge.policy.limits import ActionChoices, ActionLimit, SupervisorConfig
from grsn_edge.program import fields

__all__ = ["supervisor_document", "supervisor_of"]

_MAX_ACTIONS = 4096
_LIMIT = ("low", "high", "safe", "slew", "brake")
_COUNTS = ("stale_periods", "lost_periods", "overrun_run", "invalid_run")
_REALS = ("deadline_periods", "margin")
_TEXTS = ("on_invalid", "robot")


def supervisor_document(config: SupervisorConfig) -> dict[str, Any]:
    """The value of the key ``supervisor``."""
    actions: dict[str, Any] | list[dict[str, Any]]
    if isinstance(config.actions, ActionChoices):
        actions = {"allowed": list(config.actions.allowed), "safe": config.actions.safe}
    else:
        actions = [{k: _finite(getattr(limit, k)) for k in _LIMIT} for limit in config.actions]
    rest = {key: getattr(config, key) for key in (*_COUNTS, *_REALS, *_TEXTS)}
    return {"actions": actions, **rest}


def supervisor_of(value: object) -> SupervisorConfig:
    """The inverse of :func:`supervisor_document`.

    Raises:
        FormatError: not what the specification says; the text names the culprit.
        UsageError: numbers that do not go together.
    """
    entry = fields.record(value, "supervisor", "actions", *_COUNTS, *_REALS, *_TEXTS)
    rest: dict[str, Any] = {
        key: fields.integer(entry[key], f"supervisor.{key}", 1, 255) for key in _COUNTS
    }
    rest |= {key: fields.real(entry[key], f"supervisor.{key}") for key in _REALS}
    rest |= {key: fields.text(entry[key], f"supervisor.{key}") for key in _TEXTS}
    return SupervisorConfig(_actions(entry["actions"], "supervisor.actions"), **rest)


def _actions(value: object, where: str) -> tuple[ActionLimit, ...] | ActionChoices:
    if isinstance(value, list):
        items = fields.array(value, where, _MAX_ACTIONS)
        return tuple(_limit(item, f"{where}[{i}]") for i, item in enumerate(items))
    entry = fields.record(value, where, "allowed", "safe")
    allowed = tuple(
        fields.integer(item, f"{where}.allowed[{i}]", 0, _MAX_ACTIONS - 1)
        for i, item in enumerate(fields.array(entry["allowed"], f"{where}.allowed", _MAX_ACTIONS))
    )
    return ActionChoices(fields.integer(entry["safe"], f"{where}.safe", 0, _MAX_ACTIONS), allowed)


def _limit(value: object, where: str) -> ActionLimit:
    entry = fields.record(value, where, *_LIMIT)
    if entry["safe"] is None:
        raise FormatError(f"{where}.safe must be a real number, not null")
    unbounded = {"low": -math.inf}
    return ActionLimit(
        **{
            key: unbounded.get(key, math.inf)
            if entry[key] is None
            else fields.real(entry[key], f"{where}.{key}")
            for key in _LIMIT
        }
    )


def _finite(number: float) -> float | None:
    """A number as JSON holds it: null stands for no limit."""
    return None if math.isinf(number) else number
