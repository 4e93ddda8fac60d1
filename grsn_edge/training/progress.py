"""What training tells those who watch: a progress bar, TensorBoard, a test."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from grsn_edge.errors import TrainingError

__all__ = ["Evaluation", "Pace", "Progress", "TensorBoard", "Watcher"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Greedy play at one moment of training.

    Args:
        phase: in which it was made.
        env_steps: environment steps until then.
        mean, std: of the returns.
        rate: spikes per neuron and step.
        agreement: share of steps in which it did what its teacher, or its log, would have done;
            None without one.
    """

    phase: str
    env_steps: int
    mean: float
    std: float
    rate: float
    agreement: float | None = None

    def config(self) -> dict[str, Any]:
        """As JSON values; ``Evaluation(**config)`` makes it again."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Progress:
    """One update of training.

    Args:
        phase: ``float``, ``quieten`` or ``tune``.
        update, updates: how many of this phase are done, and its budget.
        env_steps: environment steps until now, over all phases.
        steps_per_s: environment steps per second in this update, evaluations included.
        remaining_s: an estimate for all that is left, or 0.
        train_return: mean return of the exploring episodes that ended, or None.
        scalars: losses, ``entropy``, ``kl``, ``rate``, ``lr``, ``penalty``, by name.
        evaluation: if one was made after this update.
    """

    phase: str
    update: int
    updates: int
    env_steps: int
    steps_per_s: float
    remaining_s: float
    train_return: float | None
    scalars: Mapping[str, float]
    evaluation: Evaluation | None


class Pace:
    """Times updates, and from that what is left."""

    def __init__(self) -> None:
        self._taken: dict[str, list[float]] = {}
        self._last = 0.0
        self.restart()

    def restart(self) -> None:
        """An update begins."""
        self._last = time.perf_counter()

    def lap(self, phase: str) -> float:
        """Seconds since the last call; counted as one update of this phase."""
        now = time.perf_counter()
        seconds, self._last = now - self._last, now
        self._taken.setdefault(phase, []).append(seconds)
        return seconds

    def remaining_s(self, left: Mapping[str, int]) -> float:
        """Seconds for so many updates of each phase; unseen phases like those before them."""
        total, present = 0.0, 0.0
        for phase, updates in left.items():
            recent = self._taken.get(phase, [])[-20:]
            present = sum(recent) / len(recent) if recent else present
            total += updates * present
        return total


class Watcher(Protocol):
    """Called after every update; :class:`KeyboardInterrupt` from it stops training as Ctrl-C."""

    def __call__(self, progress: Progress) -> None: ...


class TensorBoard:
    """Writes every update to TensorBoard.

    Args:
        folder: of the event files.
        env_steps: where training begins or goes on; later events of an older run are dropped.

    Raises:
        TrainingError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, env_steps: int = 0) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise TrainingError("TensorBoard is not installed; install grsn-edge[train]") from None
        self._writer: Any = SummaryWriter(str(folder), purge_step=env_steps + 1)

    def __call__(self, progress: Progress) -> None:
        """Write one update."""
        scalars = {**progress.scalars, "steps_per_s": progress.steps_per_s}
        if progress.train_return is not None:
            scalars["return"] = progress.train_return
        for name, value in scalars.items():
            self._writer.add_scalar(f"train/{name}", value, progress.env_steps)
        if progress.evaluation is not None:
            for name in ("mean", "std", "rate"):
                value = getattr(progress.evaluation, name)
                self._writer.add_scalar(f"evaluation/{name}", value, progress.env_steps)

    def close(self) -> None:
        """Flush and close the files."""
        self._writer.close()
