"""The integer step program: operations, tracing, proven ranges and the reference evaluator.

A policy step is a straight line of a dozen integer operations (``docs/SPEC.md`` §2).  This package
is their one definition; neurons are written with it and every backend lowers it.
"""

from grsn_edge.program.codec import from_parts, to_parts
from grsn_edge.program.cost import Counts, Memory, Operations, memory, operations
from grsn_edge.program.evaluate import check_inputs, check_state, evaluate, step
from grsn_edge.program.interval import INT32, STORAGE, IntArray, Interval, narrowest
from grsn_edge.program.ir import Node, Program
from grsn_edge.program.ops import OPS, Attrs
from grsn_edge.program.text import text
from grsn_edge.program.trace import Builder, Value

__all__ = [
    "INT32",
    "OPS",
    "STORAGE",
    "Attrs",
    "Builder",
    "Counts",
    "IntArray",
    "Interval",
    "Memory",
    "Node",
    "Operations",
    "Program",
    "Value",
    "check_inputs",
    "check_state",
    "evaluate",
    "from_parts",
    "memory",
    "narrowest",
    "operations",
    "step",
    "text",
    "to_parts",
]
