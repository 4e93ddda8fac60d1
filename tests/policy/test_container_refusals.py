"""Damaged, hostile, newer and forged ``.grsn`` files: each is refused, and the culprit named."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_policy import toy_policy

from grsn_edge.errors import FormatError, IntegrityError, PolicyFileError, VersionError
from grsn_edge.policy import dumps, load, loads
from grsn_edge.policy.layout import MAX_FILE, MAX_HEADER, pack, unpack

Document = dict[str, Any]
Tensors = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def data() -> bytes:
    return dumps(toy_policy())


# ---- damaged files -------------------------------------------------------------------------------


def test_a_file_truncated_anywhere_is_refused(data: bytes) -> None:
    for length in [*range(0, len(data), 37), *range(64), len(data) - 1]:
        with pytest.raises(PolicyFileError):
            loads(data[:length])


def test_a_file_with_more_behind_it_is_refused(data: bytes) -> None:
    for extra in (b"\0", b" ", data):
        with pytest.raises(PolicyFileError):
            loads(data + extra)


def test_a_flipped_byte_anywhere_is_refused(data: bytes) -> None:
    rng = np.random.default_rng(0)
    length = 8 + int.from_bytes(data[:8], "little")
    offsets = {*range(16), *range(length - 8, length + 8), *range(5, len(data), 3)}
    for offset in sorted(offsets):
        damaged = bytearray(data)
        damaged[offset] ^= int(rng.integers(1, 256))
        with pytest.raises(PolicyFileError):
            loads(bytes(damaged))


def test_padding_may_be_nothing_but_spaces(data: bytes) -> None:
    length = 8 + int.from_bytes(data[:8], "little")
    offset = data[:length].rstrip(b" ")
    for other in (b"\t", b"\n", b"\r"):
        padded = offset + other * (length - len(offset)) + data[length:]
        if padded != data:
            with pytest.raises(FormatError, match="compact JSON"):
                loads(padded)


# ---- crafted files -------------------------------------------------------------------------------


def framed(header: object, body: bytes = b"") -> bytes:
    compact = header if isinstance(header, bytes) else json.dumps(header).encode()
    compact += b" " * (-len(compact) % 8)
    return struct.pack("<Q", len(compact)) + compact + body


def metadata(text: object) -> bytes:
    header = {"__metadata__": {"grsn": text}}
    return framed(json.dumps(header, separators=(",", ":")).encode())


HOSTILE = {
    "nothing": (b"", "0 bytes are too few"),
    "a pickle": (b"\x80\x04\x95" + b"\0" * 64, "not a .grsn file"),
    "a zip": (b"PK\x03\x04" + b"\0" * 4 + b"\x01" * 64, "not a .grsn file"),
    "a huge header": (struct.pack("<Q", 2**63) + b"{}", f"is above {MAX_HEADER}"),
    "a header beyond the end": (struct.pack("<Q", 4096) + b"{}", "does not fit in 10 bytes"),
    "a header of no JSON": (framed(b"hello   "), "the header is not JSON"),
    "a header that is no text": (framed(b"\xff\xfe    "), "not UTF-8"),
    "a header of no object": (framed(b"[]"), "must be an object"),
    "a header with a key twice": (framed(b'{"a":1,"a":1}'), "'a' is there twice"),
    "a header bomb": (framed(b"[" * 10**6), "nested too deeply"),
    "a header of objects": (framed(b'{"a":' * 10**5), "nested too deeply|not JSON"),
    "no metadata": (framed(b"{}"), "__metadata__ must be an object, not null"),
    "other metadata": (framed(b'{"__metadata__":{"pt":"x"}}'), "lacks the key 'grsn'"),
    "more metadata": (
        framed(b'{"__metadata__":{"grsn":"{}","x":"y"}}'),
        "unknown key 'x'",
    ),
    "metadata of a wrong type": (metadata(7), "must be a string"),
    "metadata of no JSON": (metadata("hello"), "the metadata is not JSON"),
    "a metadata bomb": (metadata("[" * 10**6), "the metadata is nested too deeply"),
    "metadata with NaN": (metadata('{"content":NaN}'), "NaN is not a number"),
    "another format": (metadata('{"content":{"format":"onnx"}}'), "does not say format 'grsn'"),
    "no version": (metadata('{"content":{"format":"grsn"}}'), "version must be an integer"),
    "no digest": (
        metadata('{"content":{"format":"grsn","version":1}}'),
        "metadata lacks the key 'sha256'",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_by_name(case: str, tmp_path: Path) -> None:
    content, message = HOSTILE[case]
    path = tmp_path / "hostile.grsn"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))


def test_a_file_beyond_the_size_limit_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "huge.grsn"
    with open(path, "wb") as file:
        file.truncate(MAX_FILE * 100)
    with pytest.raises(FormatError, match=f"more than {MAX_FILE}"):
        load(path)


def test_a_newer_version_is_named_even_where_everything_else_is_new() -> None:
    new = '{"content":{"format":"grsn","version":4,"more":[1]},"signature":"x"}'
    with pytest.raises(VersionError, match="format version 4, but this release reads"):
        loads(metadata(new))


Change = Callable[[Document, Tensors], object]


def resigned(data: bytes, change: Change) -> bytes:
    """The file after ``change``, with a digest that fits: what a forger would send."""
    content, tensors = unpack(data)
    tensors = {name: tensor.copy() for name, tensor in tensors.items()}
    change(content, tensors)
    return pack(content, tensors)


FORGED: dict[str, tuple[Change, type[PolicyFileError], str]] = {
    "unknown key": (lambda c, t: c.update(code="x"), FormatError, "unknown key 'code'"),
    "missing key": (lambda c, t: c.pop("name"), FormatError, "lacks the key 'name'"),
    "unknown op": (
        lambda c, t: c["program"]["nodes"][2].update(op="exec"),
        FormatError,
        r"program\.nodes\[2\] 'layer0\.drive': unknown operation 'exec'",
    ),
    "flat weights": (
        lambda c, t: t.update({"program.readout.weight": t["program.readout.weight"].ravel()}),
        FormatError,
        "'readout.weight' has the shape",
    ),
    "weights of another shape": (
        lambda c, t: t.update({"program.readout.weight": t["program.readout.weight"].T.copy()}),
        FormatError,
        "weight 4x3 does not fit",
    ),
    "a changed weight": (
        lambda c, t: t["program.readout.weight"].fill(127),
        IntegrityError,
        "the proof gives",
    ),
    "a weight that overflows": (
        lambda c, t: t.update({"program.layer0.drive.bias": np.full(4, 2**31 - 1, np.int32)}),
        IntegrityError,
        "the overflow proof fails: .*'layer0.drive'",
    ),
    "a changed action": (
        lambda c, t: t["golden.action"].__setitem__((7, 0), 2 - t["golden.action"][7, 0] or 1),
        IntegrityError,
        "golden vectors: at step 7 the action is",
    ),
    "a changed code": (
        lambda c, t: t["golden.code"].__setitem__((3, 1), 99),
        IntegrityError,
        "golden vectors: at step 3 the code is",
    ),
    "a changed last state": (
        lambda c, t: t["golden.state.layer0.u"].__setitem__(0, 12345),
        IntegrityError,
        "the state 'layer0.u' ends with other values",
    ),
    "golden steps": (lambda c, t: c.update(golden_steps=19), FormatError, "golden_steps is 19"),
    "too many golden steps": (lambda c, t: c.update(golden_steps=65), FormatError, "0..64"),
    "golden vectors without count": (
        lambda c, t: c.update(golden_steps=0),
        FormatError,
        "'golden.action' has no meaning",
    ),
    "golden NaN": (
        lambda c, t: t["golden.observation"].__setitem__((0, 0), np.nan),
        IntegrityError,
        "cannot be replayed: observation channel 0",
    ),
    "golden vectors of one dimension": (
        lambda c, t: t.update({"golden.action": t["golden.action"].ravel()}),
        IntegrityError,
        "golden actions have the shape",
    ),
    "an extra tensor": (
        lambda c, t: t.update(payload=np.zeros(3, np.int8)),
        FormatError,
        "'payload' has no meaning",
    ),
    "an extra constant": (
        lambda c, t: t.update({"program.payload": np.zeros(3, np.int8)}),
        FormatError,
        "'payload' belongs to no value",
    ),
    "a missing tensor": (
        lambda c, t: t.pop("encoder.gain"),
        FormatError,
        "'encoder.gain' is missing",
    ),
    "a tensor of a wrong type": (
        lambda c, t: t.update({"encoder.gain": np.ones(2, np.int8)}),
        FormatError,
        "'encoder.gain' must be float32, not int8",
    ),
    "an encoder of another length": (
        lambda c, t: t.update({k: np.ones(3, np.float32) for k in t if k.startswith("encoder")}),
        FormatError,
        "the encoder gives 3 codes",
    ),
    "an encoder of a wrong rule": (
        lambda c, t: c["encoder"].update(on_invalid="ignore"),
        FormatError,
        "on_invalid refuse or clamp",
    ),
    "a decoder of a wrong kind": (
        lambda c, t: c["decoder"].update(kind="exec"),
        FormatError,
        "argmax, clip or tanh",
    ),
    "an infinite gain": (
        lambda c, t: t["encoder.gain"].fill(np.inf),
        FormatError,
        "finite numbers",
    ),
    "a period of a wrong type": (
        lambda c, t: c.update(period_s="0.02"),
        FormatError,
        "period_s must be a real number, not a string",
    ),
    "a period of zero": (lambda c, t: c.update(period_s=0.0), FormatError, "positive number"),
    "a channel upside down": (
        lambda c, t: c["observations"][0].update(low=9.0),
        FormatError,
        r"observations\[0\]: low 9.0 is above high 2.4",
    ),
    "a channel too many": (
        lambda c, t: c["observations"].append(c["observations"][0]),
        FormatError,
        "every observation channel",
    ),
    "provenance of a wrong type": (
        lambda c, t: c.update(provenance=[]),
        FormatError,
        "provenance must be an object",
    ),
    "a name that is no text": (
        lambda c, t: c.update(name=None),
        FormatError,
        "name must be a string, not null",
    ),
    "version zero": (lambda c, t: c.update(version=0), VersionError, "format version 0"),
    "a version of a wrong type": (
        lambda c, t: c.update(version="1"),
        FormatError,
        "version must be an integer, not a string",
    ),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_file_with_a_fitting_digest_is_refused_by_name(case: str, data: bytes) -> None:
    change, error, message = FORGED[case]
    forged = resigned(data, change)
    with pytest.raises(error, match=message) as caught:
        loads(forged, "forged.grsn")
    assert str(caught.value).startswith("forged.grsn: ")


def test_a_tensor_type_that_the_format_lacks_is_refused(data: bytes) -> None:
    header = {"__metadata__": json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])}
    entry = {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}
    compact = json.dumps(
        {**header["__metadata__"], "x": entry}, separators=(",", ":"), ensure_ascii=False
    )
    with pytest.raises(FormatError, match="the tensor 'x' is not one of I8, I16, I32, F32"):
        loads(framed(compact.encode(), b"\0" * 8))
