"""Progress on stderr: bars with remaining time on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID

    from grsn_edge.training.progress import Progress

__all__ = ["TrainingDisplay"]

_NAMES = {"float": "learn in float", "quieten": "quieten the spikes", "tune": "tune in integers"}


class TrainingDisplay:
    """Watches a training run; use as a context manager and give it as ``watch``.

    Args:
        title: shown before the phase.
    """

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bars

        self._title = title
        self._live = sys.stderr.isatty()
        self._bars = Bars(
            TextColumn("{task.description:<32}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]:>9}"),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            disable=not self._live,
        )
        self._tasks: dict[str, TaskID] = {}
        self._note = ""

    def __enter__(self) -> TrainingDisplay:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def __call__(self, progress: Progress) -> None:
        """Show one update."""
        if progress.evaluation is not None:
            e = progress.evaluation
            self._note = f"return {e.mean:.1f}, {100 * e.rate:.1f} % spikes"
            if not self._live:
                print(
                    f"{self._title}: {_NAMES[progress.phase]} "
                    f"{progress.update}/{progress.updates}: {self._note}",
                    file=sys.stderr,
                    flush=True,
                )
        name = f"{self._title}: {_NAMES[progress.phase]}"
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=progress.updates, left="", note="")
        self._bars.update(
            self._tasks[name],
            completed=progress.update,
            left=f"{progress.remaining_s:.0f} s left",
            note=self._note,
        )
