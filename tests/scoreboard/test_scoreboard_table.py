"""A table says what is better, what is equal, and what was reached of what was wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grsn_edge.errors import UsageError
from grsn_edge.scoreboard.files import chosen, write_files
from grsn_edge.scoreboard.picture import window
from grsn_edge.scoreboard.store import Found
from grsn_edge.scoreboard.table import Mean, pareto, scoreboard, verdict
from grsn_edge.scoreboard.targets import targets
from grsn_edge.scoreboard.text import as_json, losses, markdown, on_front


def result(
    network: str,
    seed: int,
    returns: Sequence[float],
    *,
    task: str = "cartpole-p",
    instructions: float | None = 1000.0,
    rate: float | None = None,
    version: str = "v1",
) -> dict[str, Any]:
    counted: dict[str, Any] = {"why_not": "no emulator"}
    energy: dict[str, Any] = {"chip": "nRF52840", "why_not": "no emulator"}
    if instructions is not None:
        counted = {"board": "a board", "emulator": "unicorn", "mean": instructions,
                   "worst": int(instructions) + 9, "vm_mean": 3 * instructions}  # fmt: skip
        energy = {"chip": "nRF52840", "source": "its maker", "modelled_step_j": 1e-9 * instructions,
                  "modelled_period_j": 2e-9 * instructions}  # fmt: skip
    return {
        "key": f"{network}{seed}",
        "version": version,
        "job": {"task": task, "network": network, "seed": seed},
        "training": {
            "recipe": {"network": {"cells": [{"kind": network, "size": 32}]}},
            "parameters": 100,
            "cpu_s": 30.0,
            "phases": {"freeze": {"mean": float(np.mean(returns))}},
        },
        "play": {"int8": list(returns), "float": list(returns), "rate": rate},
        "price": {
            "image_bytes": 2000,
            "state_bytes": 100,
            "scratch_bytes": 50,
            "synaptic_operations": 10.0,
            "instructions": counted,
            "modelled": energy,
        },
        "machine": {"machine": "m", "python": "3", "grsn-edge": "1", "torch": "2", "numpy": "2",
                    "gymnasium": "1"},
    }  # fmt: skip


def three(network: str, around: float, **options: Any) -> list[dict[str, Any]]:
    """Three seeds whose means are one apart, of episodes that do not differ."""
    return [result(network, s, [around + s - 1.0] * 4, **options) for s in range(3)]


def test_differences_below_two_standard_errors_are_ties() -> None:
    ours = Mean.of([500.0, 499.0, 498.0])
    assert ours.error == pytest.approx(1 / np.sqrt(3))
    just, beyond = 1.99 * np.hypot(ours.error, 0.0), 2.01 * np.hypot(ours.error, 0.0)
    exact = [Mean(499.0 + d, 0.0, 0.0, 0.0) for d in (just, beyond, -beyond)]
    assert [verdict(ours, other) for other in exact] == ["tie", "loss", "win"]


def test_equal_returns_without_any_spread_are_a_tie() -> None:
    assert verdict(Mean.of([500.0] * 3), Mean.of([500.0] * 3)) == "tie"


def test_seeds_that_happen_to_agree_do_not_hide_the_spread_of_their_episodes() -> None:
    episodes = [[-100.0, -200.0] * 50] * 3
    mean = Mean.of([-150.0] * 3, episodes)
    assert mean.error == pytest.approx(50.0 / np.sqrt(300))


def test_the_front_holds_what_no_other_point_beats_by_rising_cost() -> None:
    costs, gains = [10.0, 1.0, 5.0, 10.0, 20.0], [3.0, 1.0, 2.0, 2.5, 3.0]
    assert pareto(costs, gains) == (1, 2, 0)
    assert pareto([1.0, 1.0], [2.0, 2.0]) == (0, 1)


def test_a_row_is_the_mean_over_seeds_and_the_worst_step_of_any() -> None:
    seeds = [result("grsn", s, [500.0], rate=0.04, instructions=1000.0 + 100 * s) for s in range(3)]
    (row,) = scoreboard(seeds).rows
    assert (row.seeds, row.worst, row.ram_bytes) == ((0, 1, 2), 1209, 150)
    assert row.instructions is not None
    assert row.instructions.value == pytest.approx(1100.0)
    assert row.period_nj == pytest.approx(2200.0)
    assert row.rate is not None
    assert row.rate.value == pytest.approx(0.04)


def test_without_an_emulator_the_table_has_no_instructions_and_no_modelled_energy() -> None:
    board = scoreboard(three("grsn", 490.0, instructions=None, rate=0.1))
    (row,) = board.rows
    assert row.instructions is None
    assert row.step_nj is None
    assert board.board is None
    assert "| – |" in markdown(board)


def found(board: Any) -> Mapping[str, tuple[bool | None, str]]:
    return {one.wanted: (one.met, one.reached) for one in targets(board)}


def test_targets_say_what_was_missed_and_by_how_much() -> None:
    mine = three("grsn", 490.0, rate=0.06)
    checked = found(scoreboard([*mine, *three("gru", 490.0, instructions=9000.0)]))
    assert checked["return ≥ 495.0"] == (False, "490.0 ± 0.6, 5.0 short")
    assert checked["spikes ≤ 5 %"] == (False, "6.00 % (6.0 to 6.0 %)")
    met, reached = checked["instructions ≤ 0.1 × gru's at equal return"]
    assert (met, reached) == (False, "1,000 of 9,000: 0.111 ×")


def test_instructions_are_only_compared_at_equal_return() -> None:
    mine, cheap = three("grsn", 490.0, rate=0.04), three("gru", 499.0, instructions=99_000.0)
    low = three("mlp", 100.0, instructions=10.0)
    checked = found(scoreboard([*mine, *cheap, *low]))
    assert checked["instructions ≤ 0.1 × gru's at equal return"][0] is False
    assert checked["instructions ≤ 1 × mlp's at equal return"][0] is None


def test_a_walker_is_measured_by_the_float_gru() -> None:
    rows = [*three("grsn", 960.0, task="ant-v"), *three("gru", 1000.0, task="ant-v")]
    assert found(scoreboard(rows))["int8 return ≥ 0.95 × float gru's"] == (
        True,
        "960.0 of 1,000.0: 0.960 ×",
    )


def test_two_seeds_meet_no_target() -> None:
    checked = found(scoreboard(three("grsn", 499.0, rate=0.01)[:2]))
    assert {met for met, _ in checked.values()} == {None}


def test_pendulum_v_is_held_against_the_best_float_opponent() -> None:
    rows = [*three("grsn", -170.0, task="pendulum-v"), *three("lstm", -165.0, task="pendulum-v")]
    checked = found(scoreboard(rows))
    assert checked["return ≥ -165.0 (the best of float lstm, -218)"][0] is False


def test_losses_name_better_returns_and_cheaper_policies_that_are_not_worse() -> None:
    rows = [
        *three("grsn", 490.0, rate=0.1, instructions=1000.0),
        *three("gru", 499.0, instructions=9000.0),
        *three("mlp", 490.0, instructions=800.0),
        *three("lif", 100.0, rate=0.1, instructions=1.0),
    ]
    assert list(losses(scoreboard(rows))) == [
        "`cartpole-p`, gru: return 499.0 ± 0.6, grsn 490.0 ± 0.6",
        "`cartpole-p`, mlp: instructions a step 800, grsn 1,000",
    ]


def test_every_row_stands_in_the_markdown_and_in_the_json() -> None:
    board = scoreboard([*three("grsn", 490.0, rate=0.1), *three("gru", 499.0, instructions=9e3)])
    text, data = markdown(board), json.loads(json.dumps(as_json(board)))
    assert "| grsn ● | 32 | 490.0 ± 0.6 |  |" in text
    assert "| gru ● | 32 | 499.0 ± 0.6 | loss |" in text
    assert on_front(board, "cartpole-p") == ("grsn", "gru")
    assert data["verdicts"] == {"cartpole-p": {"gru": "loss"}}


def test_the_axis_keeps_good_returns_apart_however_bad_the_worst_is() -> None:
    low, high = window([-150.0, -155.0, -160.0, -1200.0], [3.0, 3.0, 3.0, 9.0])
    assert -260.0 < low < -163.0
    assert -147.0 <= high < -130.0


def test_the_files_are_a_table_a_page_and_a_picture(tmp_path: Path) -> None:
    rows = [*three("grsn", 490.0, rate=0.1), *three("gru", 499.0), *three("mlp", 9.0)]
    _, paths = write_files(rows, tmp_path, "Suite quick", {"command": "grsn-edge <scoreboard>"})
    assert [path.suffix for path in paths] == [".md", ".json", ".html", ".png", ".svg"]
    assert all(path.stat().st_size > 500 for path in paths)
    page = paths[2].read_text(encoding="utf-8")
    assert "grsn-edge &lt;scoreboard&gt;" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "#0a0b" not in paths[4].read_text(encoding="utf-8")


def test_two_versions_never_stand_in_one_tasks_comparison() -> None:
    new = tuple(three("grsn", 490.0))
    old = [result("gru", s, [1.0], version="v0") for s in range(3)]
    other = [result("grsn", 0, [1.0], task="tmaze", version="v0")]
    results, remark = chosen(Found(new, (), (*old, *other), 2))
    assert {(r["job"]["task"], r["version"]) for r in results} == {
        ("cartpole-p", "v1"),
        ("tmaze", "v0"),
    }
    assert remark == (
        "tmaze is of other sources than the present ones (v0); 5 results of other recipes or "
        "sources are left out"
    )


def test_prices_of_two_versions_are_told() -> None:
    rows = three("grsn", 490.0)
    rows[0]["price"]["version"] = "old"
    _, remark = chosen(Found(tuple(rows), (), (), 0))
    assert remark.startswith("prices are of different sources")


def test_no_result_is_no_table() -> None:
    with pytest.raises(UsageError, match="run the suite without --report first"):
        chosen(Found((), (), (), 3))
