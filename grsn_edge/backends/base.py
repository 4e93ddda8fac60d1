"""What a backend is: something that runs a step program and must equal the NumPy reference.

A backend is one file in this folder with one class that derives from :class:`Backend`; the
registry finds it there.  Conformance, the runtime, ``doctor`` and the tests then apply to it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy.typing as npt

from grsn_edge.errors import GrsnEdgeError, ObservationError, StateError, UsageError
from grsn_edge.policy import Policy
from grsn_edge.program import IntArray, Program, check_inputs, check_state

__all__ = ["Act", "ActInto", "Backend", "ExportOptions", "Runner", "Values"]

Values = Mapping[str, npt.ArrayLike]
Act = Callable[[npt.ArrayLike], Any]
"""One policy step: float observation ``(n,)`` → action (see :meth:`Decoder.decode`)."""
ActInto = Callable[[npt.ArrayLike, npt.NDArray[Any]], None]
"""The same, with the action written to an array (see :meth:`StreamingPolicy.step_into`)."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What an exported file should hold besides the step.

    Args:
        with_encoder: add the float encoder and decoder as separate, named nodes.
        flavour: a backend's own variant, such as ``litert`` or ``tflm``; None is its default.
        state: ``explicit`` (inputs and outputs) or ``variables`` (kept inside, with a reset).
    """

    with_encoder: bool = False
    flavour: str | None = None
    state: Literal["explicit", "variables"] = "explicit"


class Runner(ABC):
    """A program with a state, ready to step.

    Without a batch, arrays have the shape ``(n,)``; with one ``(batch, n)``, one row a stream.
    """

    def __init__(self, program: Program, batch: int | None) -> None:
        self.program = program
        self.batch = batch

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Leading shape of every array: ``()`` or ``(batch,)``."""
        return () if self.batch is None else (self.batch,)

    def checked_inputs(self, inputs: Values) -> dict[str, IntArray]:
        """``inputs`` as fresh int64 arrays; raises :class:`ObservationError`."""
        return self._batched(check_inputs(self.program, inputs), ObservationError)

    def checked_state(self, state: Values) -> dict[str, IntArray]:
        """``state`` as fresh int64 arrays; raises :class:`StateError`."""
        return self._batched(check_state(self.program, state), StateError)

    @abstractmethod
    def step(self, inputs: Values) -> dict[str, IntArray]:
        """Advance one step; the outputs by name, as fresh int64 arrays.

        Raises:
            ObservationError: missing, wrongly shaped or out of range inputs; state unchanged.
        """

    @abstractmethod
    def get_state(self) -> dict[str, IntArray]:
        """A copy of every state by name, int64."""

    @abstractmethod
    def set_state(self, state: Values) -> None:
        """Replace the whole state.

        Raises:
            StateError: wrong names, shapes, or values outside the declared range; unchanged.
        """

    def reset(self) -> None:
        """Set every state to its initial value."""
        self.set_state(self.program.initial_state(self.batch_shape))

    def reset_rows(self, rows: Sequence[int]) -> None:
        """Set every state of these rows of a batch to its initial value."""
        state = self.get_state()
        for name, value in self.program.initial_state().items():
            state[name][list(rows)] = value
        self.set_state(state)

    def fuse(self, policy: Policy) -> Act | None:
        """A faster float-to-action step of ``policy`` on this runner's state, or None.

        It must equal encode, :meth:`step`, decode bit for bit; it may avoid Python on the way.
        """
        return None

    def fuse_into(self, policy: Policy, threads: int = 1) -> ActInto | None:
        """As :meth:`fuse`, but writing the action to an array; or None.

        With a batch, observations and actions have a leading axis of its rows, and the rows may be
        split over ``threads``.
        """
        return None

    def close(self) -> None:
        """Give back what the runner holds; it cannot be used afterwards."""

    def _batched(
        self, arrays: dict[str, IntArray], error: type[GrsnEdgeError]
    ) -> dict[str, IntArray]:
        for name, array in arrays.items():
            if array.shape[:-1] != self.batch_shape:
                raise error(f"'{name}' must have the shape {(*self.batch_shape, array.shape[-1])}")
        return arrays


class Backend(ABC):
    """A way to run step programs.  Stateless; one instance lives in the registry."""

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line for ``grsn-edge doctor``."""

    def unavailable(self) -> str | None:
        """Why the backend cannot be used here and what to install, or None where it can."""
        return None

    @abstractmethod
    def load(self, program: Program, *, batch: int | None = None) -> Runner:
        """A runner of ``program`` in its initial state.

        Raises:
            BackendUnavailable: :meth:`unavailable` has the reason.
            BackendError: the program cannot be lowered.
        """

    def export(self, policy: Policy, options: ExportOptions) -> Mapping[str, bytes]:
        """Files that hold the policy's single-step graph, by relative path; the same bytes again.

        Raises:
            UsageError: this backend has no file form, or does not know an option.
            BackendError: the policy cannot be lowered; the text names the value.
        """
        raise UsageError(f"backend '{self.name}' has no file form to export")
