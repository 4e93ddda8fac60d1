"""Backend ``tflite``: the single-step graph in LiteRT (or its elders), and its file."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from grsn_edge.backends._describe import description
from grsn_edge.backends.base import Backend, ExportOptions, Runner, Values
from grsn_edge.errors import BackendUnavailable
from grsn_edge.policy import Policy
from grsn_edge.program import IntArray, Program

__all__ = ["TfliteBackend"]

_INTERPRETERS = (
    "ai_edge_litert.interpreter",
    "tflite_runtime.interpreter",
    "tensorflow.lite.python.interpreter",
)
"""The living runtime first; tflite-runtime ended with 2.14 and needs numpy below 2."""


class TfliteBackend(Backend):
    """One thread, in whichever runtime is installed."""

    name: ClassVar[str] = "tflite"
    summary: ClassVar[str] = "the TFLite export in LiteRT, integers only"
    flavour: ClassVar[str] = "litert"

    def unavailable(self) -> str | None:
        """A runtime and the schema are optional packages."""
        if not any(importlib.util.find_spec(n) for n in ("ai_edge_litert", "tensorflow")):
            return "the TFLite schema is not installed; install grsn-edge[tflite]"
        if importlib.util.find_spec("flatbuffers") is None:
            return "flatbuffers is not installed; install grsn-edge[tflite]"
        return None

    def load(self, program: Program, *, batch: int | None = None) -> Runner:
        reason = self.unavailable()
        if reason:
            raise BackendUnavailable(reason)
        return TfliteRunner(program, batch, self.flavour)

    def export(self, policy: Policy, options: ExportOptions) -> Mapping[str, bytes]:
        """``policy.tflite`` in the flavour ``litert`` or ``tflm``, and ``policy.json`` about it."""
        reason = self.unavailable()
        if reason:
            raise BackendUnavailable(reason)
        from grsn_edge.backends._tflite.exporter import export

        text = description(policy, with_encoder=options.with_encoder) + "\n"
        return {"policy.tflite": export(policy, options), "policy.json": text.encode()}


class TfliteRunner(Runner):
    """Copies every output out before it writes any input: their memory may overlap."""

    def __init__(self, program: Program, batch: int | None, flavour: str) -> None:
        super().__init__(program, batch)
        from grsn_edge.backends._tflite.lower import NEXT, build

        rows = 1 if batch is None else batch
        self._interpreter = interpreter(build(program, rows, flavour))  # type: ignore[arg-type]
        self._inputs = {d["name"]: d for d in self._interpreter.get_input_details()}
        self._outputs = {d["name"]: d["index"] for d in self._interpreter.get_output_details()}
        self._nexts = {s.name: self._outputs[f"{s.name}{NEXT}"] for s in program.states}
        self._state: dict[str, Any] = {}
        self.reset()

    def step(self, inputs: Values) -> dict[str, IntArray]:
        given = {**self.checked_inputs(inputs), **self._state}
        for name, value in given.items():
            self._write(name, value)
        self._interpreter.invoke()
        self._state = {name: self._read(index) for name, index in self._nexts.items()}
        return {
            name: self._shaped(self._read(self._outputs[name])) for name in self.program.outputs
        }

    def get_state(self) -> dict[str, IntArray]:
        return {name: self._shaped(value) for name, value in self._state.items()}

    def set_state(self, state: Values) -> None:
        self._state = self.checked_state(state)

    def _write(self, name: str, value: IntArray) -> None:
        details = self._inputs[name]
        array = value.astype(details["dtype"]).reshape(details["shape"])
        self._interpreter.set_tensor(details["index"], array)

    def _read(self, index: int) -> IntArray:
        return np.asarray(self._interpreter.get_tensor(index), np.int64)

    def _shaped(self, value: IntArray) -> IntArray:
        return value.reshape(*self.batch_shape, value.shape[-1]).copy()


def interpreter(model: bytes) -> Any:
    """An interpreter of these bytes, which it verifies, with its tensors allocated.

    Raises:
        BackendUnavailable: no runtime is installed.
    """
    for name in _INTERPRETERS:
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            found = importlib.import_module(name).Interpreter(model_content=model, num_threads=1)
            found.allocate_tensors()
            return found
    raise BackendUnavailable("no TFLite runtime is installed; install grsn-edge[tflite]")
