"""Modelled energy: data sheet figures times counts.  Nothing here is a measurement.

Three models, worth less from top to bottom (``docs/modelled-energy.md``): cycles times a data
sheet's energy per cycle, with sleep and wake-up; operations times the energies of a 45 nm process,
with and without memory; and the counting of synaptic operations that papers on spiking networks
use, beside the same counting for the networks they are compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from grsn_edge.errors import UsageError
from grsn_edge.profiling.chips import Chip
from grsn_edge.program import Program, memory, operations

__all__ = [
    "HOROWITZ_PJ",
    "ModelledNetwork",
    "ModelledOperations",
    "ModelledStep",
    "dense_network",
    "gru_network",
    "lstm_network",
    "modelled_operations",
    "modelled_step",
    "program_network",
]

HOROWITZ_PJ: Mapping[str, float] = {
    "add int8": 0.03,
    "add int32": 0.1,
    "add fp16": 0.4,
    "add fp32": 0.9,
    "mul int8": 0.2,
    "mul int32": 3.1,
    "mul fp16": 1.1,
    "mul fp32": 3.7,
    "read 64 bit, 8 KB": 10.0,
    "read 64 bit, 32 KB": 20.0,
    "read 64 bit, 1 MB": 100.0,
}
"""pJ in 45 nm at 0.9 V: M. Horowitz, "Computing's energy problem", ISSCC 2014."""


# ---- cycles of a real chip -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelledStep:
    """One sampling period of a policy on a chip, modelled, in J and s.

    Args:
        chip: whose figures.
        active_s: how long it computes.
        active_j, wake_j, sleep_j: computing; coming back from sleep; the rest of the period.
    """

    chip: Chip
    active_s: float
    active_j: float
    wake_j: float
    sleep_j: float

    @property
    def modelled_j(self) -> float:
        """Of the whole period."""
        return self.active_j + self.wake_j + self.sleep_j


def modelled_step(chip: Chip, cycles: float, period_s: float | None = None) -> ModelledStep:
    """Energy of one step by cycles; of one whole period, sleep and wake-up included, with one.

    Args:
        chip: whose figures.
        cycles: clock cycles of a step; instructions only where a cycle does one.
        period_s: sampling period; None: the step alone.

    Raises:
        UsageError: the step does not fit the period, or the chip has no figure for sleep.
    """
    if not cycles >= 0:
        raise UsageError(f"a step takes 0 cycles or more, not {cycles}")
    active_s = cycles / chip.clock_hz
    active_j = cycles * chip.joules_per_cycle
    if period_s is None:
        return ModelledStep(chip, active_s, active_j, 0.0, 0.0)
    if chip.sleep_a is None:
        raise UsageError(f"there is no figure for the sleep of {chip.name}; give one")
    wake_s = chip.wake_s or 0.0
    rest_s = period_s - active_s - wake_s
    if rest_s < 0:
        raise UsageError(
            f"a step of {active_s + wake_s:.3g} s on {chip.name} does not fit into {period_s:g} s"
        )
    watts = chip.voltage_v * chip.active_a
    return ModelledStep(
        chip, active_s, active_j, watts * wake_s, rest_s * chip.voltage_v * chip.sleep_a
    )


# ---- operations of a program ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelledOperations:
    """One step of a program in a 45 nm process, modelled, in pJ.

    Args:
        arithmetic_pj: by kind of operation.
        memory_pj: reading every weight that is used, and reading and writing every state.
        sram: which memory of :data:`HOROWITZ_PJ` holds it all.
    """

    arithmetic_pj: Mapping[str, float]
    memory_pj: float
    sram: str

    @property
    def modelled_arithmetic_pj(self) -> float:
        """Without memory: what most papers on spiking networks give."""
        return sum(self.arithmetic_pj.values())

    @property
    def modelled_pj(self) -> float:
        """With memory."""
        return self.modelled_arithmetic_pj + self.memory_pj


def modelled_operations(
    program: Program, activity: Mapping[str, float] | None = None
) -> ModelledOperations:
    """Counts of :func:`grsn_edge.program.operations`, times :data:`HOROWITZ_PJ`.

    Additions, selections, clips, comparisons and shifts count as int32 additions; a multiplication
    as int32; a look-up as one read of 64 bits.  ``activity``: as of ``operations``.
    """
    counts = operations(program, activity).total
    sizes = memory(program)
    bytes_all = sizes.constants + sizes.state
    sram = (
        f"read 64 bit, {'8 KB' if bytes_all <= 8192 else '32 KB' if bytes_all <= 32768 else '1 MB'}"
    )
    add, mac = HOROWITZ_PJ["add int32"], HOROWITZ_PJ["mul int8"] + HOROWITZ_PJ["add int32"]
    arithmetic = {
        "synaptic_additions": counts.synaptic_additions * add,
        "multiply_accumulates": counts.multiply_accumulates * mac,
        "additions": counts.additions * add,
        "multiplications": counts.multiplications * HOROWITZ_PJ["mul int32"],
        "selections": counts.selections * add,
        "shifts": counts.shifts * add,
        "clips": counts.clips * add,
        "comparisons": counts.comparisons * add,
    }
    weights = counts.synaptic_additions + counts.multiply_accumulates
    words = (weights + 2 * sizes.state) / 8 + counts.lookups
    return ModelledOperations(arithmetic, words * HOROWITZ_PJ[sram], sram)


# ---- synaptic operations, as papers count them ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelledNetwork:
    """One step of a network, by the counting that papers on spiking networks use.

    Args:
        name: for people.
        accumulates: synaptic additions ("SynOps"): a spike times its fan-out.
        multiply_accumulates: of everything dense.
        weights: parameters of matrices.
    """

    name: str
    accumulates: float
    multiply_accumulates: float
    weights: int

    @property
    def modelled_fp32_pj(self) -> float:
        """With 0.9 pJ an accumulate and 4.6 pJ a multiply-accumulate: the usual comparison."""
        add = HOROWITZ_PJ["add fp32"]
        return self.accumulates * add + self.multiply_accumulates * (HOROWITZ_PJ["mul fp32"] + add)

    @property
    def modelled_int8_pj(self) -> float:
        """With int8 on both sides: 0.03 and 0.23 pJ."""
        add = HOROWITZ_PJ["add int8"]
        return self.accumulates * add + self.multiply_accumulates * (HOROWITZ_PJ["mul int8"] + add)

    @property
    def modelled_int8_with_weights_pj(self) -> float:
        """The same, and every weight that is used read from an SRAM that holds them all."""
        size = "8 KB" if self.weights <= 8192 else "32 KB" if self.weights <= 32768 else "1 MB"
        reads = (self.accumulates + self.multiply_accumulates) / 8
        return self.modelled_int8_pj + reads * HOROWITZ_PJ[f"read 64 bit, {size}"]


def program_network(
    program: Program, activity: Mapping[str, float] | None = None, name: str = "this policy"
) -> ModelledNetwork:
    """Of a program: its synaptic additions and its dense products."""
    total = operations(program, activity).total
    weights = sum(node.attrs["weight"].size for node in program if node.op == "matvec")
    return ModelledNetwork(name, total.synaptic_additions, total.multiply_accumulates, weights)


def gru_network(inputs: int, hidden: int, outputs: int) -> ModelledNetwork:
    """A GRU of one layer with a dense read-out: three gates, three products per neuron more."""
    return _gated("GRU", 3, 3, inputs, hidden, outputs)


def lstm_network(inputs: int, hidden: int, outputs: int) -> ModelledNetwork:
    """An LSTM of one layer with a dense read-out: four gates, three products per neuron more."""
    return _gated("LSTM", 4, 3, inputs, hidden, outputs)


def dense_network(sizes: Sequence[int]) -> ModelledNetwork:
    """A multi-layer perceptron with these layer sizes, inputs first."""
    if len(sizes) < 2 or min(sizes) < 1:
        raise UsageError(f"a network has two layer sizes or more, each 1 or more, not {sizes}")
    weights = sum(a * b for a, b in pairwise(sizes))
    return ModelledNetwork(f"MLP {'-'.join(map(str, sizes))}", 0.0, weights, weights)


def _gated(
    kind: str, gates: int, products: int, inputs: int, hidden: int, outputs: int
) -> ModelledNetwork:
    if min(inputs, hidden, outputs) < 1:
        raise UsageError(f"sizes are 1 or more, not {inputs}, {hidden}, {outputs}")
    weights = gates * hidden * (inputs + hidden) + hidden * outputs
    name = f"{kind} {inputs}-{hidden}-{outputs}"
    return ModelledNetwork(name, 0.0, weights + products * hidden, weights)
