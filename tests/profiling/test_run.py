"""A whole run on this host: phases, pace, energies with a meter whose joules are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grsn_edge.errors import ObservationError, UsageError
from grsn_edge.policy import load
from grsn_edge.profiling.emulators.ppk2_emulator import Ppk2Emulator
from grsn_edge.profiling.emulators.script import Script, Segment
from grsn_edge.profiling.meters import create
from grsn_edge.profiling.recorder import Recorder
from grsn_edge.profiling.replay import replay
from grsn_edge.profiling.run import Plan, Run, run
from grsn_edge.profiling.session import Session, SessionWriter, StepRow
from grsn_edge.profiling.sources import GoldenSource, LogSource, TaskSource
from grsn_edge.profiling.targets import HostTarget

MODELS = Path(__file__).parents[2] / "models"
POLICY = load(MODELS / "cartpole-p.grsn")

CONSTANT = Script([Segment(1.0, 5e-3)], voltage_v=3.0)


def with_ppk2(plan: Plan, script: Script = CONSTANT, fault: str | None = None) -> Run:
    with (
        HostTarget(POLICY, "numpy") as target,
        Ppk2Emulator(script=script, fault=fault) as device,
        create("ppk2", **device.options()) as meter,
        Recorder(meter, mark_bit=plan.mark_bit) as recorder,
    ):
        return run(target, GoldenSource(POLICY), plan, recorder=recorder, voltage_v=3.0)


def test_steps_are_played_at_their_period_and_recorded(tmp_path: Path) -> None:
    phases: list[str] = []

    def watch(phase: str, done: int, row: StepRow | None) -> None:
        phases.append(phase)

    plan = Plan(steps=50, warm_up=5, period_s=0.004)
    with (
        HostTarget(POLICY, "numpy") as target,
        SessionWriter(tmp_path / "s", {}) as writer,
    ):
        found = run(target, TaskSource("cartpole-p"), plan, writer=writer, watch=watch)
    assert phases == ["warm-up"] * 5 + ["play"] * 50
    assert len(found.played.rows) == 50
    assert found.played.rows[0].episode == 1  # counted steps begin a fresh episode
    assert np.diff(found.played.begin_s).mean() == pytest.approx(0.004, rel=0.2)
    steps = Session.read(tmp_path / "s").steps()
    assert [int(i) for i in steps["step"]] == list(range(50))
    assert set(steps["reward"]) == {"1.0"}


def test_the_reference_finds_the_spikes_of_what_was_played_and_agrees() -> None:
    with HostTarget(POLICY, "numpy") as target:
        played = run(target, TaskSource("cartpole-p"), Plan(steps=80, warm_up=3)).played
    episodes = [row.episode for row in played.rows]
    found = replay(POLICY, played.observations, episodes, played.actions)
    assert found.differs is None
    assert found.counts.shape == (80,)
    assert found.counts.sum() > 0
    wrong = [*played.actions[:40], 1 - played.actions[40], *played.actions[41:]]
    assert replay(POLICY, played.observations, episodes, wrong).differs == 40
    assert replay(POLICY, played.observations, episodes, played.actions, limit=7).steps == 7


def test_bursts_measure_a_constant_power_exactly() -> None:
    plan = Plan(steps=20, warm_up=2, window_s=0.06, window_count=5, idle_s=0.1, windows="burst")
    found = with_ppk2(plan)
    energy = found.energy
    assert energy is not None
    assert energy.gross_j is not None
    assert energy.power_w == pytest.approx(15e-3, rel=1e-3)
    assert energy.idle_w == pytest.approx(15e-3, rel=1e-3)
    per_window = energy.gross_j.value * energy.steps / energy.duration_s
    assert per_window == pytest.approx(15e-3, rel=1e-3)
    assert energy.net_j is not None
    assert abs(energy.net_j.value) < 1e-3 * energy.gross_j.value
    assert found.recorded is not None
    assert found.recorded.lost == 0


def test_marks_that_do_not_belong_to_the_steps_make_the_figure_invalid() -> None:
    blinking = Script([Segment(4e-3, 1e-3), Segment(2e-3, 5e-3, digital=1)], voltage_v=3.0)
    plan = Plan(steps=20, warm_up=2, idle_s=0.05, windows="gpio")
    energy = with_ppk2(plan, blinking).energy
    assert energy is not None
    assert any("marks were seen for 20 steps" in reason for reason in energy.invalid)


def test_a_meter_that_is_unplugged_ends_the_energies_and_not_the_run() -> None:
    plan = Plan(steps=20, warm_up=2, window_s=0.1, window_count=5, idle_s=0.2, windows="burst")
    found = with_ppk2(plan, fault="unplugged")
    assert len(found.played.rows) == 20
    assert found.energy is not None
    assert not found.energy.is_valid


def test_a_log_is_read_by_column_names(tmp_path: Path) -> None:
    names = [channel.name for channel in POLICY.observations]
    path = tmp_path / "log.csv"
    path.write_text(f"t,{names[1]},{names[0]}\n0,0.5,0.25\n1,0.75,0.125\n")
    source = LogSource.read(path, POLICY)
    assert source.begin().tolist() == [0.25, 0.5]
    turn = source.turn(0)
    assert turn.observation.tolist() == [0.125, 0.75]
    assert not turn.over
    assert source.turn(0).over


@pytest.mark.parametrize("text", ["1,2\n3\n", "1,x\n"])
def test_a_bad_line_of_a_log_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(ObservationError, match="row"):
        LogSource.read(tmp_path / "log.csv", POLICY)


@pytest.mark.parametrize(
    "options", [{"steps": 1}, {"period_s": 0.0}, {"window_s": -1.0}, {"windows": "magic"}]
)
def test_a_plan_that_cannot_be_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Plan(**options)  # type: ignore[arg-type]
