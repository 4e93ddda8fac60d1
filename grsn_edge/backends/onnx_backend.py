"""Backend ``onnx``: the single-step graph in onnxruntime, and its file."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from grsn_edge.backends._onnx.border import border_of
from grsn_edge.backends.base import Backend, ExportOptions, Runner, Values
from grsn_edge.errors import BackendError, BackendUnavailable, UsageError
from grsn_edge.policy import Policy
from grsn_edge.program import IntArray, Program

__all__ = ["OnnxBackend"]

_NUMPY = {"int8": np.int8, "int16": np.int16, "int32": np.int32}


class OnnxBackend(Backend):
    """onnxruntime on one thread."""

    name: ClassVar[str] = "onnx"
    summary: ClassVar[str] = "the ONNX export in onnxruntime, integers only"

    def unavailable(self) -> str | None:
        """onnx and onnxruntime are optional packages."""
        missing = [n for n in ("onnx", "onnxruntime") if importlib.util.find_spec(n) is None]
        if missing:
            return f"{' and '.join(missing)} not installed; install grsn-edge[onnx]"
        return None

    def load(self, program: Program, *, batch: int | None = None) -> Runner:
        reason = self.unavailable()
        if reason:
            raise BackendUnavailable(reason)
        return OnnxRunner(program, batch)

    def export(self, policy: Policy, options: ExportOptions) -> Mapping[str, bytes]:
        """``policy.onnx``; ``with_encoder`` takes float observations and gives float actions."""
        if importlib.util.find_spec("onnx") is None:
            raise BackendUnavailable("onnx is not installed; install grsn-edge[onnx]")
        if options.flavour is not None or options.state != "explicit":
            raise UsageError("an ONNX export has one flavour and explicit states")
        from grsn_edge.backends._onnx.exporter import export

        return {"policy.onnx": export(policy, with_encoder=options.with_encoder)}


class OnnxRunner(Runner):
    """Two sets of state buffers, bound once: each step reads one and writes the other."""

    def __init__(self, program: Program, batch: int | None) -> None:
        super().__init__(program, batch)
        from grsn_edge.backends._onnx.lower import build

        self._session = _session(build(program).SerializeToString())
        rows = 1 if batch is None else batch
        self._inputs = {n.name: np.zeros((rows, n.n), _NUMPY[n.dtype]) for n in program.inputs}
        self._outputs = {
            name: np.zeros((rows, program[value].n), _NUMPY[program[value].dtype])
            for name, value in program.outputs.items()
        }
        self._states = [
            {s.name: np.zeros((rows, s.n), _NUMPY[s.dtype]) for s in program.states}
            for _ in range(2)
        ]
        self._bindings = [self._bind(0, 1), self._bind(1, 0)]
        self._now = 0
        self.reset()

    def step(self, inputs: Values) -> dict[str, IntArray]:
        for name, value in self.checked_inputs(inputs).items():
            self._inputs[name][...] = value
        self._session.run_with_iobinding(self._bindings[self._now])
        self._now = 1 - self._now
        return {name: self._shaped(value) for name, value in self._outputs.items()}

    def get_state(self) -> dict[str, IntArray]:
        return {name: self._shaped(value) for name, value in self._states[self._now].items()}

    def set_state(self, state: Values) -> None:
        for name, value in self.checked_state(state).items():
            self._states[self._now][name][...] = value

    def _bind(self, source: int, target: int) -> Any:
        binding, border = self._session.io_binding(), border_of(self.program)
        for name, array in {**self._inputs, **self._states[source]}.items():
            _point(binding.bind_input, name, array)
        for name, array in self._outputs.items():
            _point(binding.bind_output, border.outputs[name], array)
        for name, array in self._states[target].items():
            _point(binding.bind_output, border.nexts[name], array)
        return binding

    def _shaped(self, value: npt.NDArray[Any]) -> IntArray:
        return value.reshape(*self.batch_shape, value.shape[-1]).astype(np.int64)


def _point(bind: Any, name: str, array: npt.NDArray[Any]) -> None:
    """Let onnxruntime read or write this memory itself."""
    bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)


def _session(model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Up to 1.18, onnxruntime's memory patterns overwrite tensors of this graph that are still read.
    options.enable_mem_pattern = False
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base but this
        raise BackendError(
            f"onnxruntime {onnxruntime.__version__} does not load the graph: {error}"
        ) from None
