"""The page: complete, self-contained, honest, and safe with names from strangers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from toy_policy import toy_policy

from grsn_edge.conformance import Report, compare
from grsn_edge.conformance.lockstep import Difference
from grsn_edge.errors import UsageError
from grsn_edge.policy import Channel, Decoder, Encoder, Policy
from grsn_edge.program import Builder
from grsn_edge.report import CurvePoint, ReportData, render, write

SECTIONS = [
    "Learning",
    "Returns",
    "One episode",
    "Equality",
    "Overflow proof",
    "Cost per step",
    "Where it comes from",
]


def data(policy: Policy | None = None) -> ReportData:
    recipe = {"goal": 495.0, "spike_rate": 0.05}
    policy = policy or replace(toy_policy(), provenance={"recipe": recipe})
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
        baseline_returns=rng.normal(488, 5, 50),
        machine={"machine": "a <test> machine"},
    )


class Page(HTMLParser):
    """Headings, tags, ids, scripts and everything that would be loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.metas: dict[str, str] = {}
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self.handlers: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside = tag
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            self.ids.append(values["id"])
        if "http-equiv" in values:
            self.metas[values["http-equiv"]] = values["content"]
        self.handlers += [name for name in values if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "data", "action", "srcset", "poster"):
            if name in values and not values[name].startswith(("#", "data:image/png;base64,")):
                self.loads.append(values[name])

    def handle_data(self, text: str) -> None:
        if self._inside in ("h1", "h2") and text.strip():
            self.headings.append(text.strip())
            self._inside = ""
        elif self._inside == "script" and text.strip():
            self.scripts.append(text)


@pytest.fixture(scope="module")
def text() -> str:
    return render(data())


def test_every_section_is_there(text: str) -> None:
    assert Page(text).headings == ["toy", *SECTIONS]


def test_every_picture_is_there_for_wide_pages_and_for_telephones(text: str) -> None:
    strip, pictures = 1, 7
    assert Page(text).tags.count("svg") == strip + 2 * pictures


def test_the_page_loads_nothing(text: str) -> None:
    page = Page(text)
    assert page.loads == []
    assert page.handlers == []
    assert not {"link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert "@import" not in text
    assert "url(http" not in text
    assert set(re.findall(r"https?://[^\s\"'<]+", text)) == {"http://www.w3.org/2000/svg"}


def test_the_page_allows_its_own_script_and_no_other(text: str) -> None:
    page = Page(text)
    readings, script = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = page.metas["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert len(json.loads(readings)["observation"]) == 60


def test_pictures_take_the_pages_colours(text: str) -> None:
    assert "var(--ink)" in text
    assert "#0a0b" not in text
    style = text[: text.index("</style>")]
    for name in set(re.findall(r"var\(--(\w+)\)", text)):
        assert style.count(f"--{name}:") == 2, f"{name} has a light and a dark colour"


def test_ids_are_unique_and_references_lead_somewhere(text: str) -> None:
    ids = Page(text).ids
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)


def test_the_same_data_give_the_same_page(text: str) -> None:
    assert render(data()) == text


def test_targets_of_the_recipe_are_drawn(text: str) -> None:
    assert "goal 495" in text
    assert "goal 5 %" in text


EVIL = "</script><script>alert(1)</script><!-- ]]> {{ 7 * 7 }} &\"' $x^$ url(#no)"


def test_hostile_names_are_text_and_nothing_else() -> None:
    policy = replace(
        toy_policy(),
        name=EVIL,
        observations=(Channel(EVIL, "$x^$", 0, 1), Channel("v", EVIL, 0, np.inf)),
        actions=tuple(Channel(EVIL, EVIL, 0, 1) for _ in range(3)),
        provenance={
            "note": EVIL,
            "network": {"cells": [{"kind": EVIL, "size": EVIL}, EVIL]},
            "recipe": {"goal": 1e300, "spike_rate": EVIL},
            "versions": {EVIL: EVIL},
        },
    )
    few = replace(
        data(policy),
        task=EVIL,
        machine={EVIL: EVIL},
        returns={EVIL: np.ones(3)},
        curve=(CurvePoint(10, 1.0, 0.1, EVIL),),
    )
    page = Page(render(few))
    assert page.tags.count("script") == 2
    assert page.headings[1:] == SECTIONS
    assert page.loads == []
    assert "alert" not in page.scripts[-1]


def test_a_difference_between_backends_is_not_hidden() -> None:
    found = Difference("torch", 3, 1, "layer0.u", 2, 10, 11)
    report = Report(64, {"numpy": "aa", "torch": "ab", "c": "aa"}, found)
    text = render(replace(data(), equality=report, curve=(), baseline=None))
    assert "layer0.u[2]" in text
    assert ">differs<" in text
    assert "0 <small>differences" not in text


def test_a_policy_without_spikes_curve_or_baseline_has_a_page() -> None:
    b = Builder()
    x = b.input("observation", 1, lo=-127, hi=127)
    b.output("action", b.matvec(np.array([[3]]), x, name="drive"))
    policy = Policy(
        name="line",
        program=b.build(),
        encoder=Encoder(np.zeros(1, np.float32), np.ones(1, np.float32)),
        decoder=Decoder("clip", np.zeros(1, np.float32), np.ones(1, np.float32)),
        period_s=0.01,
        observations=(Channel("x", "", -1, 1),),
        actions=(Channel("force", "N", -1, 1),),
    )
    some = data()
    text = render(
        replace(
            some,
            policy=policy,
            curve=(),
            baseline=None,
            returns={"int8": np.ones(1)},
            observations=np.ones((1, 1), np.float32),
            equality=compare(policy.program, ["numpy"], steps=2),
        )
    )
    assert Page(text).headings == ["line", *SECTIONS[1:]]


def test_a_long_episode_that_fires_all_the_time_stays_small() -> None:
    b = Builder()
    x = b.input("observation", 2, lo=-127, hi=127)
    with b.scope("layer0"):
        drive = b.matvec(np.ones((64, 2), np.int64), x, name="drive")
        spike = b.apply("ge", drive, b.const([1] * 64, name="theta"), name="spike")
    choice = b.argmax(b.matvec(np.ones((3, 64), np.int64), spike), name="action")
    b.output("action", choice)
    policy = replace(toy_policy(), program=b.build(), golden=None)
    long = np.random.default_rng(0).normal(0.5, 5.0, (5000, 2)).astype(np.float32)
    text = render(replace(data(), policy=policy, observations=long, curve=(), baseline=None))
    assert "first 2,000 of 5,000 steps" in text
    assert "data:image/png;base64," in text
    assert len(text) < 2_000_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"returns": {}}, "at least one stage"),
        ({"returns": {"int8": np.zeros(0)}}, "'int8'"),
        ({"returns": {"int8": np.array([1.0, np.nan])}}, "finite"),
        ({"baseline_returns": np.zeros(0)}, "the baseline"),
        ({"observations": np.zeros((0, 2), np.float32)}, "at least one step"),
        ({"observations": np.zeros((5, 3), np.float32)}, "2 channels"),
    ],
)
def test_data_that_make_no_page_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(data(), **change)


def test_a_failed_write_leaves_the_old_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write(replace(data(), curve=(), baseline=None), path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
