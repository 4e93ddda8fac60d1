"""A line with malice: every step happens once, and no damaged frame passes for a good one."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from grsn_edge.backends import backend
from grsn_edge.device import Device, DevicePolicy
from grsn_edge.device.boards import firmware_folder
from grsn_edge.device.noise import Noise, NoisyLine, damaged
from grsn_edge.device.policy import pack_state
from grsn_edge.errors import DeviceLost
from grsn_edge.policy import Policy

EVERYTHING = Noise(
    flip=1e-4,
    drop_byte=1e-4,
    double_byte=1e-4,
    drop=0.02,
    double=0.05,
    swap=0.05,
    hold=0.05,
    split=0.2,
    insert=0.02,
)
KINDS = {
    "drops": Noise(drop=0.1),
    "duplicates": Noise(double=0.3),
    "reordering": Noise(swap=0.2, hold=0.1),
    "splits": Noise(split=0.9),
    "flips": Noise(flip=2e-4),
    "lost and doubled bytes": Noise(drop_byte=1e-3, double_byte=1e-3),
    "rubbish between frames": Noise(insert=0.3),
    "everything": EVERYTHING,
}


def play(compiled: Path, toy: Policy, noise: Noise, steps: int, singly: int, seed: int) -> None:
    """Steps over a bad line, in batches and one by one, against the reference."""
    codes = np.random.default_rng(seed).integers(-127, 128, (steps + singly, 2))
    runner = backend("numpy").load(toy.program)
    wanted = np.array([runner.step({"observation": code})["action"] for code in codes])
    with (
        NoisyLine(f"exec:{compiled}", noise, seed=seed) as line,
        Device.open(line.address, timeout=10) as device,
    ):
        device.use(toy)
        device.reset()
        found = [*device.step_many(codes[:steps]), *(device.step(c) for c in codes[steps:])]
        assert np.array_equal(found, wanted)
        assert device.state == pack_state(toy.program, runner.get_state())
        assert device.info().counters.steps == len(codes)


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_happens_exactly_once(kind: str, compiled: Path, toy: Policy) -> None:
    play(compiled, toy, KINDS[kind], steps=2000, singly=60, seed=1)


def test_a_policy_is_loaded_whole_over_a_bad_line(machine: Path, toy: Policy) -> None:
    with (
        NoisyLine(f"exec:{machine}", EVERYTHING, seed=5) as line,
        Device.open(line.address, timeout=10) as device,
    ):
        device.load(toy)
        assert DevicePolicy(device, toy).verify() == 20


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_ten_thousand_steps_one_by_one_over_a_bad_line(
    seed: int, compiled: Path, toy: Policy
) -> None:
    play(compiled, toy, EVERYTHING, steps=20_000, singly=10_000, seed=seed)


def test_a_pulled_cable_is_an_error_and_the_device_keeps_its_state(
    compiled: Path, toy: Policy
) -> None:
    with NoisyLine(f"exec:{compiled}") as line, Device.open(line.address) as device:
        device.use(toy)
        device.step_many([[5, 5]] * 30)
        line.cut()
        with pytest.raises(DeviceLost, match="has gone"):
            device.step_many([[5, 5]] * 10**6)
        device.reopen()
        runner = backend("numpy").load(toy.program)
        for _ in range(device.info().counters.steps):
            runner.step({"observation": [5, 5]})
        assert device.state == pack_state(toy.program, runner.get_state())


def test_a_line_has_the_speed_that_it_was_given(compiled: Path, toy: Policy) -> None:
    with (
        NoisyLine(f"exec:{compiled}", baud=20_000) as line,
        Device.open(line.address) as device,
    ):
        device.use(toy)
        device.step_many(np.zeros((4000, 2), int))
        link = device.info().link
    assert link.repeats <= 4  # a slow line is not a lost frame


def test_the_same_seed_does_the_same_damage() -> None:
    once, again = (damaged(bytes(range(256)) * 8, EVERYTHING, random.Random(7)) for _ in range(2))
    assert once == again != bytes(range(256)) * 8


# ---- the receiver in C ----


def run_receiver(folder: Path, frames: int, seed: int) -> dict[str, int]:
    """What ``firmware/fuzz/fuzz_link.c`` counts, under the sanitisers where gcc has them."""
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no gcc or clang")
    root = firmware_folder()
    sources = [root / "fuzz/fuzz_link.c", root / "src/grsn_link.c", root / "src/grsn_crc.c"]
    warnings = ["-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wsign-conversion"]
    sanitisers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    line = [compiler, "-std=c99", "-O2", *warnings, *sanitisers, f"-I{root / 'include'}"]
    line += [f"-I{root / 'src'}", *map(str, sources), "-o", str(folder / "fuzz_link")]
    subprocess.run(line, check=True)
    command = [str(folder / "fuzz_link"), str(frames), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counted: dict[str, int] = json.loads(done.stdout)
    return counted


def test_the_receiver_accepts_what_was_sent_and_nothing_else(tmp_path: Path) -> None:
    counted = run_receiver(tmp_path, frames=100_000, seed=1)
    assert counted["wrong_accepted"] == counted["clean_lost"] == 0
    assert counted["damaged"] > 30_000
    assert counted["accepted"] > 100_000


@pytest.mark.slow
def test_ten_million_noisy_frames(tmp_path: Path) -> None:
    counted = run_receiver(tmp_path, frames=10_000_000, seed=2)
    assert counted["wrong_accepted"] == counted["clean_lost"] == 0
