"""``run``: a policy on a stream of observations, or in a task."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from grsn_edge.cli.result import Result
from grsn_edge.errors import GrsnEdgeError, UsageError
from grsn_edge.runtime import StreamingPolicy, play_episodes, read_lines

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


def run(args: argparse.Namespace) -> Result:
    """Write an action for every observation, as they come."""
    with StreamingPolicy.load(args.model, args.backend) as policy:
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
