"""The TFLite export: integers only, equal in both flavours, deterministic, safe to read."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from toy_policy import toy_policy

from grsn_edge.backends import ExportOptions, backend
from grsn_edge.backends._tflite.flatbuffer import schema
from grsn_edge.backends._tflite.lower import build
from grsn_edge.backends._tflite.reader import read_tflite
from grsn_edge.backends.tflite_backend import interpreter
from grsn_edge.conformance import compare, random_graph, random_program, random_programs
from grsn_edge.errors import FormatError, UsageError
from grsn_edge.policy import load

ROOT = Path(__file__).parents[2]

MICRO = {
    "ADD",
    "CAST",
    "CONCATENATION",
    "DIV",
    "FULLY_CONNECTED",
    "GATHER",
    "GREATER",
    "GREATER_EQUAL",
    "MAXIMUM",
    "MINIMUM",
    "MUL",
    "SLICE",
    "SUB",
}


@pytest.fixture
def micro(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(backend("tflite")), "flavour", "tflm")


def exported(policy=None, **options: object) -> bytes:
    return backend("tflite").export(policy or toy_policy(), ExportOptions(**options))[
        "policy.tflite"
    ]


def model_of(data: bytes):
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))


def types_of(data: bytes) -> set[int]:
    return {t.type for graph in model_of(data).subgraphs for t in graph.tensors}


@pytest.mark.parametrize("drawn", [*random_programs(12)], ids=lambda d: d.label)
@pytest.mark.usefixtures("micro")
def test_the_micro_flavour_equals_the_reference(drawn) -> None:
    report = compare(drawn.program, ["numpy", "tflite"], steps=512, streams=32)
    assert report.equal, report.difference


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.usefixtures("micro")
def test_the_micro_flavour_equals_the_reference_on_programs_that_are_no_networks(seed) -> None:
    report = compare(random_graph(seed), ["numpy", "tflite"], steps=128, streams=16)
    assert report.equal, report.difference


def test_reference_kernels_give_the_same_integers() -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    policy = load(ROOT / "models" / "pendulum-p.grsn")
    for flavour in ("litert", "tflm"):
        data = build(policy.program, 1, flavour)
        for resolver in (OpResolverType.BUILTIN_REF, OpResolverType.BUILTIN):
            running = Interpreter(model_content=data, experimental_op_resolver_type=resolver)
            step = running.get_signature_runner("step")
            state = {s.name: s.attrs["init"][None].astype(s.dtype) for s in policy.program.states}
            for code, wanted in zip(policy.golden.code, policy.golden.action, strict=True):
                values = step(observation=code[None].astype(np.int8), **state)
                state = {name: values[f"{name}.next"] for name in state}
                assert np.array_equal(values["action"][0], wanted)


@pytest.mark.parametrize("flavour", ["litert", "tflm"])
def test_files_hold_no_float(flavour: str) -> None:
    floats = {schema.TensorType.FLOAT32, schema.TensorType.FLOAT16, schema.TensorType.FLOAT64}
    for data in (exported(flavour=flavour), build(random_program(0, "grsn").program, 1, flavour)):
        assert not types_of(data) & floats


@pytest.mark.parametrize("seed", range(12))
def test_the_micro_flavour_uses_only_what_micro_has(seed: int) -> None:
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    model = model_of(build(random_program(seed).program, 1, "tflm"))
    used = {names[code.builtinCode] for code in model.operatorCodes}
    assert used <= MICRO
    (graph,) = model.subgraphs
    for operator in graph.operators:
        name = names[model.operatorCodes[operator.opcodeIndex].builtinCode]
        kinds = [graph.tensors[i].type for i in operator.inputs if i >= 0]
        if name == "GATHER":
            assert kinds[0] == schema.TensorType.INT8
        if name == "FULLY_CONNECTED":
            assert kinds == [schema.TensorType.INT16, schema.TensorType.INT8]


def test_the_same_policy_gives_the_same_bytes() -> None:
    for options in ({}, {"flavour": "tflm"}, {"state": "variables"}, {"with_encoder": True}):
        assert exported(**options) == exported(**options)


@pytest.mark.parametrize("flavour", ["litert", "tflm"])
@pytest.mark.parametrize("name", ["cartpole-p", "pendulum-p"])
def test_variables_keep_the_state_and_reset_begins_again(name: str, flavour: str) -> None:
    policy = load(ROOT / "models" / f"{name}.grsn")
    running = interpreter(exported(policy, flavour=flavour, state="variables"))
    step, reset = (running.get_signature_runner(key) for key in ("step", "reset"))
    for _ in range(2):
        for code, wanted in zip(policy.golden.code, policy.golden.action, strict=True):
            assert np.array_equal(step(observation=code[None].astype(np.int8))["action"][0], wanted)
        reset()


@pytest.mark.parametrize("name", ["cartpole-p", "pendulum-p"])
def test_with_encoder_the_integers_are_the_same(name: str) -> None:
    policy = load(ROOT / "models" / f"{name}.grsn")
    step = interpreter(exported(policy, with_encoder=True)).get_signature_runner("step")
    runner = backend("numpy").load(policy.program)
    encoder, rng = policy.encoder, np.random.default_rng(0)
    halves = (rng.integers(-126, 126, (60, encoder.n)) + 0.5).astype(np.float32)
    wild = rng.normal(0, 10.0 ** rng.uniform(-3, 6, (60, 1)), (60, encoder.n)).astype(np.float32)
    state = {s.name: s.attrs["init"][None].astype(s.dtype) for s in policy.program.states}
    for x in np.concatenate([encoder.offset + halves / encoder.gain, wild]):
        values = step(observation=x[None], **state)
        state = {key: values[f"{key}.next"] for key in state}
        q = runner.step({"observation": encoder.encode(x)})["action"]
        assert np.array_equal(values["action"][0], np.atleast_1d(policy.decoder.decode(q)))
        for key, value in runner.get_state().items():
            assert np.array_equal(state[key][0], value)


def test_options_that_make_no_sense_are_refused() -> None:
    for options in (
        {"flavour": "nano"},
        {"flavour": "tflm", "with_encoder": True},
        {"state": "variables", "with_encoder": True},
    ):
        with pytest.raises(UsageError):
            exported(**options)


def test_the_page_runs_without_us(tmp_path: Path) -> None:
    policy = load(ROOT / "models" / "cartpole-p.grsn")
    for name, data in backend("tflite").export(policy, ExportOptions()).items():
        (tmp_path / name).write_bytes(data)
    page = (ROOT / "docs" / "export-tflite.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert "grsn_edge." not in code
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "all golden steps equal" in done.stdout, done.stderr


def test_our_own_files_may_be_read() -> None:
    for options in ({}, {"flavour": "tflm"}, {"state": "variables"}, {"with_encoder": True}):
        data = exported(**options)
        assert read_tflite(data) == data


def test_hostile_files_are_refused(tmp_path: Path) -> None:
    import flatbuffers

    def changed(change) -> bytes:
        model = model_of(exported())
        change(model)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def operator(model) -> None:
        model.operatorCodes[0].builtinCode = schema.BuiltinOperator.WHILE

    def custom(model) -> None:
        model.operatorCodes[0].customCode = b"EvilOp"

    def tensor(model) -> None:
        model.subgraphs[0].operators[0].inputs = [10**6]

    def buffer(model) -> None:
        model.subgraphs[0].tensors[0].buffer = 10**6

    for change, reason in (
        (operator, "WHILE"),
        (custom, "EvilOp"),
        (tensor, "tensor that does not exist"),
        (buffer, "buffer 1000000"),
    ):
        with pytest.raises(FormatError, match=reason):
            read_tflite(changed(change))
    with pytest.raises(FormatError, match="TFL3"):
        read_tflite(b"\x00" * 64)
    with pytest.raises(FormatError, match="cannot be read"):
        read_tflite(tmp_path / "none.tflite")
    whole = exported()
    for length in range(0, len(whole) // 2, 997):
        with pytest.raises(FormatError):
            read_tflite(whole[:length])
