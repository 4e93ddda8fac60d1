"""Progress on stderr: bars with remaining time on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID

    from grsn_edge.training.progress import Progress

__all__ = ["PhaseDisplay", "TrainingDisplay"]

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

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, progress: Progress) -> None:
        """Show one update."""
        if progress.evaluation is not None:
            e = progress.evaluation
            self._note = f"return {e.mean:.1f}, {100 * e.rate:.1f} % spikes"
            if e.agreement is not None:
                self._note += f", {100 * e.agreement:.1f} % as taught"
            if "wins" in progress.scalars:
                self._note += f", {100 * progress.scalars['wins']:.0f} % won"
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


class PhaseDisplay:
    """Watches a profiling run: the phase and the steps done; a context manager and a ``watch``.

    Args:
        steps: that will be counted.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._phase = ""
        self._live = sys.stderr.isatty()

    def __enter__(self) -> PhaseDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live and self._phase:
            print(file=sys.stderr)

    def __call__(self, phase: str, done: int, row: object, recorder: object) -> None:
        """Show a phase when it begins, and on a terminal every hundredth step."""
        if phase != self._phase:
            if self._live and self._phase:
                print(file=sys.stderr)
            self._phase = phase
            print(f"• {phase}", end="" if self._live else "\n", file=sys.stderr, flush=True)
        if self._live and done % 100 == 0:
            of = f"/{self._steps}" if phase == "play" else ""
            print(f"\r• {phase} {done}{of}", end="", file=sys.stderr, flush=True)
