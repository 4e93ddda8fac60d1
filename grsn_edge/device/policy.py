"""A policy on a device with the face of :class:`StreamingPolicy`, and of a backend's runner."""

from __future__ import annotations

import os

import numpy as np

from grsn_edge.backends import Runner, Values
from grsn_edge.device.client import Device
from grsn_edge.errors import LinkError
from grsn_edge.policy import ACTION, OBSERVATION, Policy, load
from grsn_edge.program import IntArray, Program
from grsn_edge.runtime import StreamingPolicy

__all__ = ["DevicePolicy", "DeviceRunner", "pack_state", "unpack_state"]


class DevicePolicy(StreamingPolicy):
    """A policy whose steps happen on a device; encoder and decoder work here.

    Example::

        with Device.open("/dev/ttyACM0") as device:
            policy = DevicePolicy(device, load("models/cartpole-p.grsn"))
            policy.reset()
            action = policy.step([0.01, -0.02])

    ``step``, ``step_into``, ``reset``, ``state``, ``spec`` and ``verify`` are those of
    :class:`StreamingPolicy`; closing it leaves the device open.

    Args:
        device: an open device that runs this policy (see :meth:`Device.load`).
        policy: the same one, here.

    Raises:
        ModelMismatch: the device runs another policy.
    """

    def __init__(self, device: Device, policy: Policy | str | os.PathLike[str]) -> None:
        self.policy = policy if isinstance(policy, Policy) else load(policy)
        device.use(self.policy)
        self.device = device
        self.backend = f"device {device.address}"
        self._runner = DeviceRunner(device, self.policy.program)
        self.step = self._step
        self.step_into = self._step_into


class DeviceRunner(Runner):
    """A program that runs on a device, for comparisons with ``==``.

    Without a batch the device's state is the runner's.  With one, the streams take turns on the
    device: a step of each sets its state, steps, and reads it back.

    Args:
        device: one that :meth:`Device.use` was called on.
        program: of that policy.
        batch: streams, or None.
    """

    def __init__(self, device: Device, program: Program, batch: int | None = None) -> None:
        super().__init__(program, batch)
        self._device = device
        self._rows = [pack_state(program, program.initial_state())] * (batch or 0)
        if batch is None:
            device.reset()

    def step(self, inputs: Values) -> dict[str, IntArray]:
        codes = self.checked_inputs(inputs)[OBSERVATION]
        if self.batch is None:
            return {ACTION: self._device.step(codes)}
        actions = [self._step_row(row, code) for row, code in enumerate(codes)]
        return {ACTION: np.array(actions, np.int64).reshape(self.batch, -1)}

    def get_state(self) -> dict[str, IntArray]:
        if self.batch is None:
            return unpack_state(self.program, self._device.state)
        rows = [unpack_state(self.program, row) for row in self._rows]
        return {node.name: np.stack([r[node.name] for r in rows]) for node in self.program.states}

    def set_state(self, state: Values) -> None:
        arrays = self.checked_state(state)
        if self.batch is None:
            self._device.state = pack_state(self.program, arrays)
            return
        rows = ({name: value[row] for name, value in arrays.items()} for row in range(self.batch))
        self._rows = [pack_state(self.program, row) for row in rows]

    def reset(self) -> None:
        if self.batch is None:
            self._device.reset()
        else:
            super().reset()

    def _step_row(self, row: int, code: IntArray) -> IntArray:
        self._device.state = self._rows[row]
        action = self._device.step(code)
        self._rows[row] = self._device.state
        return action


def pack_state(program: Program, state: Values) -> bytes:
    """A state as a device saves it: in order of declaration, in storage types, little-endian."""
    return b"".join(
        np.asarray(state[node.name]).astype(np.dtype(node.dtype).newbyteorder("<")).tobytes()
        for node in program.states
    )


def unpack_state(program: Program, saved: bytes) -> dict[str, IntArray]:
    """The inverse of :func:`pack_state`, as int64.

    Raises:
        LinkError: another number of bytes than the program's states have.
    """
    states, at = {}, 0
    for node in program.states:
        dtype = np.dtype(node.dtype).newbyteorder("<")
        piece = saved[at : at + node.n * dtype.itemsize]
        if len(piece) < node.n * dtype.itemsize:
            raise LinkError(
                f"the device's state has {len(saved)} bytes, which is not this policy's"
            )
        states[node.name] = np.frombuffer(piece, dtype).astype(np.int64)
        at += node.n * dtype.itemsize
    if at != len(saved):
        raise LinkError(f"the device's state has {len(saved)} bytes; this policy's has {at}")
    return states
