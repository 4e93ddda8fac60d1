"""The NumPy reference evaluator: the readable meaning of a step program.

Every other backend must equal it with ``==`` on every output and every state.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import ObservationError, StateError
from grsn_edge.program.interval import IntArray
from grsn_edge.program.ir import Node, Program
from grsn_edge.program.ops import OPS

__all__ = ["check_inputs", "check_state", "evaluate", "step"]

Values = Mapping[str, npt.ArrayLike]


def evaluate(program: Program, inputs: Values, state: Values) -> dict[str, IntArray]:
    """Every value of one step, by name, as int64 ``(..., n)``.

    ``inputs`` and ``state`` hold an array ``(..., n)`` for each input and each state; leading
    shapes are batch dimensions and broadcast.

    Raises:
        ObservationError, StateError: missing, unknown, wrongly shaped or out of range values.
    """
    values = check_inputs(program, inputs) | check_state(program, state)
    for node in program:
        if node.name not in values:
            args = [values[arg] for arg in node.args]
            values[node.name] = OPS[node.op].evaluate(node.attrs, args)
    return values


def step(
    program: Program, inputs: Values, state: Values
) -> tuple[dict[str, IntArray], dict[str, IntArray]]:
    """One step: ``(outputs, next state)``, by name, as int64 ``(..., n)``."""
    values = evaluate(program, inputs, state)
    outputs = {name: values[node] for name, node in program.outputs.items()}
    return outputs, {name: values[node] for name, node in program.nexts.items()}


def check_inputs(program: Program, inputs: Values) -> dict[str, IntArray]:
    """``inputs`` as int64 arrays, after checking names, lengths and ranges."""
    return _check(program.inputs, inputs, ObservationError, "input")


def check_state(program: Program, state: Values) -> dict[str, IntArray]:
    """``state`` as int64 arrays, after checking names, lengths and ranges."""
    return _check(program.states, state, StateError, "state")


def _check(
    nodes: tuple[Node, ...],
    given: Values,
    error: type[ObservationError] | type[StateError],
    what: str,
) -> dict[str, IntArray]:
    names = [node.name for node in nodes]
    if set(given) != set(names):
        raise error(f"the program's {what}s are {names}, not {sorted(given)}")
    return {node.name: _check_one(node, given[node.name], error, what) for node in nodes}


def _check_one(
    node: Node,
    value: npt.ArrayLike,
    error: type[ObservationError] | type[StateError],
    what: str,
) -> IntArray:
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or array.ndim == 0 or array.shape[-1] != node.n:
        raise error(
            f"{what} '{node.name}' takes integers of shape (..., {node.n}), "
            f"not {array.dtype} of shape {array.shape}"
        )
    # Compared before it is cast: a large uint64 would come back negative.
    if np.any(array < node.interval.lo) or np.any(array > node.interval.hi):
        raise error(
            f"{what} '{node.name}' holds {array.min()}..{array.max()}, outside its range "
            f"[{node.interval.low}, {node.interval.high}]"
        )
    return array.astype(np.int64)
