"""Where neurons fire: ``u - θ·[u >= θ]``, in registers or after the loop.

Few neurons fire.  Where nobody in the loop reads the spikes or the membrane after the reset, the
loop only asks whether a threshold is reached; what follows, the reset, the spike and a note of
which neuron it was, is done for those that did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from grsn_edge.backends._c.folds import readers
from grsn_edge.backends._c.schedule import Loop, Products, Schedule
from grsn_edge.program import Node

__all__ = ["Fire", "find_fires"]

_INT16 = (-(2**15), 2**15 - 1)


@dataclass(frozen=True, slots=True)
class Fire:
    """The values of one threshold.

    Args:
        u: the membrane before.
        theta: the threshold.
        spike: 1 where it is reached.
        after: the membrane after the reset.
        rare: only neurons that fire need more than a comparison; ``theta`` then is kept as one
            less, which u is above.
        noted: a product reads the spikes, and can be given the list of them.
        kept: something else reads them, from memory.
    """

    u: str
    theta: str
    spike: str
    after: str
    rare: bool
    noted: bool
    kept: bool


def find_fires(plan: Schedule, loop: Loop) -> tuple[Fire, ...]:
    """Every threshold of a loop whose values are proven to fit 16 bits."""
    read = readers(plan.program, plan.alias)
    inside = frozenset(node.name for node in loop.nodes)
    found: dict[str, Fire] = {}
    for node in loop.nodes:
        fire = _fire(plan, read, inside, node)
        if fire is not None and fire.spike not in found:
            found[fire.spike] = fire
    return tuple(found.values())


def _fire(
    plan: Schedule, read: Mapping[str, list[Node]], inside: frozenset[str], node: Node
) -> Fire | None:
    program = plan.program
    if node.op != "sub":
        return None
    u, gated = (plan.source(arg) for arg in node.args)
    if program[gated].op != "mul" or gated not in inside:
        return None
    factors = [plan.source(arg) for arg in program[gated].args]
    for theta, spike in (factors, factors[::-1]):
        test = program[spike]
        narrow = all(program[v].interval.within(*_INT16) for v in (u, theta, node.name))
        if test.op != "ge" or spike not in inside or not narrow:
            continue
        if [plan.source(arg) for arg in test.args] == [u, theta]:
            rare = _rare(plan, read, inside, (theta, spike, gated, node.name))
            noted = rare and _noted(plan, spike)
            kept = not noted or _kept(read[spike], inside, spike)
            return Fire(u, theta, spike, node.name, rare, noted, kept)
    return None


def _rare(
    plan: Schedule,
    read: Mapping[str, list[Node]],
    inside: frozenset[str],
    names: tuple[str, str, str, str],
) -> bool:
    """Whether the loop can leave the reset and the spike to later."""
    theta, spike, gated, after = names
    level = plan.program[theta]
    only = {theta: [spike, gated], gated: [after]}
    return (
        level.op == "const"
        and level.interval.low > _INT16[0]
        and {spike, after} <= plan.stored
        and plan.program[after].dtype == "int16"
        and all(sorted(r.name for r in read[name]) == sorted(by) for name, by in only.items())
        and [r.name for r in read[spike] if r.name in inside and r.name != spike] == [gated]
        and not any(r.name in inside and r.name != after for r in read[after])
    )


def _noted(plan: Schedule, spike: str) -> bool:
    products = [group for group in plan.groups if isinstance(group, Products)]
    return any(plan.source(group.operand) == spike for group in products)


def _kept(read: list[Node], inside: frozenset[str], spike: str) -> bool:
    """Whether the world outside, or anything but a product, reads a spike after the loop."""
    return any(r.name == spike or (r.name not in inside and r.op != "matvec") for r in read)
