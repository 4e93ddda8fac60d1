"""Well-formed frames with any content: every command answers or refuses, and the device goes on."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from toy_policy import toy_policy

from grsn_edge.backends._c.compiler import compiler
from grsn_edge.backends._image import image
from grsn_edge.device import Device, DevicePolicy
from grsn_edge.device.linux_board import build_device
from grsn_edge.device.protocol import Command
from grsn_edge.errors import CompileError, DeviceRefused
from grsn_edge.policy import model_hash

SANITISERS = ("-O1", "-Wno-error", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
NOT_REQUESTS = {Command.HELLO, Command.MISSING, Command.NO_SESSION}


@pytest.fixture(scope="module")
def sanitised() -> Path:
    """``grsn-device`` under AddressSanitizer and UBSan."""
    if "zig" in " ".join(compiler()) or shutil.which("cc") is None:
        pytest.skip("needs a compiler with sanitisers")
    try:
        return build_device(flags=SANITISERS)
    except CompileError as error:
        pytest.skip(f"no sanitisers here: {error}")


def payload(rng: random.Random, command: Command) -> bytes:
    """Near what the command takes: lengths and small fields that often fit."""
    if command == Command.STEP and rng.random() < 0.7:
        count = rng.randrange(1, 6)
        return bytes([count, rng.choice([0, 0x10, 5, 0x0A, 0x60])]) + rng.randbytes(2 * count)
    if command == Command.PROFILE and rng.random() < 0.7:
        return bytes([0, 2]) + rng.randrange(1, 50).to_bytes(4, "little") + rng.randbytes(4)
    length = rng.choice([0, 0, 1, 1, 4, 6, 8, 12, 40, rng.randrange(513), 512])
    return bytes(rng.choice([0, 0, 1, 2, 8, 255, rng.randrange(256)]) for _ in range(length))


@pytest.mark.parametrize("requests", [3000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_no_request_breaks_the_device(sanitised: Path, tmp_path: Path, requests: int) -> None:
    rng, toy = random.Random(requests), toy_policy()
    path = tmp_path / "toy.img"
    path.write_bytes(image(toy))
    commands = [c for c in Command if c not in NOT_REQUESTS]
    refused = 0
    with Device.open(f"exec:{sanitised} --image {path}", timeout=10) as device:
        for _ in range(requests):
            command = rng.choice(commands)
            for_model = rng.random() < 0.5
            try:
                device._session.call(command, payload(rng, command), for_model=for_model)
            except DeviceRefused:
                refused += 1
        assert 0 < refused < requests
        device.disarm()
        device.load(toy)
        assert device.model.hash == model_hash(toy)
        assert DevicePolicy(device, toy).verify() == 20
        assert np.array_equal(device.step_many(np.zeros((0, 2), int)), np.zeros((0, 1)))
