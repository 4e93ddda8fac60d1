"""What a step of a frozen policy costs: instructions of an emulated board, memory, modelled energy.

Instructions are exact and repeatable: the policy's generated C, compiled into a board's firmware,
steps through the observations of its own episodes in an emulator, every action equal to the
reference's; the cost of reading the counter is taken off.  Energy is modelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grsn_edge.backends import backend
from grsn_edge.backends._image import image
from grsn_edge.errors import DeviceError
from grsn_edge.policy import ACTION, OBSERVATION, Policy, dumps
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.profiling.chips import chip
from grsn_edge.profiling.model import modelled_step
from grsn_edge.program import IntArray, memory, operations

if TYPE_CHECKING:
    from grsn_edge.device import Device

__all__ = ["BOARD", "CHIP", "PRICED_EPISODES", "PRICED_STEPS", "Course", "course", "price"]

BOARD, CHIP = "m4", "nRF52840"
"""The emulated board whose instructions are counted, and the chip whose energy is modelled."""

PRICED_STEPS, PRICED_EPISODES = 1000, 20
"""Steps of a policy's own episodes that the board runs, and episodes that they are taken from."""


@dataclass(frozen=True, eq=False)
class Course:
    """What a policy sees: codes ``(steps, n)``, and the steps at which an episode begins."""

    codes: IntArray
    starts: frozenset[int]


def price(
    policy: Policy, seen: Sequence[FloatArray], activity: Mapping[str, float], period_s: float
) -> dict[str, Any]:
    """JSON values: memory in bytes, operations, instructions, modelled energy of a step.

    Args:
        policy: frozen.
        seen: its observations ``(steps, n)``, each from a reset; :data:`PRICED_STEPS` are counted.
        activity: mean fraction of ones of each spiking value, as ``operations`` takes it.
        period_s: from one step to the next.

    Raises:
        DeviceError: the emulated board computes other actions than the reference.
        CompileError: its firmware cannot be built.
    """
    sizes, counts = memory(policy.program), operations(policy.program, activity).total
    counted = _counted(policy, course(policy, seen))
    return {
        "file_bytes": len(dumps(policy)),
        "image_bytes": len(image(policy)),
        "constant_bytes": sizes.constants,
        "state_bytes": sizes.state,
        "scratch_bytes": sizes.scratch,
        "operations": {**asdict(counts), "total": counts.total},
        "synaptic_operations": counts.synaptic_additions + counts.multiply_accumulates,
        "instructions": counted,
        "modelled": _modelled(counted, period_s),
    }


def course(policy: Policy, seen: Sequence[FloatArray]) -> Course:
    """The codes of whole sequences one after the other, cut where there are enough steps."""
    lengths = [len(one) for one in seen]
    codes = policy.encoder.encode(np.concatenate(seen)[:PRICED_STEPS])
    return Course(codes, frozenset(int(sum(lengths[:i])) for i in range(len(lengths))))


def _counted(policy: Policy, played: Course) -> dict[str, Any]:
    """Instructions of a step, as generated C and in the virtual machine; or why there are none."""
    from grsn_edge.device.boards import board
    from grsn_edge.device.emulate import missing

    reason = missing(BOARD)
    if reason is not None:
        return {"why_not": reason}
    emulator, generated = _compiled_in(policy, played)
    return {
        "board": board(BOARD).title,
        "emulator": emulator,
        "steps": len(played.codes),
        **_summary("", generated),
        **_interpreted(policy, played),
    }


def _compiled_in(policy: Policy, played: Course) -> tuple[str, IntArray]:
    """The emulator's name and the instructions of each step of generated C, ``(steps,)``."""
    from grsn_edge.device import Device
    from grsn_edge.device.emulate import emulate

    with emulate(BOARD, policy=policy) as emulated, Device.open(emulated.address) as device:
        return emulated.emulator, _counts(device, policy, played)


def _interpreted(policy: Policy, played: Course) -> dict[str, Any]:
    """Instructions in the virtual machine, or why there are none: a slot is smaller than flash."""
    from grsn_edge.device import Device
    from grsn_edge.device.emulate import emulate

    with emulate(BOARD) as emulated, Device.open(emulated.address) as device:
        room, size = device.loading().capacity, len(image(policy))
        if size > room:
            return {"vm_why_not": f"an image of {size:,} bytes; a slot of the board takes {room:,}"}
        device.load(policy)
        return _summary("vm_", _counts(device, policy, played))


def _summary(prefix: str, counts: IntArray) -> dict[str, Any]:
    return {f"{prefix}mean": float(counts.mean()), f"{prefix}worst": int(counts.max())}


def _counts(device: Device, policy: Policy, played: Course) -> IntArray:
    """Instructions of each step, ``(steps,)``, every action compared with the reference's."""
    device.use(policy)
    empty = device.profile(played.codes[:1], 1).empty
    runner, counts = backend("numpy").load(policy.program), []
    for step, code in enumerate(played.codes):
        if step in played.starts:
            device.reset()
            runner.reset()
        found, wanted = device.step(code), runner.step({OBSERVATION: code})[ACTION]
        if not np.array_equal(found, wanted) or device.last is None:
            raise DeviceError(
                f"the emulated {BOARD} differs from the reference at step {step}: "
                f"{found.tolist()}, not {wanted.tolist()}"
            )
        counts.append(device.last.counts - empty)
    return np.array(counts)


def _modelled(counted: Mapping[str, Any], period_s: float) -> dict[str, Any]:
    """Energy of a step, and of a whole control period with the sleep after it, in J."""
    found = chip(CHIP)
    if "mean" not in counted:
        return {"chip": found.name, "why_not": counted["why_not"]}
    whole = modelled_step(found, counted["mean"], period_s)
    return {
        "chip": found.name,
        "source": found.source,
        "cycles_by": "instructions, emulated, as cycles",
        "modelled_step_j": whole.active_j,
        "modelled_period_j": whole.modelled_j,
    }
