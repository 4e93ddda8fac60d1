"""Backend ``executorch``: the single-step graph as an ExecuTorch program, and its file."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from grsn_edge.backends._describe import description
from grsn_edge.backends.base import Backend, ExportOptions, Runner, Values
from grsn_edge.errors import BackendError, BackendUnavailable, UsageError
from grsn_edge.policy import Policy
from grsn_edge.program import IntArray, Node, Program

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ExecutorchBackend"]


class ExecutorchBackend(Backend):
    """ExecuTorch's portable kernels."""

    name: ClassVar[str] = "executorch"
    summary: ClassVar[str] = "the ExecuTorch export in its portable kernels, integers only"

    def unavailable(self) -> str | None:
        """ExecuTorch is an optional package."""
        missing = [n for n in ("torch", "executorch") if importlib.util.find_spec(n) is None]
        return f"{missing[0]} is not installed; install grsn-edge[executorch]" if missing else None

    def load(self, program: Program, *, batch: int | None = None) -> Runner:
        reason = self.unavailable()
        if reason:
            raise BackendUnavailable(reason)
        return ExecutorchRunner(program, batch)

    def export(self, policy: Policy, options: ExportOptions) -> Mapping[str, bytes]:
        """``policy.pte``, whose ``forward`` takes and gives int32, and ``policy.json`` about it."""
        reason = self.unavailable()
        if reason:
            raise BackendUnavailable(reason)
        if options != ExportOptions():
            raise UsageError("an ExecuTorch export has no options")
        text = description(policy) + "\n"
        return {"policy.pte": build(policy.program, 1), "policy.json": text.encode()}


class ExecutorchRunner(Runner):
    """Keeps the state between calls of the program's ``forward``."""

    def __init__(self, program: Program, batch: int | None) -> None:
        super().__init__(program, batch)
        from executorch.runtime import Runtime

        # The runtime reads the file for as long as it runs.
        self._folder = tempfile.TemporaryDirectory(prefix="grsn-edge-")
        path = Path(self._folder.name) / "step.pte"
        path.write_bytes(build(program, 1 if batch is None else batch))
        self._method = Runtime.get().load_program(path).load_method("forward")
        self._state: dict[str, Any] = {}
        self.reset()

    def step(self, inputs: Values) -> dict[str, IntArray]:
        import torch

        given = {**self.checked_inputs(inputs), **self._state}
        sources = (*self.program.inputs, *self.program.states)
        rows = [np.atleast_2d(given[node.name]).astype(np.int32) for node in sources]
        values = [v.numpy() for v in self._method.execute([torch.from_numpy(row) for row in rows])]
        count = len(self.program.outputs)
        after = zip(self.program.states, values[count:], strict=True)
        self._state = {node.name: value.astype(np.int64) for node, value in after}
        found = zip(self.program.outputs, values[:count], strict=True)
        return {name: self._shaped(value) for name, value in found}

    def get_state(self) -> dict[str, IntArray]:
        return {name: self._shaped(value) for name, value in self._state.items()}

    def set_state(self, state: Values) -> None:
        self._state = dict(self.checked_state(state))

    def close(self) -> None:
        self._folder.cleanup()

    def _shaped(self, value: Any) -> IntArray:
        return np.asarray(value).reshape(*self.batch_shape, value.shape[-1]).astype(np.int64)


def build(program: Program, batch: int) -> bytes:
    """The file's bytes: inputs and states in, outputs and next states out, int32 ``(batch, n)``.

    ``shr`` is a floor division: ExecuTorch has no integer right shift in its portable kernels.

    Raises:
        BackendError: ExecuTorch refuses the program; the text holds its reason.
    """
    import torch
    from executorch.exir import EdgeCompileConfig, to_edge

    sources = (*program.inputs, *program.states)
    example = tuple(torch.zeros(batch, node.n, dtype=torch.int32) for node in sources)
    module = _module(program, batch)
    try:
        exported = torch.export.export(module, example)
        edge = to_edge(exported, compile_config=EdgeCompileConfig(_check_ir_validity=False))
        return bytes(edge.to_executorch().buffer)
    except Exception as error:  # its passes raise whatever they stumble over
        raise BackendError(f"ExecuTorch cannot take this program: {error}") from None


def _module(program: Program, batch: int) -> Any:
    """A ``torch.nn.Module`` whose ``forward`` is one step."""
    import torch

    class Step(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for node in program:
                for key, value in node.attrs.items():
                    if node.op in ("const", "matvec", "lut"):
                        self.register_buffer(_name(node, key), _constant(node, key, value))

        def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
            sources = (*program.inputs, *program.states)
            values = dict(zip((n.name for n in sources), given, strict=True))
            for node in program:
                if node.name not in values:
                    constants = {key: getattr(self, _name(node, key), None) for key in node.attrs}
                    args = [values[arg] for arg in node.args]
                    values[node.name] = _LOWERED[node.op](node, args, constants)
            ends = (*program.outputs.values(), *(program.nexts[s.name] for s in program.states))
            # A value that depends on no input, or is one, needs a tensor of its own.
            return tuple(values[end].expand(batch, program[end].n) + 0 for end in ends)

    return Step().eval()


def _name(node: Node, key: str) -> str:
    return f"{node.name}:{key}".replace(".", "_").replace(":", "_c_")


def _constant(node: Node, key: str, value: IntArray) -> Tensor:
    import torch

    array = value.T if key == "weight" else value[None, :] if node.op != "lut" else value
    return torch.from_numpy(np.ascontiguousarray(array).astype(np.int32))


Constants = Mapping[str, Any]
Lowered = Callable[[Node, list["Tensor"], Constants], "Tensor"]


def _shr(node: Node, x: list[Tensor], c: Constants) -> Tensor:
    import torch

    shift = int(node.attrs["shift"])
    return torch.div(x[0] + (1 << (shift - 1)), 1 << shift, rounding_mode="floor")


def _lut(node: Node, x: list[Tensor], c: Constants) -> Tensor:
    found: Tensor = c["table"][(x[0] + 128).long()]
    return found


def _concat(node: Node, x: list[Tensor], c: Constants) -> Tensor:
    import torch

    rows = max(part.shape[0] for part in x)
    return torch.cat([part.expand(rows, part.shape[1]) for part in x], dim=1)


def _argmax(node: Node, x: list[Tensor], c: Constants) -> Tensor:
    """A running maximum; a later value wins only where it is greater."""
    import torch

    best, index = x[0][:, :1], torch.zeros_like(x[0][:, :1])
    for i in range(1, x[0].shape[1]):
        value = x[0][:, i : i + 1]
        wins = (value > best).to(torch.int32)
        best, index = torch.maximum(best, value), index + wins * (i - index)
    return index


_LOWERED: Mapping[str, Lowered] = {
    "const": lambda n, x, c: c["value"],
    "matvec": lambda n, x, c: x[0].mm(c["weight"]) + c["bias"],
    "add": lambda n, x, c: x[0] + x[1],
    "sub": lambda n, x, c: x[0] - x[1],
    "mul": lambda n, x, c: x[0] * x[1],
    "shr": _shr,
    "clip": lambda n, x, c: x[0].clamp(int(n.attrs["lo"]), int(n.attrs["hi"])),
    "ge": lambda n, x, c: (x[0] >= x[1]).int(),
    "lut": _lut,
    "concat": _concat,
    "slice": lambda n, x, c: x[0][:, int(n.attrs["start"]) : int(n.attrs["stop"])],
    "argmax": _argmax,
}
