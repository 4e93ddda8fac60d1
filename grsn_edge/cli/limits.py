"""``limits``: what guards a policy on a robot; shown, set, and removed."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from grsn_edge.cli.result import Result, columns
from grsn_edge.errors import UsageError
from grsn_edge.policy import (
    ActionChoices,
    ActionLimit,
    Policy,
    SupervisorConfig,
    load,
    model_hash,
    save,
)
from grsn_edge.policy.limits_document import supervisor_document

SUMMARY = "show or set the limits and the safe action that guard a policy on a robot"
EXAMPLE = (
    "grsn-edge limits models/pendulum-p.grsn --set safe=0 slew=0.5 robot='bench 2' -o bench.grsn"
)

_COUNTS = ("stale_periods", "lost_periods", "overrun_run", "invalid_run")
_REALS = ("deadline_periods", "margin")
_TEXTS = ("on_invalid", "robot")
_OF_ACTION = tuple(entry.name for entry in fields(ActionLimit))
_OF_CHOICES = ("safe", "allowed")

_HELP = f"""For every action, or with its name in front for one of them (torque.slew=0.5):
{", ".join(_OF_ACTION)}, in the action's unit and in it per period; inf for none.  Of a policy that
chooses: safe=CHOICE, allowed=CHOICE,CHOICE,…, by name or index.  Of the whole:
{", ".join((*_COUNTS, *_REALS, *_TEXTS))}."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", type=Path, help="a .grsn file")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help=_HELP)
    parser.add_argument("--remove", action="store_true", help="no limits and no safe action")
    parser.add_argument("-o", "--out", type=Path, help="the .grsn file to write")


def run(args: argparse.Namespace) -> Result:
    """Read, change, write, and show."""
    policy = load(args.model)
    if args.set and args.remove:
        raise UsageError("--set and --remove exclude each other")
    if bool(args.set or args.remove) != (args.out is not None):
        raise UsageError("a change needs --out FILE, and --out a change: --set or --remove")
    if args.out is not None:
        guard = None if args.remove else _changed(policy, _pairs(args.set))
        policy = replace(policy, supervisor=guard)
        save(policy, args.out)
    document = supervisor_document(policy.supervisor) if policy.supervisor else None
    data = {"model_hash": model_hash(policy), "out": args.out and str(args.out)}
    return Result({**data, "supervisor": document}, _page(policy, args.out))


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or key in pairs:
            raise UsageError(f"'{text}' is not of the form KEY=VALUE, or says it twice")
        pairs[key] = value
    return pairs


def _changed(policy: Policy, pairs: Mapping[str, str]) -> SupervisorConfig:
    """The policy's supervisor, or a new one, with these entries."""
    rest = dict(pairs)
    own: dict[str, Any] = {key: _integer(key, rest.pop(key)) for key in _COUNTS if key in rest}
    own |= {key: _real(key, rest.pop(key)) for key in _REALS if key in rest}
    own |= {key: rest.pop(key) for key in _TEXTS if key in rest}
    actions = _choices(policy, rest) if policy.decoder.is_discrete else _limits(policy, rest)
    if policy.supervisor is None:
        return SupervisorConfig(actions, **own)
    return replace(policy.supervisor, actions=actions, **own)


def _choices(policy: Policy, rest: Mapping[str, str]) -> ActionChoices:
    before = policy.supervisor.actions if policy.supervisor else None
    _refuse(set(rest) - set(_OF_CHOICES), _OF_CHOICES)
    known = before if isinstance(before, ActionChoices) else None
    if known is None and "safe" not in rest:
        raise UsageError(f"say which choice is safe: --set safe={policy.actions[0].name}")
    safe = _choice(policy, rest["safe"]) if known is None or "safe" in rest else known.safe
    if "allowed" in rest:
        allowed = tuple(sorted(_choice(policy, text) for text in rest["allowed"].split(",")))
    else:
        allowed = tuple(range(len(policy.actions))) if known is None else known.allowed
    return ActionChoices(safe, allowed)


def _choice(policy: Policy, text: str) -> int:
    names = [channel.name for channel in policy.actions]
    if text in names:
        return names.index(text)
    if text.isdigit() and int(text) < len(names):
        return int(text)
    raise UsageError(f"'{text}' is none of the choices {', '.join(names)}, and no index of one")


def _limits(policy: Policy, rest: Mapping[str, str]) -> tuple[ActionLimit, ...]:
    names = [channel.name for channel in policy.actions]
    keys = [*_OF_ACTION, *(f"{name}.{key}" for name in names for key in _OF_ACTION)]
    _refuse(set(rest) - set(keys), keys)
    before = policy.supervisor.actions if policy.supervisor else ()
    limits = []
    for i, channel in enumerate(policy.actions):
        known: dict[str, float] = {"low": channel.low, "high": channel.high}
        if isinstance(before, tuple) and before:
            known = {key: getattr(before[i], key) for key in _OF_ACTION}
        for key in _OF_ACTION:
            for name in (key, f"{channel.name}.{key}"):
                if name in rest:
                    known[key] = _real(name, rest[name])
        if "safe" not in known:
            raise UsageError(f"say what is safe for '{channel.name}': --set {channel.name}.safe=0")
        limits.append(ActionLimit(**known))
    return tuple(limits)


def _refuse(unknown: set[str], known: Sequence[str]) -> None:
    if unknown:
        listed = ", ".join((*known, *_COUNTS, *_REALS, *_TEXTS))
        raise UsageError(f"no '{min(unknown)}' to set; there are {listed}")


def _integer(key: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{key} is a whole number, not '{text}'") from None


def _real(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{key} is a number, not '{text}'") from None


def _page(policy: Policy, out: Path | None) -> str:
    written = f"{out}: hash {model_hash(policy)}\n" if out else ""
    config = policy.supervisor
    if config is None:
        return f"{written}'{policy.name}' has no limits and no safe action"
    if isinstance(config.actions, ActionChoices):
        names = [channel.name for channel in policy.actions]
        allowed = ", ".join(names[i] for i in config.actions.allowed)
        rows: list[tuple[Any, ...]] = [("safe", names[config.actions.safe]), ("allowed", allowed)]
    else:
        rows = [("action", "unit", *_OF_ACTION)]
        rows += [
            (channel.name, channel.unit, *(_shown(getattr(limit, key)) for key in _OF_ACTION))
            for channel, limit in zip(policy.actions, config.actions, strict=True)
        ]
    others = [(key, getattr(config, key)) for key in (*_COUNTS, *_REALS, *_TEXTS)]
    return f"{written}{columns(rows)}\n\n{columns(others)}"


def _shown(number: float) -> str:
    return "none" if math.isinf(number) else f"{number:g}"
