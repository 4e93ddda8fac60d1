"""Golden vectors: a recorded trajectory that every backend must repeat (``docs/SPEC.md`` §7)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import IntegrityError, ObservationError, UsageError
from grsn_edge.policy.policy import ACTION, OBSERVATION, Golden, Policy
from grsn_edge.program import IntArray, step

__all__ = ["MAX_GOLDEN", "record_golden", "verify_golden"]

MAX_GOLDEN = 64
"""Most steps of a golden trajectory: enough to fill a memory, cheap enough for every load."""


def record_golden(policy: Policy, observations: npt.ArrayLike) -> Golden:
    """The trajectory of ``policy`` from reset over ``observations`` ``(steps, n)``.

    Raises:
        UsageError: not 1 to 64 steps.
        ObservationError: an observation that the encoder refuses.
    """
    floats = policy.encoder.checked(observations)
    if floats.ndim != 2 or not 1 <= floats.shape[0] <= MAX_GOLDEN:
        raise UsageError(f"golden observations are (1..{MAX_GOLDEN}, n), not {floats.shape}")
    codes, state = policy.encoder.encode(floats), policy.program.initial_state()
    actions: list[IntArray] = []
    for code in codes:
        outputs, state = step(policy.program, {OBSERVATION: code}, state)
        actions.append(outputs[ACTION])
    return Golden(floats, codes, np.stack(actions), state)


def verify_golden(policy: Policy) -> None:
    """Replay the policy's golden vectors with the reference; without any, nothing is done.

    Raises:
        IntegrityError: the text names the first step that differs, or the state.
    """
    golden = policy.golden
    if golden is None:
        return
    try:
        found = record_golden(policy, golden.observation)
    except (UsageError, ObservationError) as error:
        raise IntegrityError(f"the golden vectors cannot be replayed: {error}") from None
    for what, want, got in (
        ("code", golden.code, found.code),
        ("action", golden.action, found.action),
    ):
        if want.shape != got.shape:
            raise IntegrityError(f"golden {what}s have the shape {want.shape}, not {got.shape}")
        if not np.array_equal(want, got):
            first = int((want != got).any(axis=1).argmax())
            raise IntegrityError(
                f"golden vectors: at step {first} the {what} is {got[first].tolist()}, "
                f"recorded was {want[first].tolist()}"
            )
    _compare_state(golden, found)


def _compare_state(golden: Golden, found: Golden) -> None:
    if set(golden.state) != set(found.state):
        raise IntegrityError(
            f"golden vectors hold the states {sorted(golden.state)}, not {sorted(found.state)}"
        )
    for name, want in golden.state.items():
        if not np.array_equal(want, found.state[name]):
            raise IntegrityError(f"golden vectors: the state '{name}' ends with other values")
