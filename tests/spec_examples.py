"""The examples of ``docs/SPEC.md``, for every test that replays them.

``blocks(kind)`` gives the parsed lines of the fenced blocks ``spec-<kind>``; ``operations()`` the
operation examples as programs that any backend can run.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grsn_edge.program import Builder, IntArray, Program

SPEC = Path(__file__).parents[1] / "docs" / "SPEC.md"


@dataclass(frozen=True)
class Example:
    """One operation on literal operands, and its result."""

    op: str
    operands: tuple[IntArray, ...]
    attrs: dict[str, IntArray]
    result: IntArray

    def __str__(self) -> str:
        return f"{self.op}-{'-'.join(str(o.tolist()) for o in self.operands)}"

    @property
    def inputs(self) -> dict[str, IntArray]:
        """The operands by the input's name, ``x0``, ``x1``, …"""
        return {f"x{i}": operand for i, operand in enumerate(self.operands)}

    def program(self) -> Program:
        """The operation on inputs that range over the example's least to greatest element."""
        b = Builder()
        values = [
            b.input(name, x.size, lo=int(x.min()), hi=int(x.max()))
            for name, x in self.inputs.items()
        ]
        b.output("y", b.apply(self.op, *values, name="result", **self.attrs))
        return b.build()


def raw(kind: str) -> list[str]:
    """The text of every fenced block ``spec-<kind>``."""
    return re.findall(rf"^```spec-{kind}\n(.*?)^```$", SPEC.read_text("utf-8"), re.M | re.S)


def blocks(kind: str) -> list[Any]:
    """Every line of the blocks ``spec-<kind>``, as JSON values."""
    return [json.loads(line) for block in raw(kind) for line in block.splitlines()]


def constants(attrs: dict[str, Any]) -> dict[str, IntArray]:
    """Constants as arrays; ``{"range": [start, stop, step]}`` counts a table out."""
    return {
        key: np.arange(*value["range"]) if isinstance(value, dict) else np.asarray(value)
        for key, value in attrs.items()
    }


def operations() -> list[Example]:
    """The blocks ``spec-example``."""
    return [
        Example(
            line["op"],
            tuple(np.asarray(operand, dtype=np.int64) for operand in line["operands"]),
            constants(line["attrs"]),
            np.asarray(line["result"], dtype=np.int64),
        )
        for line in blocks("example")
    ]
