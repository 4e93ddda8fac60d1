"""Frames: the literal examples of docs/SPEC.md §10; nothing on the line confuses a reader."""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spec_examples import blocks

from grsn_edge.device.frames import MAX_PAYLOAD, Frame, FrameReader, crc32c, encode
from grsn_edge.errors import UsageError

CONTRACT = bytes.fromhex("f304733b")


def frame_of(example: dict[str, Any]) -> Frame:
    return Frame(
        example["type"],
        example["sequence"],
        example["session"],
        bytes.fromhex(example["payload"]),
        is_reply=example["reply"],
        for_model=example["model"],
    )


@pytest.mark.parametrize("example", blocks("frame"), ids=lambda e: f"{e['type']:#04x}-{e['reply']}")
def test_the_frames_of_the_specification_have_these_bytes(example: dict[str, Any]) -> None:
    contract = bytes.fromhex(example["contract"])
    line = bytes.fromhex(example["line"])
    assert encode(frame_of(example), contract) == line
    assert FrameReader(contract).feed(line) == [frame_of(example)]


@pytest.mark.parametrize("example", blocks("damage"), ids=lambda e: e["damage"])
def test_damage_is_dropped_and_named(example: dict[str, str]) -> None:
    reader = FrameReader()
    assert reader.feed(bytes.fromhex(example["line"])) == []
    assert {k: v for k, v in asdict(reader.damage).items() if v} == {example["damage"]: 1}


def test_the_crc_has_its_check_value() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"6789", crc32c(b"12345")) == 0xE3069283


frames = st.builds(
    Frame,
    st.integers(0, 255),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=MAX_PAYLOAD),
    st.booleans(),
    st.booleans(),
)


@given(st.lists(frames, max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_frames_survive_any_cutting_into_pieces(sent: list[Frame], rng: random.Random) -> None:
    line = b"".join(encode(frame, CONTRACT) for frame in sent)
    reader, found = FrameReader(CONTRACT), []
    while line:
        n = rng.randrange(1, len(line) + 1)
        found += reader.feed(line[:n])
        line = line[n:]
    assert found == sent
    assert reader.damage.total == 0


@given(st.binary(max_size=2000), frames)
@settings(max_examples=100, deadline=None)
def test_the_next_good_frame_is_accepted_whatever_came_before(noise: bytes, frame: Frame) -> None:
    reader = FrameReader(CONTRACT)
    assert reader.feed(noise + encode(frame, CONTRACT))[-1] == frame


def test_a_frame_for_another_model_is_damaged() -> None:
    reader = FrameReader(b"\1\2\3\4")
    assert reader.feed(encode(Frame(4, 1, 1, b"x", for_model=True), CONTRACT)) == []
    assert reader.feed(encode(Frame(4, 1, 1, b"x"), CONTRACT)) == [Frame(4, 1, 1, b"x")]
    assert reader.damage.checksum == 1


def test_endless_bytes_take_no_memory_and_count_once() -> None:
    reader = FrameReader()
    for _ in range(100):
        assert reader.feed(b"\xaa" * 10_000) == []
    assert len(reader._pending) < 1000
    assert reader.feed(b"\0" + encode(Frame(1, 2, 3))) == [Frame(1, 2, 3)]
    assert reader.damage.too_long == 1


def test_every_single_flipped_bit_of_a_frame_is_found() -> None:
    line = bytes.fromhex(blocks("frame")[4]["line"])
    for bit in range(8, 8 * (len(line) - 1)):
        flipped = bytearray(line)
        flipped[bit // 8] ^= 1 << bit % 8
        assert FrameReader(CONTRACT).feed(bytes(flipped)) == [], bit


def test_a_payload_that_no_device_takes_is_refused() -> None:
    with pytest.raises(UsageError, match="at most 512 bytes, not 513"):
        encode(Frame(4, 0, 0, bytes(513)))
