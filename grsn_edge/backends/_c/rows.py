"""The constants of a loop: one table of vectors, or one row of words for every two neurons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from grsn_edge.backends._c.folds import Folds
from grsn_edge.backends._c.memory import Memory, Place
from grsn_edge.backends._c.schedule import Loop
from grsn_edge.program import IntArray, Node

__all__ = ["Rows", "constants", "rows"]

Dots = Mapping[str, tuple[str, int]]
"""Products that may be taken inside a loop: the array of inputs in pairs, and their number."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The constants of a loop, two neurons in a row of ``words`` words of ``table``.

    ``inside`` maps values to expressions that read them through the pointer ``row``.
    """

    table: str
    words: int
    inside: Mapping[str, str]


def constants(memory: Memory, loop: Loop, dots: Dots) -> list[Node]:
    """The constant vectors of a loop, in one table of int16: one address serves all."""
    program, plan = memory.program, memory.plan
    names = dict.fromkeys(plan.source(arg) for node in loop.nodes for arg in node.args)
    nodes = [program[name] for name in names if name not in memory.places]
    nodes = [n for n in nodes if n.op == "const" and n.n == loop.n and n.dtype != "int32"]
    nodes = [n for n in nodes if np.any(n.attrs["value"] != n.attrs["value"][0])]
    if nodes:
        label = f"loop_{memory.identifier(nodes[0].name)}"
        only = "!GRSN_DOTS" if _inside(memory, loop, dots) else ""
        values = np.concatenate([n.attrs["value"] for n in nodes])
        table = memory.table(label, values, "int16", only=only)
        for i, node in enumerate(nodes):
            expression = f"({table} + {i * loop.n})" if i else table
            memory.places[node.name] = Place(expression, "int16")
    return nodes


def rows(
    memory: Memory, folds: Folds, loop: Loop, dots: Dots, constants: list[Node]
) -> Rows | None:
    """What two neurons of a loop read, as one row of words: constants, biases, weights."""
    products = _inside(memory, loop, dots)
    if not products:
        return None
    words = [_couple(n.attrs["value"].reshape(-1, 2)) for n in constants]
    inside = {n.name: f"row[{i}]" for i, n in enumerate(constants)}
    at = len(words)
    for node in products:
        pairs, n = dots[node.name]
        inside[node.name] = f"grsn_dots(row + {at}, {pairs}, {n})"
        weights = _couple(node.attrs["weight"].reshape(-1, n // 2, 2))
        whole = np.concatenate([folds.bias(node)[:, None], weights], axis=1)
        words.append(whole.reshape(loop.n // 2, -1))
        at += 2 + n
    values = np.concatenate([w.reshape(loop.n // 2, -1) for w in words], axis=1)
    label = f"rows_{memory.identifier(products[0].name)}"
    table = memory.table(label, values, "int32", only="GRSN_DOTS")
    return Rows(table, values.shape[1], inside)


def _inside(memory: Memory, loop: Loop, dots: Dots) -> list[Node]:
    """The products that may be taken inside a loop."""
    names = dict.fromkeys(memory.plan.source(arg) for node in loop.nodes for arg in node.args)
    return [memory.program[name] for name in names if name in dots]


def _couple(pairs: IntArray) -> IntArray:
    """Two int16, ``(..., 2)``, as one int32, ``(...)``, the first in the lower half."""
    return np.asarray((pairs[..., 0] & 0xFFFF) | (pairs[..., 1] << 16), dtype=np.int64)
