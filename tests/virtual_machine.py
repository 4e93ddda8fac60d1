"""The virtual machine as a shared library, for tests that run policy images."""

from __future__ import annotations

import ctypes
import os
import shlex
import struct
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from grsn_edge.backends._c.compiler import compiler
from grsn_edge.backends._image import crc32c
from grsn_edge.program import IntArray, Program

FIRMWARE = Path(__file__).parents[1] / "firmware"
SOURCES = tuple(
    FIRMWARE / "src" / f"grsn_{name}.c"
    for name in ("crc", "image", "proof", "strerror", "vm", "codec")
)
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wsign-conversion")

_BYTES = {"int8": 1, "int16": 2, "int32": 4}


class Model(ctypes.Structure):
    """``grsn_model_t``."""

    _fields_ = [
        ("image", ctypes.c_void_p),
        *(
            (name, ctypes.c_uint32)
            for name in (
                "image_size",
                "observation_n",
                "action_n",
                "state_size",
                "scratch_size",
                "saved_size",
                "period_us",
                "golden_steps",
            )
        ),
    ]


@cache
def library(*flags: str) -> ctypes.CDLL:
    """The machine, compiled once per set of flags."""
    folder = Path(tempfile.mkdtemp(prefix="grsn-vm-"))
    target = folder / "vm.so"
    build([*SOURCES], target, "-fPIC", "-shared", *(flags or ("-O2",)))
    loaded = ctypes.CDLL(os.fspath(target))
    loaded.grsn_strerror.restype = ctypes.c_char_p
    loaded.grsn_model_hash.restype = ctypes.c_void_p
    loaded.grsn_section.restype = ctypes.c_void_p
    loaded.grsn_crc32c.restype = ctypes.c_uint32
    loaded.grsn_encode.restype = ctypes.c_int32
    loaded.grsn_selftest.restype = ctypes.c_int32
    return loaded


def build(sources: list[Path], target: Path, *flags: str, include: Path = FIRMWARE) -> None:
    """Compile C, every warning an error."""
    command = [*compiler(), *STRICT, *flags, f"-I{include / 'include'}", f"-I{include / 'src'}"]
    command += [*map(os.fspath, sources), "-o", os.fspath(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stderr}"


class Aligned:
    """A copy of some bytes at an address that is a multiple of 8, with guards behind."""

    def __init__(self, content: bytes) -> None:
        self.memory = np.full(len(content) // 8 + 9, -0x5A5A5A5A5A5A5A5B, np.int64)
        self.size = len(content)
        self.bytes = self.memory.view(np.uint8)[: self.size]
        self.bytes[:] = np.frombuffer(content, np.uint8)

    @property
    def address(self) -> int:
        return int(self.memory.ctypes.data)

    @property
    def intact(self) -> bool:
        """Whether nothing was written behind the bytes."""
        return bool(np.all(self.memory.view(np.uint8)[self.size :] == 0xA5))


class Machine:
    """An opened image; raises ValueError with the status where it is refused."""

    def __init__(self, image: bytes, *flags: str) -> None:
        self.lib = library(*flags)
        self.image = Aligned(image)
        self.model = Model()
        self._model = ctypes.byref(self.model)
        status = self.open(self.lib, self.image, len(image), self.model)
        if status:
            raise ValueError(status)
        self.state = Aligned(bytes(self.model.state_size))
        self.scratch = Aligned(bytes(self.model.scratch_size))
        self.reset()

    @staticmethod
    def open(lib: ctypes.CDLL, image: Aligned, size: int, model: Model) -> int:
        address = ctypes.c_void_p(image.address)
        return int(lib.grsn_open(ctypes.byref(model), address, ctypes.c_size_t(size)))

    def reset(self) -> None:
        self.lib.grsn_reset(self._model, ctypes.c_void_p(self.state.address))

    def step(self, observation: npt.ArrayLike) -> IntArray:
        """Integers of all inputs in, integers of all outputs out."""
        given = np.ascontiguousarray(observation, np.int32)
        assert given.size == self.model.observation_n
        action = np.zeros(self.model.action_n, np.int32)
        self.lib.grsn_step(
            self._model,
            ctypes.c_void_p(self.state.address),
            ctypes.c_void_p(self.scratch.address),
            given.ctypes.data_as(ctypes.c_void_p),
            action.ctypes.data_as(ctypes.c_void_p),
        )
        assert self.state.intact
        assert self.scratch.intact
        return action.astype(np.int64)

    def saved(self) -> bytes:
        """The state as ``grsn_state_get`` writes it."""
        saved = Aligned(bytes(self.model.saved_size))
        self.lib.grsn_state_get(
            self._model, ctypes.c_void_p(self.state.address), ctypes.c_void_p(saved.address)
        )
        assert saved.intact
        return saved.bytes.tobytes()

    def restore(self, saved: bytes) -> int:
        """The status of ``grsn_state_set``."""
        given = Aligned(saved)
        return int(
            self.lib.grsn_state_set(
                self._model,
                ctypes.c_void_p(self.state.address),
                ctypes.c_void_p(given.address),
                ctypes.c_size_t(len(saved)),
            )
        )

    def selftest(self) -> int:
        return int(
            self.lib.grsn_selftest(
                self._model,
                ctypes.c_void_p(self.state.address),
                ctypes.c_void_p(self.scratch.address),
            )
        )


def save(program: Program, state: dict[str, IntArray]) -> bytes:
    """The bytes of a state, as a device saves it."""
    return b"".join(
        state[node.name].astype(f"<i{_BYTES[node.dtype]}").tobytes() for node in program.states
    )


def repaired(image: bytes) -> bytes:
    """An image with the checksum of its content, so that the deeper checks see it."""
    size = int.from_bytes(image[8:12], "little")
    return image[: size - 4] + crc32c(image[: size - 4]).to_bytes(4, "little") + image[size:]


def forged(image: bytes, offset: int, form: str, value: int) -> bytes:
    """An image with one field overwritten and its checksum repaired."""
    changed = bytearray(image)
    struct.pack_into(f"<{form}", changed, offset, value)
    return repaired(bytes(changed))


def status(image: bytes, size: int | None = None, *, shift: int = 0) -> int:
    """What ``grsn_open`` says of an image, of which ``size`` bytes are readable."""
    memory = Aligned(bytes(shift) + image)
    length = ctypes.c_size_t(len(image) if size is None else size)
    address = ctypes.c_void_p(memory.address + shift)
    return int(library().grsn_open(ctypes.byref(Model()), address, length))
