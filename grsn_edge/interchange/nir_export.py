"""LIF policies as NIR graphs, for simulators and chips of others.

NIR speaks of real numbers: the graph has the dynamics of the integer program without its
roundings and saturations.  Its input are the encoder's codes, and its membranes count in the
program's own units.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from grsn_edge.errors import UsageError
from grsn_edge.policy import Network, Policy
from grsn_edge.program import Program

__all__ = ["export_nir"]


def export_nir(policy: Policy) -> bytes:
    """The bytes of a ``.nir`` file.

    Raises:
        UsageError: the policy is not made of ``lif`` layers and a ``readout``; the text names the
            cell that NIR has no node for.
    """
    import nir

    network = _network(policy)
    nodes: dict[str, Any] = {"input": nir.Input(np.array([network.n_in]))}
    for scope, layer in network:
        if layer.kind not in ("lif", "readout"):
            raise UsageError(f"'{scope}' ({layer.kind}) has no node in NIR; only lif policies do")
        if getattr(layer, "inner_steps", 1) > 1:
            raise UsageError(f"'{scope}' takes several inner steps, which NIR has no node for")
        nodes |= _layer(policy.program, scope, policy.period_s)
    nodes["output"] = nir.Output(np.array([network.n_out]))
    names = list(nodes)
    graph = nir.NIRGraph(nodes=nodes, edges=list(pairwise(names)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.nir"
        nir.write(str(path), graph)
        return path.read_bytes()


def _network(policy: Policy) -> Network:
    config = policy.provenance.get("network")
    if not isinstance(config, Mapping):
        raise UsageError("the policy's provenance does not say of which cells it is made")
    return Network.from_config(config)


def _layer(program: Program, scope: str, dt: float) -> dict[str, Any]:
    """Affine and LIF (or LI) nodes of one layer: ``v = β v + I`` is NIR's with ``R = 1/(1-β)``."""
    import nir

    drive = program[f"{scope}.drive"]
    gain = _gain(program, scope)
    weight, bias = drive.attrs["weight"] * gain, drive.attrs["bias"] * gain
    nodes: dict[str, Any] = {f"{scope}_affine": nir.Affine(weight=weight, bias=bias)}
    names = {node.name for node in program}
    if f"{scope}.leak" not in names:
        return nodes
    keep = 1.0 - program[f"{scope}.leak"].attrs["value"] / 2.0**15
    common = {"tau": dt / keep, "r": 1.0 / keep, "v_leak": np.zeros_like(keep)}
    if f"{scope}.theta" in names:
        theta = program[f"{scope}.theta"].attrs["value"].astype(np.float64)
        nodes[f"{scope}_lif"] = nir.LIF(**common, v_threshold=theta, v_reset=np.zeros_like(keep))
    else:
        nodes[f"{scope}_li"] = nir.LI(**common)
    return nodes


def _gain(program: Program, scope: str) -> float:
    """The power of two between a layer's drive and its membrane."""
    (reader, *_) = program.uses[f"{scope}.drive"]
    if reader.op == "shr":
        return float(2.0 ** -int(reader.attrs["shift"]))
    if reader.op == "mul":
        other = next(arg for arg in reader.args if arg != f"{scope}.drive")
        return float(program[other].attrs["value"][0])
    return 1.0
