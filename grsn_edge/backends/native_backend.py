"""Backend ``native``: the firmware's virtual machine in a compiled extension, fed policy images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import accumulate, pairwise, repeat
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from grsn_edge.backends._image import image
from grsn_edge.backends.base import Act, ActInto, Backend, ExportOptions, Runner, Values
from grsn_edge.errors import BackendUnavailable, ObservationError, UsageError
from grsn_edge.policy import Encoder, Policy
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.program import IntArray, Node, Program

if TYPE_CHECKING:
    from grsn_edge._native import Batch, Stream

__all__ = ["NativeBackend"]

_NOTE = Path(__file__).resolve().parents[1] / "_native.txt"
_ADVICE = "take a wheel for this platform, or install grsn-edge where a C compiler is"


class NativeBackend(Backend):
    """The virtual machine that runs on devices, compiled for this processor."""

    name: ClassVar[str] = "native"
    summary: ClassVar[str] = "the firmware's virtual machine, compiled in; no compiler needed"

    def unavailable(self) -> str | None:
        """The extension must have been built when the package was."""
        try:
            _extension()
        except BackendUnavailable as error:
            return str(error)
        return None

    def load(self, program: Program, *, batch: int | None = None) -> Runner:
        return NativeRunner(program, batch)

    def export(self, policy: Policy, options: ExportOptions) -> Mapping[str, bytes]:
        """The policy image for devices, encoder and decoder included; needs no extension."""
        if options.flavour is not None or options.state != "explicit":
            raise UsageError("a policy image has one flavour, and its state beside it")
        return {"policy.grsi": image(policy)}


class NativeRunner(Runner):
    """States in the extension, and the integers that go in and come out."""

    def __init__(self, program: Program, batch: int | None) -> None:
        super().__init__(program, batch)
        native = _extension()
        rows = 1 if batch is None else batch
        model = native.Model(image(program))
        self._states: Stream | Batch = (
            native.Stream(model) if batch is None else native.Batch(model, rows)
        )
        self._policy: Policy | None = None
        self._pool: ThreadPoolExecutor | None = None
        outputs = {name: program[value] for name, value in program.outputs.items()}
        inputs = {node.name: node for node in program.inputs}
        self._observation, self._inputs = _packed(inputs, rows)
        self._action, self._outputs = _packed(outputs, rows)
        self._rows, self._saved_size = rows, model.saved_size

    def step(self, inputs: Values) -> dict[str, IntArray]:
        for name, value in self.checked_inputs(inputs).items():
            self._inputs[name][...] = value
        self._states.step(self._observation, self._action)
        return {name: self._shaped(value) for name, value in self._outputs.items()}

    def get_state(self) -> dict[str, IntArray]:
        saved = np.frombuffer(self._states.state_get(), np.uint8)
        return {
            name: self._shaped(np.ascontiguousarray(value).view(dtype))
            for name, value, dtype in self._fields(saved)
        }

    def set_state(self, state: Values) -> None:
        checked = self.checked_state(state)
        saved = np.empty(self._rows * self._saved_size, np.uint8)
        for name, value, dtype in self._fields(saved):
            rows = checked[name].reshape(self._rows, -1).astype(dtype)
            value[...] = rows.view(np.uint8)
        self._states.state_set(saved.tobytes())

    def reset(self) -> None:
        self._states.reset()

    def reset_rows(self, rows: Sequence[int]) -> None:
        """Only in a batch."""
        for row in rows:
            self._states.reset(row)  # type: ignore[call-arg]

    def fuse(self, policy: Policy) -> Act | None:
        """Encode, step and decode in one call of C."""
        if policy.program is not self.program:
            return None
        if self.batch is None:
            return self._stream_of(policy).act
        return partial(_fresh, self._batched_into(policy, 1), _shape(policy, self._rows))

    def fuse_into(self, policy: Policy, threads: int = 1) -> ActInto | None:
        if policy.program is not self.program:
            return None
        if self.batch is None:
            return self._stream_of(policy).act_into
        return self._batched_into(policy, threads)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _stream_of(self, policy: Policy) -> Stream:
        """The stream of this runner, on the image that has the policy's encoder and decoder."""
        native = _extension()
        if self._policy is not policy:
            decoder = policy.decoder
            action = None if decoder.is_discrete else np.zeros(decoder.n, np.float32)
            convert = partial(_one, policy.encoder)
            stream = native.Stream(native.Model(image(policy)), convert, action)
            self._move_to(policy, stream)
        return self._states  # type: ignore[return-value]

    def _batched_into(self, policy: Policy, threads: int) -> ActInto:
        native = _extension()
        if self._policy is not policy or self._states.parts != threads:  # type: ignore[union-attr]
            self._move_to(policy, native.Batch(native.Model(image(policy)), self._rows, threads))
        self.close()
        convert = partial(_all, policy.encoder, self._rows)
        if threads == 1:
            return partial(_batched_step, self._states, convert, None)  # type: ignore[arg-type]
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="grsn-edge")
        return partial(_batched_step, self._states, convert, self._pool)  # type: ignore[arg-type]

    def _move_to(self, policy: Policy, states: Stream | Batch) -> None:
        states.state_set(self._states.state_get())
        self._states, self._policy = states, policy

    def _fields(self, saved: npt.NDArray[np.uint8]) -> list[tuple[str, Any, str]]:
        """Name, bytes ``(rows, n * size)`` and little-endian type of every state in ``saved``."""
        table = saved.reshape(self._rows, self._saved_size)
        types = [np.dtype(node.dtype).newbyteorder("<") for node in self.program.states]
        sizes = [s.n * t.itemsize for s, t in zip(self.program.states, types, strict=True)]
        ends = pairwise(accumulate(sizes, initial=0))
        return [
            (node.name, table[:, begin:end], dtype.str)
            for node, dtype, (begin, end) in zip(self.program.states, types, ends, strict=True)
        ]

    def _shaped(self, value: npt.NDArray[Any]) -> IntArray:
        return value.reshape(*self.batch_shape, value.shape[-1]).astype(np.int64)


@cache
def _extension() -> ModuleType:
    """The extension, or :class:`BackendUnavailable` with the reason why it is not there."""
    try:
        from grsn_edge import _native
    except ImportError as error:
        raise BackendUnavailable(_why(error)) from None
    return _native


def _why(error: ImportError) -> str:
    if _NOTE.is_file():
        reason = f"it was not built: {_NOTE.read_text(encoding='utf-8').strip()}"
    else:
        reason = str(error)
    return f"the extension grsn_edge._native is missing ({reason}); {_ADVICE}"


def _packed(
    nodes: Mapping[str, Node], rows: int
) -> tuple[npt.NDArray[np.int32], dict[str, npt.NDArray[np.int32]]]:
    """Room for values one after the other, ``(rows, n)``, and a view of each by name."""
    ends = list(pairwise(accumulate((node.n for node in nodes.values()), initial=0)))
    room = np.zeros((rows, ends[-1][1] if ends else 0), np.int32)
    return room, {name: room[:, a:b] for name, (a, b) in zip(nodes, ends, strict=True)}


def _one(encoder: Encoder, observation: npt.ArrayLike) -> FloatArray:
    x = encoder.checked(observation)
    if x.shape != (encoder.n,):
        raise ObservationError(
            f"one step takes one observation of {encoder.n} channels, not the shape {x.shape}"
        )
    return np.ascontiguousarray(x)


def _all(encoder: Encoder, rows: int, observations: npt.ArrayLike) -> FloatArray:
    x = encoder.checked(observations)
    if x.shape != (rows, encoder.n):
        raise ObservationError(f"a batch takes observations ({rows}, {encoder.n}), not {x.shape}")
    return np.ascontiguousarray(x)


def _batched_step(
    states: Batch,
    convert: Callable[[npt.ArrayLike], FloatArray],
    pool: ThreadPoolExecutor | None,
    observations: npt.ArrayLike,
    actions: npt.NDArray[Any],
) -> None:
    if not isinstance(observations, np.ndarray):
        observations = convert(observations)
    try:
        states.encode(observations)
    except ObservationError:  # of another type or order, or truly wrong
        states.encode(convert(observations))
    if pool is None:
        states.advance(actions)
    else:
        list(pool.map(states.advance, repeat(actions), range(states.parts)))


def _fresh(
    into: ActInto, shape: tuple[tuple[int, ...], type], observations: npt.ArrayLike
) -> npt.NDArray[Any]:
    actions: npt.NDArray[Any] = np.empty(*shape)
    into(observations, actions)
    return actions


def _shape(policy: Policy, rows: int) -> tuple[tuple[int, ...], type]:
    """Shape and type of a batch's actions."""
    if policy.decoder.is_discrete:
        return (rows,), np.int64
    return (rows, policy.decoder.n), np.float32
