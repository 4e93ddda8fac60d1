"""What surrounds a run: its folder, its watchers, its saves, one thread, and Ctrl-C."""

from __future__ import annotations

import platform
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from grsn_edge.errors import TrainingError
from grsn_edge.training.phases import DONE, Update
from grsn_edge.training.progress import Evaluation, Pace, Progress, TensorBoard, Watcher

__all__ = ["CHECKPOINT", "Run", "advance_to_end", "facts", "make_folder", "one_thread"]

CHECKPOINT = "checkpoint.safetensors"
"""Name of the checkpoint in the folder of a run."""

_SAVE_EVERY = 10  # updates


class _Recipe(Protocol):
    def config(self) -> dict[str, Any]: ...


class Run(Protocol):
    """A session, of one robot or of a team, that goes through phases until it is ``done``."""

    phase: str
    update: int
    env_steps: int
    seed: int

    @property
    def recipe(self) -> _Recipe:
        """What is done."""

    @property
    def results(self) -> Mapping[str, Evaluation]:
        """Of the phases that are over."""

    def updates(self, phase: str) -> int:
        """Budget of a phase in updates."""

    def advance(self) -> Update:
        """One update."""


AnyRun = TypeVar("AnyRun", bound=Run)


def advance_to_end(
    run: AnyRun,
    phases: Sequence[str],
    folder: Path | None,
    watch: Watcher | None,
    save: Callable[[AnyRun, Path], None],
) -> None:
    """Advance a run until it is done, Ctrl-C comes, or a watcher asks to stop; saves on the way.

    Ctrl-C ends the present update and saves; a second one stops at once.

    Args:
        run: is advanced.
        phases: all that it may go through, in order.
        folder: for the checkpoint and TensorBoard's files; None saves nothing.
        watch: told of every update.
        save: writes a run to a file.
    """
    pace = Pace()
    with _watchers(folder, run.env_steps, watch) as tell, _patient() as interrupted:
        while run.phase != DONE:
            phase, done, before = run.phase, run.update + 1, run.env_steps
            pace.restart()
            update = run.advance()
            seconds = max(pace.lap(phase), 1e-9)
            left = _left(run, phases)
            stop = tell(
                Progress(
                    phase=phase,
                    update=done,
                    updates=run.updates(phase),
                    env_steps=run.env_steps,
                    steps_per_s=(run.env_steps - before) / seconds,
                    remaining_s=pace.remaining_s(left),
                    train_return=update.train_return,
                    scalars=update.scalars,
                    evaluation=update.evaluation,
                )
            )
            stop = stop or interrupted()
            due = stop or run.phase == DONE or run.update % _SAVE_EVERY == 0
            if folder is not None and due:
                save(run, folder / CHECKPOINT)
            if stop:
                break


def _left(run: Run, phases: Sequence[str]) -> dict[str, int]:
    """Updates that are still to do, by phase."""
    ahead = phases[phases.index(run.phase) :] if run.phase != DONE else ()
    left = {name: run.updates(name) for name in ahead}
    if run.phase in left:
        left[run.phase] -= run.update
    return left


def facts(run: Run, how: str) -> dict[str, Any]:
    """What a policy's provenance says of the run that it comes from, as JSON values.

    Args:
        run: at this moment.
        how: ``post-training`` or ``fine-tuned``.
    """
    return {
        "quantisation": how,
        "seed": run.seed,
        "env_steps": run.env_steps,
        "recipe": run.recipe.config(),
        "results": {name: e.config() for name, e in run.results.items()},
        "versions": {
            "grsn-edge": version("grsn-edge"),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def make_folder(folder: Path, overwrite: bool) -> None:
    """The folder of a new run, without the checkpoint of an older one.

    Raises:
        TrainingError: it holds a checkpoint and may not be overwritten, or it cannot be written.
    """
    if (folder / CHECKPOINT).exists() and not overwrite:
        raise TrainingError(
            f"'{folder}' holds the checkpoint of another run; resume it, choose another "
            "folder, or overwrite it"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CHECKPOINT).unlink(missing_ok=True)
    except OSError as error:
        raise TrainingError(f"cannot use the folder '{folder}': {error}") from None


@contextmanager
def _watchers(
    folder: Path | None, env_steps: int, watch: Watcher | None
) -> Iterator[Callable[[Progress], bool]]:
    """Yields what tells all watchers; it gives True where one of them asked to stop."""
    board = None if folder is None else TensorBoard(folder / "tensorboard", env_steps)

    def tell(progress: Progress) -> bool:
        try:
            for watcher in (board, watch):
                if watcher is not None:
                    watcher(progress)
        except KeyboardInterrupt:
            return True
        return False

    try:
        yield tell
    finally:
        if board is not None:
            board.close()


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread of torch: small tensors gain nothing from more, and sums keep their order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _patient() -> Iterator[Callable[[], bool]]:
    """Holds the first Ctrl-C back until an update has ended; the second interrupts at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        with suppress(ValueError):
            signal.signal(signal.SIGINT, before)
