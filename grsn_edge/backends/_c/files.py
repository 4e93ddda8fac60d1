"""The frame of a generated policy: names that are seen from outside, header and source files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from grsn_edge.backends._c.spelling import C_TYPE, fields, identifiers
from grsn_edge.policy.layout import digest
from grsn_edge.program import Interval, Node, Program, to_parts

__all__ = ["Symbols", "Variant", "header", "source"]


@dataclass(frozen=True)
class Symbols:
    """C names of a program's values.

    Args:
        program: whose.
        name: prefix of every external name.
    """

    program: Program
    name: str

    @cached_property
    def values(self) -> dict[str, str]:
        """The tail of every name that stands for a value."""
        return identifiers(node.name for node in self.program)

    @cached_property
    def fields(self) -> dict[str, str]:
        """Each state's member of ``<name>_state_t``."""
        return fields(node.name for node in self.program.states)

    @cached_property
    def results(self) -> dict[str, str]:
        """Each output's parameter."""
        return {k: f"out_{v}" for k, v in identifiers(self.program.outputs).items()}

    @property
    def parameters(self) -> list[tuple[str, Node]]:
        """Inputs and outputs in order: the parameter, and the value that it holds."""
        inputs = [(f"in_{self.values[n.name]}", n) for n in self.program.inputs]
        results = [(self.results[k], self.program[v]) for k, v in self.program.outputs.items()]
        return inputs + results

    @property
    def signature(self) -> str:
        """``<name>_step`` with its parameters."""
        arrays = [
            f"{'const ' if p.startswith('in_') else ''}{C_TYPE[node.dtype]} *restrict {p}"
            for p, node in self.parameters
        ]
        state = f"{self.name}_state_t *restrict state"
        return f"void {self.name}_step({', '.join([state, *arrays])})"


def header(symbols: Symbols) -> str:
    """``<name>.h``: the contract."""
    name, program = symbols.name, symbols.program
    members = [
        f"    {C_TYPE[s.dtype]} {symbols.fields[s.name]}[{s.n}]; /* {_range(s.interval)} */"
        for s in program.states
    ] or ["    uint8_t unused; /* this policy has no state */"]
    arrays = [f" * {p}: {n.n} numbers, {_range(n.interval)}" for p, n in symbols.parameters]
    return f"""\
/* {name}: one step of an integer policy.  Generated; do not edit.
 *
 * Program {digest(*to_parts(program))}.
 *
 * The caller owns all memory.  Nothing here fails, allocates or keeps a global;
 * inputs must lie in the stated ranges, and a state must come from
 * {name}_reset or from an earlier step.  One state serves one stream.
 */
#ifndef {name.upper()}_H
#define {name.upper()}_H

#include <stdint.h>

typedef struct {{
{_lines(members)}
}} {name}_state_t;

/* The state before the first step of an episode. */
void {name}_reset({name}_state_t *state);

/* Advance one sampling period.  Arrays must not overlap.
{_lines(arrays)}
 */
{symbols.signature};

#endif
"""


@dataclass(frozen=True)
class Variant:
    """One way to write a step.

    Args:
        tables: definitions by name.
        resets: lines of the reset.
        body: lines of the step.
    """

    tables: Mapping[str, str]
    resets: Sequence[str]
    body: Sequence[str]


def source(symbols: Symbols, variants: Sequence[Variant]) -> str:
    """``<name>.c``: constant tables, reset and step.

    Args:
        symbols: names.
        variants: one; or two, of which the first is compiled where GRSN_LANES is above 1.
    """
    name = symbols.name
    resets = variants[-1].resets or ["    state->unused = 0;"]
    return f"""\
/* {name}: see {name}.h.  Generated; do not edit. */
#include "{name}.h"

#define GRSN_FIXED_SIZES
#include "grsn_kernels.h"
#include "grsn_lanes.h"
#include "grsn_primitives.h"

{_tables(variants)}
void {name}_reset({name}_state_t *state)
{{
{_lines(resets)}
}}

{symbols.signature}
{{
{_lines(_either([[*_unused(symbols, v.body), *v.body] for v in variants]))}
}}
"""


def _tables(variants: Sequence[Variant]) -> str:
    """What all variants have in common, then what each has of its own."""
    first = variants[0].tables
    common = [
        text for name, text in first.items() if all(v.tables.get(name) == text for v in variants)
    ]
    own = [[text for text in v.tables.values() if text not in common] for v in variants]
    return _lines([*common, *_either(own)])


def _either(parts: Sequence[Sequence[str]]) -> list[str]:
    """The first where neurons are taken several at a time, the second elsewhere."""
    if len(parts) == 1 or list(parts[0]) == list(parts[1]):
        return list(parts[0])
    return ["#if GRSN_LANES > 1", *parts[0], "#else", *parts[1], "#endif"]


def _unused(symbols: Symbols, body: Sequence[str]) -> list[str]:
    """Parameters that the step never reads; compilers warn of them."""
    names = ["state", *(p for p, _ in symbols.parameters)]
    used = set(re.findall(r"\w+", "\n".join(body)))
    return [f"    (void){name};" for name in names if name not in used]


def _range(interval: Interval) -> str:
    return f"in [{interval.low}, {interval.high}]"


def _lines(lines: Sequence[str]) -> str:
    return "\n".join(lines)
