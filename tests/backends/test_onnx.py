"""The ONNX export: integers only, equal, deterministic, safe to read, runnable by others."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
import onnxruntime
from onnx import TensorProto, helper
from toy_policy import toy_policy

from grsn_edge.backends import ExportOptions, backend
from grsn_edge.backends._onnx.lower import build
from grsn_edge.backends._onnx.reader import read_onnx
from grsn_edge.conformance import random_graph, random_program
from grsn_edge.conformance.random_programs import HIDDEN
from grsn_edge.errors import FormatError, UsageError
from grsn_edge.policy import Encoder, load, record_golden

ROOT = Path(__file__).parents[2]


def exported(policy=None, **options: object) -> bytes:
    files = backend("onnx").export(policy or toy_policy(), ExportOptions(**options))
    return files["policy.onnx"]


def float_tensors(model: onnx.ModelProto) -> list[str]:
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    floats = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
    graph = model.graph
    found = [
        info.name
        for info in (*graph.input, *graph.output, *graph.value_info)
        if info.type.tensor_type.elem_type in floats
    ]
    return found + [tensor.name for tensor in graph.initializer if tensor.data_type in floats]


@pytest.mark.parametrize("kind", HIDDEN)
def test_graphs_are_valid_and_hold_no_float(kind: str) -> None:
    model = build(random_program(2, kind).program)
    onnx.checker.check_model(model, full_check=True)
    assert float_tensors(model) == []
    assert model.opset_import[0].version == 17
    assert read_onnx(model.SerializeToString()) is not None


def test_matrix_products_are_never_unsigned() -> None:
    graph = build(random_program(0, "grsn").program).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    dots = [node for node in graph.node if node.op_type == "MatMulInteger"]
    assert dots
    assert all(types[node.input[1]] == TensorProto.INT8 for node in dots)


def test_values_keep_their_names() -> None:
    program = random_program(0, "grsn").program
    made = {name for node in build(program).graph.node for name in node.output}
    assert {"layer0.sigmoid", "layer0.spike", "layer0.drive"} <= made
    assert {f"{state.name}.next" for state in program.states} <= made


def test_the_same_policy_gives_the_same_bytes() -> None:
    assert exported() == exported()
    assert exported(with_encoder=True) == exported(with_encoder=True)


def test_metadata_describe_the_policy() -> None:
    model = onnx.load_model_from_string(exported())
    (entry,) = model.metadata_props
    about = json.loads(entry.value)
    assert about["period_s"] == 0.02
    assert about["observations"][1] == {"name": "v", "unit": "m/s", "low": None, "high": None}
    assert about["states"]["layer0.u"]["dtype"] == "int16"
    assert len(about["golden"]["code"]) == 20


@pytest.mark.parametrize("name", ["cartpole-p", "pendulum-p"])
@pytest.mark.parametrize("on_invalid", ["refuse", "clamp"])
def test_with_encoder_the_integers_are_the_same(name: str, on_invalid: str) -> None:
    policy = load(ROOT / "models" / f"{name}.grsn")
    old = policy.encoder
    policy = replace(policy, encoder=Encoder(old.offset, old.gain, old.dtype, on_invalid))
    session = onnxruntime.InferenceSession(
        exported(policy, with_encoder=True), providers=["CPUExecutionProvider"]
    )
    runner = backend("numpy").load(policy.program)
    state = {s.name: s.attrs["init"].astype(s.dtype)[None] for s in policy.program.states}
    rng = np.random.default_rng(0)
    ties = old.offset + (rng.integers(-126, 126, (50, old.n)) + 0.5).astype("f4") / old.gain
    wild = rng.normal(0, 10.0 ** rng.uniform(-3, 6, (50, 1)), (50, old.n))
    for i, x in enumerate(np.concatenate([ties, wild]).astype(np.float32)):
        if on_invalid == "clamp" and i % 4 == 0:
            x[i % old.n] = (np.nan, np.inf, -np.inf)[i % 3]
        action, *after = session.run(None, {"observation": x[None], **state})
        state = dict(zip(state, after, strict=True))
        q = runner.step({"observation": policy.encoder.encode(x)})["action"]
        assert np.array_equal(action[0], np.atleast_1d(policy.decoder.decode(q)))
        for key, value in runner.get_state().items():
            assert np.array_equal(state[key][0], value)


def test_options_that_make_no_sense_are_refused() -> None:
    for options in ({"flavour": "tflm"}, {"state": "variables"}):
        with pytest.raises(UsageError):
            exported(**options)


def test_the_page_runs_without_us(tmp_path: Path) -> None:
    (tmp_path / "policy.onnx").write_bytes(exported(load(ROOT / "models" / "cartpole-p.grsn")))
    page = (ROOT / "docs" / "export-onnx.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert "grsn_edge." not in code
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "all golden steps equal" in done.stdout, done.stderr


def hostile() -> dict[str, bytes]:
    """Files that must be refused, by what is wrong with them."""
    good = build(random_graph(1))

    def changed(change) -> bytes:
        model = onnx.ModelProto()
        model.CopyFrom(good)
        change(model)
        return model.SerializeToString()

    def external(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "../../etc/passwd"

    def subgraph(model: onnx.ModelProto) -> None:
        node = model.graph.node.add()
        node.CopyFrom(helper.make_node("If", ["c"], ["o"], then_branch=model.graph))

    def domain(model: onnx.ModelProto) -> None:
        model.opset_import.append(helper.make_opsetid("com.example", 1))

    def operation(model: onnx.ModelProto) -> None:
        model.graph.node.append(helper.make_node("Loop", [], ["o"]))

    return {
        "outside the file": changed(external),
        "is refused": changed(subgraph),
        "com.example": changed(domain),
        "Loop": changed(operation),
        "holds no graph": b"",
        "not an ONNX model": b"\xff" * 100,
        "not a valid ONNX model": changed(lambda m: m.graph.node[0].input.append("nowhere")),
    }


@pytest.mark.parametrize("reason", list(hostile()))
def test_hostile_files_are_refused_by_name(reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        read_onnx(hostile()[reason])


def test_large_and_missing_files_are_refused(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        read_onnx(tmp_path / "none.onnx")
    monkeypatch.setattr("grsn_edge.backends._files.MAX_BYTES", 10)
    with pytest.raises(FormatError, match="more than 10"):
        read_onnx(b"x" * 11)


def test_a_policy_without_golden_vectors_can_be_exported() -> None:
    policy = replace(toy_policy(), golden=None)
    assert b'"golden"' not in exported(policy)
    again = replace(policy, golden=record_golden(policy, np.zeros((3, 2), np.float32)))
    assert b'"golden"' in exported(again)
