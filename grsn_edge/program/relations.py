"""Interval rules that look at more than one operation.

Interval arithmetic forgets that two operands are related: in ``b + f·(a - b)`` it lets ``a - b``
and ``b`` vary freely and so finds a range far too wide.  Each rule here recognises one shape of
expression, proves a tighter interval, and costs the device nothing.  Every rule states its proof,
and a test checks it exhaustively on small ranges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from grsn_edge.program.interval import Interval
from grsn_edge.program.ir import Node

__all__ = ["RULES", "refine"]

Lookup = Mapping[str, Node]
Rule = Callable[[Node, Lookup], Interval | None]


def refine(node: Node, nodes: Lookup) -> Interval:
    """The interval of ``node``, tightened by every rule that recognises it."""
    interval = node.interval
    for rule in RULES:
        better = rule(node, nodes)
        if better is not None:
            interval = Interval(
                np.maximum(interval.lo, better.lo), np.minimum(interval.hi, better.hi)
            )
    return interval


def convex_combination(node: Node, nodes: Lookup) -> Interval | None:
    """``b + shr(f·(a - b), s)`` with ``0 <= f <= 2^s`` lies between ``a`` and ``b``.

    With ``d = a - b`` the product lies between 0 and ``d·2^s``; ``shr`` is monotone and exact on
    multiples of ``2^s``, so its result lies between 0 and ``d``.
    """
    if node.op != "add":
        return None
    for b, shifted in _both_orders(node, nodes):
        if shifted.op != "shr":
            continue
        (product,) = _args(shifted, nodes)
        if product.op != "mul":
            continue
        for factor, difference in _both_orders(product, nodes):
            if difference.op != "sub" or difference.args[1] != b.name:
                continue
            if factor.interval.within(0, 1 << int(shifted.attrs["shift"])):
                return nodes[difference.args[0]].interval.hull(b.interval)
    return None


def soft_reset(node: Node, nodes: Lookup) -> Interval | None:
    """``u - theta·[u >= theta]`` with a constant ``theta >= 0``.

    Without a spike ``u <= theta - 1``; with one the result is ``u - theta`` in ``[0, hi - theta]``.
    """
    if node.op != "sub":
        return None
    u, product = _args(node, nodes)
    if product.op != "mul":
        return None
    for theta, spike in _both_orders(product, nodes):
        if theta.op == "const" and spike.op == "ge" and spike.args == (u.name, theta.name):
            level = theta.interval.lo
            if level.min() < 0:
                return None
            quiet_hi = np.minimum(u.interval.hi, level - 1)
            return Interval(
                np.minimum(u.interval.lo, 0), np.maximum(quiet_hi, u.interval.hi - level)
            )
    return None


RULES: Sequence[Rule] = (convex_combination, soft_reset)
"""The rules, tried on every node as it is traced."""


def _args(node: Node, nodes: Lookup) -> tuple[Node, ...]:
    return tuple(nodes[name] for name in node.args)


def _both_orders(node: Node, nodes: Lookup) -> tuple[tuple[Node, Node], tuple[Node, Node]]:
    x, y = _args(node, nodes)
    return (x, y), (y, x)
