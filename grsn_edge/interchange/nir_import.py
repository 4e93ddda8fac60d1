r"""NIR graphs of other frameworks, frozen and run as ours (arXiv 2311.14641).

NIR is continuous in time; one step of ours is Euler's with a step of ``dt``::

    LIF   τ v̇ = (v_leak - v) + R I   →   v = β v + (1 - β)(v_leak + R I),   β = 1 - dt/τ
    LI    the same, without a threshold   →   the leaky read-out

The threshold of each neuron is scaled to the cell's own; ``R``, ``v_leak`` and the threshold go
into weights and biases.  NIR does not say at which moment a spike resets, nor always how: here it
is at the spike, by subtraction or to 0, as the caller says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import FormatError, UsageError
from grsn_edge.neurons import Cell, Record, Signal, cell
from grsn_edge.policy import (
    MAX_GOLDEN,
    Channel,
    Encoder,
    Network,
    Policy,
    assemble,
    make_decoder,
    record_golden,
)
from grsn_edge.policy.decoder import DecoderKind

__all__ = ["Import", "import_nir"]

Doubles = npt.NDArray[np.float64]
Params = dict[str, Doubles]

MAX_BYTES = 64 * 2**20
_CODE = 127
_REASONS = {
    "CubaLIF": "no cell here has a synaptic current of its own",
    "Delay": "no cell here delays",
    "IF": "a membrane without a leak drifts out of any proven range",
    "NIRGraph": "graphs within graphs are not followed",
}


@dataclass(frozen=True)
class Import:
    """How to read a graph.

    Args:
        dt: seconds per step; the framework that wrote the file used one, often 1e-4 or 1e-3.
        reset: ``soft`` subtracts the threshold, ``hard`` sets the membrane to 0.
        decoder: ``argmax``, ``clip`` or ``tanh``.
        low, high: bounds of continuous actions, one per output.
        observations: float ``(steps, n)``, what the network will see, to choose scales from;
            None: uniform in ±1.
        name: of the policy.
    """

    dt: float
    reset: Literal["soft", "hard"] = "soft"
    decoder: DecoderKind = "argmax"
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    observations: npt.NDArray[np.float32] | None = field(default=None, compare=False)
    name: str = "imported"


def import_nir(path: Path, how: Import) -> Policy:
    """A frozen policy of the network in a NIR file.

    Raises:
        FormatError: not a NIR file, or one that is too large.
        UsageError: something in the graph has no counterpart here; named, with the reason.
        FreezeError, RangeProofError: its numbers have no integer form.
    """
    nodes = _chain(_read(path), str(path))
    cells, params = _cells(nodes, how)
    return _freeze(Network(tuple(cells), how.decoder), params, how)


# ---- reading -------------------------------------------------------------------------------------


def _read(path: Path) -> Any:
    import nir

    try:
        if path.stat().st_size > MAX_BYTES:
            raise FormatError(f"{path}: larger than {MAX_BYTES} bytes")
        return nir.read(str(path))
    except FormatError:
        raise
    except Exception as error:  # h5py and nir raise whatever they stumble over
        raise FormatError(f"{path}: not a readable NIR file: {error}") from None


def _chain(graph: Any, where: str) -> list[tuple[str, Any]]:
    """The nodes from input to output, which must form one line."""
    after: dict[str, str] = {}
    for source, target in graph.edges:
        if source in after:
            raise UsageError(f"{where}: '{source}' feeds two nodes; only a chain can be imported")
        after[source] = target
    (start, *more) = [k for k, n in graph.nodes.items() if type(n).__name__ == "Input"] or [""]
    if not start or more:
        raise UsageError(f"{where}: a chain has exactly one Input")
    line: list[tuple[str, Any]] = []
    name = after.get(start)
    while name is not None and len(line) <= len(graph.nodes):
        if name not in graph.nodes:
            raise UsageError(f"{where}: an edge leads to '{name}', which does not exist")
        if type(graph.nodes[name]).__name__ == "Output":
            return line
        line.append((name, graph.nodes[name]))
        name = after.get(name)
    raise UsageError(f"{where}: the chain from '{start}' does not end in an Output")


# ---- mapping -------------------------------------------------------------------------------------


def _cells(nodes: Sequence[tuple[str, Any]], how: Import) -> tuple[list[Cell], list[Params]]:
    cells: list[Cell] = []
    params: list[Params] = []
    pending: tuple[Doubles, Doubles] | None = None
    for name, node in nodes:
        kind = type(node).__name__
        if kind in ("Affine", "Linear"):
            pending = _composed(pending, node)
        elif kind in ("LIF", "LI") and pending is not None:
            made, values = _leaky(name, node, pending, how)
            cells.append(made)
            params.append(values)
            pending = None
        elif kind in ("LIF", "LI"):
            raise UsageError(f"'{name}' ({kind}) needs a Linear or Affine node before it")
        else:
            reason = _REASONS.get(kind, "it has no counterpart here")
            raise UsageError(f"'{name}' ({kind}) cannot be imported: {reason}")
    if pending is not None:
        weight, bias = pending
        cells.append(cell("readout", n_in=weight.shape[1], size=weight.shape[0], leaky=False))
        params.append({"weight": weight, "bias": bias})
    if not cells or cells[-1].kind != "readout":
        raise UsageError("the graph ends in spikes; end it in a Linear, Affine or LI node")
    if any(c.kind == "readout" for c in cells[:-1]):
        raise UsageError("an LI node can only be the last one")
    return cells, params


def _composed(pending: tuple[Doubles, Doubles] | None, node: Any) -> tuple[Doubles, Doubles]:
    weight = np.asarray(node.weight, np.float64)
    bias = np.asarray(getattr(node, "bias", np.zeros(weight.shape[0])), np.float64)
    if pending is None:
        return weight, bias
    return weight @ pending[0], weight @ pending[1] + bias


def _leaky(
    name: str, node: Any, pending: tuple[Doubles, Doubles], how: Import
) -> tuple[Cell, Params]:
    """LIF to ``lif``, LI to the leaky ``readout``."""
    weight, bias = pending
    size = weight.shape[0]
    tau, r, v_leak = (_per_neuron(getattr(node, key), size) for key in ("tau", "r", "v_leak"))
    keep = how.dt / tau
    if np.any(keep <= 0) or np.any(keep >= 1):
        raise UsageError(
            f"'{name}': with dt = {how.dt} s its tau of {tau.min():g}…{tau.max():g} s is no leak; "
            "give the dt of the framework that wrote the file"
        )
    leak = np.log((1.0 - keep) / keep)
    weight, bias = weight * r[:, None], bias * r + v_leak
    if type(node).__name__ == "LI":
        made = cell("readout", n_in=weight.shape[1], size=size)
        return made, {"weight": weight, "bias": bias, "leak": leak}
    reset = getattr(node, "v_reset", None)
    if reset is not None and np.any(np.asarray(reset) != 0):
        raise UsageError(f"'{name}': it resets to another value than 0, which no cell here does")
    theta = 0.5
    threshold = _per_neuron(node.v_threshold, size)
    if not np.all(threshold > 0) or not np.all(np.isfinite(threshold)):
        raise UsageError(f"'{name}': thresholds must be positive")
    scale = theta / threshold
    made = cell("lif", n_in=weight.shape[1], size=size, reset=how.reset, theta=theta)
    return made, {"w_in": weight * scale[:, None], "b_in": bias * scale, "leak": leak}


def _per_neuron(value: Any, size: int) -> Doubles:
    return np.broadcast_to(np.asarray(value, np.float64).ravel(), (size,)).copy()


# ---- freezing ------------------------------------------------------------------------------------


def _freeze(network: Network, params: Sequence[Params], how: Import) -> Policy:
    from grsn_edge.neurons.quantise import NumpyQuantiser

    seen = how.observations
    if seen is None:
        seen = np.random.default_rng(0).uniform(-1, 1, (1024, network.n_in)).astype(np.float32)
    if seen.ndim != 2 or seen.shape[1] != network.n_in or not np.isfinite(seen).all():
        raise UsageError(f"observations are finite numbers of shape (steps, {network.n_in})")
    clip = max(float(np.abs(seen).max()), 1e-6)
    signal, plans, integers = Signal(clip / _CODE, -_CODE, _CODE), [], []
    for layer, p, record in zip(
        network.cells, params, _records(network, params, seen), strict=True
    ):
        plans.append(layer.plan(p, signal, record))
        integers.append(layer.integers(p, plans[-1], NumpyQuantiser()))
        signal = layer.output(plans[-1])
    continuous = () if how.decoder == "argmax" else (how.low, how.high)
    actions = [Channel(f"action {i}", "", *_bounds(how, i)) for i in range(network.n_out)]
    gain = np.full(network.n_in, _CODE / clip, np.float32)
    policy = Policy(
        name=how.name,
        program=assemble(network, plans, integers, _CODE),
        encoder=Encoder(np.zeros(network.n_in, np.float32), gain),
        decoder=make_decoder(network, plans, *continuous),
        period_s=how.dt,
        observations=tuple(Channel(f"input {i}", "", -clip, clip) for i in range(network.n_in)),
        actions=tuple(actions),
        provenance={"imported_from": "NIR", "reset": how.reset, "network": network.config()},
    )
    golden = record_golden(policy, seen[:MAX_GOLDEN])
    return Policy(**{**vars(policy), "golden": golden})


def _bounds(how: Import, i: int) -> tuple[float, float]:
    return (how.low[i], how.high[i]) if i < min(len(how.low), len(how.high)) else (0.0, 1.0)


def _records(
    network: Network, params: Sequence[Params], seen: npt.NDArray[np.float32]
) -> list[Record]:
    """What every cell sees and does on these observations, in floats."""
    import torch

    values = torch.from_numpy(seen.astype(np.float64))
    records = []
    for layer, p in zip(network.cells, params, strict=True):
        tensors = {name: torch.from_numpy(value) for name, value in p.items()}
        state = {n: torch.zeros(1, k, dtype=torch.float64) for n, k in layer.state_sizes().items()}
        befores, afters, outs = [], [], []
        for x in values:
            befores.append(state)
            out, state = layer.float_step(tensors, x[None], state, lambda z: (z >= 0).to(z.dtype))
            afters.append(state)
            outs.append(out)
        stack = [
            {name: torch.cat([s[name] for s in states]).numpy() for name in layer.state_sizes()}
            for states in (befores, afters)
        ]
        out = torch.cat(outs)
        records.append(Record(values.numpy(), stack[0], stack[1], out.numpy()))
        values = out
    return records
