"""The C export: a folder that compiles by itself and checks itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_policy import toy_policy

from grsn_edge.backends import ExportOptions, backend
from grsn_edge.backends._c import compiler
from grsn_edge.errors import UsageError
from grsn_edge.policy import load

pytestmark = pytest.mark.skipif(backend("c").unavailable() is not None, reason="no C compiler")

ROOT = Path(__file__).parents[2]
MODELS = sorted((ROOT / "models").glob("*.grsn"))
SMALL = ROOT / "models" / "cartpole-p.grsn"
"""An AVR's compiler takes no array of 32 KiB."""
STRICT = ["-std=c99", "-pedantic", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror"]


def write(policy, folder: Path, **options: object) -> dict[str, bytes]:
    files = dict(backend("c").export(policy, ExportOptions(**options)))
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return files


def run(folder: Path, *line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    sources = [path.name for path in folder.glob("*.c")]
    return run(folder, *compiler.compiler(), *STRICT, *sources, "-lm", "-o", "example")


@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_the_folder_compiles_without_a_warning_and_passes_its_self_test(path, tmp_path) -> None:
    write(load(path), tmp_path, with_encoder=True)
    built = build(tmp_path)
    assert built.returncode == 0, built.stderr
    assert "self-test passed" in run(tmp_path, "./example").stdout


def test_the_page_runs_without_us(tmp_path: Path) -> None:
    write(load(SMALL), tmp_path)
    page = (ROOT / "docs" / "export-c.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    done = run(tmp_path, "bash", "-ec", code)
    assert "self-test passed" in done.stdout, done.stderr


BOARDS = {
    "arm-none-eabi-gcc": ["-mcpu=cortex-m4", "-mthumb", "-std=c99", "-Werror"],
    "avr-gcc": ["-mmcu=atmega328p", "-std=gnu99"],
}


@pytest.mark.parametrize("name", BOARDS)
def test_it_compiles_for_boards(name: str, tmp_path: Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"no {name}")
    write(load(SMALL), tmp_path)
    line = [name, *BOARDS[name], "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion"]
    done = run(tmp_path, *line, "-c", "policy.c", "policy_selftest.c")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake")
def test_cmake_builds_it(tmp_path: Path) -> None:
    write(toy_policy(), tmp_path, with_encoder=True)
    done = run(tmp_path, "bash", "-ec", "cmake -B build && cmake --build build && build/example")
    assert "self-test passed" in done.stdout, done.stderr


def test_the_self_test_names_the_first_step_that_differs(tmp_path: Path) -> None:
    policy = toy_policy()
    action = policy.golden.action.copy()
    action[7] = (action[7] + 1) % 3
    write(replace(policy, golden=replace(policy.golden, action=action)), tmp_path)
    build(tmp_path)
    assert "step 7 differs" in run(tmp_path, "./example").stdout


def test_a_broken_primitive_is_found(tmp_path: Path) -> None:
    files = write(load(ROOT / "models" / "pendulum-p.grsn"), tmp_path)
    header = files["grsn_primitives.h"].decode()
    rounded, truncated = "grsn_asr(x + ((int32_t)1 << (s - 1u)), s)", "grsn_asr(x, s)"
    assert rounded in header
    (tmp_path / "grsn_primitives.h").write_text(header.replace(rounded, truncated))
    build(tmp_path)
    assert "differs" in run(tmp_path, "./example").stdout


def test_the_same_policy_gives_the_same_bytes(tmp_path: Path) -> None:
    assert write(toy_policy(), tmp_path) == write(toy_policy(), tmp_path)


def test_it_needs_golden_vectors_and_knows_its_options(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="golden"):
        write(replace(toy_policy(), golden=None), tmp_path)
    with pytest.raises(UsageError):
        write(toy_policy(), tmp_path, flavour="tflm")


def test_float_to_action_is_the_reference(tmp_path: Path) -> None:
    policy = load(ROOT / "models" / "pendulum-p.grsn")
    write(policy, tmp_path, with_encoder=True)
    observations = policy.golden.observation
    rows = ",\n".join("{" + ", ".join(f"{float(v).hex()}f" for v in x) + "}" for x in observations)
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "policy_act.h"\n'
        f"static const float seen[{len(observations)}][2] = {{{rows}}};\n"
        "int main(void) { policy_state_t s; float a[1]; policy_reset(&s);\n"
        f"for (int t = 0; t < {len(observations)}; t++) {{\n"
        'if (policy_act(&s, seen[t], a) != 0) { return 1; } printf("%a\\n", (double)a[0]); }\n'
        "return 0; }\n"
    )
    built = build(tmp_path)
    assert built.returncode == 0, built.stderr
    found = [float.fromhex(line) for line in run(tmp_path, "./example").stdout.split()]
    wanted = policy.decoder.decode(policy.golden.action)[:, 0]
    assert np.array_equal(np.array(found, np.float32), wanted)
