"""docs/tutorial.md does what it says: its file, its commands and its Python, in their order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"


def blocks() -> list[tuple[str, str]]:
    return re.findall(r"^```(python|console)\n(.*?)^```", TUTORIAL.read_text(), re.S | re.M)


def test_the_tutorial_runs_from_an_empty_folder(tmp_path: Path) -> None:
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": tools}
    (_, robot), *steps = blocks()
    (tmp_path / "my_robot.py").write_text(robot)
    assert len(robot.splitlines()) <= 40
    said = []
    for kind, text in steps:
        command = [sys.executable, "-c", text] if kind == "python" else ["bash", "-ec", text]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        said.append(done.stdout)
    played = next(out for out in said if "20 episodes" in out)
    score = re.search(r"return (-?[\d.]+)", played)
    assert score is not None
    assert float(score[1]) > 150.0
    assert any("every action and every state equal" in out for out in said)
    assert (tmp_path / "out" / "imitated" / "model.grsn").is_file()
