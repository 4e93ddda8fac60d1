"""Entry point: finds the verbs, parses, calls one, prints its result.

Exit status: 0 done; 1 an error, one line on stderr; 2 wrong usage; 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import cast

from grsn_edge import cli
from grsn_edge.cli.result import Verb
from grsn_edge.errors import GrsnEdgeError

__all__ = ["main", "parser", "verbs"]

_NOT_VERBS = {"main", "result", "progress", "times"}

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status."""
    args = parser().parse_args(argv)
    try:
        result = args.verb.run(args)
        output = json.dumps(result.data) if args.json else result.text
        print(output, end="\n" if output else "", flush=True)
    except GrsnEdgeError as error:
        print(f"grsn-edge: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader has gone; keep Python's own flush at exit from complaining.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"grsn-edge: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("grsn-edge: interrupted", file=sys.stderr)
        return INTERRUPTED
    return int(result.code)


def verbs() -> dict[str, Verb]:
    """Every verb by name; ``import_`` is the verb ``import``."""
    names = sorted(m.name for m in pkgutil.iter_modules(cli.__path__) if m.name not in _NOT_VERBS)
    modules = {name: importlib.import_module(f"{cli.__name__}.{name}") for name in names}
    return {name.rstrip("_"): cast("Verb", module) for name, module in modules.items()}


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    whole = argparse.ArgumentParser(
        prog="grsn-edge",
        description="Train, freeze and run recurrent spiking policies in integers.",
        epilog="Exit status: 0 done, 1 error, 2 wrong usage, 130 interrupted.",
    )
    whole.add_argument("--version", action="version", version=f"grsn-edge {_version()}")
    group = whole.add_subparsers(metavar="VERB", required=True)
    for name, verb in verbs().items():
        one = group.add_parser(
            name,
            help=verb.SUMMARY,
            description=verb.SUMMARY,
            epilog=f"example:\n  {verb.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        one.add_argument("--json", action="store_true", help="print the result as JSON")
        verb.configure(one)
        one.set_defaults(verb=verb)
    return whole


def _version() -> str:
    try:
        return version("grsn-edge")
    except PackageNotFoundError:
        return "(not installed)"
