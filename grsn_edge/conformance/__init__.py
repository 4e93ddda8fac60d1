"""Conformance: random policies, and backends run side by side with ``==`` on every integer."""

from grsn_edge.conformance.lockstep import Difference, Report, compare
from grsn_edge.conformance.random_graphs import random_graph
from grsn_edge.conformance.random_programs import RandomProgram, random_program, random_programs

__all__ = [
    "Difference",
    "RandomProgram",
    "Report",
    "compare",
    "random_graph",
    "random_program",
    "random_programs",
]
