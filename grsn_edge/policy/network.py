"""A network of cells, and how its integers become the one step program of a policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grsn_edge.errors import UsageError
from grsn_edge.neurons import Cell, Plan, Signal, cell
from grsn_edge.policy.decoder import Decoder, DecoderKind
from grsn_edge.policy.policy import ACTION, OBSERVATION
from grsn_edge.program import Builder, IntArray, Program, Value

__all__ = ["Network", "assemble", "assemble_cells", "make_decoder"]

_TANH_REACH = 4.0  # the tanh table spans [-4, 4): tanh(4) is 22 Q15 steps from 1
_TANH_SHIFT = 15


@dataclass(frozen=True)
class Network:
    """Cells in a row; the last is the read-out, whose size is the number of actions.

    Args:
        cells: each takes the output of the one before it.
        decoder: ``argmax`` (an index), ``clip`` or ``tanh`` (continuous actions).
    """

    cells: tuple[Cell, ...]
    decoder: DecoderKind

    def __post_init__(self) -> None:
        if not self.cells:
            raise UsageError("a network needs at least a read-out")
        for below, above in zip(self.cells, self.cells[1:], strict=False):
            if below.size != above.n_in:
                raise UsageError(
                    f"'{above.kind}' takes {above.n_in} inputs, but '{below.kind}' below it "
                    f"gives {below.size}"
                )
        if self.decoder not in ("argmax", "clip", "tanh"):
            raise UsageError(f"a decoder is argmax, clip or tanh, not '{self.decoder}'")

    @property
    def n_in(self) -> int:
        """Number of observation channels."""
        return self.cells[0].n_in

    @property
    def n_out(self) -> int:
        """Number of actions: choices, or continuous channels."""
        return self.cells[-1].size

    @property
    def scopes(self) -> tuple[str, ...]:
        """Prefix of each cell's values in the program: ``layer0``, …, ``readout``."""
        return (*(f"layer{i}" for i in range(len(self.cells) - 1)), "readout")

    def __iter__(self) -> Iterator[tuple[str, Cell]]:
        return iter(zip(self.scopes, self.cells, strict=True))

    def config(self) -> dict[str, Any]:
        """The network as JSON values."""
        return {"cells": [c.config() for c in self.cells], "decoder": self.decoder}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Network:
        """The network of :meth:`config`; raises :class:`UsageError` where it is not one."""
        try:
            cells = tuple(cell(c["kind"], **_options(c)) for c in config["cells"])
            return cls(cells, config["decoder"])
        except (KeyError, TypeError) as error:
            raise UsageError(f"not the configuration of a network: {error!r}") from None


def assemble(
    network: Network,
    plans: Sequence[Plan],
    integers: Sequence[Mapping[str, IntArray]],
    limit: int,
) -> Program:
    """The step program of a frozen network: output ``action``.

    Args:
        network: the cells.
        plans: one per cell.
        integers: one per cell, from :meth:`Cell.integers`.
        limit: largest magnitude of an observation code.

    Raises:
        RangeProofError: a value could leave int32, or a state its range.
    """
    b = Builder()
    *_, value = _trace_cells(b, network, plans, integers, limit)
    signal = network.cells[-1].output(plans[-1])
    b.output(ACTION, _decode(b, network.decoder, value, signal))
    return b.build()


def assemble_cells(
    network: Network,
    plans: Sequence[Plan],
    integers: Sequence[Mapping[str, IntArray]],
    limit: int,
) -> Program:
    """As :func:`assemble`, but each cell's output by its scope in place of the decoded action.

    Training reads the layers' spikes and the read-out's values from it.
    """
    b = Builder()
    values = _trace_cells(b, network, plans, integers, limit)
    for scope, value in zip(network.scopes, values, strict=True):
        b.output(scope, value)
    return b.build()


def _trace_cells(
    b: Builder,
    network: Network,
    plans: Sequence[Plan],
    integers: Sequence[Mapping[str, IntArray]],
    limit: int,
) -> list[Value]:
    values = [b.input(OBSERVATION, network.n_in, lo=-limit, hi=limit)]
    for (scope, layer), plan, k in zip(network, plans, integers, strict=True):
        with b.scope(scope):
            values.append(layer.step(b, k, plan, values[-1]))
    return values[1:]


def make_decoder(
    network: Network,
    plans: Sequence[Plan],
    low: Sequence[float] = (),
    high: Sequence[float] = (),
) -> Decoder:
    """The decoder that goes with :func:`assemble`; ``low`` and ``high`` bound continuous actions.

    A read-out value of -1 means ``low`` and +1 ``high``.
    """
    if network.decoder == "argmax":
        return Decoder("argmax", np.zeros(1, np.float32), np.ones(1, np.float32))
    bounds = np.asarray(low, np.float64), np.asarray(high, np.float64)
    if any(bound.shape != (network.n_out,) for bound in bounds):
        raise UsageError(f"continuous actions need {network.n_out} lower and upper bounds")
    full = _full_scale(network.decoder, network.cells[-1].output(plans[-1]))
    middle, half = (bounds[0] + bounds[1]) / 2, (bounds[1] - bounds[0]) / 2
    return Decoder(network.decoder, middle.astype(np.float32), (half / full).astype(np.float32))


def _decode(b: Builder, kind: DecoderKind, value: Value, signal: Signal) -> Value:
    if kind == "argmax":
        return b.argmax(value, name=ACTION)
    if kind == "clip":
        full = _full_scale(kind, signal)
        return value.clip(-full, full)
    step = _TANH_REACH / 128
    ratio = max(1, round(signal.scale / step * 2**_TANH_SHIFT))
    index = (value * ratio).shr(_TANH_SHIFT).clip(-128, 127)
    full = _full_scale(kind, signal)
    table = np.rint(full * np.tanh(np.arange(-128, 128) * step)).astype(np.int64)
    return b.lut(index, table, name="tanh")


def _full_scale(kind: DecoderKind, signal: Signal) -> int:
    """The integer that means an action of 1."""
    return 2**15 - 1 if kind == "tanh" else max(1, round(1.0 / signal.scale))


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != "kind"}
