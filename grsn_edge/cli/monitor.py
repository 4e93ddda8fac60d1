"""``monitor``: a live view in the terminal while a policy streams."""

from __future__ import annotations

import argparse
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grsn_edge.cli.result import Result
from grsn_edge.cli.times import period_of
from grsn_edge.errors import UsageError
from grsn_edge.policy import load

if TYPE_CHECKING:
    from grsn_edge.profiling.live import Live, Snapshot
    from grsn_edge.profiling.recorder import Recorder

SUMMARY = "watch rate, latency, spikes, power and actions while a policy streams"
EXAMPLE = "grsn-edge monitor models/cartpole-p.grsn --on m4 --task cartpole-p --period policy"

_REFRESH_S = 0.25
_BUDGET = 0.015  # share of the time that drawing may take: 2 % is promised
_WIDTH = 64


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    add = parser.add_argument
    add("model", type=Path, help="a .grsn file")
    add("--on", default="host", help="host, an emulated board's name, or a device's address")
    add("--backend", default="auto", help="of the host (default auto)")
    add("--baud", type=int, default=115200, help="of a serial line")
    add("--task", help="play in this task (default: the golden vectors, again and again)")
    add("--period", default="policy", help="such as 10ms, policy (default), or none")
    add("--steps", type=int, help="stop after so many (default: Ctrl-C)")
    add("--meter", default="none", help="a kind of `grsn-edge meter list`, auto, or none (default)")
    add("--set", nargs="+", default=[], metavar="NAME=VALUE", help="options of the meter")


def run(args: argparse.Namespace) -> Result:
    """Stream until the steps are done or Ctrl-C; the last view is the result."""
    from grsn_edge.cli.meter import chosen_settings
    from grsn_edge.profiling.live import Live
    from grsn_edge.profiling.profile import choose_meter
    from grsn_edge.profiling.recorder import Recorder
    from grsn_edge.profiling.run import stream
    from grsn_edge.profiling.sources import GoldenSource, TaskSource
    from grsn_edge.profiling.targets import open_target

    if args.steps is not None and args.steps < 1:
        raise UsageError("--steps is at least 1")
    policy = load(args.model)
    period = period_of(args.period, policy.period_s)
    source = TaskSource(args.task) if args.task else GoldenSource(policy)
    with ExitStack() as stack:
        target = stack.enter_context(
            open_target(args.on, policy, backend=args.backend, baud=args.baud)
        )
        meter = choose_meter(args.meter, chosen_settings(args))
        recorder = None
        if meter is not None:
            recorder = stack.enter_context(Recorder(stack.enter_context(meter)))
        live = Live(target, period)
        view = stack.enter_context(View(live, target.name, recorder, quiet=args.json))
        with suppress(KeyboardInterrupt):
            stream(target, source, live.step, period_s=period, steps=args.steps)
        shot, share = live.snapshot(), view.share
    return Result(_data(shot, share), _summary(shot, share))


class View:
    """Draws snapshots, four times a second or as often as 1.5 % of a processor allow.

    Args:
        live: what is shown.
        title: of the target.
        recorder: of a meter, or None.
        quiet: draw nothing, for output that programs read.
        console: where to draw; None: the terminal's stderr.
    """

    def __init__(
        self,
        live: Live,
        title: str,
        recorder: Recorder | None = None,
        *,
        quiet: bool = False,
        console: Any = None,
    ) -> None:
        from rich.console import Console
        from rich.live import Live as Screen

        self._live, self._title, self._recorder = live, title, recorder
        self._screen = Screen(
            console=console or Console(stderr=True, quiet=quiet), auto_refresh=False
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._began = time.perf_counter()
        self._drawing_s = 0.0

    @property
    def share(self) -> float:
        """Processor time of the view per time that passed."""
        return self._drawing_s / max(1e-9, time.perf_counter() - self._began)

    def __enter__(self) -> View:
        self._screen.start()
        self._began = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._screen.stop()

    def _run(self) -> None:
        pause = _REFRESH_S
        while not self._stop.wait(pause):
            began = time.thread_time()
            shot = self._live.snapshot()
            if shot is not None:
                watts = None if self._recorder is None else self._recorder.power_w(1.0)
                self._screen.update(_table(self._title, shot, watts, self.share), refresh=True)
            self._drawing_s = time.thread_time()
            pause = max(_REFRESH_S, (self._drawing_s - began) / _BUDGET)


def _table(title: str, shot: Snapshot, watts: float | None, share: float) -> Any:
    from rich.table import Table

    table = Table(title=title, show_header=False, title_justify="left", box=None, pad_edge=False)
    table.add_column(style="dim", min_width=18)
    table.add_column(min_width=_WIDTH)
    for name, value in _rows(shot, watts, share):
        table.add_row(name, value)
    return table


def _rows(shot: Snapshot, watts: float | None, share: float) -> list[tuple[str, str]]:
    rows = [
        ("steps", f"{shot.steps:,}, episode {shot.episode + 1}, {shot.rate_hz:,.0f} per second"),
        (
            "around a step",
            f"p50 {1e6 * shot.p50_s:,.1f} µs, p99 {1e6 * shot.p99_s:,.1f} µs, "
            f"worst {1e6 * shot.worst_s:,.1f} µs",
        ),
    ]
    if shot.cost is not None:
        rows.append(("device's counter", f"{shot.cost:,}"))
    rows.append(("deadlines missed", f"{shot.misses:,}, longest run {shot.longest_run:,}"))
    for name, fired in (shot.spikes or {}).items():
        marks = "".join("┃" if f else "·" for f in fired.ravel()[:_WIDTH].tolist())
        rows.append((name.removesuffix(".spike"), marks))
    if watts is not None:
        rows.append(("power", f"{1e3 * watts:,.3f} mW"))
    rows.append(("action", ", ".join(f"{a:g}" for a in shot.action)))
    if shot.last_return is not None:
        rows.append(("last return", f"{shot.last_return:,.1f}"))
    rows.append(("this view", f"{100 * share:.1f} % of the time"))
    return rows


def _summary(shot: Snapshot | None, share: float) -> str:
    if shot is None:
        return "no step was played"
    return "\n".join(f"{name:<18}{value}" for name, value in _rows(shot, None, share))


def _data(shot: Snapshot | None, share: float) -> dict[str, Any]:
    from grsn_edge.profiling.figures import plain

    return {"last": plain(shot), "view_share": share}
