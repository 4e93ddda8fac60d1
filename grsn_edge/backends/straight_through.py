"""Operations whose forward pass is exact in integers and whose gradient passes straight through."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

__all__ = ["atan_slope", "ge", "lut", "round_half_even", "shr"]

_ALPHA = 2.0


def atan_slope(z: Tensor) -> Tensor:
    """Derivative of the ATan surrogate at ``z``, alpha = 2: ``1 / (1 + (π z)²)``."""
    slope: Tensor = (_ALPHA / 2) / (1.0 + (math.pi / 2 * _ALPHA * z).square())
    return slope


class _Shr(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, shift: int) -> Tensor:
        ctx.scale = 2.0**-shift
        quotient: Tensor = (x + 2.0 ** (shift - 1)) * ctx.scale
        return quotient.floor()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.scale, None


class _Ge(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, unit: Tensor | None) -> Tensor:
        ctx.unit, ctx.y_shape = unit, y.shape
        distance = x - y
        if unit is not None:
            ctx.save_for_backward(distance)
        return (distance >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        if ctx.unit is None:
            return None, None, None
        (distance,) = ctx.saved_tensors
        grad = grads[0] * atan_slope(distance * ctx.unit) * ctx.unit
        grad_y = -grad.sum_to_size(ctx.y_shape) if ctx.needs_input_grad[1] else None
        return grad, grad_y, None


class _Lut(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor) -> Tensor:
        index = x.long() + 128
        ctx.save_for_backward(index, table)
        return table[index]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        index, table = ctx.saved_tensors
        above, below = (index + 1).clamp(max=255), (index - 1).clamp(min=0)
        return grads[0] * (table[above] - table[below]) / (above - below), None


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, lo: int, hi: int) -> Tensor:
        ctx.save_for_backward((x >= lo) & (x <= hi))
        return x.round().clamp(lo, hi)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors
        return grads[0] * inside, None, None


def shr(x: Tensor, shift: int) -> Tensor:
    """``floor((x + 2^(shift-1)) / 2^shift)``; gradient of the exact quotient."""
    return _apply(_Shr, x, shift)


def ge(x: Tensor, y: Tensor, unit: Tensor | None) -> Tensor:
    """1 where ``x >= y``; ATan surrogate gradient of the real distance ``(x - y) · unit``."""
    return _apply(_Ge, x, y, unit)


def lut(x: Tensor, table: Tensor) -> Tensor:
    """``table[x + 128]``; gradient of the secant through the neighbouring entries."""
    return _apply(_Lut, x, table)


def round_half_even(x: Tensor, lo: int, hi: int) -> Tensor:
    """Round half to even and clamp; the gradient passes where nothing was clamped."""
    return _apply(_Round, x, lo, hi)


def _apply(function: type[torch.autograd.Function], *args: Any) -> Tensor:
    result: Tensor = function.apply(*args)  # type: ignore[no-untyped-call]
    return result
