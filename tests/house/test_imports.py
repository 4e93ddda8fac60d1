"""Imports point one way; `docs/DESIGN.md` draws the arrows that this file holds."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import grsn_edge

ROOT = Path(grsn_edge.__file__).parent

LAYERS = (
    "errors",
    "closing",
    "plugins",
    "program",
    "neurons",
    "policy",
    "backends",
    "conformance",
    "runtime",
    "tasks",
    "training",
    "teams",
    "interchange",
    "device",
    "profiling",
    "report",
    "scoreboard",
    "demo",
    "cli",
)
"""From the bottom up: a module imports only from its own layer and from those before it."""

TORCH_IS_FREE_IN = ("training", "teams", "backends")


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def layer(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downwards(path: Path) -> None:
    own = layer(path)
    if own in ("__init__", "__main__"):
        return
    allowed = LAYERS[: LAYERS.index(own) + 1]
    for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
        parts = name.split(".")
        if parts[0] == "grsn_edge" and len(parts) > 1 and (ROOT / parts[1]).exists():
            assert parts[1] in allowed, f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_training_teams_and_the_torch_backend_import_torch_at_the_top(path: Path) -> None:
    if layer(path) in TORCH_IS_FREE_IN:
        return
    top_level = ast.Module(ast.parse(path.read_text(encoding="utf-8")).body, [])
    names = {
        name
        for node in top_level.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in imported(node)
    }
    assert not any(name.split(".")[0] == "torch" for name in names)


def test_the_package_and_its_runtime_need_numpy_and_safetensors_only() -> None:
    code = (
        "import sys, grsn_edge, grsn_edge.program, grsn_edge.policy, grsn_edge.backends, "
        "grsn_edge.runtime, grsn_edge.neurons, grsn_edge.cli.main\n"
        "heavy = {'torch', 'gymnasium', 'onnx', 'onnxruntime', 'matplotlib', 'rich', 'jinja2'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
