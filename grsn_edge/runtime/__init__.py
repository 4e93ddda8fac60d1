"""Running a frozen policy: one step per sampling period, or a stream of lines."""

from grsn_edge.runtime.batch import PolicyBatch
from grsn_edge.runtime.executor import Executed, Executor, Timing, run_realtime
from grsn_edge.runtime.live import Newest, World
from grsn_edge.runtime.play import Episode, play_episode, play_episodes
from grsn_edge.runtime.stream import LineResult, read_lines
from grsn_edge.runtime.streaming import PolicySpec, StateSpec, StreamingPolicy, default_backend

__all__ = [
    "Episode",
    "Executed",
    "Executor",
    "LineResult",
    "Newest",
    "PolicyBatch",
    "PolicySpec",
    "StateSpec",
    "StreamingPolicy",
    "Timing",
    "World",
    "default_backend",
    "play_episode",
    "play_episodes",
    "read_lines",
    "run_realtime",
]
