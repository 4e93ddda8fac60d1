"""A program as C99: fused loops, event-driven products, no heap, no float, no division."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from grsn_edge.backends._c.schedule import Loop, Products, Schedule, Single, schedule
from grsn_edge.program import OPS, IntArray, Interval, Node, Program, narrowest

__all__ = ["CSource", "emit"]

_C_TYPE = {"int8": "int8_t", "int16": "int16_t", "int32": "int32_t"}
_SUFFIX = {"int8": "i8", "int16": "i16", "int32": "i32"}
_FEW_ROWS = 8  # below this a row's sum vectorises better than its column


@dataclass(frozen=True, slots=True)
class CSource:
    """A generated policy: the text of its header and of its source, and its state's fields.

    ``fields`` maps each state's name to its member of ``<name>_state_t``.
    """

    header: str
    source: str
    fields: Mapping[str, str]


def emit(program: Program, name: str = "policy", *, split_tables: bool = False) -> CSource:
    """C99 source of ``<name>_reset`` and ``<name>_step``; the same bytes for the same program.

    Args:
        program: any step program.
        name: prefix of every external name, a C identifier.
        split_tables: see :func:`~grsn_edge.backends._c.schedule.schedule`; for hosts.
    """
    return _Emitter(schedule(program, split_tables=split_tables), name).emit()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a stored value is: a C expression of its first element, and its C type."""

    expression: str
    dtype: str


class _Emitter:
    """Writes one program.  ``places`` maps stored values to memory, filled in as they are made."""

    def __init__(self, plan: Schedule, name: str) -> None:
        self.plan = plan
        self.program = plan.program
        self.name = name
        self.identifiers = _identifiers(node.name for node in plan.program)
        self.tables: list[str] = []
        self.places: dict[str, _Place] = {}
        for node in self.program:
            if node.op == "input":
                self.places[node.name] = _Place(f"in_{self.identifiers[node.name]}", node.dtype)
            elif node.op == "state":
                place = _Place(f"state->{self.identifiers[node.name]}", node.dtype)
                self.places[node.name] = place

    def emit(self) -> CSource:
        """Header and source."""
        body = [line for group in self.plan.groups for line in self._group(group)]
        body += self._hand_over()
        fields = {node.name: self.identifiers[node.name] for node in self.program.states}
        return CSource(self._header(), self._source(body), fields)

    # ---- files -------------------------------------------------------------------------------

    def _header(self) -> str:
        members = [
            f"    {_C_TYPE[s.dtype]} {self.identifiers[s.name]}[{s.n}]; /* {_range(s.interval)} */"
            for s in self.program.states
        ] or ["    uint8_t unused; /* this policy has no state */"]
        guard = f"{self.name.upper()}_H"
        return "\n".join(
            [
                f"/* {self.name}: one step of an integer policy.  Generated; do not edit.",
                " *",
                " * The caller owns all memory.  Nothing here fails, allocates or keeps a global;",
                " * inputs must lie in the stated ranges, and a state must come from",
                f" * {self.name}_reset or from an earlier step.  One state serves one stream.",
                " */",
                f"#ifndef {guard}",
                f"#define {guard}",
                "",
                "#include <stdint.h>",
                "",
                "typedef struct {",
                *members,
                f"}} {self.name}_state_t;",
                "",
                "/* The state before the first step of an episode. */",
                f"void {self.name}_reset({self.name}_state_t *state);",
                "",
                "/* Advance one sampling period.  Arrays must not overlap.",
                *(self._described("in", n.name, n) for n in self.program.inputs),
                *(
                    self._described("out", k, self.program[v])
                    for k, v in self.program.outputs.items()
                ),
                " */",
                f"{self._signature()};",
                "",
                "#endif",
                "",
            ]
        )

    def _source(self, body: list[str]) -> str:
        resets = [
            line
            for s in self.program.states
            for line in self._fill(f"state->{self.identifiers[s.name]}", s.dtype, s.attrs["init"])
        ] or ["    state->unused = 0;"]
        return "\n".join(
            [
                f'#include "{self.name}.h"',
                "",
                '#include "grsn_kernels.h"',
                '#include "grsn_primitives.h"',
                "",
                *self.tables,
                f"void {self.name}_reset({self.name}_state_t *state)",
                "{",
                *resets,
                "}",
                "",
                self._signature(),
                "{",
                *self._unused(body),
                *body,
                "}",
                "",
            ]
        )

    def _unused(self, body: list[str]) -> list[str]:
        """Parameters that this program never reads; compilers warn of them."""
        names = ["state", *(f"in_{self.identifiers[i.name]}" for i in self.program.inputs)]
        text = "\n".join(body)
        return [f"    (void){name};" for name in names if not re.search(rf"\b{name}\b", text)]

    def _signature(self) -> str:
        inputs = [
            f"const {_C_TYPE[n.dtype]} *restrict in_{self.identifiers[n.name]}"
            for n in self.program.inputs
        ]
        outputs = [
            f"{_C_TYPE[self.program[node].dtype]} *restrict out_{_identifier(name)}"
            for name, node in self.program.outputs.items()
        ]
        state = f"{self.name}_state_t *restrict state"
        return f"void {self.name}_step({', '.join([state, *inputs, *outputs])})"

    def _described(self, prefix: str, name: str, node: Node) -> str:
        return f" * {prefix}_{_identifier(name)}: {node.n} numbers, {_range(node.interval)}"

    # ---- groups ------------------------------------------------------------------------------

    def _group(self, group: Loop | Products | Single) -> list[str]:
        if isinstance(group, Loop):
            return self._loop(group)
        if isinstance(group, Products):
            array = self._array(group.operand)
            place = self.places[self.plan.source(group.operand)]
            binary = self.program[group.operand].interval.is_binary and place.dtype == "int8"
            write = self._events if binary else self._dense
            return write(group, array, place.dtype)
        layout = {"concat": self._concat, "slice": self._slice, "argmax": self._argmax}
        return layout[group.nodes[0].op](group.nodes[0])

    def _loop(self, loop: Loop) -> list[str]:
        """One loop; values that nobody else reads stay in registers."""
        lines: list[str] = []
        stores: list[str] = []
        local: set[str] = set()
        for node in loop.nodes:
            identifier = self.identifiers[node.name]
            expression = self._expression(node, local, loop.n)
            lines.append(f"        const int32_t {identifier} = {expression};")
            local.add(node.name)
            if node.name in self.plan.stored:
                place = self._store(node)
                target = f"{place.expression}[i]"
                stores.append(f"        {target} = ({_C_TYPE[place.dtype]}){identifier};")
        declarations = [self._declare(node) for node in loop.nodes if self._is_temporary(node.name)]
        head = f"    for (int32_t i = 0; i < {loop.n}; i++) {{"
        return [*declarations, head, *lines, *stores, "    }"]

    def _events(self, group: Products, operand: str, _: str) -> list[str]:
        """Add the columns of the neurons that fired, for all matrices at once."""
        label = self.identifiers[group.nodes[0].name]
        acc, n, rows = f"acc_{label}", self.program[group.operand].n, group.rows
        wide = narrowest(self._reach(group))
        dtype = "int16" if wide in ("int8", "int16") else "int32"
        columns = np.concatenate([node.attrs["weight"] for node in group.nodes]).T
        table = self._table(f"{label}_columns", columns, "int8")
        active, count = f"active_{label}", f"count_{label}"
        return [
            f"    /* {', '.join(node.name for node in group.nodes)}: event-driven */",
            *self._accumulators(group, acc, dtype),
            f"    uint16_t {active}[{-(-n // 4) * 4}];",
            f"    const int32_t {count} = grsn_active({operand}, {n}, {active});",
            f"    grsn_add_columns_{_SUFFIX[dtype]}({acc}, {table}, {rows}, {active}, {count});",
        ]

    def _dense(self, group: Products, operand: str, dtype: str) -> list[str]:
        """Every weight times its input."""
        label, n = self.identifiers[group.nodes[0].name], self.program[group.operand].n
        weight, acc = np.concatenate([node.attrs["weight"] for node in group.nodes]), f"acc_{label}"
        order, layout = ("rows", weight) if group.rows < _FEW_ROWS else ("columns", weight.T)
        table = self._table(f"{label}_{order}", layout, "int8")
        kernel = f"grsn_by_{order}_{_SUFFIX[dtype]}"
        return [
            f"    /* {', '.join(node.name for node in group.nodes)}: dense */",
            *self._accumulators(group, acc, "int32"),
            f"    {kernel}({acc}, {table}, {group.rows}, {operand}, {n});",
        ]

    def _accumulators(self, group: Products, acc: str, dtype: str) -> list[str]:
        """Declare the accumulators, set them to the bias, and place each product in them."""
        offset = 0
        for node in group.nodes:
            self.places[node.name] = _Place(f"({acc} + {offset})" if offset else acc, dtype)
            offset += node.n
        bias = np.concatenate([node.attrs["bias"] for node in group.nodes])
        return [f"    {_C_TYPE[dtype]} {acc}[{group.rows}];", *self._fill(acc, dtype, bias)]

    def _reach(self, group: Products) -> Interval:
        """Every partial sum of every product of the group."""
        operand = [self.program[group.operand].interval]
        reach = [OPS["matvec"].accumulator(node.attrs, operand) for node in group.nodes]
        return Interval(
            np.concatenate([r.lo for r in reach]), np.concatenate([r.hi for r in reach])
        )

    def _concat(self, node: Node) -> list[str]:
        place = self._store(node)
        lines, offset = [f"    {_C_TYPE[place.dtype]} {place.expression}[{node.n}];"], 0
        for arg in node.args:
            n = self.program[arg].n
            lines += self._copy(f"{place.expression} + {offset}", place.dtype, self._array(arg), n)
            offset += n
        return lines

    def _slice(self, node: Node) -> list[str]:
        """A view: no code."""
        array, start = self._array(node.args[0]), int(node.attrs["start"])
        dtype = self.places[self.plan.source(node.args[0])].dtype
        self.places[node.name] = _Place(f"({array} + {start})", dtype)
        return []

    def _argmax(self, node: Node) -> list[str]:
        array, operand = self._array(node.args[0]), self.plan.source(node.args[0])
        suffix, n = _SUFFIX[self.places[operand].dtype], self.program[operand].n
        place = self._store(node)
        value = f"({_C_TYPE[place.dtype]})grsn_argmax_{suffix}({array}, {n})"
        return [
            f"    {_C_TYPE[place.dtype]} {place.expression}[1];",
            f"    {place.expression}[0] = {value};",
        ]

    def _hand_over(self) -> list[str]:
        """Outputs, and the next states that could not be written where they belong."""
        lines: list[str] = []
        for name, value in self.program.outputs.items():
            node, target = self.program[value], f"out_{_identifier(name)}"
            lines += self._copy(target, node.dtype, self._array(value), node.n)
        late = [s for s in self.program.states if not self._keeps_itself(s.name)]
        arrays = {s.name: self._array(self.program.nexts[s.name]) for s in late}
        for state in late:
            # What comes from a state's old memory must be taken before that is overwritten.
            if self._root(self.program.nexts[state.name]).op == "state":
                kept = f"old_for_{self.identifiers[state.name]}"
                lines.append(f"    {_C_TYPE[state.dtype]} {kept}[{state.n}];")
                lines += self._copy(kept, state.dtype, arrays[state.name], state.n)
                arrays[state.name] = kept
        for state in late:
            target = self.places[state.name].expression
            lines += self._copy(target, state.dtype, arrays[state.name], state.n)
        return lines

    def _keeps_itself(self, state: str) -> bool:
        """Whether a state's memory already holds its next value."""
        value = self.plan.source(self.program.nexts[state])
        return value == state or self.plan.in_place.get(value) == state

    def _root(self, name: str) -> Node:
        """The value whose memory ``name`` is, or is a view of."""
        node = self.program[self.plan.source(name)]
        return self._root(node.args[0]) if node.op == "slice" else node

    # ---- places ------------------------------------------------------------------------------

    def _store(self, node: Node) -> _Place:
        state = self.plan.in_place.get(node.name)
        if state is not None:
            self.places[node.name] = self.places[state]
        elif node.name not in self.places:
            self.places[node.name] = _Place(f"v_{self.identifiers[node.name]}", node.dtype)
        return self.places[node.name]

    def _is_temporary(self, name: str) -> bool:
        return name in self.plan.stored and name not in self.plan.in_place

    def _declare(self, node: Node) -> str:
        return f"    {_C_TYPE[node.dtype]} v_{self.identifiers[node.name]}[{node.n}];"

    def _array(self, name: str) -> str:
        """The first element of a value's memory."""
        source = self.plan.source(name)
        if source not in self.places:
            node = self.program[source]
            table = self._table(self.identifiers[source], node.attrs["value"], node.dtype)
            self.places[source] = _Place(table, node.dtype)
        return self.places[source].expression

    def _table(self, label: str, values: IntArray, dtype: str) -> str:
        name = f"{self.name}_{label}"
        text = np.array2string(
            values.ravel(), separator=", ", threshold=values.size + 1, max_line_width=96
        )
        self.tables += [
            f"static const {_C_TYPE[dtype]} {name}[{values.size}] = {{",
            " " + re.sub(r"-2147483648", "(-2147483647 - 1)", text[1:-1]),
            "};",
            "",
        ]
        return name

    def _fill(self, target: str, dtype: str, values: IntArray) -> list[str]:
        head = f"    for (int32_t i = 0; i < {values.size}; i++) {{"
        if np.all(values == values[0]):
            return [head, f"        {target}[i] = {_literal(int(values[0]))};", "    }"]
        label = re.sub(r"\W+", "_", target.removeprefix("state->")) + "_start"
        storage = narrowest(Interval(values, values)) or dtype
        return [head, f"        {target}[i] = {self._table(label, values, storage)}[i];", "    }"]

    def _copy(self, target: str, dtype: str, source: str, n: int) -> list[str]:
        return [
            f"    for (int32_t i = 0; i < {n}; i++) {{",
            f"        ({target})[i] = ({_C_TYPE[dtype]})({source})[i];",
            "    }",
        ]

    # ---- expressions -------------------------------------------------------------------------

    def _expression(self, node: Node, local: set[str], n: int) -> str:
        operands = [self._operand(arg, local, n) for arg in node.args]
        write: Mapping[str, Callable[[], str]] = {
            "add": lambda: f"{operands[0]} + {operands[1]}",
            "sub": lambda: f"{operands[0]} - {operands[1]}",
            "mul": lambda: self._product(node, operands),
            "shr": lambda: f"grsn_shr({operands[0]}, {int(node.attrs['shift'])})",
            "clip": lambda: self._clip(node, operands[0]),
            "ge": lambda: f"grsn_ge({operands[0]}, {operands[1]})",
            "lut": lambda: self._lookup(node, operands[0]),
        }
        return write[node.op]()

    def _operand(self, name: str, local: set[str], n: int) -> str:
        source = self.plan.source(name)
        node = self.program[source]
        if source in local:
            return self.identifiers[source]
        if node.op == "const" and np.all(node.attrs["value"] == node.attrs["value"][0]):
            return _literal(int(node.attrs["value"][0]))
        index = "i" if node.n == n else "0"
        return f"(int32_t){self._array(source)}[{index}]"

    def _product(self, node: Node, operands: list[str]) -> str:
        for spike, other in ((0, 1), (1, 0)):
            if self.program[self.plan.source(node.args[spike])].interval.is_binary:
                return f"grsn_gate({operands[other]}, {operands[spike]})"
        return f"{operands[0]} * {operands[1]}"

    def _clip(self, node: Node, operand: str) -> str:
        lo, hi = int(node.attrs["lo"]), int(node.attrs["hi"])
        given = self.program[self.plan.source(node.args[0])].interval
        if given.low >= lo:
            return f"grsn_min({operand}, {_literal(hi)})"
        if given.high <= hi:
            return f"grsn_max({operand}, {_literal(lo)})"
        return f"grsn_clip({operand}, {_literal(lo)}, {_literal(hi)})"

    def _lookup(self, node: Node, operand: str) -> str:
        table = node.attrs["table"]
        dtype = narrowest(Interval(table, table)) or "int16"
        name = self._table(f"{self.identifiers[node.name]}_table", table, dtype)
        return f"{name}[{operand} + 128]"


def _literal(value: int) -> str:
    """An integer of at least 32 bits on every target; AVR's int has 16."""
    if value == -(2**31):
        return "(-INT32_C(2147483647) - 1)"
    text = f"INT32_C({abs(value)})"
    return f"(-{text})" if value < 0 else text


def _range(interval: Interval) -> str:
    return f"in [{interval.low}, {interval.high}]"


def _identifier(name: str) -> str:
    return name.replace(".", "_")


def _identifiers(names: Iterable[str]) -> dict[str, str]:
    """C identifiers of value names, distinct where dots and underscores would collide."""
    taken: set[str] = set()
    found: dict[str, str] = {}
    for name in names:
        identifier = _identifier(name)
        while identifier in taken:
            identifier += "_"
        taken.add(identifier)
        found[name] = identifier
    return found
