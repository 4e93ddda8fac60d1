"""A program as C99: fused loops, event-driven products, no heap, no float, no division."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grsn_edge.backends._c.files import Symbols, Variant, header, source
from grsn_edge.backends._c.fires import Fire, find_fires
from grsn_edge.backends._c.folds import find_folds
from grsn_edge.backends._c.lanes import Lanes
from grsn_edge.backends._c.memory import Memory, Place, Style, copy
from grsn_edge.backends._c.products import ProductWriter
from grsn_edge.backends._c.rows import Constants
from grsn_edge.backends._c.scalars import Scalars
from grsn_edge.backends._c.schedule import Loop, Products, Schedule, Single, schedule
from grsn_edge.backends._c.spelling import C_TYPE, SUFFIX
from grsn_edge.program import Node, Program

__all__ = ["CSource", "emit"]


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


class _Emitter:
    """Writes one program in one style."""

    def __init__(self, plan: Schedule, symbols: Symbols, style: Style) -> None:
        self.plan, self.program, self.symbols, self.style = plan, plan.program, symbols, style
        self.folds = find_folds(plan.program, plan.alias, plan.stored, tables=style != "vectors")
        self.memory = Memory(plan, symbols)
        self.products = ProductWriter(self.memory, self.folds, style)
        self.scalars = Scalars(self.memory, self.folds, style)

    def variant(self) -> Variant:
        """Tables, reset and step."""
        body = [line for group in self.plan.groups for line in self._group(group)]
        body += self._hand_over()
        resets = [line for state in self.program.states for line in self._reset(state)]
        return Variant(self.memory.tables, resets, body)

    def _reset(self, state: Node) -> list[str]:
        target = self.memory.places[state.name].expression
        return self.memory.fill(target, state.attrs["init"], "init", state)

    def _group(self, group: Loop | Products | Single) -> list[str]:
        if isinstance(group, Loop):
            return self._loop(group)
        if isinstance(group, Products):
            return self.products.lines(group)
        layout = {"concat": self._concat, "slice": self._slice, "argmax": self._argmax}
        return layout[group.nodes[0].op](group.nodes[0])

    # ---- loops -------------------------------------------------------------------------------

    def _loop(self, loop: Loop) -> list[str]:
        """One loop; values that nobody else reads stay in registers."""
        fires = () if self.style == "vectors" else find_fires(self.plan, loop)
        self.memory.lowered.update(fire.theta for fire in fires if fire.rare)
        listed = {fire.spike for fire in fires if not fire.kept}
        declarations = []
        for node in (node for node in loop.nodes if node.name in self.plan.stored):
            self.memory.store(node)
            if self.memory.is_temporary(node.name) and node.name not in listed:
                declarations.append(self.memory.declare(node))
            elif self.style == "lanes" and node.name in listed:
                declarations += ["#if !GRSN_LATER", self.memory.declare(node), "#endif"]
        body = (self._lanes if self.style == "lanes" else self.scalars.loop)(loop, fires)
        return [*declarations, *self._noting(loop, fires, body)]

    def _noting(self, loop: Loop, fires: Sequence[Fire], body: list[str]) -> list[str]:
        """A loop that makes lists of the neurons that fire, for the products that read them."""
        before, after = [], []
        for fire in (fire for fire in fires if fire.noted):
            label = self.memory.identifier(fire.spike)
            self.products.noted[fire.spike] = label
            before += [
                f"    uint16_t active_{label}[{-(-loop.n // 4) * 4}];",
                f"    uint16_t *end_{label} = active_{label};",
            ]
            count = f"(int32_t)(end_{label} - active_{label})"
            after.append(f"    const int32_t count_{label} = {count};")
        return [*before, *body, *after]

    def _lanes(self, loop: Loop, fires: Sequence[Fire]) -> list[str]:
        """Several elements at a time, then those that are left over."""
        n, rare = loop.n, [fire for fire in fires if fire.rare]
        constants = Constants(self.memory, self.folds, loop, self.products.dots)
        table = self.scalars.lookup_table
        lanes = Lanes(self.memory, self.folds, loop, fires, constants, table)
        body, labels = lanes.body(), [self.memory.identifier(fire.spike) for fire in rare]
        constants.finish()
        reached = [f"    uint16_t reached_{label}[{n} / GRSN_LANES + 1];" for label in labels]
        reached += [f"    uint16_t *next_{label} = reached_{label};" for label in labels]
        return [
            *(["#if GRSN_LATER", *reached, "#endif"] if reached else []),
            *constants.declaration,
            f"    for (grsn_index j = 0; j + GRSN_BLOCK({n}) <= {n}; j += GRSN_BLOCK({n})) {{",
            "        GRSN_UNROLL",
            f"        for (grsn_index i = j; i < j + GRSN_BLOCK({n}); i += GRSN_LANES) {{",
            *(line if line.startswith("#") else f"            {line}" for line in body),
            "            GRSN_NEXT;",
            "        }",
            "    }",
            *(line for fire in rare for line in lanes.finish(fire)),
            f"#if {n} % GRSN_LANES",
            f"    for (grsn_index i = {n} - {n} % GRSN_LANES; i < {n}; i++) {{",
            *self.scalars.body(loop, fires),
            "    }",
            "#endif",
        ]

    # ---- layout ------------------------------------------------------------------------------

    def _concat(self, node: Node) -> list[str]:
        place = self.memory.store(node)
        lines, offset = [f"    {C_TYPE[place.dtype]} {place.expression}[{node.n}];"], 0
        for arg in node.args:
            n = self.program[arg].n
            target = f"{place.expression} + {offset}"
            lines += copy(target, place.dtype, self.memory.array(arg), n)
            offset += n
        return lines

    def _slice(self, node: Node) -> list[str]:
        """A view: no code."""
        array, dtype = self.memory.where(node.args[0])
        self.memory.places[node.name] = Place(f"({array} + {int(node.attrs['start'])})", dtype)
        return []

    def _argmax(self, node: Node) -> list[str]:
        lines, array = self.memory.in_ram(node.args[0])
        _, dtype = self.memory.where(node.args[0])
        n, place = self.program[node.args[0]].n, self.memory.store(node)
        value = f"({C_TYPE[place.dtype]})grsn_argmax_{SUFFIX[dtype]}({array}, {n})"
        return [
            *lines,
            f"    {C_TYPE[place.dtype]} {place.expression}[1];",
            f"    {place.expression}[0] = {value};",
        ]

    # ---- the end of a step -------------------------------------------------------------------

    def _hand_over(self) -> list[str]:
        """Outputs, and the next states that could not be written where they belong."""
        lines: list[str] = []
        for name, value in self.program.outputs.items():
            node, target = self.program[value], self.symbols.results[name]
            lines += copy(target, node.dtype, self.memory.array(value), node.n)
        late = [s for s in self.program.states if not self._keeps_itself(s.name)]
        arrays = {s.name: self.memory.array(self.program.nexts[s.name]) for s in late}
        for state in late:
            # What comes from a state's old memory must be taken before that is overwritten.
            if self.memory.root(self.program.nexts[state.name]).op == "state":
                kept = f"old_{self.memory.identifier(state.name)}"
                lines.append(f"    {C_TYPE[state.dtype]} {kept}[{state.n}];")
                lines += copy(kept, state.dtype, arrays[state.name], state.n)
                arrays[state.name] = kept
        for state in late:
            target = self.memory.places[state.name].expression
            lines += copy(target, state.dtype, arrays[state.name], state.n)
        return lines

    def _keeps_itself(self, state: str) -> bool:
        """Whether a state's memory already holds its next value."""
        value = self.plan.source(self.program.nexts[state])
        return value == state or self.plan.in_place.get(value) == state
