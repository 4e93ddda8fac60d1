"""Memory: where each value lies, so that no operation overwrites what is still needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from grsn_edge.backends._image.convert import Typed
from grsn_edge.backends._image.instruction import IN_PLACE, Instruction

__all__ = ["ACTION", "DATA", "SCRATCH", "STATE", "Address", "Placement", "place"]

DATA, STATE, SCRATCH, ACTION = 0, 1, 2, 3
"""Spaces: the image, the state, scratch memory, what the caller gets."""

_INT32 = 2  # storage of an action
_SPIKES = frozenset({"event", "gate"})
_SOURCES = frozenset({"input", "state", "const"})


@dataclass(frozen=True, slots=True)
class Address:
    """A space and an offset in it, in bytes; of a constant the offset is the image writer's."""

    space: int
    at: int


@dataclass(frozen=True)
class Placement:
    """Values in the order of their nodes, and where they lie.

    Args:
        instructions: sources, then what is computed, the last ones into the states' memory.
        widths: storage type of every value.
        address: where each value lies.
        last: for each value the node that reads it last; ``len(instructions)`` where it is needed
            after the step.
        nexts: for each state the value that lies in its memory after the step.
        outputs: how many elements all outputs have.
        state_size, scratch_size, workspace: bytes.
    """

    instructions: tuple[Instruction, ...]
    widths: Mapping[str, int]
    address: Mapping[str, Address]
    last: Mapping[str, int]
    nexts: Mapping[str, str]
    outputs: int
    state_size: int
    scratch_size: int
    workspace: int


def place(typed: Typed) -> Placement:
    """Place every value of a program."""
    return _Placer(typed).place()


@dataclass
class _Placer:
    typed: Typed
    widths: dict[str, int] = field(default_factory=dict)
    address: dict[str, Address] = field(default_factory=dict)

    def place(self) -> Placement:
        self.widths = dict(self.typed.widths)
        self.instructions = list(self.typed.instructions)
        self.index = {i.name: k for k, i in enumerate(self.instructions)}
        state_size = self._place_states()
        nexts = self._hand_over()
        outputs = self._place_outputs()
        self.by_name = {i.name: i for i in self.instructions}
        self.last = self._lifetimes(nexts)
        self.workspace = self._workspace()
        scratch_size = self._place_scratch()
        return Placement(
            tuple(self.instructions),
            self.widths,
            self.address,
            self.last,
            nexts,
            outputs,
            state_size,
            scratch_size + 4 * outputs,
            self.workspace,
        )

    def _bytes(self, instruction: Instruction) -> int:
        return -(-(instruction.n << self.widths[instruction.name]) // 4) * 4

    # ---- states --------------------------------------------------------------------------------

    def _place_states(self) -> int:
        at = 0
        for instruction in self.instructions:
            if instruction.op == "state":
                self.address[instruction.name] = Address(STATE, at)
                at += self._bytes(instruction)
            elif instruction.op == "const":
                self.address[instruction.name] = Address(DATA, 0)
        return at

    def _hand_over(self) -> dict[str, str]:
        """Values that may be computed in a state's memory are; the others are moved there."""
        read = self._last_reads()
        nexts: dict[str, str] = {}
        for state, name in self.typed.nexts.items():
            if name == state or self._fits_in(state, name, read):
                nexts[state] = name
                self.address[name] = self.address[state]
                continue
            moved = f"{state}#next"
            n = self.instructions[self.index[state]].n
            self.instructions.append(Instruction(moved, "move", n, (name,)))
            self.widths[moved] = self.widths[state]
            self.address[moved] = self.address[state]
            nexts[state] = moved
        return nexts

    def _fits_in(self, state: str, name: str, read: Mapping[str, int]) -> bool:
        old = self.instructions[self.index[state]]
        new = self.instructions[self.index[name]]
        if new.op in _SOURCES or name in self.address:
            return False
        if self.widths[name] != self.widths[state]:
            return False
        return read[state] < self.index[name] or (
            read[state] == self.index[name] and self._in_place(new, old)
        )

    def _in_place(self, new: Instruction, old: Instruction) -> bool:
        same = new.n == old.n and self.widths[new.name] == self.widths[old.name]
        return same and new.op in IN_PLACE and new.start == 0

    # ---- outputs -------------------------------------------------------------------------------

    def _place_outputs(self) -> int:
        """A single output is computed where the caller gets it, where it can be; others are moved
        there."""
        outputs = self.typed.outputs
        if len(outputs) == 1 and self.widths[outputs[0]] == _INT32 and self._is_free(outputs[0]):
            self.address[outputs[0]] = Address(ACTION, 0)
            return self.instructions[self.index[outputs[0]]].n
        at = 0
        for k, name in enumerate(outputs):
            n = self.instructions[self.index[name]].n
            moved = f"{name}#output{k}"
            self.instructions.append(Instruction(moved, "move", n, (name,)))
            self.widths[moved] = _INT32
            self.address[moved] = Address(ACTION, 4 * at)
            at += n
        return at

    def _is_free(self, name: str) -> bool:
        computed = self.instructions[self.index[name]].op not in _SOURCES
        return computed and name not in self.address

    # ---- lifetimes -----------------------------------------------------------------------------

    def _last_reads(self) -> dict[str, int]:
        last = {i.name: 0 for i in self.instructions}
        for k, instruction in enumerate(self.instructions):
            last.update(dict.fromkeys(instruction.args, k))
        return last

    def _lifetimes(self, nexts: Mapping[str, str]) -> dict[str, int]:
        return self._last_reads() | dict.fromkeys(nexts.values(), len(self.instructions))

    # ---- scratch -------------------------------------------------------------------------------

    def _workspace(self) -> int:
        """Room for the indices of the spikes."""
        sizes = [2 * self._rounded(i.args[0]) for i in self.instructions if i.op in _SPIKES]
        return max(sizes, default=0)

    def _rounded(self, name: str) -> int:
        return -(-self.by_name[name].n // 4) * 4

    def _place_scratch(self) -> int:
        top = self.workspace
        live: list[Instruction] = []
        for k, instruction in enumerate(self.instructions):
            if instruction.op not in _SOURCES:
                live = [i for i in live if self.last[i.name] >= k]
            if instruction.name not in self.address:
                at = self._find(instruction, k, live)
                self.address[instruction.name] = Address(SCRATCH, at)
                top = max(top, at + self._bytes(instruction))
                live.append(instruction)
        return top

    def _find(self, instruction: Instruction, k: int, live: list[Instruction]) -> int:
        """The memory of an operand that dies, else the lowest gap."""
        for other in live:
            dies = other.name in instruction.args and self.last[other.name] == k
            if dies and self._in_place(instruction, other):
                return self.address[other.name].at
        gaps = [self.workspace, *(self._end(other) for other in live)]
        return min(at for at in gaps if self._free(at, instruction, live))

    def _end(self, instruction: Instruction) -> int:
        return self.address[instruction.name].at + self._bytes(instruction)

    def _free(self, at: int, instruction: Instruction, live: list[Instruction]) -> bool:
        end = at + self._bytes(instruction)
        return all(self._end(i) <= at or self.address[i.name].at >= end for i in live)
