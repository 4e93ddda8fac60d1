"""Whether a meter's clock and the host's run together: drift, and losses that no counter shows."""

from __future__ import annotations

from dataclasses import dataclass

from grsn_edge.profiling.meters.base import Block, Clock, MeterWarning

__all__ = ["ClockWatch"]

_WINDOW_S = 1.0


@dataclass
class ClockWatch:
    """Compares where the samples end with when they arrived.

    A block can come late but never early, so the smallest delay of a window of one second is a
    good look at both clocks.  It is compared with that of the first window; a difference beyond
    the host's jitter plus ``tolerance`` of the time that passed is a warning, once.
    """

    clock: Clock
    tolerance: float = 3e-4
    _first: float | None = None
    _smallest: float = float("inf")
    _window_end_s: float = _WINDOW_S
    _warned: bool = False

    def look(self, block: Block) -> tuple[MeterWarning, ...]:
        """Take one block into account; a warning when the clocks have come apart."""
        if not len(block):
            return ()
        self._smallest = min(self._smallest, block.host_s - block.end_s)
        if block.end_s < self._window_end_s:
            return ()
        delay, self._smallest = self._smallest, float("inf")
        self._window_end_s = block.end_s + _WINDOW_S
        if self._first is None:
            self._first = delay
            return ()
        drift = delay - self._first
        apart = abs(drift) > self.clock.jitter_s + self.tolerance * block.end_s
        if self._warned or not apart:
            return ()
        self._warned = True
        return (_warning(drift, block.end_s),)


def _warning(drift_s: float, at_s: float) -> MeterWarning:
    text = (
        f"after {at_s:.1f} s the meter's samples are {abs(drift_s) * 1e3:.0f} ms "
        f"{'behind' if drift_s > 0 else 'ahead of'} the host's clock: samples were lost that no "
        "counter shows, or a clock runs wrong; durations and energies are off by that much"
    )
    return MeterWarning("clock", text, at_s, voids=True)
