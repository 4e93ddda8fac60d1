"""From what a user calls a port to an open device: a serial port, an address, or a board's name."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from grsn_edge.device.boards import board, board_names
from grsn_edge.device.client import Device
from grsn_edge.device.emulate import Emulated, emulate
from grsn_edge.device.linux_board import build_device
from grsn_edge.errors import UsageError
from grsn_edge.policy import Policy, model_hash

__all__ = ["Connection", "connect", "serial_ports"]

PROCESS = "linux"
"""The name of the board that is a process of this machine."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Connection:
    """An open device, and the emulator behind it where this call started one."""

    device: Device
    emulated: Emulated | None


@contextmanager
def connect(
    port: str | None,
    *,
    policy: Policy | None = None,
    baud: int = 115200,
    emulator: str = "auto",
    progress: Progress | None = None,
) -> Iterator[Connection]:
    """Open a device; a board's name starts an emulated one (or a process) for the while.

    Args:
        port: ``/dev/ttyACM0``, ``socket://…``, ``exec:…``, or a board's name; None takes the only
            serial port there is.
        policy: loaded where the board was started here and has none; a real one is left alone.
        baud: of a serial port.
        emulator: of an emulated board.
        progress: of loading.

    Raises:
        UsageError: no port was named, and there is none or more than one.
        DeviceError: it is not there, does not answer, or refuses the policy.
    """
    name = port if port is not None else _only_port()
    if name == PROCESS:
        with Device.open(f"exec:{build_device()}") as device:
            _bring(device, policy, progress)
            yield Connection(device, None)
    elif name in board_names():
        compiled_in = policy if board(name).emulated_engine != "vm" else None
        with (
            emulate(name, emulator, policy=compiled_in) as emulated,
            Device.open(emulated.address) as device,
        ):
            _bring(device, policy, progress)
            yield Connection(device, emulated)
    else:
        with Device.open(name, baud=baud) as device:
            yield Connection(device, None)


def serial_ports() -> list[dict[str, Any]]:
    """Serial ports of this machine: address and what the system says of them."""
    if importlib.util.find_spec("serial") is None:
        return []
    listing: Any = importlib.import_module("serial.tools.list_ports")
    return [
        {"address": port.device, "description": port.description, "id": port.hwid}
        for port in sorted(listing.comports(), key=lambda port: str(port.device))
        if port.hwid != "n/a"  # a UART of the board itself with nothing known behind it
    ]


def _only_port() -> str:
    ports = [port["address"] for port in serial_ports()]
    if len(ports) == 1:
        return str(ports[0])
    there = f"there are {', '.join(ports)}" if ports else "there is no serial port"
    boards = ", ".join(name for name in board_names() if board(name).emulators)
    raise UsageError(f"name a --port: {there}; an emulated board is named {boards} or {PROCESS}")


def _bring(device: Device, policy: Policy | None, progress: Progress | None) -> None:
    if policy is not None and device.model.hash != model_hash(policy):
        device.load(policy, progress=progress)
