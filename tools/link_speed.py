"""Steps per second against the speed of the line: computed from frame sizes, and measured.

    python tools/link_speed.py [--policy models/cartpole-p.grsn] [--seconds 1]

Computed: bytes of the frames of docs/SPEC.md §10 at 10 bits a byte; the busier direction is the
limit of a pipelined stream, a single step waits for both.  A batch fills a frame, and the window's
frames are on their way at once.  Measured: the firmware as a process behind a proxy of that speed
(bytes arrive when their last bit would), and without one over a pty and TCP, where the host and not
the line is the limit.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from grsn_edge.device import Device
from grsn_edge.device.frames import Frame, encode
from grsn_edge.device.linux_board import build_device
from grsn_edge.device.noise import NoisyLine
from grsn_edge.policy import Policy, load

BAUDS = (9600, 57600, 115200, 460800, 921600, 2_000_000, 12_000_000)
STEP, STEP_REPLY = 2, 16


def frame_bytes(payload: int) -> int:
    """Bytes on the line of a frame with that many payload bytes that are not 0."""
    return len(encode(Frame(4, 0x0101, 0x01010101, b"\1" * payload)))


def computed(baud: int, n: int, m: int, batch: int) -> float:
    """Steps a second: one by one for a batch of 1, else pipelined."""
    there, back = frame_bytes(STEP + batch * n), frame_bytes(STEP_REPLY + batch * m)
    seconds_per_byte = 10 / baud
    count = there + back if batch == 1 else max(there, back)
    return batch / (count * seconds_per_byte)


def rate(run: Callable[[int], object], seconds: float) -> float:
    """Steps a second of ``run(steps)``, grown until it takes long enough."""
    steps = 8
    while True:
        began = time.perf_counter()
        run(steps)
        took = time.perf_counter() - began
        if took >= seconds:
            return steps / took
        steps *= 2 if took < seconds / 4 else 4


def measured(device: Device, policy: Policy, seconds: float) -> tuple[float, float]:
    """Steps a second, one by one and in batches."""
    device.use(policy)
    codes = np.random.default_rng(0).integers(1, 100, (200_000, policy.encoder.n))

    def singly(steps: int) -> None:
        for t in range(steps):
            device.step(codes[t % len(codes)])

    def batched(steps: int) -> None:
        device.step_many(np.resize(codes, (steps, codes.shape[1])))

    return rate(singly, seconds), rate(batched, seconds)


@contextmanager
def running(path: str, *words: str) -> Iterator[str]:
    """A device process; its address."""
    process = subprocess.Popen([path, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--policy", default="models/cartpole-p.grsn")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement, at least")
    arguments = parser.parse_args()
    policy = load(arguments.policy)
    path = str(build_device(policy))
    n = policy.encoder.n * (1 if policy.encoder.dtype == "int8" else 2)
    m = policy.decoder.n
    batch = min(255, (512 - STEP) // n, (512 - STEP_REPLY) // m)
    print(f"{policy.name}: {n} bytes of codes, {m} of action a step; {batch} steps a frame\n")
    print("| line | single, computed | single, measured | batched, computed | batched, measured |")
    print("|---|---|---|---|---|")
    for baud in BAUDS:
        with (
            NoisyLine(f"exec:{path}", baud=baud) as line,
            Device.open(line.address, timeout=10) as device,
        ):
            single, many = measured(device, policy, arguments.seconds)
        known = computed(baud, n, m, 1), computed(baud, n, m, batch)
        print(f"| {baud} baud | {known[0]:.0f} | {single:.0f} | {known[1]:.0f} | {many:.0f} |")
    for name, words in (("pty", ("--pty",)), ("TCP", ("--tcp", "0"))):
        with running(path, *words) as address, Device.open(address) as device:
            single, many = measured(device, policy, arguments.seconds)
        print(f"| {name}, no limit | | {single:.0f} | | {many:.0f} |")


if __name__ == "__main__":
    main()
