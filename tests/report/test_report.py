"""The report: complete, self-contained, and safe with names from strangers."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from toy_policy import toy_policy

from grsn_edge.conformance import compare
from grsn_edge.policy import Channel, Policy
from grsn_edge.report import CurvePoint, ReportData, episode_trace, render, write


def data(policy: Policy) -> ReportData:
    rng = np.random.default_rng(0)
    curve = (
        CurvePoint(1000, 40.0, 0.3, "float"),
        CurvePoint(2000, 490.0, 0.4, "float"),
        CurvePoint(3000, 480.0, 0.1, "quieten"),
        CurvePoint(4000, 499.0, 0.05, "tune"),
    )
    return ReportData(
        policy=policy,
        task="toy-task",
        curve=curve,
        returns={"float": rng.normal(490, 5, 50), "int8": rng.normal(488, 6, 50)},
        observations=rng.normal(0.5, 1, (60, 2)).astype(np.float32),
        equality=compare(policy.program, ["numpy", "torch"], steps=64),
        baseline=policy,
        baseline_returns=rng.normal(480, 5, 50),
        machine={"machine": "a <test> machine"},
    )


class Page(HTMLParser):
    """Headings, tags and everything that would be loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.loads: list[str] = []
        self.tags: list[str] = []
        self._in_heading = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._in_heading = tag in ("h1", "h2")
        for name, value in attrs:
            reference = name in ("src", "href", "xlink:href", "data", "action", "srcset")
            if reference and value and not value.startswith("#"):
                self.loads.append(value)

    def handle_data(self, text: str) -> None:
        if self._in_heading and text.strip():
            self.headings.append(text.strip())
            self._in_heading = False


@pytest.fixture(scope="module")
def text() -> str:
    return render(data(toy_policy()))


def test_every_section_is_there(text: str) -> None:
    assert Page(text).headings == [
        "toy: a spiking policy in integers",
        "Learning",
        "Returns",
        "One episode",
        "Equality",
        "Cost per step",
        "Overflow proof",
        "Where it comes from",
    ]
    assert Page(text).tags.count("svg") == 5


def test_the_page_loads_nothing_and_runs_nothing(text: str) -> None:
    page = Page(text)
    assert page.loads == []
    assert "script" not in page.tags
    assert "@import" not in text
    assert "url(http" not in text
    assert len(text) < 2_000_000


def test_pictures_take_the_pages_colours(text: str) -> None:
    assert "currentColor" in text
    assert "#010203" not in text
    assert "#040506" not in text


def test_the_same_data_give_the_same_page(text: str) -> None:
    assert render(data(toy_policy())) == text


def test_hostile_names_are_text_and_nothing_else() -> None:
    evil = "<script>alert(1)</script>&\"'"
    policy = replace(
        toy_policy(),
        name=evil,
        observations=(Channel(evil, "$x^$", 0, 1), Channel("v", "m/s", 0, 1)),
        provenance={"note": evil, "network": {"cells": [{"kind": evil, "size": evil}]}},
    )
    page = render(data(policy))
    assert "script" not in Page(page).tags
    assert "<script" not in page


def test_a_trace_holds_spikes_membranes_and_time() -> None:
    policy = toy_policy()
    trace = episode_trace(policy, np.full((30, 2), 0.9, np.float32))
    assert trace.spikes["layer0"].shape == (30, 4)
    assert trace.membranes["layer0"].shape == (30, 4)
    assert trace.time_s[-1] == pytest.approx(29 * policy.period_s)
    assert set(trace.rates) == {"layer0.spike"}


def test_a_failed_write_leaves_the_old_page(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write(data(toy_policy()), path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
