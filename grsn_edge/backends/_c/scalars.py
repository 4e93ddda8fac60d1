"""The body of a loop that takes one element after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from grsn_edge.backends._c.fires import Fire
from grsn_edge.backends._c.folds import Folds
from grsn_edge.backends._c.memory import Memory, Style
from grsn_edge.backends._c.rows import interleave
from grsn_edge.backends._c.schedule import Loop
from grsn_edge.backends._c.spelling import C_TYPE, short_literal
from grsn_edge.program import Interval, Node, narrowest

__all__ = ["Scalars"]


class Scalars:
    """Writes expressions of one element.

    ``rows`` says how the constants of the loop that is written are read from a row.

    Args:
        memory: where values are.
        folds: what moved into biases.
        style: types and casts for a compiler that vectorises, or for small processors.
    """

    def __init__(self, memory: Memory, folds: Folds, style: Style) -> None:
        self.memory, self.folds, self.style = memory, folds, style
        self.plan, self.program = memory.plan, memory.program
        self.rows: Mapping[str, str] = {}

    def loop(self, loop: Loop, fires: Sequence[Fire]) -> list[str]:
        """The whole loop."""
        row = interleave(self.memory, loop) if self.style == "plain" else None
        self.rows = row.inside if row else {}
        return [
            *([row.declaration] if row else []),
            f"    for (grsn_index i = 0; i < {loop.n}; i++) {{",
            *self.body(loop, fires),
            *([row.step] if row else []),
            "    }",
        ]

    def body(self, loop: Loop, fires: Sequence[Fire] = ()) -> list[str]:
        """Computations, then stores; what follows a threshold only where it is reached."""
        rare = [fire for fire in fires if fire.rare]
        late = {name for fire in rare for name in (fire.spike, fire.after)}
        unread = late | {gated for fire in rare for gated in self._gated(fire)}
        lines: list[str] = []
        stores: list[str] = []
        local: set[str] = set()
        for node in loop.nodes:
            if node.name in unread:
                continue
            identifier = f"r_{self.memory.identifier(node.name)}"
            expression = self._expression(node, local, loop.n)
            lines.append(f"        const {self._register(node)} {identifier} = {expression};")
            local.add(node.name)
            if node.name in self.plan.stored:
                place = self.memory.places[node.name]
                target = f"{place.expression}[i]"
                stores.append(f"        {target} = ({C_TYPE[place.dtype]}){identifier};")
        return [
            *lines,
            *stores,
            *(text for fire in rare for text in self._rare(fire, local, loop.n)),
        ]

    def _gated(self, fire: Fire) -> list[str]:
        return [self.plan.source(self.program[fire.after].args[1])]

    def _rare(self, fire: Fire, local: set[str], n: int) -> list[str]:
        """Reset, spike and note of a neuron that fires."""
        u, level = self._operand(fire.u, local, n), self._operand(fire.theta, local, n)
        after, spike = (self.memory.places[name].expression for name in (fire.after, fire.spike))
        noted = f"            *end_{self.memory.identifier(fire.spike)}++ = (uint16_t)i;"
        return [
            f"        {after}[i] = (int16_t){u};",
            *([f"        {spike}[i] = 0;"] if fire.kept else []),
            f"        if (GRSN_RARELY({u} > {level})) {{",
            f"            {after}[i] = (int16_t)({u} - ({level} + 1));",
            *([f"            {spike}[i] = 1;"] if fire.kept else []),
            *([noted] if fire.noted else []),
            "        }",
        ]

    def lookup_table(self, node: Node) -> str:
        """The name of a look-up's table."""
        table = node.attrs["table"]
        dtype = narrowest(Interval(table, table)) or "int16"
        dtype = "int16" if self.style == "lanes" else dtype
        return self.memory.table(f"table_{self.memory.identifier(node.name)}", table, dtype)

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
            return f"r_{self.memory.identifier(source)}"
        uniform = self.memory.uniform(node)
        if uniform is not None:
            return short_literal(uniform)
        if source in self.rows:
            return f"({self._register(node)}){self.rows[source]}"
        index = "i" if node.n == n else "0"
        return f"({self._register(node)}){self.memory.array(source)}[{index}]"

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
        low, high = short_literal(lo + extra), short_literal(hi + extra)
        if given.low >= lo:
            return f"grsn_min{suffix}({operand}, {high})"
        if given.high <= hi:
            return f"grsn_max{suffix}({operand}, {low})"
        return f"grsn_clip{suffix}({operand}, {low}, {high})"

    def _lookup(self, node: Node, operand: str) -> str:
        (arg,), table = self._operands(node), self.lookup_table(node)
        raised = arg.name in self.folds.raised
        return f"{table}[{operand}]" if raised else f"{table}[{operand} + 128]"
