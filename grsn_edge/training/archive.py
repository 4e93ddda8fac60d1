"""Archives: named arrays and JSON metadata in one safetensors file; no pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor

from grsn_edge.errors import CheckpointError
from grsn_edge.policy import write_atomically

__all__ = ["Arrays", "numbers", "read_archive", "tagged", "tensors", "under", "write_archive"]

Arrays = dict[str, npt.NDArray[Any]]


def write_archive(
    path: str | os.PathLike[str], key: str, arrays: Mapping[str, Any], meta: Mapping[str, Any]
) -> None:
    """Write an archive; on any failure the file that was there stays as it was.

    Args:
        path: of the file.
        key: under which ``meta``, JSON values with a ``version``, is kept.
        arrays: by name.
        meta: JSON values.

    Raises:
        CheckpointError: the file cannot be written.
    """
    whole = {name: np.asarray(value, order="C") for name, value in arrays.items()}
    try:
        write_atomically(path, save(whole, {key: json.dumps(meta)}))
    except OSError as error:
        raise CheckpointError(f"cannot write the checkpoint '{path}': {error}") from None


def read_archive(path: Path, key: str, version: int) -> tuple[Arrays, dict[str, Any]]:
    """What :func:`write_archive` wrote.

    Raises:
        CheckpointError: missing, damaged, or of another version.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint '{path}'")
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            meta = json.loads((file.metadata() or {})[key])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise CheckpointError(f"'{path}' is damaged or not a checkpoint: {error}") from None
    if not isinstance(meta, dict) or meta.get("version") != version:
        raise CheckpointError(f"'{path}' is not a checkpoint of version {version}")
    return arrays, meta


def tagged(prefix: str, tensors: Mapping[str, Tensor]) -> Arrays:
    """Tensors as arrays, their names below this prefix."""
    return {f"{prefix}.{name}": t.detach().cpu().numpy() for name, t in tensors.items()}


def numbers(names: Iterable[str], prefix: str) -> list[int]:
    """The numbers after this prefix in names, sorted."""
    return sorted({int(n.split(".")[1]) for n in names if n.startswith(prefix)})


def under(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays below this prefix, without it."""
    start = f"{prefix}."
    return {name[len(start) :]: v for name, v in arrays.items() if name.startswith(start)}


def tensors(arrays: Arrays, prefix: str) -> dict[str, Tensor]:
    """The same as tensors of their own."""
    return {name: torch.from_numpy(v.copy()) for name, v in under(arrays, prefix).items()}
