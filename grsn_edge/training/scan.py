"""A cell over a sequence: the float step in a loop; gradients by hand where the cell has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from grsn_edge.backends.straight_through import atan_slope
from grsn_edge.neurons import Cell, ScanGradients, ScanTape

__all__ = ["scan", "spike", "surrogate_spike"]

Tensors = Mapping[str, Tensor]


def spike(z: Tensor) -> Tensor:
    """1 where ``z >= 0``, in the dtype of ``z``; no gradient."""
    return (z >= 0).to(z.dtype)


def surrogate_spike(z: Tensor) -> Tensor:
    """As :func:`spike`, with the gradient of the ATan surrogate."""
    result: Tensor = _Spike.apply(z)  # type: ignore[no-untyped-call]
    return result


def scan(
    cell: Cell, params: Tensors, x: Tensor, keep: Tensor, state: Tensors
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run ``cell`` over ``T`` steps; the same bits as ``T`` scans of one step.

    Args:
        cell: whose ``float_step`` runs.
        params: its parameters.
        x: inputs ``(T, batch, n_in)``.
        keep: ``(T, batch, 1)``; states are multiplied by it before each step (0 resets).
        state: before the first step, ``(batch, n)`` by name.

    Returns:
        Outputs ``(T, batch, size)`` and the states after the last step.
    """
    if not torch.is_grad_enabled():
        outputs, final, _ = _unroll(cell, params, x, keep, state, taped=False)
        return outputs, final
    names = tuple(params), tuple(state)
    outputs, *ends = _Scan.apply(cell, names, x, keep, *params.values(), *state.values())  # type: ignore[no-untyped-call]
    return outputs, dict(zip(names[1], ends, strict=True))


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return spike(z)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (z,) = ctx.saved_tensors
        return grads[0] * atan_slope(z)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        cell: Cell,
        names: tuple[tuple[str, ...], tuple[str, ...]],
        x: Tensor,
        keep: Tensor,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        params, state = _named(names, tensors)
        outputs, final, tape = _unroll(cell, params, x, keep, state, taped=True)
        ctx.cell, ctx.names, ctx.tape = cell, names, tape
        ctx.save_for_backward(*tensors)
        return outputs, *(final[name] for name in names[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        params, state = _named(ctx.names, ctx.saved_tensors)
        grad_final = dict(zip(ctx.names[1], grads[1:], strict=True))
        found = ctx.cell.scan_backward(params, ctx.tape, grads[0], grad_final, atan_slope)
        if found is None:
            found = _differentiate(ctx.cell, params, state, ctx.tape, grads)
        by_param = (found.params[name] for name in ctx.names[0])
        by_state = (found.state[name] for name in ctx.names[1])
        return None, None, found.x, None, *by_param, *by_state


def _unroll(
    cell: Cell, params: Tensors, x: Tensor, keep: Tensor, state: Tensors, *, taped: bool
) -> tuple[Tensor, dict[str, Tensor], ScanTape | None]:
    outputs: list[Tensor] = []
    before: dict[str, list[Tensor]] = {name: [] for name in state}
    after: dict[str, list[Tensor]] = {name: [] for name in state}
    now = dict(state)
    for x_t, keep_t in zip(x.unbind(), keep.unbind(), strict=True):
        given = {name: value * keep_t for name, value in now.items()}
        output, now = cell.float_step(params, x_t, given, spike)
        outputs.append(output)
        for name in state if taped else ():
            before[name].append(given[name])
            after[name].append(now[name])
    tape = ScanTape(x, _stacked(before), _stacked(after), keep) if taped else None
    return torch.stack(outputs), now, tape


def _differentiate(
    cell: Cell, params: Tensors, state: Tensors, tape: ScanTape, grads: Sequence[Tensor]
) -> ScanGradients:
    """Automatic differentiation through the same loop, with the surrogate spike."""
    with torch.enable_grad():
        leaves = [v.detach().requires_grad_() for v in (tape.x, *params.values(), *state.values())]
        x, p = leaves[0], dict(zip(params, leaves[1:], strict=False))
        start = now = dict(zip(state, leaves[1 + len(params) :], strict=True))
        outputs: list[Tensor] = []
        for x_t, keep_t in zip(x.unbind(), tape.keep.unbind(), strict=True):
            given = {name: value * keep_t for name, value in now.items()}
            output, now = cell.float_step(p, x_t, given, surrogate_spike)
            outputs.append(output)
        ends = [torch.stack(outputs), *now.values()]
        found = torch.autograd.grad(
            ends, leaves, list(grads), allow_unused=True, materialize_grads=True
        )
    by_name = dict(zip([*p, *(f"state.{name}" for name in start)], found[1:], strict=True))
    return ScanGradients(
        found[0],
        {name: by_name[name] for name in p},
        {name: by_name[f"state.{name}"] for name in start},
    )


def _named(
    names: tuple[tuple[str, ...], tuple[str, ...]], tensors: Sequence[Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    split = len(names[0])
    return (
        dict(zip(names[0], tensors[:split], strict=True)),
        dict(zip(names[1], tensors[split:], strict=True)),
    )


def _stacked(columns: Mapping[str, list[Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack(values) for name, values in columns.items()}
