"""A program as C99: fused loops, event-driven products, no heap, no float, no division."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from grsn_edge.backends._c.files import Symbols, header, source
from grsn_edge.backends._c.schedule import Loop, Products, Schedule, Single, schedule
from grsn_edge.backends._c.spelling import C_TYPE, SUFFIX, literal, numbers
from grsn_edge.program import OPS, IntArray, Interval, Node, Program, narrowest

__all__ = ["CSource", "emit"]

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
        split_tables: write for a processor with vectors: table look-ups in loops of their own
            (see :func:`~grsn_edge.backends._c.schedule.schedule`), and few sums of spikes row by
            row, where looking for the active ones would take longer than adding them all.
    """
    plan = schedule(program, split_tables=split_tables)
    return _Emitter(plan, name, has_vectors=split_tables).emit()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a stored value is: a C expression of its first element, and its C type."""

    expression: str
    dtype: str


class _Emitter:
    """Writes one program.  ``places`` maps stored values to memory, filled in as they are made."""

    def __init__(self, plan: Schedule, name: str, *, has_vectors: bool) -> None:
        self.plan = plan
        self.program = plan.program
        self.symbols = Symbols(plan.program, name)
        self.identifiers = self.symbols.values
        self.has_vectors = has_vectors
        self.tables: list[str] = []
        self.places: dict[str, _Place] = {}
        for node in self.program:
            if node.op == "input":
                self.places[node.name] = _Place(f"in_{self.identifiers[node.name]}", node.dtype)
            elif node.op == "state":
                self.places[node.name] = _Place(
                    f"state->{self.symbols.fields[node.name]}", node.dtype
                )

    def emit(self) -> CSource:
        """Header and source."""
        body = [line for group in self.plan.groups for line in self._group(group)]
        body += self._hand_over()
        resets = [line for state in self.program.states for line in self._reset(state)]
        text = source(self.symbols, self.tables, resets, body)
        return CSource(header(self.symbols), text, self.symbols.fields)

    def _reset(self, state: Node) -> list[str]:
        return self._fill(self.places[state.name].expression, state.attrs["init"], "init", state)

    # ---- groups ------------------------------------------------------------------------------

    def _group(self, group: Loop | Products | Single) -> list[str]:
        if isinstance(group, Loop):
            return self._loop(group)
        if isinstance(group, Products):
            array = self._array(group.operand)
            place = self.places[self.plan.source(group.operand)]
            binary = self.program[group.operand].interval.is_binary and place.dtype == "int8"
            if not binary:
                return self._dense(group, array, place.dtype)
            few = self.has_vectors and group.rows < _FEW_ROWS
            return self._gated_rows(group, array) if few else self._events(group, array)
        layout = {"concat": self._concat, "slice": self._slice, "argmax": self._argmax}
        return layout[group.nodes[0].op](group.nodes[0])

    def _loop(self, loop: Loop) -> list[str]:
        """One loop; values that nobody else reads stay in registers."""
        lines: list[str] = []
        stores: list[str] = []
        local: set[str] = set()
        for node in loop.nodes:
            identifier = f"r_{self.identifiers[node.name]}"
            expression = self._expression(node, local, loop.n)
            lines.append(f"        const int32_t {identifier} = {expression};")
            local.add(node.name)
            if node.name in self.plan.stored:
                place = self._store(node)
                target = f"{place.expression}[i]"
                stores.append(f"        {target} = ({C_TYPE[place.dtype]}){identifier};")
        declarations = [self._declare(node) for node in loop.nodes if self._is_temporary(node.name)]
        head = f"    for (int32_t i = 0; i < {loop.n}; i++) {{"
        return [*declarations, head, *lines, *stores, "    }"]

    def _events(self, group: Products, operand: str) -> list[str]:
        """Add the columns of the neurons that fired, for all matrices at once."""
        label = self.identifiers[group.nodes[0].name]
        acc, n, rows = f"acc_{label}", self.program[group.operand].n, group.rows
        dtype = self._narrow_sum(group)
        table = self._table(f"columns_{label}", _stacked(group).T, "int8")
        active, count = f"active_{label}", f"count_{label}"
        return [
            f"    /* {_names(group)}: event-driven */",
            *self._accumulators(group, acc, dtype),
            f"    uint16_t {active}[{-(-n // 4) * 4}];",
            f"    const int32_t {count} = grsn_active({operand}, {n}, {active});",
            f"    grsn_add_columns_{SUFFIX[dtype]}({acc}, {table}, {rows}, {active}, {count});",
        ]

    def _gated_rows(self, group: Products, operand: str) -> list[str]:
        """Add every weight or nothing: no search for the active neurons, and no branch."""
        label, n = self.identifiers[group.nodes[0].name], self.program[group.operand].n
        acc, dtype = f"acc_{label}", self._narrow_sum(group)
        table = self._table(f"rows_{label}", _stacked(group), "int8")
        return [
            f"    /* {_names(group)}: gated by spikes */",
            *self._accumulators(group, acc, dtype),
            f"    grsn_gate_rows_{SUFFIX[dtype]}({acc}, {table}, {group.rows}, {operand}, {n});",
        ]

    def _dense(self, group: Products, operand: str, dtype: str) -> list[str]:
        """Every weight times its input."""
        label, n = self.identifiers[group.nodes[0].name], self.program[group.operand].n
        weight, acc = _stacked(group), f"acc_{label}"
        order, layout = ("rows", weight) if group.rows < _FEW_ROWS else ("columns", weight.T)
        table = self._table(f"{order}_{label}", layout, "int8")
        kernel = f"grsn_by_{order}_{SUFFIX[dtype]}"
        return [
            f"    /* {_names(group)}: dense */",
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
        declaration = f"    {C_TYPE[dtype]} {acc}[{group.rows}];"
        return [declaration, *self._fill(acc, bias, "bias", group.nodes[0])]

    def _narrow_sum(self, group: Products) -> str:
        """int16 where the proof holds every partial sum of every product of the group in it."""
        operand = [self.program[group.operand].interval]
        reach = [OPS["matvec"].accumulator(node.attrs, operand) for node in group.nodes]
        return "int16" if all(r.within(-(2**15), 2**15 - 1) for r in reach) else "int32"

    def _concat(self, node: Node) -> list[str]:
        place = self._store(node)
        lines, offset = [f"    {C_TYPE[place.dtype]} {place.expression}[{node.n}];"], 0
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
        suffix, n = SUFFIX[self.places[operand].dtype], self.program[operand].n
        place = self._store(node)
        value = f"({C_TYPE[place.dtype]})grsn_argmax_{suffix}({array}, {n})"
        return [
            f"    {C_TYPE[place.dtype]} {place.expression}[1];",
            f"    {place.expression}[0] = {value};",
        ]

    def _hand_over(self) -> list[str]:
        """Outputs, and the next states that could not be written where they belong."""
        lines: list[str] = []
        for name, value in self.program.outputs.items():
            node, target = self.program[value], self.symbols.results[name]
            lines += self._copy(target, node.dtype, self._array(value), node.n)
        late = [s for s in self.program.states if not self._keeps_itself(s.name)]
        arrays = {s.name: self._array(self.program.nexts[s.name]) for s in late}
        for state in late:
            # What comes from a state's old memory must be taken before that is overwritten.
            if self._root(self.program.nexts[state.name]).op == "state":
                kept = f"old_{self.identifiers[state.name]}"
                lines.append(f"    {C_TYPE[state.dtype]} {kept}[{state.n}];")
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
        return f"    {C_TYPE[node.dtype]} v_{self.identifiers[node.name]}[{node.n}];"

    def _array(self, name: str) -> str:
        """The first element of a value's memory."""
        source = self.plan.source(name)
        if source not in self.places:
            node = self.program[source]
            table = self._table(
                f"const_{self.identifiers[source]}", node.attrs["value"], node.dtype
            )
            self.places[source] = _Place(table, node.dtype)
        return self.places[source].expression

    def _table(self, label: str, values: IntArray, dtype: str) -> str:
        name = f"{self.symbols.name}_{label}"
        self.tables += [
            f"static const {C_TYPE[dtype]} {name}[{values.size}] = {{",
            numbers(values, dtype),
            "};",
            "",
        ]
        return name

    def _fill(self, target: str, values: IntArray, kind: str, node: Node) -> list[str]:
        """Set an array to constants; ``kind`` and ``node`` name their table."""
        head = f"    for (int32_t i = 0; i < {values.size}; i++) {{"
        if np.all(values == values[0]):
            return [head, f"        {target}[i] = {literal(int(values[0]))};", "    }"]
        storage = narrowest(Interval(values, values)) or "int32"
        table = self._table(f"{kind}_{self.identifiers[node.name]}", values, storage)
        return [head, f"        {target}[i] = {table}[i];", "    }"]

    def _copy(self, target: str, dtype: str, source: str, n: int) -> list[str]:
        return [
            f"    for (int32_t i = 0; i < {n}; i++) {{",
            f"        ({target})[i] = ({C_TYPE[dtype]})({source})[i];",
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
            return f"r_{self.identifiers[source]}"
        if node.op == "const" and np.all(node.attrs["value"] == node.attrs["value"][0]):
            return literal(int(node.attrs["value"][0]))
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
            return f"grsn_min({operand}, {literal(hi)})"
        if given.high <= hi:
            return f"grsn_max({operand}, {literal(lo)})"
        return f"grsn_clip({operand}, {literal(lo)}, {literal(hi)})"

    def _lookup(self, node: Node, operand: str) -> str:
        table = node.attrs["table"]
        dtype = narrowest(Interval(table, table)) or "int16"
        name = self._table(f"table_{self.identifiers[node.name]}", table, dtype)
        return f"{name}[{operand} + 128]"


def _stacked(group: Products) -> IntArray:
    """The matrices of a group, one below the other."""
    return np.concatenate([node.attrs["weight"] for node in group.nodes])


def _names(group: Products) -> str:
    return ", ".join(node.name for node in group.nodes)
