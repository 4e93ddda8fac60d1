"""Reads a meter beside the run, in a thread of its own, and keeps what the figures need."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

from grsn_edge.errors import GrsnEdgeError, MeterFault
from grsn_edge.profiling.ledger import Ledger, MarkFinder, Span
from grsn_edge.profiling.meters import Block, Meter, MeterInfo, MeterWarning
from grsn_edge.profiling.meters.base import merge
from grsn_edge.profiling.session import SessionWriter
from grsn_edge.profiling.thinning import Thinned, Thinner

__all__ = ["Recorded", "Recorder"]

_CLOSE_UP = 50_000  # samples kept as they are, for the report's closer look
_SLACK_S = 5.0  # how late a span may be asked for
_SYNC_S = 1.0


@dataclass(frozen=True, eq=False)
class Recorded:
    """What a recorder saw.

    Args:
        whole: everything from the first sample to the last.
        samples, lost: how many.
        warnings: merged, in the order in which they were first seen.
        fault: what ended the recording early; None where nothing did.
        trace: thinned.
        close_up: the first samples of the run, unthinned.
        sync_s: host's clock minus meter's clock.
        sync_error_s: by how much that changed while it ran.
    """

    whole: Span
    samples: int
    lost: int
    warnings: tuple[MeterWarning, ...]
    fault: str | None
    trace: Thinned
    close_up: tuple[Block, ...]
    sync_s: float
    sync_error_s: float


class Recorder:
    """Runs a meter; a context manager.

    Args:
        meter: open, not started.
        writer: gets every sample; or None.
        mark_bit: digital input that is high during a step; None where there is none.
        longest_s: of the spans that will be asked for.
    """

    def __init__(
        self,
        meter: Meter,
        writer: SessionWriter | None = None,
        mark_bit: int | None = None,
        longest_s: float = 5.0,
    ) -> None:
        self.meter = meter
        self.info: MeterInfo = meter.info
        rate = self.info.sample_rate_hz or 1e5
        self._writer = writer
        self._ledger = Ledger(longest_s + _SLACK_S)
        self._finder = None if mark_bit is None else MarkFinder(mark_bit)
        self._pulses: deque[Span] = deque()
        self._thinner = Thinner(width_s=1.0 / rate)
        self._close_up: list[Block] = []
        self._close_up_from_s: float | None = None
        self._close_up_samples = 0
        self._warnings: list[MeterWarning] = list(self.info.warnings)
        self._samples = self._lost = 0
        self._delays: list[float] = []
        self._smallest = float("inf")
        self._window_end_s = _SYNC_S
        self._fault: str | None = None
        self._change = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="grsn-edge meter", daemon=True)

    def __enter__(self) -> Recorder:
        self.meter.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def finish(self) -> None:
        """Stop the meter; what was seen is final.  No error when it has stopped already."""
        self._stopping.set()
        self._thread.join()
        self.meter.stop()

    # ---- what the run asks -----------------------------------------------------------------------

    @property
    def fault(self) -> str | None:
        """What ended the recording; None while it runs well."""
        return self._fault

    def begin_close_up(self) -> None:
        """Keep the samples from now on as they are, until there are enough."""
        with self._change:
            self._close_up_from_s = self._ledger.end_s

    def meter_time(self, host_s: float) -> float:
        """A moment of the host's clock on the meter's clock.

        The smallest delay with which samples arrive is taken for none at all: bytes come late,
        never early.

        Raises:
            MeterFault: the meter has not given a sample yet.
        """
        with self._change:
            return host_s - self._sync()

    def span(self, begin_s: float, end_s: float, timeout_s: float = 5.0) -> Span:
        """Between two moments of the meter's clock; waits until it has been read so far.

        Raises:
            MeterFault: the meter stopped before, or does not get there in time.
        """
        limit = time.monotonic() + timeout_s
        with self._change:
            while self._ledger.end_s < end_s:
                if self._fault is not None:
                    raise MeterFault(self._fault)
                if not self._change.wait(max(0.0, limit - time.monotonic())):
                    raise MeterFault(
                        f"meter '{self.info.kind}' has given samples up to "
                        f"{self._ledger.end_s:.3f} s only; {end_s:.3f} s were needed"
                    )
            return self._ledger.span(begin_s, end_s)

    def span_to(self, host_s: float) -> None:
        """Wait until the meter has been read up to a moment of the host's clock; raises as
        :meth:`span` does."""
        end = self.meter_time(host_s)
        self.span(end, end)

    def pulses(self) -> list[Span]:
        """The marked spans that ended since the last call, in order."""
        with self._change:
            found = list(self._pulses)
            self._pulses.clear()
            return found

    @property
    def broken_pulses(self) -> int:
        """Marks that were lost with samples."""
        return 0 if self._finder is None else self._finder.broken

    def power_w(self, last_s: float) -> float | None:
        """Mean of the last seconds, for a display; None before there are any."""
        with self._change:
            end = self._ledger.end_s
            if end <= 0:
                return None
            try:
                return self._ledger.span(max(0.0, end - last_s), end).power_w
            except GrsnEdgeError:
                return None

    def recorded(self) -> Recorded:
        """What was seen, so far or in all."""
        with self._change:
            ready = bool(self._delays) or self._smallest < float("inf")
            sync = self._sync() if ready else 0.0
            error = max(self._delays) - min(self._delays) if self._delays else 0.0
            return Recorded(
                self._ledger.whole,
                self._samples,
                self._lost,
                merge(self._warnings),
                self._fault,
                self._thinner.result(),
                tuple(self._close_up),
                sync,
                error,
            )

    # ---- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                block = self.meter.read()
                if block is None:
                    break
                self._take(block)
        except GrsnEdgeError as error:
            self._fault = str(error)
        finally:
            with self._change:
                self._change.notify_all()

    def _take(self, block: Block) -> None:
        if self._writer is not None:
            self._writer.power(block)
        with self._change:
            self._ledger.add(block)
            self._thinner.add(block)
            if self._finder is not None:
                ends = self._finder.add(block)
                self._pulses.extend(self._ledger.span(a, b) for a, b in ends)
            self._keep_close_up(block)
            self._look_at_clocks(block)
            self._samples += len(block)
            self._lost += block.lost
            self._warnings = list(merge([*self._warnings, *block.warnings]))
            self._change.notify_all()

    def _keep_close_up(self, block: Block) -> None:
        if self._close_up_from_s is None or self._close_up_samples >= _CLOSE_UP:
            return
        self._close_up.append(block)
        self._close_up_samples += len(block)

    def _look_at_clocks(self, block: Block) -> None:
        if not len(block):
            return
        self._smallest = min(self._smallest, block.host_s - block.end_s)
        if block.end_s >= self._window_end_s:
            self._delays.append(self._smallest)
            self._smallest = float("inf")
            self._window_end_s = block.end_s + _SYNC_S

    def _sync(self) -> float:
        latest = [*self._delays[-2:], self._smallest]
        if min(latest) == float("inf"):
            raise MeterFault(f"meter '{self.info.kind}' has not given a sample yet")
        return min(latest)
