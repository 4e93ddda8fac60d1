"""The same jobs on a cluster, through Ray."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grsn_edge.errors import GrsnEdgeError, UsageError
from grsn_edge.policy import write_atomically
from grsn_edge.scoreboard.runner import Event, Outcomes, Watch
from grsn_edge.scoreboard.store import MODEL, job_folder, job_key, read, write
from grsn_edge.scoreboard.suites import Job

__all__ = ["run_on_ray"]

_LOOK_S = 1.0
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "GRSN_EDGE_WORKERS": "1"}


def run_on_ray(
    jobs: Sequence[Job], out: Path, address: str, side_by_side: int, watch: Watch
) -> Outcomes:
    """Do jobs on a Ray cluster, one core each; the results come to ``out`` on this machine.

    Every node needs this package.  A job whose node is lost begins again from its checkpoint where
    ``out`` is a file system that the nodes share, else from the start.

    Args:
        jobs: what to do.
        out: folder of results, on this machine and on each node.
        address: ``auto`` (the cluster that this machine belongs to), ``local`` (one of its own,
            ended afterwards), or where a cluster is.
        side_by_side: cores of a local cluster.
        watch: told when a job begins to wait, and when it ends.

    Raises:
        UsageError: Ray is not installed, or there is no cluster at the address.
    """
    ray = _connected(address, side_by_side)
    outcomes, where = Outcomes(), str(out.resolve())
    remote = ray.remote(num_cpus=1, max_retries=1)(_remotely)
    waiting = {remote.remote(job, job_key(job), where): job for job in jobs}
    for job in waiting.values():
        watch(Event(job, "begun"))
    try:
        while waiting:
            ended, _ = ray.wait(list(waiting), timeout=_LOOK_S)
            for reference in ended:
                event = _ended(ray, reference, waiting.pop(reference), out)
                outcomes.note(event)
                watch(event)
    except KeyboardInterrupt:
        outcomes.interrupted = True
        for reference in waiting:
            ray.cancel(reference, force=False)
        ray.wait(list(waiting), num_returns=len(waiting), timeout=60.0)
    finally:
        ray.shutdown()
    return outcomes


def _connected(address: str, side_by_side: int) -> Any:
    try:
        import ray
    except ImportError:
        raise UsageError("--ray needs Ray; install grsn-edge[ray]") from None
    options: dict[str, Any] = {"runtime_env": {"env_vars": _ENVIRONMENT}, "log_to_driver": False}
    if address == "local":
        options |= {"num_cpus": side_by_side, "include_dashboard": False}
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        ray.init(address=address, logging_level=logging.ERROR, **options)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise UsageError(f"no Ray cluster at '{address}': {error}") from None
    return ray


def _remotely(job: Job, key: str, out: str) -> tuple[dict[str, Any], bytes] | None:
    """On a node: the result and the policy's file, which may not share a file system with us."""
    from grsn_edge.scoreboard.job import run_job

    folder = Path(out)
    result = run_job(job, folder, key=key)
    return None if result is None else (result, (job_folder(folder, job) / MODEL).read_bytes())


def _ended(ray: Any, reference: Any, job: Job, out: Path) -> Event:
    try:
        found = ray.get(reference)
    except GrsnEdgeError as error:
        return Event(job, "failed", str(error))
    except ray.exceptions.TaskCancelledError:
        return Event(job, "interrupted")
    except ray.exceptions.RayError as error:
        return Event(job, "failed", str(error))
    if found is None:
        return Event(job, "interrupted")
    result, model = found
    folder = job_folder(out, job)
    if read(folder) is None:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / MODEL, model)
        write(folder, result)
    return Event(job, "done")
