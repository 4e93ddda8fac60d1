"""A program as C99: fused loops, event-driven products, no heap, no float, no division."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from grsn_edge.backends._c.files import Symbols, Variant, header, source
from grsn_edge.backends._c.folds import find_folds, readers
from grsn_edge.backends._c.lanes import Lanes
from grsn_edge.backends._c.schedule import Loop, Products, Schedule, Single, schedule
from grsn_edge.backends._c.spelling import C_TYPE, SUFFIX, in_quads, literal, numbers
from grsn_edge.program import IntArray, Interval, Node, Program, narrowest

__all__ = ["CSource", "emit"]

_FEW_ROWS = 8  # below this a row's sum vectorises better than its column

_FEW_INPUTS = 8  # up to this, a product is taken in the loop that reads it

Style = Literal["vectors", "plain", "lanes"]
"""Loops for a compiler that vectorises, for one neuron after the other, or in grsn_lanes.h."""


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
    symbols = Symbols(program, name)
    if split_tables:
        variants = [_Emitter(plan, symbols, "vectors").variant()]
    else:
        variants = [_Emitter(plan, symbols, style).variant() for style in ("lanes", "plain")]
    text = source(symbols, variants)
    return CSource(header(symbols), text, symbols.fields)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a stored value is: a C expression of its first element, and its C type."""

    expression: str
    dtype: str


@dataclass(frozen=True, slots=True)
class _Rows:
    """The constants of a loop, two neurons in a row of ``words`` words of ``table``.

    ``inside`` maps values to expressions that read them through the pointer ``row``.
    """

    table: str
    words: int
    inside: Mapping[str, str]


class _Emitter:
    """Writes one program.  ``places`` maps stored values to memory, filled in as they are made."""

    def __init__(self, plan: Schedule, symbols: Symbols, style: Style) -> None:
        self.plan = plan
        self.program = plan.program
        self.symbols = symbols
        self.identifiers = self.symbols.values
        self.style = style
        self.folds = find_folds(plan.program, plan.alias, plan.stored, tables=style != "vectors")
        self.tables: dict[str, str] = {}
        self.dots: dict[str, tuple[str, int]] = {}
        self.places: dict[str, _Place] = {}
        for node in self.program:
            if node.op == "input":
                self.places[node.name] = _Place(f"in_{self.identifiers[node.name]}", node.dtype)
            elif node.op == "state":
                self.places[node.name] = _Place(
                    f"state->{self.symbols.fields[node.name]}", node.dtype
                )

    def variant(self) -> Variant:
        """Tables, reset and step."""
        body = [line for group in self.plan.groups for line in self._group(group)]
        body += self._hand_over()
        resets = [line for state in self.program.states for line in self._reset(state)]
        return Variant(self.tables, resets, body)

    def _reset(self, state: Node) -> list[str]:
        return self._fill(self.places[state.name].expression, state.attrs["init"], "init", state)

    # ---- groups ------------------------------------------------------------------------------

    def _group(self, group: Loop | Products | Single) -> list[str]:
        if isinstance(group, Loop):
            return self._loop(group)
        if isinstance(group, Products):
            lines, array = self._in_memory(group.operand)
            place = self.places[self.plan.source(group.operand)]
            binary = self.program[group.operand].interval.is_binary and place.dtype == "int8"
            if not binary:
                return lines + self._dense(group, array, place.dtype)
            few = self.style == "vectors" and group.rows < _FEW_ROWS
            return lines + (self._gated_rows if few else self._events)(group, array)
        layout = {"concat": self._concat, "slice": self._slice, "argmax": self._argmax}
        return layout[group.nodes[0].op](group.nodes[0])

    def _loop(self, loop: Loop) -> list[str]:
        """One loop; values that nobody else reads stay in registers."""
        declarations = [self._declare(node) for node in loop.nodes if self._is_temporary(node.name)]
        for node in loop.nodes:
            if node.name in self.plan.stored:
                self._store(node)
        if self.style != "lanes":
            head = f"    for (grsn_index i = 0; i < {loop.n}; i++) {{"
            return [*declarations, head, *self._one_by_one(loop), "    }"]
        rows = self._rows(loop, self._constants(loop))
        lanes = Lanes(
            self.plan,
            self.folds,
            loop,
            self.identifiers,
            self._where,
            self._lookup_table,
            rows.inside if rows else {},
        )
        n = loop.n
        return [
            *declarations,
            *([f"    GRSN_IF_DOTS(const int32_t *row = {rows.table};)"] if rows else []),
            f"    for (grsn_index j = 0; j + GRSN_BLOCK({n}) <= {n}; j += GRSN_BLOCK({n})) {{",
            "        GRSN_UNROLL",
            f"        for (grsn_index i = j; i < j + GRSN_BLOCK({n}); i += GRSN_LANES) {{",
            *(f"            {line}" for line in lanes.body()),
            *([f"            GRSN_IF_DOTS(row += {rows.words};)"] if rows else []),
            "            GRSN_NEXT;",
            "        }",
            "    }",
            f"#if {n} % GRSN_LANES",
            f"    for (grsn_index i = {n} - {n} % GRSN_LANES; i < {n}; i++) {{",
            *self._one_by_one(loop),
            "    }",
            "#endif",
        ]

    def _one_by_one(self, loop: Loop) -> list[str]:
        """The body of a loop over single elements."""
        lines: list[str] = []
        stores: list[str] = []
        local: set[str] = set()
        for node in loop.nodes:
            identifier = f"r_{self.identifiers[node.name]}"
            expression = self._expression(node, local, loop.n)
            lines.append(f"        const {self._register(node)} {identifier} = {expression};")
            local.add(node.name)
            if node.name in self.plan.stored:
                place = self.places[node.name]
                target = f"{place.expression}[i]"
                stores.append(f"        {target} = ({C_TYPE[place.dtype]}){identifier};")
        return [*lines, *stores]

    def _events(self, group: Products, operand: str) -> list[str]:
        """Add the columns of the neurons that fired, for all matrices at once."""
        label = self.identifiers[group.nodes[0].name]
        acc, n, rows = f"acc_{label}", self.program[group.operand].n, group.rows
        dtype = self._narrow_sum(group)
        active, count = f"active_{label}", f"count_{label}"
        find = [
            f"    /* {_names(group)}: event-driven */",
            f"    uint16_t {active}[{-(-n // 4) * 4}];",
            f"    const int32_t {count} = grsn_active({operand}, {n}, {active});",
        ]
        columns, chosen = _stacked(group).T, f"{active}, {count}"
        if self.style == "vectors" or rows % 4 or dtype != "int16":
            table = self._table(f"columns_{label}", columns, "int8")
            return [
                *find,
                *self._accumulators(group, acc, dtype),
                f"    grsn_add_columns_{SUFFIX[dtype]}({acc}, {table}, {rows}, {chosen});",
            ]
        bias = self._table(f"bias_{label}", self._biases(group), dtype)
        table = self._table(f"columns_{label}", columns, "int8", quads=True)
        self._place_products(group, acc, dtype)
        return [
            *find,
            f"    int16_t {acc}[{rows}] GRSN_ALIGNED;",
            f"    grsn_sum_columns({acc}, {bias}, {table}, {rows}, {chosen});",
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
        if self.style == "lanes" and self._dots_pay(group, dtype):
            return self._dots(group, operand)
        few_rows = group.rows < _FEW_ROWS
        if self.style == "plain" and not few_rows and n <= _FEW_INPUTS:
            orders = {"rows": "GRSN_ROWS_FIRST", "columns": "!GRSN_ROWS_FIRST"}
        else:
            orders = {"rows" if few_rows else "columns": ""}
        lines = [
            f"    /* {_names(group)}: dense */",
            *self._accumulators(group, acc, "int32"),
        ]
        for order, only in orders.items():
            layout = weight if order == "rows" else weight.T
            table = self._table(f"{order}_{label}", layout, "int8", only=only)
            kernel = f"grsn_by_{order}_{SUFFIX[dtype]}"
            call = f"    {kernel}({acc}, {table}, {group.rows}, {operand}, {n});"
            lines += [f"#if {only}", call, "#endif"] if only else [call]
        return lines

    def _dots_pay(self, group: Products, dtype: str) -> bool:
        """Few inputs, and every product read in one loop of its own length."""
        n = self.program[group.operand].n
        loops = [loop for loop in self.plan.groups if isinstance(loop, Loop)]
        inside = {name.name: loop.n for loop in loops for name in loop.nodes}
        read = readers(self.program, self.plan.alias)
        return (
            dtype == "int8"
            and n % 2 == 0
            and n <= _FEW_INPUTS
            and all(
                node.n % 2 == 0 and [inside.get(r.name) for r in read[node.name]] == [node.n]
                for node in group.nodes
            )
        )

    def _dots(self, group: Products, operand: str) -> list[str]:
        """Inside the loop that reads them where a processor prefers it, before it elsewhere."""
        label, n = self.identifiers[group.nodes[0].name], self.program[group.operand].n
        acc, pairs = f"acc_{label}", f"pairs_{label}"
        weight, bias = _stacked(group), self._biases(group)
        columns = self._table(f"columns_{label}", weight.T, "int8", only="!GRSN_DOTS")
        start = self._table(f"bias_{label}", bias, "int32", only="!GRSN_DOTS")
        self._place_products(group, acc, "int32")
        for node in group.nodes:
            self.dots[node.name] = (pairs, n)
        return [
            f"    /* {_names(group)}: dense, few inputs */",
            "#if GRSN_DOTS",
            f"    int32_t {pairs}[{n // 2}];",
            f"    grsn_pairs({pairs}, {operand}, {n});",
            "#else",
            f"    int32_t {acc}[{group.rows}] GRSN_ALIGNED;",
            *self._copy(acc, "int32", start, group.rows),
            f"    grsn_by_columns_i8({acc}, {columns}, {group.rows}, {operand}, {n});",
            "#endif",
        ]

    def _accumulators(self, group: Products, acc: str, dtype: str) -> list[str]:
        """Declare the accumulators, set them to the bias, and place each product in them."""
        self._place_products(group, acc, dtype)
        declaration = f"    {C_TYPE[dtype]} {acc}[{group.rows}] GRSN_ALIGNED;"
        return [declaration, *self._fill(acc, self._biases(group), "bias", group.nodes[0])]

    def _place_products(self, group: Products, acc: str, dtype: str) -> None:
        offset = 0
        for node in group.nodes:
            self.places[node.name] = _Place(f"({acc} + {offset})" if offset else acc, dtype)
            offset += node.n

    def _biases(self, group: Products) -> IntArray:
        return np.concatenate([self.folds.bias(node) for node in group.nodes])

    def _narrow_sum(self, group: Products) -> str:
        """int16 where the proof holds every partial sum of every product of the group in it."""
        operand = self.program[group.operand].interval
        reach = [self.folds.accumulator(node, operand) for node in group.nodes]
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
        lines, array = self._in_memory(node.args[0])
        operand = self.plan.source(node.args[0])
        suffix, n = SUFFIX[self.places[operand].dtype], self.program[operand].n
        place = self._store(node)
        value = f"({C_TYPE[place.dtype]})grsn_argmax_{suffix}({array}, {n})"
        return [
            *lines,
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

    def _in_memory(self, name: str) -> tuple[list[str], str]:
        """The first element of a value in RAM, where functions read it; lines that bring it there.

        A constant lies in flash, which is another address space on some processors.
        """
        array, root = self._array(name), self._root(name)
        if root.op != "const":
            return [], array
        node, copy = self.program[name], f"copy_{self.identifiers[name]}"
        dtype = self.places[self.plan.source(name)].dtype
        declaration = f"    {C_TYPE[dtype]} {copy}[{node.n}];"
        self.places[self.plan.source(name)] = _Place(copy, dtype)
        return [declaration, *self._copy(copy, dtype, array, node.n)], copy

    def _where(self, name: str) -> tuple[str, str]:
        """Expression and type of a stored value."""
        array = self._array(name)
        return array, self.places[self.plan.source(name)].dtype

    def _constants(self, loop: Loop) -> list[Node]:
        """The constant vectors of a loop, in one table of int16: one address serves all."""
        names = dict.fromkeys(self.plan.source(arg) for node in loop.nodes for arg in node.args)
        nodes = [self.program[name] for name in names if name not in self.places]
        nodes = [n for n in nodes if n.op == "const" and n.n == loop.n and n.dtype != "int32"]
        nodes = [n for n in nodes if np.any(n.attrs["value"] != n.attrs["value"][0])]
        if nodes:
            label = f"loop_{self.identifiers[nodes[0].name]}"
            only = "!GRSN_DOTS" if self._dots_of(loop) else ""
            values = np.concatenate([n.attrs["value"] for n in nodes])
            table = self._table(label, values, "int16", only=only)
            for i, node in enumerate(nodes):
                expression = f"({table} + {i * loop.n})" if i else table
                self.places[node.name] = _Place(expression, "int16")
        return nodes

    def _dots_of(self, loop: Loop) -> list[Node]:
        """The products that may be taken inside a loop."""
        names = dict.fromkeys(self.plan.source(arg) for node in loop.nodes for arg in node.args)
        return [self.program[name] for name in names if name in self.dots]

    def _rows(self, loop: Loop, constants: list[Node]) -> _Rows | None:
        """What two neurons of a loop read, as one row of words: constants, biases, weights."""
        dots = self._dots_of(loop)
        if not dots:
            return None
        words = [_couple(n.attrs["value"].reshape(-1, 2)) for n in constants]
        inside = {n.name: f"row[{i}]" for i, n in enumerate(constants)}
        at = len(words)
        for node in dots:
            pairs, n = self.dots[node.name]
            inside[node.name] = f"grsn_dots(row + {at}, {pairs}, {n})"
            weights = _couple(node.attrs["weight"].reshape(-1, n // 2, 2))
            whole = np.concatenate([self.folds.bias(node)[:, None], weights], axis=1)
            words.append(whole.reshape(loop.n // 2, -1))
            at += 2 + n
        rows = np.concatenate([w.reshape(loop.n // 2, -1) for w in words], axis=1)
        label = f"rows_{self.identifiers[dots[0].name]}"
        table = self._table(label, rows, "int32", only="GRSN_DOTS")
        return _Rows(table, rows.shape[1], inside)

    def _table(
        self, label: str, values: IntArray, dtype: str, *, quads: bool = False, only: str = ""
    ) -> str:
        """The name of a constant array; ``only`` where a macro says so."""
        name = f"{self.symbols.name}_{label}"
        text = in_quads(values) if quads else numbers(values, dtype)
        head = f"static const GRSN_FLASH {C_TYPE[dtype]} {name}[{values.size}] GRSN_ALIGNED = {{"
        definition = f"{head}\n{text}\n}};\n"
        self.tables[name] = f"#if {only}\n{definition}#endif\n" if only else definition
        return name

    def _fill(self, target: str, values: IntArray, kind: str, node: Node) -> list[str]:
        """Set an array to constants; ``kind`` and ``node`` name their table."""
        head = f"    for (grsn_index i = 0; i < {values.size}; i++) {{"
        if np.all(values == values[0]):
            return [head, f"        {target}[i] = {_literal(int(values[0]))};", "    }"]
        storage = narrowest(Interval(values, values)) or "int32"
        table = self._table(f"{kind}_{self.identifiers[node.name]}", values, storage)
        return [head, f"        {target}[i] = {table}[i];", "    }"]

    def _copy(self, target: str, dtype: str, source: str, n: int) -> list[str]:
        return [
            f"    for (grsn_index i = 0; i < {n}; i++) {{",
            f"        ({target})[i] = ({C_TYPE[dtype]})({source})[i];",
            "    }",
        ]

    # ---- expressions -------------------------------------------------------------------------

    def _expression(self, node: Node, local: set[str], n: int) -> str:
        """One operation; in 16 bits where everything in it is proven to fit them."""
        narrow = self._is_narrow(node) and all(self._is_narrow(a) for a in self._operands(node))
        operands = [self._operand(arg, local, n) for arg in node.args]
        if not narrow and self.style != "vectors":
            operands = [f"(int32_t){text}" for text in operands]
        suffix = "_16" if narrow else ""
        write: Mapping[str, Callable[[], str]] = {
            "add": lambda: f"{operands[0]} + {operands[1]}",
            "sub": lambda: f"{operands[0]} - {operands[1]}",
            "mul": lambda: self._product(node, operands, suffix),
            "shr": lambda: self._shift(node, operands[0], suffix),
            "clip": lambda: self._clip(node, operands[0], suffix),
            "ge": lambda: f"grsn_ge{suffix}({operands[0]}, {operands[1]})",
            "lut": lambda: self._lookup(node, operands[0]),
        }
        text = write[node.op]()
        return text if narrow or self.style == "vectors" else f"({self._register(node)})({text})"

    def _register(self, node: Node) -> str:
        """The type of a value in a register."""
        return "grsn_fast16" if self._is_narrow(node) else "int32_t"

    def _is_narrow(self, node: Node) -> bool:
        """Whether a value fits 16 bits, with what a fold added; no matter to wide processors."""
        extra = self.folds.added.get(node.name, 0) + 128 * (node.name in self.folds.raised)
        lo, hi = node.interval.low + extra, node.interval.high + extra
        return self.style != "vectors" and lo >= -(2**15) and hi < 2**15

    def _operands(self, node: Node) -> list[Node]:
        return [self.program[self.plan.source(arg)] for arg in node.args]

    def _operand(self, name: str, local: set[str], n: int) -> str:
        source = self.plan.source(name)
        node = self.program[source]
        if source in local:
            return f"r_{self.identifiers[source]}"
        if node.op == "const" and np.all(node.attrs["value"] == node.attrs["value"][0]):
            return _literal(int(node.attrs["value"][0]))
        index = "i" if node.n == n else "0"
        return f"({self._register(node)}){self._array(source)}[{index}]"

    def _product(self, node: Node, operands: list[str], suffix: str) -> str:
        for spike, other in ((0, 1), (1, 0)):
            if self.program[self.plan.source(node.args[spike])].interval.is_binary:
                return f"grsn_gate{suffix}({operands[other]}, {operands[spike]})"
        return f"{operands[0]} * {operands[1]}"

    def _shift(self, node: Node, operand: str, suffix: str) -> str:
        (arg,), shift = self._operands(node), int(node.attrs["shift"])
        if arg.name in self.folds.added:
            return f"grsn_asr{suffix}({operand}, {shift})"
        if suffix and arg.interval.high + (1 << (shift - 1)) >= 2**15:
            return f"(grsn_fast16)grsn_shr({operand}, {shift})"
        return f"grsn_shr{suffix}({operand}, {shift})"

    def _clip(self, node: Node, operand: str, suffix: str) -> str:
        extra = 128 * (node.name in self.folds.raised)
        lo, hi = int(node.attrs["lo"]), int(node.attrs["hi"])
        given = self.program[self.plan.source(node.args[0])].interval
        low, high = _literal(lo + extra), _literal(hi + extra)
        if given.low >= lo:
            return f"grsn_min{suffix}({operand}, {high})"
        if given.high <= hi:
            return f"grsn_max{suffix}({operand}, {low})"
        return f"grsn_clip{suffix}({operand}, {low}, {high})"

    def _lookup(self, node: Node, operand: str) -> str:
        (arg,), table = self._operands(node), self._lookup_table(node)
        raised = arg.name in self.folds.raised
        return f"{table}[{operand}]" if raised else f"{table}[{operand} + 128]"

    def _lookup_table(self, node: Node) -> str:
        table = node.attrs["table"]
        dtype = narrowest(Interval(table, table)) or "int16"
        dtype = "int16" if self.style == "lanes" else dtype
        return self._table(f"table_{self.identifiers[node.name]}", table, dtype)


def _literal(value: int) -> str:
    """Small numbers are of type int, so that 16-bit processors stay in 16 bits."""
    if -(2**15) < value < 2**15:
        return str(value) if value >= 0 else f"({value})"
    return literal(value)


def _couple(pairs: IntArray) -> IntArray:
    """Two int16, ``(..., 2)``, as one int32, ``(...)``, the first in the lower half."""
    return np.asarray((pairs[..., 0] & 0xFFFF) | (pairs[..., 1] << 16), dtype=np.int64)


def _stacked(group: Products) -> IntArray:
    """The matrices of a group, one below the other."""
    return np.concatenate([node.attrs["weight"] for node in group.nodes])


def _names(group: Products) -> str:
    return ", ".join(node.name for node in group.nodes)
