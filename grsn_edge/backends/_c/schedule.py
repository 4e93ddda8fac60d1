"""In which order, in which loops, and where in memory a program runs in C."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from grsn_edge.program import OPS, Node, Program

__all__ = ["Loop", "Products", "Schedule", "Single", "schedule"]

_FUSIBLE = frozenset({"add", "sub", "mul", "shr", "clip", "ge", "lut"})
_SOURCES = frozenset({"input", "state", "const"})


@dataclass(frozen=True, slots=True)
class Loop:
    """Element-wise operations over ``n`` elements in one loop, in order."""

    n: int
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Products:
    """Matrix-vector products of one operand, computed in one pass over stacked rows."""

    operand: str
    nodes: tuple[Node, ...]

    @property
    def rows(self) -> int:
        """Rows of all matrices together."""
        return sum(node.n for node in self.nodes)


@dataclass(frozen=True, slots=True)
class Single:
    """An operation of its own: ``concat``, ``slice`` or ``argmax``."""

    nodes: tuple[Node]


Group = Loop | Products | Single


@dataclass(frozen=True)
class Schedule:
    """A program in groups.

    Args:
        program: what is scheduled.
        groups: in order of execution.
        alias: values that are other values: clips that the proof makes idle.
        in_place: for a value, the state whose memory it is written to directly.
        stored: values that need memory of their own.
    """

    program: Program
    groups: tuple[Group, ...]
    alias: Mapping[str, str]
    in_place: Mapping[str, str]
    stored: frozenset[str]

    def source(self, name: str) -> str:
        """The value that ``name`` really is."""
        return self.alias.get(name, name)


def schedule(program: Program, *, split_tables: bool = False) -> Schedule:
    """Group and place every value.

    Args:
        program: any.
        split_tables: give table look-ups loops of their own, for compilers that then vectorise
            the arithmetic around them.
    """
    alias = _idle_clips(program)
    groups = tuple(_groups(program, alias, split_tables))
    in_place = _in_place(program, alias, groups)
    return Schedule(program, groups, alias, in_place, _stored(program, alias, groups))


def _idle_clips(program: Program) -> dict[str, str]:
    alias: dict[str, str] = {}
    for node in program:
        if node.op == "clip":
            source = alias.get(node.args[0], node.args[0])
            if program[source].interval.within(int(node.attrs["lo"]), int(node.attrs["hi"])):
                alias[node.name] = source
    return alias


def _groups(program: Program, alias: Mapping[str, str], split_tables: bool) -> Iterable[Group]:
    done = {node.name for node in program if node.op in _SOURCES}
    todo = [node for node in program if node.name not in done and node.name not in alias]
    while todo:
        group = _block(todo, done, alias) or _loop(todo, done, alias, split_tables)
        yield group
        done |= {node.name for node in group.nodes}
        todo = [node for node in todo if node.name not in done]


def _block(
    todo: Sequence[Node], done: set[str], alias: Mapping[str, str]
) -> Products | Single | None:
    """The next product or layout operation whose operands are there, before any loop."""
    ready = [n for n in todo if n.op not in _FUSIBLE and _ready(n, done, alias)]
    if not ready:
        return None
    first = ready[0]
    if first.op != "matvec":
        return Single((first,))
    operand = alias.get(first.args[0], first.args[0])
    shared = [n for n in ready if n.op == "matvec" and alias.get(n.args[0], n.args[0]) == operand]
    return Products(operand, tuple(shared))


def _loop(
    todo: Sequence[Node], done: set[str], alias: Mapping[str, str], split_tables: bool
) -> Loop:
    """All element-wise operations of one length that follow from what is there."""
    first = next(n for n in todo if n.op in _FUSIBLE and _ready(n, done, alias))
    if split_tables and first.op == "lut":
        return Loop(first.n, (first,))
    chosen: list[Node] = []
    have = set(done)
    for node in todo:
        fits = node.op in _FUSIBLE and node.n == first.n and not (split_tables and node.op == "lut")
        if fits and _ready(node, have, alias) and _same_index(node, chosen):
            chosen.append(node)
            have.add(node.name)
    return Loop(first.n, tuple(chosen))


def _same_index(node: Node, chosen: Sequence[Node]) -> bool:
    """Whether every operand from the loop itself is read at the loop's own index."""
    inside = {other.name: other for other in chosen}
    return all(inside[arg].n == node.n for arg in node.args if arg in inside)


def _ready(node: Node, have: set[str], alias: Mapping[str, str]) -> bool:
    return all(alias.get(arg, arg) in have for arg in node.args)


_NEVER = 1 << 30


def _in_place(
    program: Program, alias: Mapping[str, str], groups: Sequence[Group]
) -> dict[str, str]:
    """States whose next value may overwrite them while the step still runs.

    Safe where no later group reads the old value, and where readers in the same loop read the
    element that is then written.
    """
    made = {node.name: i for i, group in enumerate(groups) for node in group.nodes}
    last_read = _last_reads(program, alias, groups)
    chosen: dict[str, str] = {}
    for state, node in program.nexts.items():
        value = alias.get(node, node)
        if value not in made or value in chosen or not isinstance(groups[made[value]], Loop):
            continue
        if program[value].dtype != program[state].dtype:
            continue
        if last_read.get(state, -1) <= made[value]:
            chosen[value] = state
    return chosen


def _last_reads(
    program: Program, alias: Mapping[str, str], groups: Sequence[Group]
) -> dict[str, int]:
    """The last group that reads each value; a loop of another length counts as a later reader."""
    last: dict[str, int] = {}
    for i, group in enumerate(groups):
        for node in group.nodes:
            for arg in (alias.get(a, a) for a in node.args):
                broadcast = isinstance(group, Loop) and program[arg].n != group.n
                last[arg] = _NEVER if broadcast else max(last.get(arg, -1), i)
                if node.op == "slice":  # a view reads as long as it is read itself
                    last[arg] = _NEVER
    for name in (*program.outputs.values(), *program.nexts.values()):
        last[alias.get(name, name)] = _NEVER
    return last


def _stored(program: Program, alias: Mapping[str, str], groups: Sequence[Group]) -> frozenset[str]:
    """Values that are read outside the loop that makes them."""
    home = {node.name: i for i, group in enumerate(groups) for node in group.nodes}
    needed = {alias.get(v, v) for v in (*program.outputs.values(), *program.nexts.values())}
    for i, group in enumerate(groups):
        for node in group.nodes:
            args = (alias.get(arg, arg) for arg in node.args)
            needed |= {arg for arg in args if home.get(arg, i) != i}
    loops = [group for group in groups if isinstance(group, Loop)]
    inside = {node.name for loop in loops for node in loop.nodes}
    computed = {n.name for n in program if n.op in OPS and n.op not in _SOURCES} - set(alias)
    return frozenset((computed - inside) | (needed & computed))
