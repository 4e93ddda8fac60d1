"""Exports in other versions of their runtimes, each in an environment of its own (slow)."""

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


def test_tflite_in_tflite_runtime(tmp_path: Path) -> None:
    python = python_with(tmp_path / "venv", "tflite-runtime==2.14.0", "numpy<2")
    for name in ("cartpole-p", "pendulum-v"):
        for flavour in ("litert", "tflm"):
            export(name, "tflite", tmp_path, flavour=flavour)
            done = subprocess.run(
                [python, "-c", REPLAY_TFLITE, tmp_path / "policy.tflite", tmp_path / "policy.json"],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.stdout.startswith("equal"), done.stderr
