"""One loop of a program in the operations of ``grsn_lanes.h``: several neurons at once.

A value has up to three forms: 16-bit lanes (``h``), the same numbers in 32 bits (``w``), and what
a table gave (``l``).  Each is made when it is first asked for, in the form that its operation gives
at least cost, and converted where a reader wants another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from grsn_edge.backends._c.bounds import bounded
from grsn_edge.backends._c.fires import Fire
from grsn_edge.backends._c.folds import Folds, readers
from grsn_edge.backends._c.memory import Memory
from grsn_edge.backends._c.rows import Constants
from grsn_edge.backends._c.schedule import Loop
from grsn_edge.backends._c.spelling import literal
from grsn_edge.program import Interval, Node

__all__ = ["Lanes"]

_INT16 = (-(2**15), 2**15 - 1)
_INT32 = (-(2**31), 2**31 - 1)


class Lanes:
    """Writes the body of one loop.

    Args:
        memory: where values are.
        folds: what moved into biases.
        loop: the loop to write.
        fires: its thresholds.
        constants: what it reads from tables.
        table: the name of a look-up's table of int16.
    """

    def __init__(
        self,
        memory: Memory,
        folds: Folds,
        loop: Loop,
        fires: Sequence[Fire],
        constants: Constants,
        table: Callable[[Node], str],
    ) -> None:
        self.memory, self.folds, self.loop = memory, folds, loop
        self.plan, self.constants, self.table = memory.plan, constants, table
        self.inside = {node.name: node for node in loop.nodes}
        self.readers = readers(memory.program, memory.plan.alias)
        self.lines: list[str] = []
        self.made: dict[tuple[str, str], str] = {}
        self.fires = {name: fire for fire in fires for name in (fire.spike, fire.after)}

    def body(self) -> list[str]:
        """Computations, then stores; of a rare spike, the question whether there is one."""
        stores = []
        for node in self.loop.nodes:
            fire = self.fires.get(node.name)
            if fire is not None and fire.rare:
                stores += self._ask(fire) if node.name == fire.after else []
            elif node.name in self.plan.stored:
                array, dtype = self.memory.where(node.name)
                kind = {"int8": "h8", "int16": "h", "int32": "w"}[dtype]
                kind = "spikes" if kind == "h8" and node.interval.is_binary else kind
                value = self.h(node.name) if dtype != "int32" else self.w(node.name)
                stores.append(f"grsn_store_{kind}({_at(array)}, {value});")
        return [*self.lines, *stores]

    def finish(self, fire: Fire) -> list[str]:
        """Reset, spikes and note of the neurons that reached their threshold."""
        after, spikes = (self.memory.array(name) for name in (fire.after, fire.spike))
        label, n = self.memory.identifier(fire.spike), self.loop.n
        level = self._level(fire, self.constants.at)
        store = f"    grsn_store_spikes({_at(spikes)}, fired);"
        note = f"    end_{label} = grsn_note(end_{label}, i, fired);"
        found = f"grsn_active({spikes}, {n} - {n} % GRSN_LANES, active_{label})"
        return [
            "#if GRSN_LATER",
            *([f"    grsn_silence({spikes}, {n});"] if fire.kept else []),
            f"    for (const uint16_t *at = reached_{label}; at != next_{label}; at++) {{",
            "        const grsn_index i = (grsn_index)*at;",
            f"        grsn_h u = grsn_load_h({_at(after)});",
            f"        const grsn_h fired = grsn_fire(&u, {level});",
            f"        grsn_store_h({_at(after)}, u);",
            *([f"    {store}"] if fire.kept else []),
            *([f"    {note}"] if fire.noted else []),
            "    }",
            *(["#else", f"    end_{label} = active_{label} + {found};"] if fire.noted else []),
            "#endif",
        ]

    def _ask(self, fire: Fire) -> list[str]:
        """Whether any neuron fires, or, on wide vectors, where some mostly do, all of it."""
        label, u, below = self.memory.identifier(fire.spike), self.h(fire.u), self.h(fire.theta)
        after, spikes = (self.memory.array(name) for name in (fire.after, fire.spike))
        kept = f"h_{self.memory.identifier(fire.after)}"
        return [
            "#if GRSN_LATER",
            f"grsn_store_h({_at(after)}, {u});",
            f"if (GRSN_RARELY(grsn_reaches({u}, {below}))) {{",
            f"    *next_{label}++ = (uint16_t)i;",
            "}",
            "#else",
            f"grsn_h {kept} = {u};",
            f"grsn_store_spikes({_at(spikes)}, grsn_fire(&{kept}, {_above(below)}));",
            f"grsn_store_h({_at(after)}, {kept});",
            "#endif",
        ]

    def _level(self, fire: Fire, read: Callable[[Node, str], str]) -> str:
        node = self.memory.program[fire.theta]
        uniform = self.memory.uniform(node)
        if uniform is not None:
            return f"grsn_set_h({literal(uniform + 1)})"
        array, dtype = self.memory.where(node.name)
        load = f"grsn_load_{'h' if dtype == 'int16' else 'h8'}({_at(array)})"
        return _above(read(node, load))

    # ---- forms -------------------------------------------------------------------------------

    def h(self, name: str) -> str:
        """A value in 16-bit lanes; it is proven to fit."""
        return self._form(name, "h", self._make_h)

    def w(self, name: str) -> str:
        """A value in 32 bits."""
        return self._form(name, "w", self._make_w)

    def looked(self, name: str) -> str:
        """A look-up's result as the table gives it."""
        return self._form(name, "l", self._make_l)

    def _form(self, name: str, form: str, make: Callable[[Node], str]) -> str:
        node = self.memory.program[self.plan.source(name)]
        key = (node.name, form)
        if key not in self.made:
            expression = make(node)
            if key not in self.made:  # a spike is made together with the membrane
                self.made[key] = f"{form}_{self.memory.identifier(node.name)}"
                self.lines.append(f"const grsn_{form} {self.made[key]} = {expression};")
        return self.made[key]

    def _native(self, node: Node) -> str:
        """The form in which a value is made at least cost."""
        if node.name not in self.inside:
            if self.memory.uniform(node) is not None or node.n != self.loop.n:
                return "h" if self._narrow(node) else "w"
            return "w" if self.memory.where(node.name)[1] == "int32" else "h"
        if node.op == "lut":
            return "l"
        if node.op == "ge" or node.name in self.fires:
            return "h"
        if not self._narrow(node):
            return "w"
        if node.op == "shr":
            return "h" if self._native(self._args(node)[0]) == "h" else "w"
        if node.op == "clip":
            return "h"
        return "h" if all(self._narrow(arg) for arg in self._args(node)) else "w"

    def _narrow(self, node: Node) -> bool:
        return self._interval(node).within(*_INT16)

    def _interval(self, node: Node) -> Interval:
        """Of what is in memory or in a register: a fold moves it."""
        extra = self.folds.added.get(node.name, 0) + 128 * (node.name in self.folds.raised)
        return Interval(node.interval.lo + extra, node.interval.hi + extra)

    def _args(self, node: Node) -> list[Node]:
        return [self.memory.program[self.plan.source(arg)] for arg in node.args]

    # ---- 16 bits -----------------------------------------------------------------------------

    def _make_h(self, node: Node) -> str:
        if node.name not in self.inside:
            return self._load_h(node)
        native = self._native(node)
        if native == "l":
            return f"grsn_pack({self.looked(node.name)})"
        if node.name in self.fires:
            return self._fire(node)
        if native == "w":
            if node.op == "shr":
                return self._shift(node, "grsn_narrow_asr")
            return f"grsn_narrow({self.w(node.name)})"
        return self._operation_h(node)

    def _load_h(self, node: Node) -> str:
        uniform = self.memory.uniform(node)
        if uniform is not None:
            return f"grsn_set_h({literal(uniform)})"
        array, dtype = self.memory.where(node.name)
        if node.n != self.loop.n:
            return f"grsn_set_h((int32_t){array}[0])"
        if dtype == "int32":
            return f"grsn_narrow({self.w(node.name)})"
        partner = self.constants.partner(node)
        if partner is not None and (partner.name, "h") not in self.made:
            return self._load_two(node, partner)
        load = f"grsn_load_{'h' if dtype == 'int16' else 'h8'}({_at(array)})"
        return self.constants.take(node, load)

    def _load_two(self, *nodes: Node) -> str:
        """Two constants at once; the first is asked for."""
        one, other = names = [f"h_{self.memory.identifier(node.name)}" for node in nodes]
        arrays = [_at(self.memory.array(node.name)) for node in nodes]
        loads = [f"{n} = grsn_load_h({a})" for n, a in zip(names, arrays, strict=True)]
        self.lines.append(f"grsn_h {one}, {other};")
        taken = self.constants.take_two((nodes[0], nodes[1]), (one, other), f"({', '.join(loads)})")
        self.lines.append(taken)
        self.made |= {(node.name, "h"): name for node, name in zip(nodes, names, strict=True)}
        return one

    def _operation_h(self, node: Node) -> str:
        args = self._args(node)
        if node.op in ("add", "sub"):
            return f"grsn_{node.op}_h({self.h(node.args[0])}, {self.h(node.args[1])})"
        if node.op == "clip":
            return self._clip_h(node, args[0])
        if node.op == "shr":
            return self._shift(node, "grsn_narrow_asr")
        if node.op == "mul":
            return self._product_h(node, args)
        kind = "h" if all(self._narrow(arg) for arg in args) else "w"
        x, y = ((self.h if kind == "h" else self.w)(arg.name) for arg in args)
        return f"grsn_ge_{kind}({x}, {y})"

    def _product_h(self, node: Node, args: list[Node]) -> str:
        for spike, other in (args, args[::-1]):
            if spike.interval.is_binary:
                return f"grsn_gate_h({self.h(other.name)}, {self.h(spike.name)})"
            power = _power(self.memory.uniform(spike))
            if power:
                kind = "shl_h_unsigned" if self._interval(other).low >= 0 else "shl_h"
                return f"grsn_{kind}({self.h(other.name)}, {power})"
        return f"grsn_mul_h({self.h(args[0].name)}, {self.h(args[1].name)})"

    def _clip_h(self, node: Node, arg: Node) -> str:
        """Saturate on the way to 16 bits, then clip; multiply after, where that is the same."""
        extra = 128 * (node.name in self.folds.raised)
        lo, hi = int(node.attrs["lo"]) + extra, int(node.attrs["hi"]) + extra
        given = self._interval(arg)
        if not self._narrow(arg):
            text = f"grsn_narrow_sat({self.w(arg.name)})"
            given = Interval(np.maximum(given.lo, _INT16[0]), np.minimum(given.hi, _INT16[1]))
            return bounded(text, given, lo, hi)
        if lo == 0 and given.high <= hi and arg.name in self.inside and arg.op == "mul":
            for factor, other in (self._args(arg), self._args(arg)[::-1]):
                power = _power(self.memory.uniform(factor))
                if power and self._narrow(other) and arg.name not in self.plan.stored:
                    positive = bounded(self.h(other.name), self._interval(other), 0, _INT16[1])
                    return f"grsn_shl_h_unsigned({positive}, {power})"
        return bounded(self.h(arg.name), given, lo, hi)

    def _fire(self, node: Node) -> str:
        """The spike and the membrane after it, both at once."""
        fire = self.fires[node.name]
        before, level = self.h(fire.u), self.h(fire.theta)
        name = f"h_{self.memory.identifier(fire.after)}"
        fired = f"h_{self.memory.identifier(fire.spike)}"
        self.lines.append(f"grsn_h {name} = {before};")
        self.lines.append(f"const grsn_h {fired} = grsn_fire(&{name}, {level});")
        self.made[fire.after, "h"], self.made[fire.spike, "h"] = name, fired
        return name

    # ---- 32 bits -----------------------------------------------------------------------------

    def _make_w(self, node: Node) -> str:
        if self._native(node) != "w":
            return f"grsn_widen({self.h(node.name)})"
        if node.name not in self.inside:
            return self._load_w(node)
        args = self._args(node)
        if node.op == "shr":
            return self._shift(node, "grsn_asr_w")
        if node.op == "clip":
            return self._clip_w(node, args[0])
        if node.op == "mul":
            return self._product_w(args)
        if node.op == "add":
            return self._sum(args, None)
        return f"grsn_sub_w({self.w(args[0].name)}, {self.w(args[1].name)})"

    def _load_w(self, node: Node) -> str:
        uniform = self.memory.uniform(node)
        if uniform is not None:
            return f"grsn_set_w({literal(uniform)})"
        array, _ = self.memory.where(node.name)
        if node.n != self.loop.n:
            return f"grsn_set_w((int32_t){array}[0])"
        return self.constants.take(node, f"grsn_load_w({_at(array)})")

    def _clip_w(self, node: Node, arg: Node) -> str:
        lo, hi = int(node.attrs["lo"]), int(node.attrs["hi"])
        if arg.interval.low >= lo:
            return f"grsn_min_w({self.w(arg.name)}, {literal(hi)})"
        if arg.interval.high <= hi:
            return f"grsn_max_w({self.w(arg.name)}, {literal(lo)})"
        return f"grsn_clip_w({self.w(arg.name)}, {literal(lo)}, {literal(hi)})"

    def _product_w(self, args: list[Node]) -> str:
        for spike, other in (args, args[::-1]):
            if spike.interval.is_binary:
                return f"grsn_gate_w({self.w(other.name)}, {self.h(spike.name)})"
        if all(self._narrow(arg) for arg in args) and not any(
            _power(self.memory.uniform(a)) for a in args
        ):
            return f"grsn_product{self._factors(args)}"
        return f"grsn_mul_w({self.w(args[0].name)}, {self.w(args[1].name)})"

    def _factors(self, args: list[Node], before: str = "") -> str:
        """The tail of a call that multiplies two narrow values."""
        for x, y in (args, args[::-1]):
            if self._native(x) == "l":
                return f"_l({before}{self.looked(x.name)}, {self.h(y.name)})"
        return f"({before}{self.h(args[0].name)}, {self.h(args[1].name)})"

    def _shift(self, node: Node, call: str) -> str:
        (arg,), s = self._args(node), int(node.attrs["shift"])
        half = None if arg.name in self.folds.added else 1 << (s - 1)
        if half is None:
            value = self.w(arg.name)
        elif self._fusible(arg):
            value = self._sum([arg], half)
        elif arg.op == "add" and arg.name in self.inside and self._private(arg):
            value = self._sum(self._args(arg), half)
        else:
            value = f"grsn_add_w({self.w(arg.name)}, grsn_set_w({literal(half)}))"
        return f"{call}({value}, {s})"

    def _sum(self, terms: list[Node], half: int | None) -> str:
        """Terms added up, products of narrow values by multiplying and accumulating."""
        products = [t for t in terms if self._fusible(t)]
        if not self._any_order(terms, half):
            products = []
        others = [t for t in terms if t not in products]
        if not products:
            value = self.w(terms[0].name)
            for term in terms[1:]:
                value = f"grsn_add_w({value}, {self.w(term.name)})"
            return value if half is None else f"grsn_add_w({value}, grsn_set_w({literal(half)}))"
        if half is not None:
            value = f"grsn_set_w({literal(half)})"
        elif others:
            value = self.w(others.pop(0).name)
        else:
            value = self.w(products.pop(0).name)
        for term in products:
            value = f"grsn_mla{self._factors(self._args(term), f'{value}, ')}"
        for term in others:
            value = f"grsn_add_w({value}, {self.w(term.name)})"
        return value

    def _any_order(self, terms: list[Node], half: int | None) -> bool:
        """Whether every partial sum fits int32, whatever comes first."""
        lo = sum(np.minimum(self._interval(t).lo, 0) for t in terms)
        hi = sum(np.maximum(self._interval(t).hi, 0) for t in terms) + (half or 0)
        return bool(np.all(lo >= _INT32[0]) and np.all(hi <= _INT32[1]))

    def _fusible(self, node: Node) -> bool:
        """A product of two narrow values that nobody else reads."""
        return (
            node.op == "mul"
            and node.name in self.inside
            and self._private(node)
            and all(self._narrow(arg) and not arg.interval.is_binary for arg in self._args(node))
        )

    def _private(self, node: Node) -> bool:
        return len(self.readers[node.name]) == 1 and node.name not in self.plan.stored

    # ---- tables ------------------------------------------------------------------------------

    def _make_l(self, node: Node) -> str:
        (arg,), table = self._args(node), self.table(node)
        if arg.name in self.folds.raised:
            (summed,) = self._args(arg)
            if arg.op == "shr" and self._native(summed) == "h":
                shift = int(arg.attrs["shift"])
                return f"grsn_lut_h({table}, {self.h(summed.name)}, {shift})"
            index = self.h(arg.name) if self._native(arg) == "h" else self.w(arg.name)
            return f"grsn_lut_{self._native(arg)}({table}, {index}, 0)"
        if self._native(arg) == "h":
            return f"grsn_lut_h({table}, grsn_add_h({self.h(arg.name)}, grsn_set_h(128)), 0)"
        return f"grsn_lut_w({table}, grsn_add_w({self.w(arg.name)}, grsn_set_w(128)), 0)"


def _power(value: int | None) -> int:
    """The exponent of a power of two above 1; else 0."""
    return value.bit_length() - 1 if value and value > 1 and value & (value - 1) == 0 else 0


def _above(below: str) -> str:
    """A threshold that is kept as one less."""
    return f"grsn_add_h({below}, grsn_set_h(1))"


def _at(array: str) -> str:
    return f"{array} + i"
