"""Policy images: the same bytes every time, and nothing but a whole and proven one is opened."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from cell_courses import drawn, frozen
from toy_policy import toy_policy
from virtual_machine import Machine, forged, repaired, status

from grsn_edge.backends._image import Section, image
from grsn_edge.conformance import random_graph, random_program
from grsn_edge.errors import UsageError
from grsn_edge.neurons import Record, cell
from grsn_edge.program import Builder, Program

OK = 0
ALIGNMENT, TRUNCATED, MAGIC, ORDER, VERSION = -1, -2, -3, -4, -5
CHECKSUM, FORMAT, PROOF = -6, -7, -8

HEADER, NODE = 56, 52
FIELDS = {
    "op": (0, "B"),
    "type": (1, "B"),
    "space": (2, "B"),
    "flags": (3, "B"),
    "n": (4, "I"),
    "at": (8, "I"),
    "lo": (12, "i"),
    "hi": (16, "i"),
    "p": (20, "i"),
    "q": (24, "i"),
    "clip_lo": (28, "i"),
    "clip_hi": (32, "i"),
    "start": (36, "I"),
    "arg0": (40, "H"),
    "arg1": (42, "H"),
    "last": (48, "H"),
    "shift": (50, "B"),
    "saved": (51, "B"),
}
COUNTS = {"nodes": (6, "H"), "size": (8, "I"), "workspace": (48, "I"), "data_end": (52, "I")}
(INPUT, STATE, CONST, EVENT, GATE, DENSE, ARGMAX, APPEND, MOVE) = range(9)
(SCALE, LUT, ADD, MUL, MAC, BLEND, GE, RESET) = range(9, 17)
OPS = 17


def node_of(data: bytes, op: int) -> int:
    """The offset of the first node of an operation."""
    end = HEADER + NODE * int.from_bytes(data[6:8], "little")
    return next(at for at in range(HEADER, end, NODE) if data[at] == op)


def sections_of(data: bytes) -> dict[int, tuple[int, int]]:
    """Of each kind of section the offset and the size of its content."""
    at, found = int.from_bytes(data[52:56], "little"), {}
    while at < len(data) - 4:
        kind, _, size = struct.unpack_from("<HHI", data, at)
        found[kind] = (at + 8, size)
        at += 8 + size + -size % 4
    return found


def with_field(data: bytes, op: int, field: str, value: int) -> bytes:
    offset, form = FIELDS[field]
    return forged(data, node_of(data, op) + offset, form, value)


def every_operation() -> Program:
    """A program whose image has every operation of the machine."""
    rng = np.random.default_rng(0)
    b = Builder()
    x = b.input("x", 4, lo=-127, hi=127)
    k = b.input("k", 1, lo=-3, hi=3)
    c = b.state("c", 16, lo=0, hi=2**15 - 1)
    u = b.state("u", 16, lo=-(2**15), hi=2**15 - 1, init=np.arange(16))
    o = b.state("o", 16, lo=0, hi=1)
    f = b.matvec(rng.integers(-69, 69, (16, 16)), o, rng.integers(-9, 9, 16), name="f")
    few = b.matvec(rng.integers(-9, 9, (3, 16)), o, name="few")
    gate = b.lut(f.shr(1).clip(-128, 127), np.arange(256) * 128)
    drive = b.matvec(rng.integers(-99, 99, (16, 4)), x, name="drive")
    a = (drive * 3).clip(0, 2**15 - 1)
    kept = a + ((c - a) * gate).shr(15)
    leak, gain = b.const(np.arange(16) + 100), b.const(np.arange(16) + 300)
    mixed = (u * leak + kept * gain).shr(10)
    level = (mixed + drive).clip(-(2**15), 2**15 - 1)
    theta = b.const(np.arange(16) + 50)
    spike = level >= theta
    b.next(u, level - theta * spike)
    b.next(c, kept)
    b.next(o, spike)
    row = b.matvec(rng.integers(-9, 9, (2, 4)), x, name="row")
    leaked = (row * b.const([5, 7])).shr(3)
    product = (few - k) * (few * k).shr(1) + (few + k).shr(2)
    b.output("index", b.argmax(b.concat(row, leaked, few, k)))
    b.output("rest", b.concat(product, few[1:2].shr(1)))
    return b.build()


DATA = image(every_operation())


def test_every_operation_of_the_machine_is_in_the_image_that_is_forged() -> None:
    found = {DATA[HEADER + NODE * k] for k in range(int.from_bytes(DATA[6:8], "little"))}
    assert found == set(range(OPS))
    assert status(DATA) == OK


# ---- the writer ----------------------------------------------------------------------------------


def test_the_same_policy_gives_the_same_bytes() -> None:
    assert image(toy_policy()) == image(toy_policy())
    assert len(image(toy_policy(), "big")) == len(image(toy_policy()))


@pytest.mark.parametrize("kind", ["grsn", "lif", "rlif", "tc_lif", "readout"])
def test_weights_of_fewer_bits_make_no_image_larger(kind: str) -> None:
    rng, sizes = np.random.default_rng(0), []
    for bits in (8, 6, 4):
        layer = cell(kind, n_in=4, size=32, weight_bits=bits)
        states = {name: rng.normal(size=(9, n)) for name, n in layer.state_sizes().items()}
        record = Record(rng.normal(size=(9, 4)), states, states, rng.random((9, 32)))
        sizes.append(len(image(frozen(layer, drawn(layer), record))))
    assert max(sizes) == sizes[0]


def test_an_image_names_its_channels() -> None:
    data = image(toy_policy())
    offset, size = sections_of(data)[4]
    text = json.loads(data[offset : offset + size])
    assert text["name"] == "toy"
    assert text["observations"][1] == {"name": "v", "unit": "m/s", "low": None, "high": None}
    assert [action["name"] for action in text["actions"]] == ["left", "wait", "right"]


def test_a_section_that_a_reader_does_not_know_is_refused_unless_it_may_be_ignored() -> None:
    known, ignorable = Section(77, b"abc"), Section(77, b"abc", ignorable=True)
    assert status(image(toy_policy(), sections=[known])) == FORMAT
    data = image(toy_policy(), sections=[ignorable])
    assert Machine(data).selftest() == -1


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(UsageError, match="two sections"):
        image(toy_policy(), sections=[Section(2, b"")])
    with pytest.raises(UsageError, match="byte order"):
        image(toy_policy(), "middle")  # type: ignore[arg-type]
    b = Builder()
    x = b.input("x", 1, lo=0, hi=1)
    for _ in range(4200):
        x = x.clip(-1, 1).shr(1)
    b.output("y", x)
    with pytest.raises(UsageError, match="4096"):
        image(b.build())


# ---- bytes that are not those that were written --------------------------------------------------


def test_every_single_flipped_bit_is_refused() -> None:
    data = image(replace(toy_policy(), golden=None))
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        assert status(bytes(changed)) < 0, bit


def test_an_image_cut_at_any_length_is_refused() -> None:
    data = image(toy_policy())
    assert {status(data[:size]) for size in range(len(data))} == {TRUNCATED}


def test_what_stands_behind_an_image_is_not_read() -> None:
    assert status(DATA + b"anything") == OK


def test_each_way_of_being_no_image_has_its_status() -> None:
    assert status(DATA, shift=1) == ALIGNMENT
    assert status(DATA, 55) == TRUNCATED
    assert status(b"NOPE" + DATA[4:]) == MAGIC
    assert status(image(every_operation(), "big")) == ORDER
    assert status(forged(DATA, 4, "H", 1)) == VERSION
    assert status(DATA[:-1] + bytes([DATA[-1] ^ 1])) == CHECKSUM


# ---- sizes and tables that cannot be -------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in COUNTS if name != "size"])
@pytest.mark.parametrize("change", [-4, -1, 1, 2, 4, 30_000])
def test_every_count_and_size_is_checked(name: str, change: int) -> None:
    offset, form = COUNTS[name]
    (right,) = struct.unpack_from("<" + form, DATA, offset)
    wrong = (right + change) % (1 << (8 * struct.calcsize(form)))
    without_last_output = name == "nodes" and change == -1  # is a program, too
    assert status(forged(DATA, offset, form, wrong)) in ((OK,) if without_last_output else _REFUSED)


_REFUSED = (FORMAT, PROOF)


@pytest.mark.parametrize("op", range(OPS))
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("op", OPS),
        ("type", 3),
        ("space", 3),
        ("n", 0),
        ("n", 65537),
        ("n", 2**32 - 1),
        ("at", 2),
        ("at", 2**32 - 4),
        ("at", 2**31),
        ("lo", 2**31 - 1),
        ("hi", -(2**31)),
        ("shift", 31),
    ],
)
def test_every_field_of_a_node_is_checked(op: int, field: str, value: int) -> None:
    if op == CONST and field == "hi":
        return  # the claim of a constant is its value, at lo
    assert status(with_field(DATA, op, field, value)) in _REFUSED


@pytest.mark.parametrize(
    ("op", "field", "value"),
    [
        (EVENT, "p", 0),
        (EVENT, "p", -4),
        (EVENT, "q", len(DATA)),
        (DENSE, "p", len(DATA) - 8),
        (LUT, "p", len(DATA) - 400),
        (LUT, "clip_hi", 128),
        (LUT, "clip_lo", -129),
        (LUT, "flags", 0),
        (MOVE, "start", 2**32 - 1),
        (MOVE, "start", 3),
        (SCALE, "start", 1),
        (ADD, "start", 1),
        (CONST, "flags", 0),
        (EVENT, "n", 30),
        (BLEND, "shift", 0),
        (ADD, "arg0", 2**16 - 1),
        (ADD, "arg1", 60),
        (RESET, "arg1", 3),
        (STATE, "arg0", 2**16 - 1),
        (STATE, "arg0", 0),
        (STATE, "p", 2**31 - 1),
        (STATE, "saved", 3),
        (STATE, "saved", 0),
        (STATE, "flags", 1),
    ],
)
def test_every_constant_of_an_operation_is_checked(op: int, field: str, value: int) -> None:
    assert status(with_field(DATA, op, field, value)) in _REFUSED


@pytest.mark.parametrize(
    ("kind", "offset", "value"),
    [
        (1, -4, 232),  # another size: not a whole number of golden steps
        (2, 0, 3),
        (2, 4, 2),
        (2, 8, 2),
        (2, 12, 0x7F800000),
        (2, 20, 0x7FC00000),
        (3, 0, 2),
        (3, 4, 3),
        (3, 8, 0xFF800000),
    ],
)
def test_sections_fit_the_program(kind: int, offset: int, value: int) -> None:
    data = image(toy_policy())
    assert status(data) == OK
    assert status(forged(data, sections_of(data)[kind][0] + offset, "I", value)) == FORMAT


def test_a_value_is_not_overwritten_before_its_last_reader() -> None:
    first = HEADER
    inputs = [int.from_bytes(DATA[first + NODE * k + 8 :][:4], "little") for k in range(2)]
    assert status(forged(DATA, first + 8, "I", inputs[1])) == FORMAT
    assert status(with_field(DATA, INPUT, "last", 0)) == FORMAT
    assert status(with_field(DATA, STATE, "last", 0)) == FORMAT


# ---- claims that do not follow -------------------------------------------------------------------


@pytest.mark.parametrize("op", [op for op in range(3, OPS) if op not in (ARGMAX, GE)])
@pytest.mark.parametrize("field", ["lo", "hi"])
def test_a_claim_that_is_tighter_than_the_proof_is_refused(op: int, field: str) -> None:
    at = node_of(DATA, op) + FIELDS[field][0]
    (right,) = struct.unpack_from("<i", DATA, at)
    if DATA[node_of(DATA, op) + 3] & 1:  # per element: the offset of pairs
        at = int.from_bytes(DATA[node_of(DATA, op) + 12 :][:4], "little") + 4 * (field == "hi")
        (right,) = struct.unpack_from("<i", DATA, at)
    tighter = right + 1 if field == "lo" else right - 1
    assert status(forged(DATA, at, "i", tighter)) == PROOF


def test_products_and_sums_that_could_leave_int32_are_refused() -> None:
    assert status(with_field(DATA, SCALE, "p", 2**31 - 1)) == PROOF
    assert status(with_field(DATA, SCALE, "q", 2**31 - 1)) == PROOF
    assert status(with_field(DATA, INPUT, "hi", 2**31 - 1)) == PROOF


def test_spikes_are_proven_to_be_spikes() -> None:
    assert status(with_field(DATA, GE, "hi", 2)) == PROOF
    for op in (EVENT, GATE):
        arg = int.from_bytes(DATA[node_of(DATA, op) + 40 :][:2], "little")
        assert status(forged(DATA, HEADER + NODE * arg + 16, "i", 2)) == PROOF


def test_what_a_state_starts_with_lies_in_its_range() -> None:
    b = Builder()
    s = b.state("s", 1, lo=-5, hi=5, init=5)
    b.next(s, s)
    b.output("y", s)
    data = image(b.build())
    assert status(data) == OK
    assert status(with_field(data, STATE, "p", 6)) == PROOF
    assert status(with_field(data, STATE, "hi", 4)) == PROOF


@pytest.mark.parametrize("seed", range(30))
def test_no_image_that_a_writer_makes_is_refused(seed: int) -> None:
    assert status(image(random_graph(1000 + seed))) == OK
    assert status(repaired(image(random_program(seed).program))) == OK
