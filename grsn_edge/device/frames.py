"""Frames over a byte stream that drops, splits, joins and flips (``docs/SPEC.md`` §10.1, §10.2)."""

from __future__ import annotations

import importlib
import struct
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType

from grsn_edge.errors import LinkError, UsageError

__all__ = ["MAX_PAYLOAD", "VERSION", "Damage", "Frame", "FrameReader", "crc32c", "encode"]

VERSION = 1
"""Version of the link that this release speaks."""
MAX_PAYLOAD = 512
"""Largest payload of any device, in bytes; a device may take less."""

_HEADER = struct.Struct("<BBHIH")
_CRC = 4
_FLAG_MODEL, _FLAG_REPLY = 0x10, 0x20
_RESERVED = 0xFF & ~(0x0F | _FLAG_MODEL | _FLAG_REPLY)
_LONGEST = _HEADER.size + MAX_PAYLOAD + _CRC
_LONGEST_ENCODED = _LONGEST + 1 + _LONGEST // 254
_NO_CONTRACT = bytes(4)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame.

    Args:
        type: what it asks for, or answers (:class:`~grsn_edge.device.protocol.Command`).
        sequence: modulo 2^16; a reply has its request's.
        session: the device's, from its reply to the hello; 0 for the hello itself.
        payload: at most :data:`MAX_PAYLOAD` bytes.
        is_reply: whether it comes from the device.
        for_model: whether the first 4 bytes of the model hash stand before it under the CRC.
    """

    type: int
    sequence: int
    session: int
    payload: bytes = b""
    is_reply: bool = False
    for_model: bool = False


@dataclass(slots=True)
class Damage:
    """Frames that were dropped, by what was wrong with them; the first that applied."""

    cut: int = 0
    too_long: int = 0
    checksum: int = 0
    malformed: int = 0
    version: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.cut + self.too_long + self.checksum + self.malformed + self.version


def crc32c(data: bytes, crc: int = 0) -> int:
    """CRC-32C of ``data``, going on from ``crc``; of ``b"123456789"`` it is 0xe3069283."""
    extended: int = _crc_module().extend(crc, data)
    return extended


def encode(frame: Frame, contract: bytes = _NO_CONTRACT) -> bytes:
    """The bytes of a frame on the line, delimiters included.

    Args:
        frame: what to send.
        contract: first 4 bytes of the model hash, used where ``frame.for_model``.

    Raises:
        UsageError: the payload is longer than :data:`MAX_PAYLOAD`.
    """
    if len(frame.payload) > MAX_PAYLOAD:
        raise UsageError(f"a frame carries at most {MAX_PAYLOAD} bytes, not {len(frame.payload)}")
    first = VERSION | _FLAG_MODEL * frame.for_model | _FLAG_REPLY * frame.is_reply
    body = _HEADER.pack(first, frame.type, frame.sequence, frame.session, len(frame.payload))
    body += frame.payload
    body += _crc_of(body, contract).to_bytes(_CRC, "little")
    stuffed: bytes = _cobs_module().encode(body)
    return b"\0" + stuffed + b"\0"


@dataclass(slots=True)
class FrameReader:
    """Takes bytes as they come, gives frames; bounded memory, and no input makes it fail.

    ``contract`` is as in :func:`encode`; ``damage`` counts what was dropped, and ``good`` the rest.
    """

    contract: bytes = _NO_CONTRACT
    damage: Damage = field(default_factory=Damage)
    good: int = 0
    _pending: bytearray = field(default_factory=bytearray)
    _overflown: bool = False

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that end in ``data``."""
        *ended, rest = data.split(b"\0")
        frames = []
        for piece in ended:
            self._append(piece)
            frames.append(self._close())
        self._append(rest)
        return [frame for frame in frames if frame is not None]

    def _append(self, piece: bytes) -> None:
        if len(self._pending) + len(piece) > _LONGEST_ENCODED:
            self._overflown = True
            self._pending.clear()
        elif not self._overflown:
            self._pending += piece

    def _close(self) -> Frame | None:
        stuffed, overflown = bytes(self._pending), self._overflown
        self._pending.clear()
        self._overflown = False
        if overflown:
            self.damage.too_long += 1
            return None
        return self._decode(stuffed) if stuffed else None

    def _decode(self, stuffed: bytes) -> Frame | None:
        cobs = _cobs_module()
        try:
            body: bytes = cobs.decode(stuffed)
        except cobs.DecodeError:
            self.damage.cut += 1
            return None
        if len(body) < _HEADER.size + _CRC:
            self.damage.cut += 1
            return None
        body, crc = body[:-_CRC], int.from_bytes(body[-_CRC:], "little")
        if _crc_of(body, self.contract) != crc:
            self.damage.checksum += 1
            return None
        first, kind, sequence, session, length = _HEADER.unpack_from(body)
        payload = body[_HEADER.size :]
        if first & 0x0F != VERSION:
            self.damage.version += 1
            return None
        if length != len(payload) or length > MAX_PAYLOAD or first & _RESERVED:
            self.damage.malformed += 1
            return None
        self.good += 1
        is_reply, for_model = bool(first & _FLAG_REPLY), bool(first & _FLAG_MODEL)
        return Frame(kind, sequence, session, payload, is_reply, for_model)


def _crc_of(body: bytes, contract: bytes) -> int:
    return crc32c(body, crc32c(contract) if body[0] & _FLAG_MODEL else 0)


@cache
def _crc_module() -> ModuleType:
    return _imported("google_crc32c", "google-crc32c")


@cache
def _cobs_module() -> ModuleType:
    return _imported("cobs.cobs", "cobs")


def _imported(module: str, package: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise LinkError(
            f"the link needs the package '{package}'; install grsn-edge[device]"
        ) from None
