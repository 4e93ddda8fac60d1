"""A step program as text, to read and to compare line by line (``docs/SPEC.md`` §8).

One line per value; nothing is aligned, so that a change to one value changes one line.  A constant
of more than four elements is shown by storage type, shape and CRC-32, so that a changed weight
shows too.
"""

from __future__ import annotations

import zlib

from grsn_edge.program.interval import IntArray, Interval, narrowest
from grsn_edge.program.ir import Node, Program

__all__ = ["text"]

_LITERAL = 4  # a constant of up to this many elements is written out


def text(program: Program) -> str:
    """The program as lines that end in a newline; the same program gives the same text.

    ``name: storage[n] [low, high] = op(operands, constants)``, with the range proven over all
    elements; a state's line ends with its initial value and its next one; the outputs come last.
    """
    lines = [_line(program, node) for node in program]
    lines += [f"output {name} = {value}" for name, value in program.outputs.items()]
    return "\n".join(lines) + "\n"


def _line(program: Program, node: Node) -> str:
    span = f"[{node.interval.low}, {node.interval.high}]"
    head = f"{node.name}: {node.dtype}[{node.n}] {span} = {node.op}"
    if node.op == "state":
        return f"{head} init={_constant(node.attrs['init'])} next={program.nexts[node.name]}"
    if node.op == "input":
        return head
    constants = [f"{key}={_constant(value)}" for key, value in node.attrs.items()]
    return f"{head}({', '.join([*node.args, *constants])})"


def _constant(value: IntArray) -> str:
    if value.ndim == 0:
        return str(int(value))
    if value.ndim == 1 and value.size <= _LITERAL:
        return f"[{', '.join(str(v) for v in value)}]"
    if value.ndim == 1 and value.min() == value.max():
        return f"[{value[0]} x{value.size}]"
    dtype = narrowest(Interval(value.ravel(), value.ravel()))
    shape = "x".join(str(side) for side in value.shape)
    return f"{dtype}[{shape}]#{zlib.crc32(value.astype('<i4').tobytes()):08x}"
