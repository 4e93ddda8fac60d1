"""What a job leaves on disk, and how a result is told from one of another recipe or version.

``OUT/TASK/NETWORK-SEED/KEY/result.json``, with the run and the frozen policy beside it.  The key
is of the recipe and of the sources that decide what is learned: a job whose recipe or library has
changed is another job, in another folder, and never stands in one table with the old one.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import grsn_edge
from grsn_edge.errors import UsageError
from grsn_edge.policy import write_atomically
from grsn_edge.scoreboard.suites import Job, is_team
from grsn_edge.tasks import folder_name

__all__ = [
    "MODEL",
    "RESULT",
    "RUN",
    "Found",
    "claimed",
    "is_finished",
    "job_folder",
    "job_key",
    "learning_version",
    "look",
    "pricing_version",
    "read",
    "write",
]

RESULT, MODEL, RUN = "result.json", "model.grsn", "run"
"""Names in a job's folder."""

_LEARNING = ("program", "neurons", "policy", "tasks", "training")
_TEAMS = ("teams",)
_LEARNING_FILES = ("backends/torch_backend.py", "backends/straight_through.py")
_PRICING = ("backends/_c", "backends/_image", "device")
_PRICING_FILES = ("profiling/chips.py", "profiling/model.py", "scoreboard/price.py")
_SHORT = 12  # hexadecimal digits of a key


# ---- versions ------------------------------------------------------------------------------------


@cache
def learning_version(team: bool = False) -> str:
    """Digest of the sources and packages that decide what a job learns; comments do not.

    Args:
        team: whether of a team's job, which more sources decide.
    """
    packages = ("numpy", "torch", "gymnasium", *(("torchrl", "vmas", "magent2") if team else ()))
    folders = (*_LEARNING, *(_TEAMS if team else ()))
    return _version(_sources(folders, _LEARNING_FILES), packages)


@cache
def pricing_version() -> str:
    """Digest of the sources and packages that decide what a step costs."""
    from grsn_edge.device.boards import firmware_folder

    firmware = (path for path in firmware_folder().rglob("*.[chS]") if path.is_file())
    files = [*_sources(_PRICING, _PRICING_FILES), *sorted(firmware)]
    return _version(files, ("unicorn", "ziglang"))


def _sources(folders: Iterable[str], files: Iterable[str]) -> list[Path]:
    root = Path(grsn_edge.__file__).parent
    found = [path for name in folders for path in (root / name).rglob("*.py")]
    return sorted([*found, *(root / name for name in files)])


def _version(files: Iterable[Path], packages: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for path in files:
        data = path.read_bytes()
        digest.update(path.name.encode() + (_meaning(data) if path.suffix == ".py" else data))
    for name in packages:
        digest.update(f"{name} {_installed(name)}".encode())
    return digest.hexdigest()[:_SHORT]


def _meaning(source: bytes) -> bytes:
    """A module without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            body[0] = ast.Pass()
    return ast.dump(tree).encode()


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


# ---- keys and files ------------------------------------------------------------------------------


def job_key(job: Job) -> str:
    """Of recipe, seed and episodes, as canonical JSON, and of the learning version."""
    whole = {
        "recipe": job.recipe().config(),
        "seed": job.seed,
        "episodes": job.episodes,
        "version": learning_version(is_team(job.task)),
    }
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_SHORT]


def job_folder(out: Path, job: Job) -> Path:
    """Where a job's files are."""
    run = f"{job.network.replace(':', '_')}-{job.seed}"
    return out / folder_name(job.task) / run / job_key(job)


def write(folder: Path, result: Mapping[str, Any]) -> None:
    """Write a result; the file that was there stays whole until the new one is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / RESULT, (json.dumps(result, indent=1) + "\n").encode())


def read(folder: Path) -> dict[str, Any] | None:
    """The result in a job's folder, or None.

    Raises:
        UsageError: there is a file that is no result.
    """
    path = folder / RESULT
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not {"key", "version", "job", "training", "play", "price"} <= set(found):
            raise ValueError("entries are missing")
    except (ValueError, TypeError) as error:
        raise UsageError(f"'{path}' is not a result ({error}); remove it") from None
    return dict(found)


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """A job's folder for one process alone, where the system has locks; a dead one holds none.

    Raises:
        UsageError: another process works at this job.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"another process works at the job in '{folder}'") from None
        yield


def is_finished(out: Path, job: Job) -> bool:
    """Whether a job has a result, and a price, of the present recipe and sources."""
    found = read(job_folder(out, job))
    return found is not None and found["price"].get("version") == pricing_version()


@dataclass(frozen=True)
class Found:
    """What a folder holds of a suite.

    Args:
        results: of the jobs, by the present sources.
        missing: jobs without one.
        elsewhere: results of the same recipes by other sources.
        aside: how many results of these tasks, networks and seeds are of other recipes.
    """

    results: tuple[Mapping[str, Any], ...]
    missing: tuple[Job, ...]
    elsewhere: tuple[Mapping[str, Any], ...]
    aside: int


def look(out: Path, jobs: Sequence[Job]) -> Found:
    """Read every result of these jobs.

    Raises:
        UsageError: a file that is no result.
    """
    results, missing, elsewhere, aside = [], [], [], 0
    for job in jobs:
        mine = read(job_folder(out, job))
        if mine is None or not mine["price"]:
            missing.append(job)
        else:
            results.append(mine)
        for old in _others(out, job):
            if _same_recipe(old, job):
                elsewhere.append(old)
            else:
                aside += 1
    return Found(tuple(results), tuple(missing), tuple(elsewhere), aside)


def _others(out: Path, job: Job) -> list[Mapping[str, Any]]:
    own = job_folder(out, job)
    folders = sorted(folder for folder in own.parent.glob("*/") if folder.name != own.name)
    return [old for folder in folders if (old := read(folder)) is not None]


def _same_recipe(result: Mapping[str, Any], job: Job) -> bool:
    recipe = json.loads(json.dumps(job.recipe().config()))
    return result["training"]["recipe"] == recipe and len(result["play"]["int8"]) == job.episodes
