"""The price of a policy's step, counted on an emulated board: what a training budget is met with.

Counts are exact and repeatable.  Energy is counts times a data sheet's energy per cycle, an
emulated instruction taken for a cycle: modelled, not measured (``docs/modelled-energy.md``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from grsn_edge.device import Device
from grsn_edge.device.boards import board_names
from grsn_edge.device.emulate import emulate, missing
from grsn_edge.errors import DeviceError, UsageError
from grsn_edge.policy import Policy
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.profiling.chips import Chip, chip
from grsn_edge.profiling.latency import cost_fit
from grsn_edge.profiling.replay import replay
from grsn_edge.profiling.targets import DeviceTarget, open_target
from grsn_edge.training.budget import Budget, Cost

__all__ = ["check_budget", "price"]

_COUNTS: Mapping[str, str] = {"instr": "instructions", "cycles": "cycles"}
_BOARDS: Mapping[str, str] = {
    "Cortex-M0+": "m0",
    "Cortex-M3": "m3",
    "Cortex-M4F": "m4",
    "Cortex-M33": "m33",
    "AVR": "avr",
    "RISC-V": "rv32",
}
"""What runs the instructions of a chip's core."""
_COMPILED = "-c"
"""Behind a board's or a chip's name: the policy as generated C instead of on the machine."""


def check_budget(budget: Budget) -> None:
    """Whether steps can be counted for a budget here, before anything is trained.

    Raises:
        UsageError: no such board or chip, or one that cannot be emulated.
        DeviceError: what emulates it is not installed.
    """
    name, _, _ = _board(budget)
    reason = missing(name)
    if reason is not None:
        raise DeviceError(f"the budget {budget} cannot be counted here: {reason}")


def price(policy: Policy, episodes: Sequence[FloatArray], budget: Budget) -> Cost:
    """What a step costs, over what the policy saw in episodes, each float32 ``(steps, n)``.

    Raises:
        UsageError: the board counts something else than the budget asks for.
        DeviceError: the board is not there, or computed another action than the reference.
    """
    name, compiled, on = _board(budget)
    seen: list[FloatArray] = []
    numbers: list[int] = []
    actions: list[object] = []
    counts: list[int] = []
    with _target(name, compiled, policy) as target:
        _check_unit(budget, on, target)
        for number, observations in enumerate(episodes):
            target.reset()
            for observation in observations:
                actions.append(target.step(observation))
                counts.append(target.cost or 0)
                seen.append(observation)
                numbers.append(number)
        emulator = target.details.get("emulator", "")
    found = replay(policy, seen, numbers, actions)
    if found.differs is not None:
        raise DeviceError(f"the emulated {name} differs from the reference at {found.differs}")
    scale = 1.0 if on is None else on.joules_per_cycle * 1e9
    cost = np.asarray(counts, np.float64) * scale
    neurons = sum(values.shape[1] for values in found.spikes.values())
    rate = found.counts / max(neurons, 1)
    fit = cost_fit(rate, cost) if neurons else None
    mean = float(cost.mean())
    how = f"{target.details['engine']}, emulated by {emulator}"
    words = f"{target.unit} on {name}, {how}"
    return Cost(
        mean=mean,
        base=mean if fit is None else fit.base,
        per_rate=0.0 if fit is None else max(fit.per_spike, 0.0),
        rate=float(rate.mean()) if neurons else 0.0,
        steps=len(cost),
        counted=words if on is None else f"modelled energy on {on.name}: {words}",
    )


def _board(budget: Budget) -> tuple[str, bool, Chip | None]:
    """The board to count on, whether C is compiled in, and the chip whose energy is modelled."""
    on = budget.on.removesuffix(_COMPILED)
    compiled, found = on != budget.on, None
    if budget.unit == "nJ":
        found = chip(on)
        if found.core not in _BOARDS:
            raise UsageError(f"no emulated board runs what {found.name} runs ({found.core})")
        on = _BOARDS[found.core]
    if on not in board_names():
        raise UsageError(f"no board '{on}'; there are: {', '.join(board_names())}")
    return on, compiled, found


@contextmanager
def _target(name: str, compiled: bool, policy: Policy) -> Iterator[DeviceTarget]:
    if not compiled:
        with open_target(name, policy) as target:
            assert isinstance(target, DeviceTarget)
            yield target
        return
    with emulate(name, policy=policy) as emulated, Device.open(emulated.address) as device:
        yield DeviceTarget(device, policy, emulated.emulator)


def _check_unit(budget: Budget, on: Chip | None, target: DeviceTarget) -> None:
    if on is None and target.unit != _COUNTS[budget.unit]:
        raise UsageError(
            f"{budget.on} counts {target.unit}, not {_COUNTS[budget.unit]}: give the budget in "
            f"{next((unit for unit, name in _COUNTS.items() if name == target.unit), 'others')}"
        )
