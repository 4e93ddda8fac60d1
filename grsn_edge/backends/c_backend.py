"""Backend ``c``: generated C99, compiled on demand and called through ctypes."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from grsn_edge.backends._c.compiler import load, why_not
from grsn_edge.backends._c.emit import emit
from grsn_edge.backends._c.exporter import export
from grsn_edge.backends._c.host import act_header, act_source, call_source, host_source
from grsn_edge.backends.base import Act, Backend, ExportOptions, Runner, Values
from grsn_edge.errors import BackendUnavailable, ObservationError, StateError, UsageError
from grsn_edge.policy import Policy
from grsn_edge.program import IntArray, Program

__all__ = ["CBackend"]

_SEQUENCES = (list, tuple)
_PLAIN = frozenset((float, int))


class CBackend(Backend):
    """Generated C99 for this processor."""

    name: ClassVar[str] = "c"
    summary: ClassVar[str] = "generated C99, compiled on demand; the fastest"

    def unavailable(self) -> str | None:
        """A C compiler must be there."""
        return why_not()

    def load(self, program: Program, *, batch: int | None = None) -> Runner:
        reason = self.unavailable()
        if reason:
            raise BackendUnavailable(reason)
        return CRunner(program, batch)

    def export(self, policy: Policy, options: ExportOptions) -> Mapping[str, bytes]:
        """A folder of C99 that compiles by itself, with a self-test; needs no compiler here."""
        if options.flavour is not None or options.state != "explicit":
            raise UsageError("a C export has one flavour and explicit states")
        return export(policy, with_encoder=options.with_encoder)


class CRunner(Runner):
    """Owns the memory of states, inputs and outputs; C writes into it."""

    def __init__(self, program: Program, batch: int | None) -> None:
        super().__init__(program, batch)
        self._generated = emit(program, split_tables=True)
        self._files = {
            "policy.h": self._generated.header,
            "policy.c": self._generated.source,
            "host.c": host_source(program, self._generated),
        }
        library = load(self._files)
        rows = 1 if batch is None else batch
        self._memory, self._state = _state_memory(program, library, rows)
        self._inputs = {n.name: np.zeros((rows, n.n), n.dtype) for n in program.inputs}
        self._outputs = {
            name: np.zeros((rows, program[value].n), program[value].dtype)
            for name, value in program.outputs.items()
        }
        self._call = _bound(
            library.policy_batch,
            ctypes.c_int32(rows),
            ctypes.c_void_p(self._memory.ctypes.data),
            _addresses(self._inputs.values()),
            _addresses(self._outputs.values()),
        )
        self.reset()

    def step(self, inputs: Values) -> dict[str, IntArray]:
        for name, value in self.checked_inputs(inputs).items():
            self._inputs[name][...] = value
        self._call()
        return {name: self._shaped(value) for name, value in self._outputs.items()}

    def get_state(self) -> dict[str, IntArray]:
        return {name: self._shaped(value) for name, value in self._state.items()}

    def set_state(self, state: Values) -> None:
        for name, value in self.checked_state(state).items():
            self._state[name][...] = value

    def fuse(self, policy: Policy) -> Act | None:
        """Encode, step and decode in one call of C."""
        if self.batch is not None or policy.program is not self.program:
            return None
        sources = {
            **self._files,
            "policy_act.h": act_header(policy),
            "policy_act.c": act_source(policy),
            "call.c": call_source(policy),
        }
        return _fused(policy, load(sources), self._memory)

    def _shaped(self, value: npt.NDArray[Any]) -> IntArray:
        return value.reshape(*self.batch_shape, value.shape[-1]).astype(np.int64)


def _fused(policy: Policy, library: ctypes.PyDLL, memory: npt.NDArray[np.uint8]) -> Act:
    """A closure over prebuilt buffers: per call one copy in, one call of C, one result out.

    A memoryview takes arrays of its own type and shape and nothing else, so that its refusal is
    the check: float32 is copied as it is, float64 and lists of plain numbers are narrowed in C,
    and everything else goes the way of :meth:`Encoder.checked`.
    """
    encoder, discrete = policy.encoder, policy.decoder.is_discrete
    buffer, action = np.zeros(encoder.n, np.float32), np.zeros(policy.decoder.n, np.float32)
    doubles = np.zeros(encoder.n, np.float64)
    addresses = [array.ctypes.data for array in (buffer, memory, action, doubles)]
    context = (ctypes.c_void_p * len(addresses))(*addresses)
    step, step_of_doubles = library.policy_call, library.policy_call_of_doubles
    step.restype = step_of_doubles.restype = ctypes.c_int32
    pointer, view, wide = ctypes.byref(context), buffer.data, doubles.data
    pack = struct.Struct(f"{encoder.n}d").pack_into

    def of_another_type(observation: Any) -> int:
        try:
            if type(observation) in _SEQUENCES and _PLAIN.issuperset(map(type, observation)):
                pack(wide, 0, *observation)
            else:
                wide[:] = observation
        except (TypeError, ValueError, OverflowError, struct.error):
            view[:] = _one(encoder.checked(observation), encoder.n)
            return int(step(pointer))
        return int(step_of_doubles(pointer))

    def act(observation: npt.ArrayLike) -> Any:
        try:
            view[:] = observation  # type: ignore[assignment]
        except (TypeError, ValueError):
            result = of_another_type(observation)
        else:
            result = step(pointer)
        if result < 0:
            raise ObservationError(
                f"observation channel {-1 - result} is NaN or infinite; the state was not advanced"
            )
        return result if discrete else action.copy()

    # The C side holds bare addresses: what they point to must live as long as the closure.
    act.__dict__["keeps"] = (context, buffer, action, doubles, memory, library)
    return act


def _one(observation: npt.NDArray[np.float32], n: int) -> Any:
    if observation.shape != (n,):
        raise ObservationError(
            f"one step takes one observation of {n} channels, not the shape {observation.shape}"
        )
    return np.ascontiguousarray(observation)


def _state_memory(
    program: Program, library: ctypes.PyDLL, rows: int
) -> tuple[npt.NDArray[np.uint8], dict[str, npt.NDArray[Any]]]:
    """One block of state structures, and a view of each state in it, ``(rows, n)``."""
    sizes = np.zeros(1 + len(program.states), np.uint64)
    library.policy_layout(ctypes.c_void_p(sizes.ctypes.data))
    size, *offsets = (int(value) for value in sizes)
    memory = np.zeros(rows * size, np.uint8)
    views = {
        node.name: np.ndarray(
            (rows, node.n),
            node.dtype,
            memory.data,
            offset,
            (size, np.dtype(node.dtype).itemsize),
        )
        for node, offset in zip(program.states, offsets, strict=True)
    }
    if any(not view.flags.aligned for view in views.values()):
        raise StateError("the allocator gave memory that is not aligned for the state")
    return memory, views


def _addresses(arrays: Any) -> Any:
    pointers = [array.ctypes.data for array in arrays]
    return (ctypes.c_void_p * max(len(pointers), 1))(*pointers)


def _bound(function: Any, *arguments: Any) -> Callable[[], None]:
    function.restype = None

    def call() -> None:
        function(*arguments)

    return call
