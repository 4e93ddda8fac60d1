"""Backend ``torch``: exact integers forward, straight-through gradients backward.

Integers travel in float64, which holds every int32 sum exactly.  Any batch shape; usable inside a
training loop, where constants may be replaced by tensors that carry gradients.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from grsn_edge.backends.base import Backend, Runner, Values
from grsn_edge.errors import BackendUnavailable
from grsn_edge.program import IntArray, Node, Program

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TorchBackend", "TorchProgram"]


class TorchBackend(Backend):
    """Exact integers in float64 tensors."""

    name: ClassVar[str] = "torch"
    summary: ClassVar[str] = "exact integers with straight-through gradients, for training"

    def unavailable(self) -> str | None:
        """Torch is an optional package."""
        if importlib.util.find_spec("torch") is None:
            return "PyTorch is not installed; install grsn-edge[train]"
        return None

    def load(self, program: Program, *, batch: int | None = None) -> Runner:
        reason = self.unavailable()
        if reason:
            raise BackendUnavailable(reason)
        return TorchRunner(program, batch)


class TorchRunner(Runner):
    """Keeps the state between calls of a :class:`TorchProgram`."""

    def __init__(self, program: Program, batch: int | None) -> None:
        super().__init__(program, batch)
        self._lowered = TorchProgram(program)
        self._state: dict[str, Tensor] = {}
        self.reset()

    def step(self, inputs: Values) -> dict[str, IntArray]:
        import torch

        given = {name: torch.from_numpy(v) for name, v in self.checked_inputs(inputs).items()}
        with torch.no_grad():
            values = self._lowered({k: v.double() for k, v in given.items()} | self._state)
        self._state = {name: values[node] for name, node in self.program.nexts.items()}
        return {name: self._array(values[node]) for name, node in self.program.outputs.items()}

    def get_state(self) -> dict[str, IntArray]:
        return {name: self._array(value) for name, value in self._state.items()}

    def set_state(self, state: Values) -> None:
        import torch

        checked = self.checked_state(state)
        self._state = {name: torch.from_numpy(v).double() for name, v in checked.items()}

    def _array(self, value: Tensor) -> IntArray:
        array: IntArray = value.expand(*self.batch_shape, value.shape[-1]).long().numpy().copy()
        return array


class TorchProgram:
    """A step program as a function of tensors.

    Args:
        program: what to lower.
        surrogates: for a ``ge`` by name, the real value ``(n,)`` of one unit of its operands;
            gradients then follow the ATan surrogate of the real difference.  A ``ge`` without an
            entry passes no gradient.
        device: where the constants live.
    """

    def __init__(
        self,
        program: Program,
        surrogates: Mapping[str, IntArray | Any] | None = None,
        device: str = "cpu",
    ) -> None:
        import torch

        self.program = program
        self._constants = {
            f"{node.name}.{key}": torch.tensor(value, dtype=torch.float64, device=device)
            for node in program
            for key, value in node.attrs.items()
            if node.op in ("const", "matvec", "lut") and key != "init"
        }
        units = {
            name: torch.as_tensor(unit, dtype=torch.float64, device=device)
            for name, unit in (surrogates or {}).items()
        }
        self._lowered = [
            (node.name, node.args, _lower(node, units.get(node.name)), _constant_names(node))
            for node in program
            if node.op not in ("input", "state")
        ]

    def __call__(
        self, given: Mapping[str, Tensor], constants: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Every value of one step, by name, as float64 ``(..., n)`` that hold integers.

        Args:
            given: each input and state, ``(..., n)``.
            constants: replacements by ``"<value name>.<constant>"``, such as tensors that carry
                gradients; integers in float64.
        """
        table = self._constants if constants is None else {**self._constants, **constants}
        values = dict(given)
        for name, args, run, needs in self._lowered:
            values[name] = run([values[a] for a in args], [table[c] for c in needs])
        return values


Lowered = Callable[[Sequence["Tensor"], Sequence["Tensor"]], "Tensor"]


def _constant_names(node: Node) -> tuple[str, ...]:
    needs = {"const": ("value",), "matvec": ("weight", "bias"), "lut": ("table",)}
    return tuple(f"{node.name}.{key}" for key in needs.get(node.op, ()))


def _lower(node: Node, unit: Tensor | None) -> Lowered:
    """One operation as a function of its operands and constants."""
    import torch

    from grsn_edge.backends import straight_through as ste

    attrs = {key: int(value) for key, value in node.attrs.items() if value.ndim == 0}
    simple: dict[str, Lowered] = {
        "const": lambda x, c: c[0],
        "matvec": lambda x, c: torch.nn.functional.linear(x[0], c[0], c[1]),
        "add": lambda x, c: x[0] + x[1],
        "sub": lambda x, c: x[0] - x[1],
        "mul": lambda x, c: x[0] * x[1],
        "shr": lambda x, c: ste.shr(x[0], attrs["shift"]),
        "clip": lambda x, c: x[0].clamp(attrs["lo"], attrs["hi"]),
        "ge": lambda x, c: ste.ge(x[0], x[1], unit),
        "lut": lambda x, c: ste.lut(x[0], c[0]),
        "concat": lambda x, c: torch.cat(_same_batch(x), dim=-1),
        "slice": lambda x, c: x[0][..., attrs["start"] : attrs["stop"]],
        "argmax": lambda x, c: _first_argmax(x[0]),
    }
    return simple[node.op]


def _same_batch(parts: Sequence[Tensor]) -> list[Tensor]:
    import torch

    batch = torch.broadcast_shapes(*(part.shape[:-1] for part in parts))  # type: ignore[no-untyped-call]
    return [part.expand(*batch, part.shape[-1]) for part in parts]


def _first_argmax(x: Tensor) -> Tensor:
    """``Tensor.argmax`` does not promise the first of equal maxima; this does."""
    import torch

    index = torch.arange(x.shape[-1], dtype=x.dtype, device=x.device)
    is_maximum = x == x.max(dim=-1, keepdim=True).values
    return torch.where(is_maximum, index, math.inf).min(dim=-1, keepdim=True).values
