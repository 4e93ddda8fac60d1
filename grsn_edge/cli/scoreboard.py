"""``scoreboard``: every network on every task, trained alike, frozen, played and priced."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grsn_edge.cli.main import INTERRUPTED
from grsn_edge.cli.result import Result, columns

if TYPE_CHECKING:
    from rich.progress import TaskID

    from grsn_edge.scoreboard.runner import Event, Outcomes
    from grsn_edge.scoreboard.suites import Job, Suite
    from grsn_edge.scoreboard.table import Row, Scoreboard

SUMMARY = "train, freeze, play and price every network on every task, and compare them"
EXAMPLE = """grsn-edge scoreboard --suite quick --out out/scoreboard
  grsn-edge scoreboard --suite paper --tasks hopper-p --networks grsn gru:16 --seeds 0 1 2
  grsn-edge scoreboard --suite paper --ray auto --out /shared/scoreboard
  grsn-edge scoreboard --suite quick --out out/scoreboard --report"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    add = parser.add_argument
    add("--suite", default="quick", help="quick (default), paper or full: see docs/scoreboard.md")
    add("--out", type=Path, default=Path("out/scoreboard"), help="default out/scoreboard")
    add("--tasks", nargs="+", metavar="TASK", help="these tasks only")
    add("--networks", nargs="+", metavar="NETWORK", help="these only; gru:16 has 16 neurons")
    add("--seeds", nargs="+", type=int, metavar="SEED", help="these only")
    add("--updates", type=int, help="length of every first phase (default: the recipes')")
    add("--episodes", type=int, help="that each frozen policy plays (default 100)")
    add("--jobs", type=int, help="processes side by side (default: one per usable core)")
    add("--ray", metavar="ADDRESS", help="run on a Ray cluster: auto, local, or where it is")
    add("--report", action="store_true", help="train nothing: table and picture of what is there")


def run(args: argparse.Namespace) -> Result:
    """Do what is still to be done, then write the table."""
    from grsn_edge.scoreboard.files import chosen, write_files
    from grsn_edge.scoreboard.store import look
    from grsn_edge.scoreboard.suites import suite

    wanted = suite(args.suite).narrowed(
        args.tasks, args.networks, args.seeds, args.updates, args.episodes
    )
    jobs, code = _possible(wanted), 0
    failed: dict[str, str] = {}
    if not args.report:
        outcomes = _done(jobs, args)
        failed, code = outcomes.failed, 1 if outcomes.failed else 0
        if outcomes.interrupted:
            print("interrupted and saved; the same command goes on", file=sys.stderr)
            code = INTERRUPTED
    found = look(args.out, jobs)
    if code and not found.results:
        return Result({"finished": False, "failed": failed}, "", code)
    results, remark = chosen(found)
    origin = {"command": _command(args), "date": datetime.now(timezone.utc).date().isoformat()}
    board, paths = write_files(results, args.out, f"Suite {wanted.name}", origin)
    data = {
        "finished": not found.missing,
        "missing": [job.title for job in found.missing],
        "failed": failed,
        "remark": remark,
        "files": [str(path) for path in paths],
        "rows": len(board.rows),
    }
    return Result(data, _text(board, data), code)


def _possible(wanted: Suite) -> tuple[Job, ...]:
    """The jobs whose tasks can be played here; says which cannot."""
    left_out = wanted.left_out()
    for name, reason in left_out.items():
        print(f"{name} is left out: {reason}", file=sys.stderr)
    return tuple(job for job in wanted.jobs() if job.task not in left_out)


def _done(jobs: Sequence[Job], args: argparse.Namespace) -> Outcomes:
    """Run what has no result, or no price, of these sources."""
    from grsn_edge.scoreboard.local import run_here, usable_cores
    from grsn_edge.scoreboard.runner import Board
    from grsn_edge.scoreboard.store import is_finished

    left = [job for job in jobs if not is_finished(args.out, job)]
    side_by_side = args.jobs if args.jobs is not None else usable_cores()
    print(f"{len(jobs) - len(left)} of {len(jobs)} jobs are done already", file=sys.stderr)
    with _Display(Board(left, side_by_side)) as display:
        if args.ray is not None:
            from grsn_edge.scoreboard.cluster import run_on_ray

            return run_on_ray(left, args.out, args.ray, side_by_side, display)
        return run_here(left, args.out, side_by_side, display)


def _command(args: argparse.Namespace) -> str:
    """What repeats this table."""
    parts = [f"grsn-edge scoreboard --suite {args.suite} --out {args.out}"]
    for name in ("tasks", "networks", "seeds"):
        values = getattr(args, name)
        parts += [f"--{name} {' '.join(map(str, values))}"] if values else []
    for name in ("updates", "episodes"):
        value = getattr(args, name)
        parts += [f"--{name} {value}"] if value is not None else []
    return " ".join(parts)


# ---- text ----------------------------------------------------------------------------------------


def _text(board: Scoreboard, data: dict[str, Any]) -> str:
    from grsn_edge.scoreboard.targets import targets
    from grsn_edge.scoreboard.text import losses

    head = ("task", "network", "int8 return", "float", "spikes", "instructions", "seeds")
    parts = [columns([head, *(_row(row) for row in board.rows)])]
    checked = [(one.verdict, one.task, one.wanted, one.reached) for one in targets(board)]
    parts += [f"targets\n{columns(checked)}"] if checked else []
    lost = list(losses(board))
    parts += ["where grsn loses\n" + "\n".join(lost)] if lost else []
    parts += [f"failed: {title}: {reason}" for title, reason in data["failed"].items()]
    parts += [f"! {data['remark']}"] if data["remark"] else []
    if data["missing"]:
        parts.append(f"not finished: {len(data['missing'])} jobs")
    return "\n\n".join([*parts, "\n".join(data["files"])])


def _row(row: Row) -> tuple[str, ...]:
    return (
        row.task,
        row.network,
        f"{row.int8.value:.1f} ± {row.int8.error:.1f}",
        f"{row.floats.value:.1f}",
        "–" if row.rate is None else f"{100 * row.rate.value:.1f} %",
        "–" if row.instructions is None else f"{row.instructions.value:,.0f}",
        str(len(row.seeds)),
    )


# ---- progress ------------------------------------------------------------------------------------


class _Display:
    """One bar for all jobs and a line for each that runs; plain lines where nobody looks.

    Args:
        board: keeps the estimate.
    """

    def __init__(self, board: Any) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._board = board
        self._live = sys.stderr.isatty()
        self._bars = Progress(
            TextColumn("{task.description:<34}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            disable=not self._live,
        )
        self._whole = self._bars.add_task("jobs", total=board.total, note="")
        self._lines: dict[str, TaskID] = {}

    def __enter__(self) -> _Display:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, event: Event) -> None:
        """Show what happened."""
        self._board.take(event)
        title = event.job.title
        if event.kind == "doing":
            note = f"{event.text}, {event.left_s:.0f} s left of it"
            if title not in self._lines:
                self._lines[title] = self._bars.add_task(f"  {title}", total=None, note=note)
            self._bars.update(self._lines[title], note=note)
        elif event.kind in ("done", "failed", "interrupted"):
            if title in self._lines:
                self._bars.remove_task(self._lines.pop(title))
            self._say(f"{title}: {event.kind} {event.text}".rstrip())
        self._bars.update(self._whole, completed=self._board.ended, note=self._left())

    def _left(self) -> str:
        left = self._board.left_s()
        return "" if left is None else f"about {left / 60:.0f} min left"

    def _say(self, text: str) -> None:
        line = f"[{self._board.ended}/{self._board.total}] {text}; {self._left()}".rstrip("; ")
        if self._live:
            self._bars.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)
