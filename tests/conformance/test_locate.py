"""A lowering that is broken on purpose is found, and its operation is named."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from grsn_edge.backends import backend
from grsn_edge.backends._c import compiler, memory
from grsn_edge.cli.main import main
from grsn_edge.conformance import Culprit, compare, diagnose, expose, trajectories
from grsn_edge.policy import load

MODEL = Path(__file__).parents[2] / "models" / "pendulum-p.grsn"
STREAMS = 16


def needs(name: str):
    reason = backend(name).unavailable()
    return pytest.mark.skipif(reason is not None, reason=str(reason))


def culprit_of(name: str) -> Culprit:
    """What the tool says of this backend as it is now."""
    program = load(MODEL).program
    course = partial(trajectories, program, STREAMS, 32, 0)
    report = compare(program, ["numpy", name], steps=0, streams=STREAMS, course=course())
    assert report.difference is not None
    culprit = diagnose(program, report.difference, course())
    assert culprit is not None
    return culprit


def test_every_value_can_be_exposed() -> None:
    program = load(MODEL).program
    computed = {n.name for n in program if n.op not in ("input", "state")}
    assert set(expose(program).outputs) == computed


# ---- rounding of shr -----------------------------------------------------------------------------


def with_header(monkeypatch, tmp_path: Path, name: str, old: str, new: str) -> None:
    """The c backend with one line of its headers changed."""
    folder = tmp_path / "include"
    shutil.copytree(compiler.headers(), folder)
    shutil.copytree(compiler.headers().parent / "kernels", tmp_path / "kernels")
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    monkeypatch.setattr(compiler, "headers", lambda: folder)


@needs("c")
def test_c_rounding(monkeypatch, tmp_path: Path) -> None:
    old = "grsn_asr(x + ((int32_t)1 << (s - 1u)), s)"
    with_header(monkeypatch, tmp_path, "grsn_primitives.h", old, "grsn_asr(x, s)")
    assert culprit_of("c").op == "shr"


@needs("torch")
def test_torch_rounding(monkeypatch) -> None:
    from grsn_edge.backends import straight_through

    monkeypatch.setattr(straight_through, "shr", lambda x, s: (x * 2.0**-s).floor())
    assert culprit_of("torch").op == "shr"


@needs("onnx")
def test_onnx_rounding(monkeypatch) -> None:
    from grsn_edge.backends._onnx.lower import Lowering

    def truncate(self: Lowering, node) -> str:
        divisor = self.constant(f"2^{node.attrs['shift']}", 1 << int(node.attrs["shift"]))
        return self.add("Div", [*self._args(node), divisor], self._tensor(node))

    monkeypatch.setattr(Lowering, "_shr", truncate)
    assert culprit_of("onnx").op == "shr"


@needs("tflite")
def test_tflite_rounding(monkeypatch) -> None:
    from grsn_edge.backends._tflite.lower import Lowering

    def floor(self: Lowering, x: int, interval, shift: int, n: int, name: str) -> int:
        return self._with("FLOOR_DIV", x, 1 << shift, n, name)

    monkeypatch.setattr(Lowering, "_rounded_shift", floor)
    assert culprit_of("tflite").op == "shr"


# ---- one entry of a table ------------------------------------------------------------------------


def one_off(table) -> np.ndarray:
    return np.asarray(table) + (np.arange(np.size(table)) == 128).reshape(np.shape(table))


@needs("c")
def test_c_table(monkeypatch) -> None:
    original = memory.Memory.table

    def broken(self, label: str, values, dtype: str, **options) -> str:
        values = one_off(values) if "sigmoid" in label else values
        return original(self, label, values, dtype, **options)

    monkeypatch.setattr(memory.Memory, "table", broken)
    assert str(culprit_of("c")).startswith("c: operation 'lut' gives layer0.sigmoid")


@needs("torch")
def test_torch_table(monkeypatch) -> None:
    from grsn_edge.backends import straight_through, torch_backend

    original = straight_through.lut
    monkeypatch.setattr(torch_backend, "_lower", _torch_with_table(torch_backend._lower, original))
    assert culprit_of("torch").op == "lut"


def _torch_with_table(lower, lut):
    import torch

    def broken(node, unit):
        if node.op != "lut":
            return lower(node, unit)
        return lambda x, c: lut(x[0], torch.from_numpy(one_off(c[0].numpy())))

    return broken


@needs("onnx")
def test_onnx_table(monkeypatch) -> None:
    from grsn_edge.backends._onnx.lower import Lowering

    original = Lowering.constant

    def broken(self, name: str, value, dtype: str = "int32") -> str:
        return original(self, name, one_off(value) if name.endswith(":table") else value, dtype)

    monkeypatch.setattr(Lowering, "constant", broken)
    assert culprit_of("onnx").op == "lut"


@needs("tflite")
def test_tflite_table(monkeypatch) -> None:
    from grsn_edge.backends._tflite.flatbuffer import Graph

    original = Graph.constant

    def broken(self, name: str, values, dtype: str = "int32") -> int:
        return original(self, name, one_off(values) if name.endswith(":table") else values, dtype)

    monkeypatch.setattr(Graph, "constant", broken)
    assert culprit_of("tflite").op == "lut"


# ---- unsigned products ---------------------------------------------------------------------------


@needs("c")
def test_c_unsigned_weights(monkeypatch, tmp_path: Path) -> None:
    old, new = "(type)(acc[i] + a[i])", "(type)(acc[i] + (uint8_t)a[i])"
    file = "../kernels/generic/grsn_kernels_generic.h"
    with_header(monkeypatch, tmp_path, file, old, new)
    assert culprit_of("c").op == "matvec"


@needs("onnx")
def test_onnx_unsigned_operand(monkeypatch) -> None:
    from grsn_edge.backends._onnx.lower import Lowering, TensorProto

    def unsigned(self: Lowering, operand) -> str:
        name = f"{self.tensors[operand.name]}:uint8"
        if not any(name in node.output for node in self.nodes):
            self.add("Cast", [self.tensors[operand.name]], name, to=TensorProto.UINT8)
        return name

    monkeypatch.setattr(Lowering, "_int8", unsigned)
    assert culprit_of("onnx").op == "matvec"


@needs("torch")
def test_torch_unsigned_weights(monkeypatch) -> None:
    from grsn_edge.backends import torch_backend

    original = torch_backend._lower

    def unsigned(node, unit):
        if node.op != "matvec":
            return original(node, unit)
        return lambda x, c: original(node, unit)(x, [c[0] % 256, c[1]])

    monkeypatch.setattr(torch_backend, "_lower", unsigned)
    assert culprit_of("torch").op == "matvec"


@needs("tflite")
def test_tflite_unsigned_weights(monkeypatch) -> None:
    from grsn_edge.backends._tflite.lower import Lowering

    original = Lowering._product

    def unsigned(self: Lowering, x: int, interval, weight, name: str) -> int:
        return original(self, x, interval, np.minimum(weight % 256, 127), name)

    monkeypatch.setattr(Lowering, "_product", unsigned)
    assert culprit_of("tflite").op == "matvec"


@needs("c")
def test_the_command_names_the_operation_and_exits_with_one(monkeypatch, tmp_path, capsys) -> None:
    old = "grsn_asr(x + ((int32_t)1 << (s - 1u)), s)"
    with_header(monkeypatch, tmp_path, "grsn_primitives.h", old, "grsn_asr(x, s)")
    assert main(["verify", str(MODEL), "--against", "c", "--steps", "2000"]) == 1
    out = capsys.readouterr().out
    assert "DIFFERS" in out
    assert "operation 'shr' gives" in out


def test_the_command_finds_no_difference_where_there_is_none(capsys) -> None:
    assert main(["verify", str(MODEL), "--against", "numpy", "--steps", "2000"]) == 0
    out = capsys.readouterr().out
    assert "closed loop" in out
    assert "every output and every state equal at every step" in out
