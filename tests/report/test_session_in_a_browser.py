"""The page of a session in a real browser: it draws a long trace at once, and without an error."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grsn_edge.policy import load
from grsn_edge.profiling.emulators.script import bursts
from grsn_edge.profiling.energy import Window, energy_per_step
from grsn_edge.profiling.figures import figures
from grsn_edge.profiling.ledger import Ledger
from grsn_edge.profiling.meters import Block
from grsn_edge.profiling.profile import Result
from grsn_edge.profiling.recorder import Recorded
from grsn_edge.profiling.replay import replay
from grsn_edge.profiling.run import Plan, Run, run
from grsn_edge.profiling.sources import GoldenSource
from grsn_edge.profiling.targets import HostTarget
from grsn_edge.profiling.thinning import Thinner
from grsn_edge.report.session_page import render_session

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
POLICY = load(Path(__file__).parents[2] / "models" / "cartpole-p.grsn")
RATE, SECONDS = 100_000, 60

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


def recorded_minute() -> tuple[Recorded, tuple[Window, ...]]:
    """A trace of one minute at 100 kS/s, as a recorder leaves it."""
    script, thinner, ledger = bursts(), Thinner(), Ledger(keep_s=2.0)
    close_up, windows = [], []
    for second in range(SECONDS):
        edges = second + np.arange(RATE + 1) / RATE
        amps = script.mean_current_a(edges)
        zeros = np.zeros(RATE, np.uint8)
        width = np.full(RATE, 1 / RATE)
        block = Block(edges[:-1], width, amps * 3.0, amps, np.full(RATE, 3.0), zeros, zeros)
        thinner.add(block)
        ledger.add(block)
        windows.append(Window(ledger.span(second, second + 0.9), 90))
        if second == 0:
            close_up.append(block.select(np.arange(RATE) < 50_000))
    found = Recorded(
        ledger.whole, SECONDS * RATE, 0, (), None, thinner.result(), tuple(close_up), 0.0, 0.0
    )
    return found, tuple(windows)


def page() -> str:
    """A session that was played on the host, with that trace."""
    recorded, windows = recorded_minute()
    with HostTarget(POLICY, "numpy") as target:
        played = run(target, GoldenSource(POLICY), Plan(steps=40, warm_up=2, period_s=0.01))
        energy = energy_per_step(windows)
        whole: Run = replace(
            played,
            plan=replace(played.plan, windows="burst"),
            recorded=recorded,
            energy=energy,
            windows=windows,
            origin_s=0.0,
        )
        rows = whole.played.rows
        episodes = [row.episode for row in rows]
        found = replay(POLICY, whole.played.observations, episodes, whole.played.actions)
        about = {
            "policy": POLICY.name,
            "model_hash": "0" * 64,
            "target": target.name,
            "target_details": {},
            "observations": "golden vectors",
            "command": "",
            "date": "",
            "machine": "",
            "python": "",
            "versions": {},
        }
        return render_session(Result(about, figures(whole, target, found), whole, found))


def test_a_minute_at_100_kilosamples_is_drawn_without_an_error(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page(), encoding="utf-8")
    assert path.stat().st_size < 4_000_000
    line = [
        *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *(f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--v=0"),
        *("--timeout=4000", "--dump-dom", path.as_uri()),
    ]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=True)
    assert "Uncaught" not in done.stderr
    assert "Refused to" not in done.stderr
    drawn = {
        name: int(ms)
        for name, ms in re.findall(r'id="([\w-]+)"[^>]*data-drawn-ms="(\d+)"', done.stdout)
    }
    assert set(drawn) == {"trace", "close-up"}
    print({name: f"drawn after {ms} ms" for name, ms in drawn.items()})
