"""A session's folder is readable however the session ended."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from grsn_edge.errors import FormatError, UsageError
from grsn_edge.profiling.meters import Block
from grsn_edge.profiling.session import POWER, SESSION, STEPS, Session, SessionWriter, StepRow


def block(n: int, begin: float = 0.0, current: bool = True) -> Block:
    rng = np.random.default_rng(n)
    amps = rng.uniform(0, 1e-3, n)
    return Block(
        begin + 1e-5 * np.arange(n),
        np.full(n, 1e-5),
        amps * 3.0,
        amps if current else None,
        np.full(n, 3.0) if current else None,
        (np.arange(n) // 100 % 2).astype(np.uint8),
        np.zeros(n, np.uint8),
    )


def row(step: int) -> StepRow:
    return StepRow(step, 0, 0.01 * step, 0.01 * step, 0.01 * step + 1e-3, 2000, 1.0, (1,), (3, -4))


def power_of(session: Session) -> np.ndarray:
    parts = list(session.power())
    return np.concatenate(parts) if parts else np.zeros((0, 7))


@pytest.mark.parametrize("current", [True, False])
def test_what_is_written_is_read_again(tmp_path: Path, current: bool) -> None:
    blocks = [block(70_000, current=current), block(500, 0.7, current)]
    with SessionWriter(tmp_path / "s", {"model": "x"}) as writer:
        for i in range(5):
            writer.step(row(i))
        for one in blocks:
            writer.power(one)
        writer.finish({"energy": {"gross_j": 1e-6}})
    session = Session.read(tmp_path / "s")
    assert session.is_complete
    assert session.content["about"] == {"model": "x"}
    assert session.content["energy"] == {"gross_j": 1e-6}
    assert session.steps()["step"] == ["0", "1", "2", "3", "4"]
    assert session.steps()["observation"][0] == "3 -4"
    found = power_of(session)
    assert found.shape == (70_500, 7)
    np.testing.assert_allclose(found[:, 2], np.concatenate([b.power_w for b in blocks]), rtol=1e-6)
    assert np.isnan(found[:, 3]).all() == (not current)


def test_a_run_that_fails_leaves_what_it_measured(tmp_path: Path) -> None:
    def fail() -> None:
        with SessionWriter(tmp_path / "s", {}) as writer:
            writer.step(row(0))
            writer.power(block(1000))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    session = Session.read(tmp_path / "s")
    assert not session.is_complete
    assert session.content["status"] == "running"
    assert len(session.steps()["step"]) == 1
    assert len(power_of(session)) == 1000


def test_a_file_cut_anywhere_gives_the_parts_before_the_cut(tmp_path: Path) -> None:
    with SessionWriter(tmp_path / "s", {}) as writer:
        writer.power(block(66_000))
        writer.power(block(66_000, 0.66))
        writer.step(row(0))
    whole = (tmp_path / "s" / POWER).read_bytes()
    for share in (0.3, 0.6, 0.99):
        (tmp_path / "s" / POWER).write_bytes(whole[: int(share * len(whole))])
        assert len(power_of(Session.read(tmp_path / "s"))) in (0, 66_000)
    (tmp_path / "s" / POWER).write_bytes(whole[:-20] + bytes(20))
    assert len(power_of(Session.read(tmp_path / "s"))) == 66_000
    text = (tmp_path / "s" / STEPS).read_text()
    (tmp_path / "s" / STEPS).write_text(text + "1,0,0.0")
    assert Session.read(tmp_path / "s").steps()["step"] == ["0"]


def test_a_full_disk_ends_the_recording_and_is_said(tmp_path: Path) -> None:
    with SessionWriter(tmp_path / "s", {}) as writer:
        full = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
        writer._power.close()
        writer._power = full
        writer.power(block(70_000))
        writer.finish({"energy": 1})
    content = Session.read(tmp_path / "s").content
    assert content["status"] == "cut"
    assert "No space left" in content["cut"]
    assert content["energy"] == 1


def test_a_session_is_never_written_over(tmp_path: Path) -> None:
    with SessionWriter(tmp_path / "s", {}):
        pass
    with pytest.raises(UsageError, match="another folder"):
        SessionWriter(tmp_path / "s", {})


@pytest.mark.parametrize("text", ["", "[]", '{"format": 99}', "{"])
def test_what_is_no_session_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / SESSION).write_text(text)
    with pytest.raises(FormatError, match="not a session"):
        Session.read(tmp_path)
    with pytest.raises(FormatError):
        Session.read(tmp_path / "absent")


def test_the_file_of_figures_is_json_without_nan(tmp_path: Path) -> None:
    with SessionWriter(tmp_path / "s", {}) as writer, pytest.raises(ValueError, match="JSON"):
        writer.finish({"x": float("nan")})
    assert json.loads((tmp_path / "s" / SESSION).read_text())["status"] == "running"
