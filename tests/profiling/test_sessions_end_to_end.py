"""A session from the call to its page: what a user of `grsn-edge profile` relies on."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grsn_edge.cli.monitor import View
from grsn_edge.errors import UsageError
from grsn_edge.policy import load
from grsn_edge.profiling.compare import compare_sessions
from grsn_edge.profiling.emulators.ppk2_emulator import Ppk2Emulator
from grsn_edge.profiling.emulators.script import Script, Segment
from grsn_edge.profiling.live import Live
from grsn_edge.profiling.profile import Request, Result, profile
from grsn_edge.profiling.run import Plan, stream
from grsn_edge.profiling.session import Session
from grsn_edge.profiling.sources import TaskSource
from grsn_edge.profiling.targets import HostTarget
from grsn_edge.report.session_page import render_session, write_page

MODELS = Path(__file__).parents[2] / "models"
POLICY = load(MODELS / "cartpole-p.grsn")
PLAN = Plan(steps=60, warm_up=5, period_s=0.002, window_s=0.05, window_count=5, idle_s=0.05)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("profile") / "session"
    with Ppk2Emulator(script=Script([Segment(1.0, 5e-3)], voltage_v=3.0)) as device:
        request = Request(
            POLICY,
            backend="numpy",
            task="cartpole-p",
            plan=replace(PLAN, windows="burst"),
            meter="ppk2",
            meter_options=device.options(),
            pack="500mAh@3.7V",
            command="grsn-edge profile",
        )
        found = profile(request, folder)
    write_page(found, folder)
    return folder, found


def test_the_folder_holds_figures_steps_power_and_page(measured: tuple[Path, Result]) -> None:
    folder, _found = measured
    names = {path.name for path in folder.iterdir()}
    assert names == {"session.json", "steps.csv", "power.csv.gz", "report.html"}
    content = Session.read(folder).content
    assert content["status"] == "complete"
    assert content["steps"] == 60
    assert content["agreement"] == {"steps": 60, "first_difference": None}
    assert content["energy"]["power_w"] == pytest.approx(15e-3, rel=1e-3)
    assert content["battery"]["hours"] == pytest.approx(0.5 * 3.7 * 0.85 / 15e-3, rel=0.01)
    assert len(Session.read(folder).steps()["step"]) == 60
    samples = sum(len(part) for part in Session.read(folder).power())
    assert samples == content["power"]["samples"]


def test_the_page_loads_nothing_and_carries_the_trace(measured: tuple[Path, Result]) -> None:
    folder, found = measured
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"(?:src|href)=\"(?!#)[^\"]*\"", page)
    assert "default-src 'none'" in page
    text = re.search(r'id="session-data">(.*?)</script>', page, re.DOTALL)
    assert text is not None
    data = json.loads(text[1])
    assert len(data["trace"]["windows"]) == 5
    assert data["close_up"]["neurons"] == 32
    assert render_session(found) == page


def test_a_page_without_a_meter_has_no_power_and_no_energy(tmp_path: Path) -> None:
    found = profile(Request(POLICY, backend="numpy", plan=PLAN), tmp_path / "s")
    page = render_session(found)
    assert 'id="power"' not in page
    assert 'id="energy"' not in page
    assert found.figures["energy"] is None


def figure(value: float) -> dict[str, float]:
    return {"value": value, "low": 0.95 * value, "high": 1.05 * value}


def with_energy(folder: Path, name: Path, **change: object) -> Session:
    content = Session.read(folder).content
    energy = {**content["energy"], "invalid": [], "net_j": None, **change}
    return Session(name, {**content, "energy": energy})


def test_sessions_are_compared_with_their_uncertainty(measured: tuple[Path, Result]) -> None:
    folder, _ = measured
    first, same, twice = (
        with_energy(measured[0], folder / name, gross_j=figure(value))
        for name, value in (("first", 1.0), ("same", 1.02), ("twice", 2.0))
    )
    found = compare_sessions([first, same, twice])
    gross = {
        name: next(c for c in few if c.figure.startswith("energy per step, all"))
        for name, few in found.items()
    }
    assert gross[str(folder / "same")].verdict == "no difference beyond the uncertainty"
    assert gross[str(folder / "twice")].verdict == "more"
    assert gross[str(folder / "twice")].ratio == pytest.approx(2.0)


def test_measured_and_modelled_or_invalid_energies_are_not_compared(
    measured: tuple[Path, Result],
) -> None:
    first = with_energy(measured[0], Path("first"), gross_j=figure(1.0))
    for change, reason in (({"modelled": True}, "not the same"), ({"invalid": ["bad"]}, "bad")):
        other = with_energy(measured[0], Path("x"), **{"gross_j": figure(1.0), **change})
        found = compare_sessions([first, other])["x"]
        gross = next(c for c in found if c.figure.startswith("energy per step, all"))
        assert gross.verdict == "not comparable"
        assert reason in gross.why_not
    with pytest.raises(UsageError):
        compare_sessions([first])


def test_mcap_holds_every_step_and_the_power(measured: tuple[Path, Result]) -> None:
    pytest.importorskip("mcap")
    from mcap.reader import make_reader

    from grsn_edge.profiling.mcap_export import write_mcap

    with write_mcap(measured[0]).open("rb") as file:
        messages = list(make_reader(file).iter_messages())
    topics = [channel.topic for _, channel, _ in messages]
    assert topics.count("/step") == 60
    assert topics.count("/power") > 1000
    step = next(json.loads(m.data) for _, c, m in messages if c.topic == "/step")
    assert len(step["observation"]) == 2
    (measured[0] / "session.mcap").unlink()


def test_the_live_view_shows_the_stream_and_costs_little() -> None:
    from rich.console import Console

    text = io.StringIO()
    with HostTarget(POLICY, "numpy") as target:
        live = Live(target, 0.005)
        with View(live, "here", console=Console(file=text, force_terminal=True, width=100)) as view:
            stream(target, TaskSource("cartpole-p"), live.step, period_s=0.005, steps=300)
            share = view.share
        shot = live.snapshot()
    assert shot is not None
    assert shot.steps == 300
    assert shot.spikes is not None
    assert set(np.unique(shot.spikes["layer0.spike"])) <= {0, 1}
    assert "deadlines missed" in text.getvalue()
    assert 0 < share < 0.1  # the promise of 2 % is held by a benchmark; here: not a busy loop


def test_the_spikes_of_the_live_view_are_those_of_the_policys_own_state() -> None:
    with HostTarget(POLICY, "numpy") as target:
        live = Live(target, None)
        seen = []

        def step(i: int, row: object) -> None:
            live.step(i, row)  # type: ignore[arg-type]
            shot = live.snapshot()
            assert shot is not None
            if shot.spikes is not None:
                seen.append((shot.spikes["layer0.spike"], target.running.state["layer0.o"]))

        stream(target, TaskSource("cartpole-p"), step, steps=40)
    assert len(seen) > 20
    assert any(np.array_equal(a, b) for a, b in seen)
