"""The scoreboard: every network on every task, trained alike, frozen, played and priced."""

from grsn_edge.scoreboard.job import Result, run_job
from grsn_edge.scoreboard.store import Found, look
from grsn_edge.scoreboard.suites import OURS, SUITES, Job, Suite, suite
from grsn_edge.scoreboard.table import Row, Scoreboard, scoreboard

__all__ = [
    "OURS",
    "SUITES",
    "Found",
    "Job",
    "Result",
    "Row",
    "Scoreboard",
    "Suite",
    "look",
    "run_job",
    "scoreboard",
    "suite",
]
