"""``cells``: what networks can be made of."""

from __future__ import annotations

import argparse

from grsn_edge.cli.result import Result, columns
from grsn_edge.neurons import cell_kinds

SUMMARY = "list the cells"
EXAMPLE = "grsn-edge cells"


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(args: argparse.Namespace) -> Result:
    """Kinds and what they are."""
    data = {name: kind.summary for name, kind in cell_kinds().items()}
    return Result(data, columns(list(data.items())))
