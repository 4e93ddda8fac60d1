"""One self-contained HTML page about a trained and frozen policy."""

from grsn_edge.report.data import CurvePoint, EpisodeTrace, OnBoard, ReportData, episode_trace
from grsn_edge.report.page import render, write

__all__ = [
    "CurvePoint",
    "EpisodeTrace",
    "OnBoard",
    "ReportData",
    "episode_trace",
    "render",
    "write",
]
