"""Initial leaks: one time constant for each neuron, β = exp(-1/τ) per environment step."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import UsageError

__all__ = ["LeakInit", "check_leak_init", "initial_leaks"]

LeakInit = Literal["uniform", "log", "gamma", "fast"]
"""How leaks are drawn.

``uniform``: β in [0.1, 0.9].  ``log``: τ from 0.5 to 100 steps, evenly spaced in its logarithm and
dealt out by chance, as ELM does for its memories (arXiv 2306.16922).  ``gamma``: τ from a gamma
distribution of shape 3 and mean 5 steps, at most 100, as Perez-Nieves et al. 2021
(doi 10.1038/s41467-021-26022-3) draw membrane time constants.  ``fast``: β in [0.02, 0.3].
"""

_INITS = ("uniform", "log", "gamma", "fast")
_FASTEST, _SLOWEST = 0.5, 100.0  # steps
_SHAPE, _MEAN = 3.0, 5.0


def check_leak_init(kind: str, beta_init: str) -> None:
    """Raise :class:`UsageError` where a cell's ``beta_init`` is none of :data:`LeakInit`."""
    if beta_init not in _INITS:
        raise UsageError(f"{kind}: beta_init is one of {', '.join(_INITS)}, not '{beta_init}'")


def initial_leaks(rng: np.random.Generator, size: int, how: LeakInit) -> npt.NDArray[np.float64]:
    """The leaks of ``size`` neurons as trained: the logits of β, ``(size,)``."""
    if how == "uniform":
        beta = rng.uniform(0.1, 0.9, size)
    elif how == "fast":
        beta = rng.uniform(0.02, 0.3, size)
    elif how == "log":
        beta = np.exp(-1.0 / rng.permutation(np.geomspace(_FASTEST, _SLOWEST, size)))
    else:
        tau = rng.gamma(_SHAPE, _MEAN / _SHAPE, size)
        beta = np.exp(-1.0 / np.clip(tau, _FASTEST, _SLOWEST))
    return np.asarray(np.log(beta / (1.0 - beta)))
