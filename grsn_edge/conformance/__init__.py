"""Conformance: random policies, and backends run side by side with ``==`` on every integer."""

from grsn_edge.conformance.locate import Culprit, diagnose, expose, locate
from grsn_edge.conformance.lockstep import Course, Difference, Report, compare, trajectories
from grsn_edge.conformance.random_graphs import random_graph
from grsn_edge.conformance.random_programs import RandomProgram, random_program, random_programs

__all__ = [
    "Course",
    "Culprit",
    "Difference",
    "RandomProgram",
    "Report",
    "compare",
    "diagnose",
    "expose",
    "locate",
    "random_graph",
    "random_program",
    "random_programs",
    "trajectories",
]
