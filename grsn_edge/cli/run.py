"""``run``: a policy on a stream of observations, or in a task."""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from grsn_edge.cli.result import Result
from grsn_edge.errors import GrsnEdgeError, UsageError
from grsn_edge.runtime import (
    Executed,
    Executor,
    Newest,
    StreamingPolicy,
    Timing,
    World,
    play_episodes,
    read_lines,
    run_realtime,
)
from grsn_edge.runtime.executor import WINDOW
from grsn_edge.runtime.supervisor import Condition, Quality

SUMMARY = "step a policy with observations from a stream, or play it in a task"
EXAMPLE = "printf '[0.0, 0.01]\\n[0.0, 0.02]\\n' | grsn-edge run models/cartpole-p.grsn"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("model", type=Path, help="a .grsn file")
    parser.add_argument("--backend", default="auto", help="auto (default), c, numpy, torch, …")
    parser.add_argument("--input", default="-", help="file of observations; - is stdin (default)")
    parser.add_argument("--format", default="auto", choices=("auto", "json", "csv"))
    parser.add_argument("--strict", action="store_true", help="stop at the first bad line")
    parser.add_argument("--task", help="play in this task instead of reading a stream")
    parser.add_argument("--episodes", type=int, default=1, help="with --task (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="with --task (default 0)")
    parser.add_argument("--quiet", action="store_true", help="with --task: no line per step")
    parser.add_argument(
        "--realtime",
        action="store_true",
        help="keep the policy's own rate: step with the newest line, under its supervisor",
    )
    parser.add_argument("--rate", type=float, help="with --realtime: turns of the loop a second")
    parser.add_argument("--robot", default="", help="with --realtime: name of the robot that acts")
    parser.add_argument(
        "--average", action="store_true", help="with --realtime: step with the mean of new lines"
    )


def run(args: argparse.Namespace) -> Result:
    """Write an action for every observation, as they come."""
    if not args.realtime and (args.rate is not None or args.robot or args.average):
        raise UsageError("--rate, --robot and --average belong to --realtime")
    with StreamingPolicy.load(args.model, args.backend) as policy:
        if args.realtime:
            return _realtime(args, policy)
        return _play(args, policy) if args.task else _stream(args, policy)


def _stream(args: argparse.Namespace, policy: StreamingPolicy) -> Result:
    lines = errors = 0
    with ExitStack() as stack:
        for result in read_lines(policy, _source(args.input, stack), args.format):
            print(result.text, flush=True)
            lines += 1
            errors += result.error is not None
            if result.error is not None and args.strict:
                raise GrsnEdgeError(f"line {result.line}: {result.error}")
    summary = f"{lines - errors} steps, {errors} bad lines, backend {policy.backend}"
    print(summary, file=sys.stderr)
    return Result({"lines": lines, "errors": errors, "backend": policy.backend}, "")


def _source(name: str, stack: ExitStack) -> Iterator[str] | TextIO:
    if name == "-":
        sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
        return sys.stdin
    try:
        return stack.enter_context(Path(name).open(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise UsageError(f"cannot read '{name}': {error.strerror}") from None


# ---- in real time --------------------------------------------------------------------------------


def _realtime(args: argparse.Namespace, policy: StreamingPolicy) -> Result:
    """Step under the supervisor until the stream or the episodes end, or Ctrl-C."""
    if policy.policy.supervisor is None:
        print("no limits and no safe action in this file: see grsn-edge limits", file=sys.stderr)
    executor = Executor(policy, time.monotonic_ns(), robot=args.robot, average=args.average)
    data: dict[str, Any] = {"backend": policy.backend}
    try:
        data |= _in_task(args, executor) if args.task else _on_lines(args, executor)
    except KeyboardInterrupt:
        data["interrupted"] = True
    timing, supervision = executor.timing, executor.supervision
    data |= {
        **asdict(timing),
        "state": supervision.state.name,
        "reasons": _names(supervision.reasons),
        "invalid": supervision.c.invalid,
    }
    text = _about(timing, policy.policy.period_s, data)
    if not args.json:
        print(text, file=sys.stderr)  # stdout is a log, a JSON value per line
    finite = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in data.items()}
    return Result(finite, "")


def _on_lines(args: argparse.Namespace, executor: Executor) -> dict[str, Any]:
    complaints: list[str] = []

    def complain(text: str) -> None:
        complaints.append(text)
        print(text, file=sys.stderr)

    newest = Newest(executor.policy.policy, _unclosed(args.input), args.format, complain)
    log = _Log(executor)

    def give(executed: Executed) -> bool:
        log.note(executed)
        if args.strict and complaints:
            raise GrsnEdgeError(complaints[0])
        return newest.ended

    run_realtime(executor, newest.take, give, rate_hz=args.rate)
    return {"bad_lines": newest.bad, "passed_over": newest.passed_over}


def _in_task(args: argparse.Namespace, executor: Executor) -> dict[str, Any]:
    from grsn_edge.tasks import task
    from grsn_edge.tasks.environments import make_environment

    chosen = task(args.task)
    environment, log, episodes = make_environment(chosen.name), _Log(executor), []
    for seed in range(args.seed, args.seed + args.episodes):
        world = World(environment, seed, chosen.max_steps)

        def give(executed: Executed, world: World = world) -> bool:
            if not args.quiet:
                log.note(executed)
            return world.act(executed)

        run_realtime(executor, world.read, give, rate_hz=args.rate)
        episodes.append({"seed": seed, "return": world.ret, "steps": world.steps})
        print(json.dumps(episodes[-1]), flush=True)
    return {"task": chosen.name, "episodes": episodes}


class _Log:
    """A line for every step, and for every turn that gives something else than the one before."""

    def __init__(self, executor: Executor) -> None:
        self._executor, self._begun = executor, time.monotonic()
        self._last: object = None

    def note(self, executed: Executed) -> None:
        given = {
            "action": _plain(executed.action),
            "state": executed.state.name,
            "reaction": executed.reaction.name,
        }
        if not executed.stepped and given == self._last:
            return
        self._last = given
        line: dict[str, Any] = {"time_s": round(time.monotonic() - self._begun, 4), **given}
        line["stepped"] = executed.stepped
        if executed.quality not in (None, Quality.GOOD):
            line["quality"] = executed.quality.name
        if executed.conditions:
            line["conditions"] = _names(executed.conditions)
        print(json.dumps(line), flush=True)


def _unclosed(name: str) -> Iterable[str]:
    """A file, or standard input by another handle: closing what a thread waits for would wait."""
    try:
        if name != "-":
            return Path(name).open(encoding="utf-8", errors="replace")
        return os.fdopen(os.dup(sys.stdin.fileno()), encoding="utf-8", errors="replace")
    except io.UnsupportedOperation:
        return sys.stdin
    except OSError as error:
        raise UsageError(f"cannot read '{name}': {error.strerror}") from None


def _names(conditions: Condition) -> list[str]:
    return [condition.name or "" for condition in Condition if condition & conditions]


def _about(timing: Timing, period_s: float, data: Mapping[str, Any]) -> str:
    regular = timing.bias_is_good and timing.jitter_is_good
    lines = [
        f"{timing.steps} steps of {1e3 * period_s:g} ms through {data['backend']}; intervals, in "
        f"periods: mean {timing.bias:.3f}, {timing.shortest:.3f} to {timing.longest:.3f} "
        f"({'regular' if regular else 'IRREGULAR'}; the last {WINDOW})",
        f"longest from due to given {1e3 * timing.longest_s:.2f} ms; {timing.overruns} deadlines "
        f"missed, {timing.skipped} periods skipped, {timing.bad_times} bad times",
        f"{data['invalid']} observations not good; supervisor {data['state']}"
        + (f", was safe for {', '.join(data['reasons'])}" if data["reasons"] else ""),
    ]
    if "bad_lines" in data:
        lines.append(f"{data['bad_lines']} bad lines, {data['passed_over']} passed over")
    return "\n".join(lines)


# ---- as fast as it goes --------------------------------------------------------------------------


def _play(args: argparse.Namespace, policy: StreamingPolicy) -> Result:
    from grsn_edge.tasks import task
    from grsn_edge.tasks.environments import make_environment

    chosen = task(args.task)

    def show(observation: object, action: object) -> None:
        if not args.quiet:
            print(json.dumps({"observation": _plain(observation), "action": _plain(action)}))

    environment = make_environment(chosen.name)
    episodes = []
    for episode in play_episodes(
        policy, environment, args.episodes, args.seed, chosen.max_steps, show
    ):
        episodes.append({"seed": episode.seed, "return": episode.ret, "steps": episode.steps})
        if not args.json:
            print(json.dumps(episodes[-1]), flush=True)
    mean = sum(e["return"] for e in episodes) / max(len(episodes), 1)
    data = {"task": chosen.name, "backend": policy.backend, "episodes": episodes, "mean": mean}
    text = f"mean return {mean:.1f} over {len(episodes)} episodes"
    if args.quiet:
        return Result(data, text)
    print(text, file=sys.stderr)  # stdout is a log, a JSON value per line
    return Result(data, "")


def _plain(value: object) -> object:
    return value.tolist() if hasattr(value, "tolist") else value
