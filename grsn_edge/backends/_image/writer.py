"""The bytes of a policy image (``docs/SPEC.md`` §9)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from grsn_edge.backends._image.claims import claims
from grsn_edge.backends._image.convert import convert
from grsn_edge.backends._image.crc import crc32c
from grsn_edge.backends._image.instruction import CODES, Instruction
from grsn_edge.backends._image.lower import lower
from grsn_edge.backends._image.place import place
from grsn_edge.backends._image.sections import Section, policy_sections
from grsn_edge.backends._image.weights import in_order
from grsn_edge.errors import UsageError
from grsn_edge.policy import Policy, model_hash
from grsn_edge.program import Interval, Program

__all__ = ["MAX_NODES", "Order", "image"]

Order = Literal["little", "big"]

MAX_NODES = 4096
"""Most values of an image, conversions and constants included."""
_MAX_IMAGE = (1 << 31) - 1
_HEADER, _NODE = 56, 52
_MAGIC, _VERSION = 0x49535247, 2
_PER_ELEMENT, _CLIPPED, _INITIALS = 1, 2, 4
_DTYPES = ("i1", "i2", "i4")
_SAVED = ("int8", "int16", "int32")


def image(
    source: Policy | Program,
    order: Order = "little",
    *,
    sections: Iterable[Section] = (),
) -> bytes:
    """The policy image of a policy, or of a bare step program; the same bytes every time.

    It holds: a header (sizes, sampling period, model hash); the program in the virtual machine's
    operations, with a proven interval and an address for every value; weights and other constants;
    and sections: golden vectors, encoder, decoder, and the names, units and ranges of the channels.
    An image of a bare program has no sections, a period of 0 and a hash of zeros.

    Args:
        source: what to write.
        order: byte order of the device.
        sections: more sections to carry, such as the supervisor's.

    Raises:
        UsageError: the program has more than 4096 values, the image 2 GiB or more, or two sections
            are of one kind.
    """
    if order not in ("little", "big"):
        raise UsageError(f"a byte order is 'little' or 'big', not {order!r}")
    if isinstance(source, Program):
        return _Writer(source, None, order, tuple(sections)).write()
    own = policy_sections(source, order)
    return _Writer(source.program, source, order, (*own, *sections)).write()


@dataclass
class _Data:
    """Constants, each once, at offsets that are multiples of 4."""

    base: int
    order: str
    content: bytearray = field(default_factory=bytearray)
    known: dict[bytes, int] = field(default_factory=dict)

    def add(self, values: npt.NDArray[np.int64], width: int) -> int:
        """The offset of an array in the image."""
        content = values.astype(self.order + _DTYPES[width]).tobytes()
        if content not in self.known:
            self.known[content] = self.base + len(self.content)
            self.content += content + bytes(-len(content) % 4)
        return self.known[content]


class _Writer:
    def __init__(
        self,
        program: Program,
        policy: Policy | None,
        order: Order,
        sections: tuple[Section, ...],
    ) -> None:
        typed = convert(lower(program))
        self.placement = place(typed)
        self.claims = claims(typed, self.placement)
        self.program, self.policy = program, policy
        self.order = "<" if order == "little" else ">"
        self.sections = sorted(sections, key=lambda section: section.kind)
        self._check()
        self.index = {i.name: k for k, i in enumerate(self.placement.instructions)}
        nodes = len(self.placement.instructions)
        self.data = _Data(_HEADER + _NODE * nodes, self.order)

    def _check(self) -> None:
        n = len(self.placement.instructions)
        if n > MAX_NODES:
            raise UsageError(f"the program takes {n} values in an image; at most {MAX_NODES} fit")
        kinds = [section.kind for section in self.sections]
        if len(set(kinds)) != len(kinds):
            raise UsageError(f"two sections of an image are of one kind: {kinds}")

    def write(self) -> bytes:
        """The image."""
        nodes = b"".join(self._node(i) for i in self.placement.instructions)
        data_end = self.data.base + len(self.data.content)
        sections = b"".join(self._section(section) for section in self.sections)
        size = data_end + len(sections) + 4
        if size > _MAX_IMAGE:
            raise UsageError(f"the image would have {size} bytes; at most {_MAX_IMAGE}")
        whole = b"".join((self._header(data_end, size), nodes, self.data.content, sections))
        return whole + self._pack("I", crc32c(whole))

    def _pack(self, form: str, *values: int | bytes) -> bytes:
        return struct.pack(self.order + form, *values)

    # ---- header and sections -------------------------------------------------------------------

    def _header(self, data_end: int, size: int) -> bytes:
        policy, p = self.policy, self.placement
        digest = bytes.fromhex(model_hash(policy)) if policy else bytes(32)
        first = (_MAGIC, _VERSION, len(p.instructions), size, digest)
        period = _period_us(policy.period_s) if policy else 0
        return self._pack("IHHI32sIII", *first, period, p.workspace, data_end)

    def _section(self, section: Section) -> bytes:
        content = section.content
        head = self._pack("HHI", section.kind, section.ignorable, len(content))
        return head + content + bytes(-len(content) % 4)

    # ---- nodes ---------------------------------------------------------------------------------

    def _node(self, i: Instruction) -> bytes:
        p = self.placement
        width = p.widths[i.name]
        flags, lo, hi = self._claim(i)
        more, first, second = self._constants(i, width)
        flags |= more | (_CLIPPED if i.clip else 0)
        address = p.address[i.name]
        at = lo if i.op == "const" else address.at
        args = [self.index[arg] for arg in i.args]
        saved = 0
        if i.op == "state":
            args = [self.index[p.nexts[i.name]]]
            saved = _SAVED.index(self.program[i.name].dtype)
        args = [*args, *(args[:1] or [0]) * 4][:4]  # those that are not used name the first one
        clip = i.clip or (0, 0)
        head = (CODES[i.op], width, address.space, flags, i.n, at, lo, hi, first, second)
        tail = (*clip, i.start, *args, p.last[i.name], i.shift, saved)
        return self._pack("4BIIiiiiiiI4HHBB", *head, *tail)

    def _claim(self, i: Instruction) -> tuple[int, int, int]:
        """Flag and bounds of the claim, or the offsets of the bounds' arrays."""
        claim: Interval = self.claims[i.name]
        if i.op == "const":
            at = self.data.add(i.arrays["value"], 2)
            return _PER_ELEMENT, at, at
        if np.all(claim.lo == claim.lo[0]) and np.all(claim.hi == claim.hi[0]):
            return 0, int(claim.lo[0]), int(claim.hi[0])
        pairs = np.stack([claim.lo, claim.hi], axis=1)
        return _PER_ELEMENT, self.data.add(pairs, 2), 0

    def _constants(self, i: Instruction, width: int) -> tuple[int, int, int]:
        """Flag, and the two parameters of the operation."""
        if i.op == "state":
            value = i.arrays["value"]
            if np.all(value == value[0]):
                return 0, int(value[0]), 0
            return _INITIALS, self.data.add(value, 2), 0
        if "weight" in i.arrays:
            weight = self.data.add(in_order(i.op, i.arrays["weight"], width), 0)
            return 0, weight, self.data.add(i.arrays["bias"], width)
        if "table" in i.arrays:
            return 0, self.data.add(i.arrays["table"], 1), i.q
        return 0, i.p, i.q


def _period_us(period_s: float) -> int:
    """The period in whole microseconds, at least 1 and at most what 32 bits hold."""
    return int(min(max(round(period_s * 1e6), 1), 2**32 - 1))
