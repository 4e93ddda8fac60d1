"""Exports in other runtimes and versions, each in an environment of its own (slow)."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from grsn_edge.backends import ExportOptions, backend
from grsn_edge.policy import load

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.version_info[:2] != (3, 11), reason="these old wheels exist for CPython 3.11"
    ),
]

MODELS = Path(__file__).parents[2] / "models"

REPLAY_ONNX = """
import json, sys
import numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.enable_mem_pattern = False
session = onnxruntime.InferenceSession(
    sys.argv[1], options, providers=["CPUExecutionProvider"]
)
about = json.loads(session.get_modelmeta().custom_metadata_map["grsn_edge"])
names = [output.name for output in session.get_outputs()]
state = {name: np.array([s["init"]], s["dtype"]) for name, s in about["states"].items()}
for code, wanted in zip(about["golden"]["code"], about["golden"]["action"]):
    inputs = {"observation": np.array([code], about["inputs"]["observation"]["dtype"]), **state}
    values = dict(zip(names, session.run(None, inputs)))
    state = {name: values[name + ".next"] for name in state}
    assert values["action"][0].tolist() == wanted
for name, value in about["golden"]["state"].items():
    assert state[name][0].tolist() == value
print("equal", onnxruntime.__version__)
"""

REPLAY_TFLITE = """
import json, sys
import numpy as np
from tflite_runtime.interpreter import Interpreter
step = Interpreter(sys.argv[1], num_threads=1).get_signature_runner("step")
types = {name: details["dtype"] for name, details in step.get_input_details().items()}
about = json.loads(open(sys.argv[2]).read())
state = {name: np.array([s["init"]], types[name]) for name, s in about["states"].items()}
for code, wanted in zip(about["golden"]["code"], about["golden"]["action"]):
    values = step(observation=np.array([code], types["observation"]), **state)
    state = {name: values[name + ".next"] for name in state}
    assert values["action"][0].tolist() == wanted
print("equal")
"""

REPLAY_TFLM = """
import json, sys
import numpy as np
from tflite_micro.python.tflite_micro import runtime
interpreter = runtime.Interpreter.from_file(sys.argv[1])
about = json.loads(open(sys.argv[2]).read())
order = about["state_order"]
types = [interpreter.get_input_details(i)["dtype"] for i in range(1 + len(order))]
state = [np.array([about["states"][name]["init"]], t) for name, t in zip(order, types[1:])]
for code, wanted in zip(about["golden"]["code"], about["golden"]["action"]):
    for i, value in enumerate([np.array([code], types[0]), *state]):
        interpreter.set_input(value, i)
    interpreter.invoke()
    action, *state = [interpreter.get_output(i).copy() for i in range(1 + len(order))]
    assert action[0].tolist() == wanted
for name, value in zip(order, state):
    assert value[0].tolist() == about["golden"]["state"][name]
print("equal")
"""


def python_with(folder: Path, *packages: str) -> Path:
    """A fresh environment with exactly these packages."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def export(name: str, to: str, folder: Path, **options: object) -> None:
    policy = load(MODELS / f"{name}.grsn")
    for file, data in backend(to).export(policy, ExportOptions(**options)).items():
        (folder / file).write_bytes(data)


def test_onnx_in_the_oldest_onnxruntime(tmp_path: Path) -> None:
    python = python_with(tmp_path / "venv", "onnxruntime==1.16.3", "numpy<2")
    for name in ("cartpole-p", "pendulum-v"):
        export(name, "onnx", tmp_path)
        done = subprocess.run(
            [python, "-c", REPLAY_ONNX, tmp_path / "policy.onnx"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.startswith("equal 1.16"), done.stderr


def replay_tflite(python: Path, script: str, folder: Path) -> None:
    done = subprocess.run(
        [python, "-c", script, folder / "policy.tflite", folder / "policy.json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("equal"), done.stderr


def test_tflite_in_tflite_runtime(tmp_path: Path) -> None:
    python = python_with(tmp_path / "venv", "tflite-runtime==2.14.0", "numpy<2")
    for name in ("cartpole-p", "pendulum-v"):
        for flavour in ("litert", "tflm"):
            export(name, "tflite", tmp_path, flavour=flavour)
            replay_tflite(python, REPLAY_TFLITE, tmp_path)


def test_the_tflm_flavour_in_tensorflow_lite_micro(tmp_path: Path) -> None:
    python = python_with(tmp_path / "venv", "tflite-micro")
    for name in ("cartpole-p", "cartpole-v", "pendulum-p", "pendulum-v"):
        export(name, "tflite", tmp_path, flavour="tflm")
        replay_tflite(python, REPLAY_TFLM, tmp_path)
