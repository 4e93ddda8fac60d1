"""NIR: a file of snnTorch's becomes ours, ours becomes a file; what has no counterpart is named."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nir")

import nir
from toy_policy import toy_policy

from grsn_edge.backends import backend_names
from grsn_edge.cli.main import main
from grsn_edge.conformance import compare
from grsn_edge.errors import FormatError, UsageError
from grsn_edge.interchange import Import, export_nir, import_nir
from grsn_edge.policy import load
from grsn_edge.report import episode_trace
from grsn_edge.runtime import StreamingPolicy

WRITTEN_BY_SNNTORCH = Path(__file__).with_name("snntorch.nir")
DT = 1e-4  # snnTorch's


def seen(n: int = 3, steps: int = 400) -> np.ndarray:
    walk = np.cumsum(np.random.default_rng(0).normal(0, 0.1, (steps, n)), axis=0)
    return np.clip(walk, -1, 1).astype(np.float32)


def euler(graph, x: np.ndarray, dt: float) -> np.ndarray:
    """Spikes of the graph's one LIF layer by Euler's method, soft reset, ``(steps, neurons)``."""
    affine, lif = graph.nodes["0"], graph.nodes["1"]
    beta, v, spikes = 1 - dt / lif.tau, np.zeros(lif.tau.shape), []
    for row in x.astype(np.float64):
        current = affine.weight @ row + affine.bias
        v = beta * v + (1 - beta) * (lif.v_leak + lif.r * current)
        fired = v >= lif.v_threshold
        v = v - lif.v_threshold * fired
        spikes.append(fired)
    return np.array(spikes)


def test_a_file_written_by_snntorch_fires_as_its_equations_say() -> None:
    x = seen()
    policy = import_nir(WRITTEN_BY_SNNTORCH, Import(dt=DT, observations=x))
    expected = euler(nir.read(str(WRITTEN_BY_SNNTORCH)), x, DT)
    found = episode_trace(policy, x).spikes["layer0"]
    assert expected.mean() > 0.1
    assert np.mean(found == expected) > 0.95
    assert abs(found.mean() - expected.mean()) < 0.01


def test_an_imported_policy_is_one_of_ours() -> None:
    policy = import_nir(WRITTEN_BY_SNNTORCH, Import(dt=DT, observations=seen()))
    assert StreamingPolicy(policy).verify() == 64
    names = [name for name in ("numpy", "c") if name in backend_names()]
    assert compare(policy.program, names, steps=512).equal


def test_a_lif_policy_comes_back_the_same_through_nir(tmp_path: Path) -> None:
    x = seen()
    first = import_nir(WRITTEN_BY_SNNTORCH, Import(dt=DT, observations=x))
    path = tmp_path / "back.nir"
    path.write_bytes(export_nir(first))
    codes = first.encoder.encode(x).astype(np.float32)
    second = import_nir(path, Import(dt=DT, observations=codes))
    one, two = StreamingPolicy(first, "numpy"), StreamingPolicy(second, "numpy")
    same = [one.step(a) == two.step(b) for a, b in zip(x, codes, strict=True)]
    assert np.mean(same) > 0.98


def test_the_same_policy_gives_the_same_bytes() -> None:
    policy = import_nir(WRITTEN_BY_SNNTORCH, Import(dt=DT))
    assert export_nir(policy) == export_nir(policy)


def test_a_policy_of_other_cells_is_refused_by_name() -> None:
    grsn = load(Path(__file__).parents[2] / "models" / "cartpole-p.grsn")
    with pytest.raises(UsageError, match=r"'layer0' \(grsn\)"):
        export_nir(grsn)
    with pytest.raises(UsageError, match="provenance"):
        export_nir(toy_policy())


def test_a_rate_coded_policy_is_refused() -> None:
    policy = import_nir(WRITTEN_BY_SNNTORCH, Import(dt=DT))
    first, *others = policy.provenance["network"]["cells"]
    cells = [{**first, "inner_steps": 4}, *others]
    network = {**policy.provenance["network"], "cells": cells}
    with pytest.raises(UsageError, match="several inner steps"):
        export_nir(replace(policy, provenance={**policy.provenance, "network": network}))


def chain(tmp_path: Path, *nodes) -> Path:
    names = [f"n{i}" for i in range(len(nodes))]
    graph = nir.NIRGraph(
        nodes=dict(zip(names, nodes, strict=True)),
        edges=list(pairwise(names)),
        type_check=False,
    )
    path = tmp_path / "graph.nir"
    nir.write(str(path), graph)
    return path


def affine(n_in: int, n_out: int):
    return nir.Affine(weight=np.ones((n_out, n_in)), bias=np.zeros(n_out))


def lif(n: int, **changes):
    ones = np.ones(n)
    values = {"tau": 1e-3 * ones, "r": ones, "v_leak": 0 * ones, "v_threshold": ones}
    return nir.LIF(**{**values, "v_reset": 0 * ones, **changes})


ENDS = (nir.Input(np.array([2])), nir.Output(np.array([2])))


@pytest.mark.parametrize(
    ("middle", "reason"),
    [
        ((affine(2, 2), nir.IF(r=np.ones(2), v_threshold=np.ones(2))), r"\(IF\).*drifts"),
        ((affine(2, 2), lif(2)), "ends in spikes"),
        ((lif(2), affine(2, 2)), "needs a Linear or Affine"),
        ((affine(2, 2), lif(2, v_reset=np.ones(2)), affine(2, 2)), "resets to another value"),
        ((affine(2, 2), lif(2, tau=np.full(2, 1e-5)), affine(2, 2)), "give the dt"),
        ((affine(2, 2), lif(2, v_threshold=np.zeros(2)), affine(2, 2)), "thresholds"),
    ],
)
def test_what_cannot_be_mapped_is_named_with_the_reason(tmp_path, middle, reason) -> None:
    path = chain(tmp_path, ENDS[0], *middle, ENDS[1])
    with pytest.raises(UsageError, match=reason):
        import_nir(path, Import(dt=DT))


def test_cuba_neurons_are_refused_with_the_reason(tmp_path: Path) -> None:
    ones = np.ones(2)
    cuba = nir.CubaLIF(
        tau_syn=ones, tau_mem=ones, r=ones, v_leak=0 * ones, v_threshold=ones, v_reset=0 * ones
    )
    path = chain(tmp_path, ENDS[0], affine(2, 2), cuba, affine(2, 2), ENDS[1])
    with pytest.raises(UsageError, match="synaptic current"):
        import_nir(path, Import(dt=DT))


def test_leaky_integrators_become_the_read_out_and_affine_maps_are_joined(tmp_path: Path) -> None:
    li = nir.LI(tau=np.full(2, 1e-3), r=np.ones(2), v_leak=np.zeros(2))
    middle = (affine(2, 3), affine(3, 4), lif(4), affine(4, 2), li)
    policy = import_nir(chain(tmp_path, ENDS[0], *middle, ENDS[1]), Import(dt=DT))
    kinds = [(c["kind"], c["size"]) for c in policy.provenance["network"]["cells"]]
    assert kinds == [("lif", 4), ("readout", 2)]
    assert "readout.v" in {s.name for s in policy.program.states}


def test_broken_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.nir"
    for data in (b"", b"\x89HDF\r\n\x1a\n" + b"\x00" * 100, WRITTEN_BY_SNNTORCH.read_bytes()[:500]):
        path.write_bytes(data)
        with pytest.raises(FormatError, match="not a readable NIR file"):
            import_nir(path, Import(dt=DT))
    with pytest.raises(FormatError):
        import_nir(tmp_path / "none.nir", Import(dt=DT))


def test_the_commands_import_and_export(tmp_path: Path, capsys) -> None:
    table = tmp_path / "seen.csv"
    np.savetxt(table, seen(), delimiter=",")
    model = tmp_path / "m.grsn"
    graph = str(WRITTEN_BY_SNNTORCH)
    line = ["import", graph, "--dt", "1e-4", "--observations", str(table), "-o", str(model)]
    assert main(line) == 0
    assert main(["export", str(model), "--to", "nir", "c", "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "nir" / "policy.nir").exists()
    assert (tmp_path / "out" / "c" / "policy.c").exists()
    assert main(["import", graph, "--dt", "-1"]) == 1
    assert "positive" in capsys.readouterr().err
