"""The ExecuTorch export, where ExecuTorch is installed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("executorch")

from grsn_edge.backends import ExportOptions, backend
from grsn_edge.conformance import compare, random_graph, random_programs
from grsn_edge.errors import UsageError
from grsn_edge.policy import load

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("drawn", [*random_programs(6)], ids=lambda d: d.label)
def test_it_equals_the_reference(drawn) -> None:
    report = compare(drawn.program, ["numpy", "executorch"], steps=256, streams=16)
    assert report.equal, report.difference


@pytest.mark.parametrize("seed", range(8))
def test_it_equals_the_reference_on_programs_that_are_no_networks(seed: int) -> None:
    report = compare(random_graph(seed), ["numpy", "executorch"], steps=64, streams=8)
    assert report.equal, report.difference


def test_the_page_runs_without_us(tmp_path: Path) -> None:
    policy = load(ROOT / "models" / "cartpole-p.grsn")
    for name, data in backend("executorch").export(policy, ExportOptions()).items():
        (tmp_path / name).write_bytes(data)
    page = (ROOT / "docs" / "export-executorch.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert "grsn_edge." not in code
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "all golden steps equal" in done.stdout, done.stderr


def test_it_knows_no_options() -> None:
    policy = load(ROOT / "models" / "cartpole-p.grsn")
    with pytest.raises(UsageError):
        backend("executorch").export(policy, ExportOptions(with_encoder=True))
