"""Matrix-vector products: by the columns of the neurons that fired, gated, or dense."""

from __future__ import annotations

import numpy as np

from grsn_edge.backends._c.folds import Folds, readers
from grsn_edge.backends._c.memory import Memory, Place, Style, copy
from grsn_edge.backends._c.schedule import Loop, Products
from grsn_edge.backends._c.spelling import C_TYPE, SUFFIX
from grsn_edge.program import IntArray

__all__ = ["ProductWriter"]

_FEW_ROWS = 8  # below this a row's sum vectorises better than its column

_FEW_INPUTS = 8  # up to this, a product is taken in the loop that reads it


class ProductWriter:
    """Writes the products of one operand in one pass over stacked rows.

    ``dots`` maps products that a processor may take inside a loop to the array of its inputs in
    pairs, and their number.  ``noted`` maps spikes to the label of the list of them, where a loop
    has made one.

    Args:
        memory: where values are.
        folds: what moved into biases.
        style: for which processors.
    """

    def __init__(self, memory: Memory, folds: Folds, style: Style) -> None:
        self.memory, self.folds, self.style = memory, folds, style
        self.plan, self.program = memory.plan, memory.program
        self.dots: dict[str, tuple[str, int]] = {}
        self.noted: dict[str, str] = {}

    def lines(self, group: Products) -> list[str]:
        """Everything up to the sums."""
        lines, array = self.memory.in_ram(group.operand)
        _, dtype = self.memory.where(group.operand)
        if not (self.program[group.operand].interval.is_binary and dtype == "int8"):
            return lines + self._dense(group, array, dtype)
        few = self.style == "vectors" and group.rows < _FEW_ROWS
        return lines + (self._gated_rows if few else self._events)(group, array)

    def _events(self, group: Products, operand: str) -> list[str]:
        """Add the columns of the neurons that fired, for all matrices at once."""
        label, n, rows = self._label(group), self.program[group.operand].n, group.rows
        acc, dtype = f"acc_{label}", self._narrow_sum(group)
        list_label = self.noted.get(self.plan.source(group.operand), label)
        active, count = f"active_{list_label}", f"count_{list_label}"
        find = [f"    /* {_names(group)}: event-driven */"]
        if list_label == label:
            find += [
                f"    uint16_t {active}[{-(-n // 4) * 4}];",
                f"    const int32_t {count} = grsn_active({operand}, {n}, {active});",
            ]
        columns, chosen = _stacked(group).T, f"{active}, {count}"
        if self.style == "vectors" or rows % 4 or dtype != "int16":
            table = self.memory.table(f"columns_{label}", columns, "int8")
            return [
                *find,
                *self._accumulators(group, acc, dtype),
                f"    grsn_add_columns_{SUFFIX[dtype]}({acc}, {table}, {rows}, {chosen});",
            ]
        bias = self.memory.table(f"bias_{label}", self._biases(group), dtype)
        table = self.memory.table(f"columns_{label}", columns, "int8", quads=True)
        self._place(group, acc, dtype)
        return [
            *find,
            f"    int16_t {acc}[{rows}] GRSN_ALIGNED;",
            f"    grsn_sum_columns({acc}, {bias}, {table}, {rows}, {chosen});",
        ]

    def _gated_rows(self, group: Products, operand: str) -> list[str]:
        """Add every weight or nothing: no search for the active neurons, and no branch."""
        label, n = self._label(group), self.program[group.operand].n
        acc, dtype = f"acc_{label}", self._narrow_sum(group)
        table = self.memory.table(f"rows_{label}", _stacked(group), "int8")
        return [
            f"    /* {_names(group)}: gated by spikes */",
            *self._accumulators(group, acc, dtype),
            f"    grsn_gate_rows_{SUFFIX[dtype]}({acc}, {table}, {group.rows}, {operand}, {n});",
        ]

    def _dense(self, group: Products, operand: str, dtype: str) -> list[str]:
        """Every weight times its input."""
        label, n = self._label(group), self.program[group.operand].n
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
            table = self.memory.table(f"{order}_{label}", layout, "int8", only=only)
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
        label, n = self._label(group), self.program[group.operand].n
        acc, pairs = f"acc_{label}", f"pairs_{label}"
        weight, bias = _stacked(group), self._biases(group)
        columns = self.memory.table(f"columns_{label}", weight.T, "int8", only="!GRSN_DOTS")
        start = self.memory.table(f"bias_{label}", bias, "int32", only="!GRSN_DOTS")
        self._place(group, acc, "int32")
        for node in group.nodes:
            self.dots[node.name] = (pairs, n)
        return [
            f"    /* {_names(group)}: dense, few inputs */",
            "#if GRSN_DOTS",
            f"    int32_t {pairs}[{n // 2}];",
            f"    grsn_pairs({pairs}, {operand}, {n});",
            "#else",
            f"    int32_t {acc}[{group.rows}] GRSN_ALIGNED;",
            *copy(acc, "int32", start, group.rows),
            f"    grsn_by_columns_i8({acc}, {columns}, {group.rows}, {operand}, {n});",
            "#endif",
        ]

    def _accumulators(self, group: Products, acc: str, dtype: str) -> list[str]:
        """Declare the accumulators, set them to the bias, and place each product in them."""
        self._place(group, acc, dtype)
        declaration = f"    {C_TYPE[dtype]} {acc}[{group.rows}] GRSN_ALIGNED;"
        return [declaration, *self.memory.fill(acc, self._biases(group), "bias", group.nodes[0])]

    def _place(self, group: Products, acc: str, dtype: str) -> None:
        offset = 0
        for node in group.nodes:
            expression = f"({acc} + {offset})" if offset else acc
            self.memory.places[node.name] = Place(expression, dtype)
            offset += node.n

    def _label(self, group: Products) -> str:
        return self.memory.identifier(group.nodes[0].name)

    def _biases(self, group: Products) -> IntArray:
        return np.concatenate([self.folds.bias(node) for node in group.nodes])

    def _narrow_sum(self, group: Products) -> str:
        """int16 where the proof holds every partial sum of every product of the group in it."""
        operand = self.program[group.operand].interval
        reach = [self.folds.accumulator(node, operand) for node in group.nodes]
        return "int16" if all(r.within(-(2**15), 2**15 - 1) for r in reach) else "int32"


def _stacked(group: Products) -> IntArray:
    """The matrices of a group, one below the other."""
    return np.concatenate([node.attrs["weight"] for node in group.nodes])


def _names(group: Products) -> str:
    return ", ".join(node.name for node in group.nodes)
