"""``demo``: the README's first command."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from grsn_edge.cli.main import INTERRUPTED
from grsn_edge.cli.result import Result, columns

SUMMARY = "train, freeze, check and play a spiking policy, and write a report"
EXAMPLE = "grsn-edge demo --out out/demo"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="default out/demo")
    parser.add_argument("--seed", type=int, default=0, help="default 0")


def run(args: argparse.Namespace) -> Result:
    """Everything, with what is being done on stderr."""
    from grsn_edge.cli.progress import TrainingDisplay
    from grsn_edge.demo import Interrupted, run_demo

    def say(text: str) -> None:
        print(f"• {text}", file=sys.stderr, flush=True)

    command = f"grsn-edge demo --out {args.out} --seed {args.seed}"
    try:
        demo = run_demo(args.out, args.seed, say, TrainingDisplay, command)
    except Interrupted as error:
        print(f"grsn-edge: {error}", file=sys.stderr)
        return Result({"finished": False}, "", INTERRUPTED)
    f = demo.figures
    rows = [
        ("return, int8 policy", f"{f['return_int8']:.1f} of 500 (100 fresh episodes)"),
        ("return, float", f"{f['return_float']:.1f}"),
        ("spikes", f"{100 * f['firing_rate']:.1f} % of neurons per step"),
        ("equality", f"{f['compared_steps']:,} steps, {', '.join(f['backends'])}: 0 differences"),
        *_board_rows(f["board"]),
        ("frozen policy", f"{f['model']} ({f['model_bytes']:,} bytes)"),
        ("report", f["report"]),
        ("time", f"{f['seconds']} s"),
    ]
    return Result(f, columns(rows))


def _board_rows(board: dict[str, Any] | None) -> list[tuple[str, str]]:
    if board is None:
        return []
    count = f"{board['mean']:,.0f} {board['counter']} per step, {board['most']:,} at most"
    where = f"{board['board']}, emulated by {board['emulator']}"
    return [
        ("on a board", f"{where}: return {board['ret']:.1f}, every action equal"),
        ("", f"{count}; exact, of the emulated processor"),
    ]
