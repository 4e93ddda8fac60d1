"""What surrounds a run: its folder, its watchers, one thread, and Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import torch

from grsn_edge.errors import TrainingError
from grsn_edge.training.progress import Progress, TensorBoard, Watcher

__all__ = ["CHECKPOINT", "make_folder", "one_thread", "patient", "watchers"]

CHECKPOINT = "checkpoint.safetensors"
"""Name of the checkpoint in the folder of a run."""


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
def watchers(
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
def patient() -> Iterator[Callable[[], bool]]:
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
