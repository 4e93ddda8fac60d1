"""The host's client against the firmware as a process: pty, TCP, and standard input and output."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from grsn_edge.backends import backend
from grsn_edge.backends._image import image
from grsn_edge.device import Device, DevicePolicy, DeviceRunner
from grsn_edge.device.frames import crc32c
from grsn_edge.device.linux_board import build_device
from grsn_edge.device.policy import pack_state
from grsn_edge.device.protocol import Command, Counter
from grsn_edge.errors import (
    DeviceLost,
    DeviceRefused,
    DeviceRestarted,
    LinkError,
    ModelMismatch,
    ObservationError,
    StateError,
    UsageError,
)
from grsn_edge.policy import Policy, load, model_hash
from grsn_edge.program import IntArray

ROOT = Path(__file__).parents[2]
CODES = np.random.default_rng(0).integers(-127, 128, (1000, 2))


def reference(policy: Policy, codes: IntArray) -> tuple[IntArray, bytes]:
    """Actions and the saved state at the end, from the NumPy reference."""
    runner = backend("numpy").load(policy.program)
    actions = [runner.step({"observation": code})["action"] for code in codes]
    return np.array(actions), pack_state(policy.program, runner.get_state())


def device_with(machine: Path, policy: Policy, folder: Path) -> str:
    """The address of a device that has the policy's image built in."""
    path = folder / f"{policy.name}.img"
    path.write_bytes(image(policy))
    return f"exec:{machine} --image {path}"


@contextmanager
def process(machine: Path, *words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A device process with an address, ended at the end."""
    running = subprocess.Popen([machine, *words], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    try:
        yield running.stdout.readline().strip(), running
    finally:
        running.kill()
        running.wait()
        running.stdout.close()


@pytest.fixture
def device(machine: Path, toy: Policy, tmp_path: Path) -> Iterator[Device]:
    with Device.open(device_with(machine, toy, tmp_path)) as opened:
        yield opened


def test_info_tells_what_runs_where(device: Device, toy: Policy) -> None:
    info = device.info()
    assert (info.board.name, info.board.library, info.board.engine) == ("linux", "0.1.0", "vm")
    assert (info.board.counter, info.board.counter_hz) == (Counter.NANOSECONDS, 10**9)
    assert info.model.hash == model_hash(toy)
    assert info.name == toy.name
    assert (info.model.observation_n, info.model.action_n, info.model.state_size) == (2, 1, 8)
    assert (info.model.golden_steps, info.model.self_test) == (20, -1)
    assert info.model.period_us == 20_000
    assert info.counters.good == info.link.requests + 1  # and the hello


def test_the_firmware_has_the_version_of_the_package(device: Device) -> None:
    assert device.info().board.library == version("grsn-edge")


def test_a_name_that_no_frame_holds_comes_in_pieces(
    machine: Path, toy: Policy, tmp_path: Path
) -> None:
    name = "a long story, " * 80
    (tmp_path / "long.img").write_bytes(image(replace(toy, name=name)))
    with Device.open(f"exec:{machine} --image {tmp_path / 'long.img'}") as device:
        assert device.info().name == name


@pytest.mark.parametrize("kind", ["machine", "compiled", "tiny"])
def test_steps_equal_the_reference(
    kind: str, toy: Policy, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(kind)
    has_image = kind != "compiled"
    address = device_with(path, toy, tmp_path) if has_image else f"exec:{path}"
    with Device.open(address) as device:
        actions, state = reference(toy, CODES)
        device.use(toy)
        device.reset()
        assert np.array_equal(device.step_many(CODES, check=True), actions)
        assert device.state == state
        assert device.last is not None
        assert device.last.state_crc == crc32c(state)
        device.reset()
        assert np.array_equal([device.step(code) for code in CODES[:100]], actions[:100])
        assert device.info().counters.steps == len(CODES) + 100


def test_a_policy_on_a_device_is_a_streaming_policy(device: Device, toy: Policy) -> None:
    policy = DevicePolicy(device, toy)
    assert policy.verify() == 20
    policy.reset()
    first = policy.step([0.5, 1.0])
    before = policy.state
    after = policy.step([0.1, -3.0])
    policy.state = before
    assert policy.step([0.1, -3.0]) == after
    policy.state = before
    action = np.zeros(1, np.int64)
    policy.step_into([0.1, -3.0], action)
    assert action == [after]
    assert first in (0, 1, 2)
    assert policy.spec.model_hash == model_hash(toy)
    with pytest.raises(ObservationError, match="NaN"):
        policy.step([float("nan"), 0.0])


def test_a_device_runs_beside_the_reference_in_lockstep(device: Device, toy: Policy) -> None:
    device.use(toy)
    numpy = backend("numpy").load(toy.program, batch=3)
    runner = DeviceRunner(device, toy.program, batch=3)
    rng = np.random.default_rng(1)
    state = {"layer0.u": rng.integers(-(2**15), 2**15, (3, 4))}
    for each in (numpy, runner):
        each.set_state(state)
    for _ in range(10):
        inputs = {"observation": rng.integers(-127, 128, (3, 2))}
        assert np.array_equal(numpy.step(inputs)["action"], runner.step(inputs)["action"])
        assert np.array_equal(numpy.get_state()["layer0.u"], runner.get_state()["layer0.u"])


@pytest.mark.parametrize("words", [("--pty",), ("--tcp", "0")], ids=lambda words: words[0])
def test_hosts_come_and_go_and_the_state_stays(words: tuple[str, ...], compiled: Path) -> None:
    with process(compiled, *words) as (address, _):
        with Device.open(address) as device:
            device.step_many(CODES[:10])
            state = device.state
        with Device.open(address) as device:
            assert device.state == state


def test_profiling_counts_on_the_device(device: Device, toy: Policy) -> None:
    device.use(toy)
    profile = device.profile(CODES[:7], 2500)
    assert profile.steps == 2500
    assert 0 < profile.least <= profile.mean <= profile.most
    assert device.info().counters.steps == 2500
    with pytest.raises(UsageError, match="at least one step"):
        device.profile(CODES, 0)


def test_the_self_test_runs_on_demand(device: Device) -> None:
    assert device.self_test() == -1


# ---- what is refused ----


def test_an_unknown_command_is_refused_and_the_next_is_done(device: Device) -> None:
    with pytest.raises(DeviceRefused, match="does not know"):
        device._session.call(0x2F)
    device.reset()


@pytest.mark.parametrize("payload", [b"", b"\1", b"\0\0", b"\1\x83\0\0", b"\1\0\0", b"\2\0\0\0"])
def test_a_malformed_step_is_refused_and_takes_none(device: Device, payload: bytes) -> None:
    before = device.state
    with pytest.raises(DeviceRefused, match="malformed"):
        device._session.call(Command.STEP, payload, for_model=True)
    assert device.state == before


def test_a_payload_larger_than_the_device_takes_is_not_sent(tiny: Path) -> None:
    with Device.open(f"exec:{tiny}") as device:
        with pytest.raises(UsageError, match="more than the device takes in a frame"):
            device._session.call(Command.CONFIGURE, bytes(65))
        device._session.hello = replace(device._session.hello, payload=512)
        with pytest.raises(LinkError, match="no answer"):
            device._session.call(Command.CONFIGURE, bytes(300), patience=0.2)
        device.reopen()
        assert device.info().board.name == "linux"


def test_a_device_without_a_policy_says_so(machine: Path, toy: Policy) -> None:
    with Device.open(f"exec:{machine}") as device:
        assert not device.info().model.is_there
        with pytest.raises(DeviceRefused, match="has no policy to run"):
            device.reset()
        with pytest.raises(ModelMismatch, match="runs no model"):
            device.use(toy)


def test_a_damaged_image_is_not_run(machine: Path, toy: Policy, tmp_path: Path) -> None:
    damaged = bytearray(image(toy))
    damaged[len(damaged) // 2] ^= 1
    path = tmp_path / "damaged.img"
    path.write_bytes(damaged)
    with Device.open(f"exec:{machine} --image {path}") as device:
        assert device.info().model.refusal == -6


def test_another_policy_is_refused(device: Device, toy: Policy) -> None:
    other = replace(toy, name="other")
    with pytest.raises(ModelMismatch, match="load it first"):
        DevicePolicy(device, other)


def test_a_model_that_changed_behind_the_hosts_back_does_not_step(
    machine: Path, toy: Policy, tmp_path: Path
) -> None:
    """Whoever means another model fails at once, without a time-out."""
    with Device.open(device_with(machine, toy, tmp_path)) as device:
        device.use(toy)
        device._session.contract = b"\1\2\3\4"
        with pytest.raises(ModelMismatch, match=model_hash(toy)[:8]):
            device.step(CODES[0])
        assert device.info().link.timeouts == 0
        assert device.info().counters.steps == 0


@pytest.mark.parametrize("codes", [[1], [1, 2, 3], [[1, 2]], [0.5, 1.0], [128, 0]])
def test_codes_that_no_observation_has_are_not_sent(
    device: Device, toy: Policy, codes: object
) -> None:
    device.use(toy)
    with pytest.raises(ObservationError, match="codes"):
        device.step(codes)  # type: ignore[arg-type]


def test_a_state_of_another_length_is_not_sent(device: Device) -> None:
    with pytest.raises(StateError, match="8 bytes, not 7"):
        device.state = bytes(7)
    assert device.state == bytes(8)


@pytest.mark.parametrize("kind", ["vm", pytest.param("generated", marks=pytest.mark.slow)])
def test_a_state_outside_its_range_is_refused_and_changes_nothing(
    kind: str, machine: Path, tmp_path: Path
) -> None:
    policy = load(ROOT / "models" / "cartpole-p.grsn")
    address = device_with(machine, policy, tmp_path)
    if kind == "generated":
        address = f"exec:{build_device(policy)}"
    with Device.open(address) as device:
        device.step_many(CODES[:20])
        before = device.state
        spike = before[: 4 * 32] + b"\2" + before[4 * 32 + 1 :]
        with pytest.raises(DeviceRefused, match="not one of its policy"):
            device.state = spike
        assert device.state == before


# ---- what breaks ----


def test_a_device_that_restarts_is_noticed_and_can_be_used_again(compiled: Path) -> None:
    with process(compiled, "--tcp", "0") as (address, running):
        device = Device.open(address)
        device.step(CODES[0])
        running.kill()
        running.wait()
        with pytest.raises(DeviceLost, match="has gone"):
            device.step(CODES[1])
        with pytest.raises(LinkError, match="reopen"):
            device.step(CODES[1])
        with pytest.raises(DeviceLost, match="cannot be opened"):
            device.reopen()
        with process(compiled, "--tcp", address.rpartition(":")[2]):
            device.reopen()
            assert device.info().counters.steps == 0
            assert device.info().name == "toy"
            device.close()


def test_a_restart_behind_a_line_that_stays_is_an_error_of_its_own(compiled: Path) -> None:
    with process(compiled, "--tcp", "0") as (address, _), Device.open(address) as device:
        device.step(CODES[0])
        device._session.id ^= 1
        device._session.hello = replace(device._session.hello, boot=0)
        with pytest.raises(DeviceRestarted, match="state is lost"):
            device.step(CODES[1])
        device.reopen()
        device.step(CODES[1])


def test_two_hosts_at_once_are_told(compiled: Path) -> None:
    with process(compiled, "--pty") as (address, _):
        first = Device.open(address)
        state = first.state
        second = Device.open(address)
        second.close()
        with pytest.raises(LinkError, match="another program"):
            first.reset()
        first.reopen()
        assert first.state == state
        first.close()


def test_a_silent_device_is_given_up_in_time(compiled: Path) -> None:
    with (
        process(compiled, "--tcp", "0") as (address, running),
        Device.open(address, timeout=0.3) as device,
    ):
        running.send_signal(signal.SIGSTOP)
        with pytest.raises(LinkError, match=r"no answer to RESET in 0\.3 s"):
            device.reset()
        running.send_signal(signal.SIGCONT)
        device.reopen()
        device.reset()


def test_what_does_not_answer_is_named() -> None:
    with pytest.raises(DeviceLost, match="cannot be opened"):
        Device.open("/dev/ttyNOT-THERE")
    with pytest.raises(LinkError, match="does not answer a hello"):
        Device.open("exec:cat", timeout=0.2)
    with pytest.raises(LinkError, match="socket://HOST:PORT"):
        Device.open("socket://nowhere")


# ---- loading ----


def test_a_loaded_policy_runs_and_boots(machine: Path, toy: Policy, tmp_path: Path) -> None:
    address = f"exec:{machine} --slots {tmp_path / 'slots'}"
    seen = []
    with Device.open(address) as device:
        device.load(toy, progress=lambda done, total: seen.append((done, total)))
        assert DevicePolicy(device, toy).verify() == 20
    assert seen[-1][0] == seen[-1][1] == len(image(toy))
    with Device.open(address) as device:
        assert device.info().model.hash == model_hash(toy)


def test_power_cut_anywhere_in_a_load_leaves_the_old_policy(
    tiny: Path, toy: Policy, tmp_path: Path
) -> None:
    """The device loses power within each erased or written unit in turn."""
    slots = tmp_path / "slots"
    with Device.open(f"exec:{tiny} --slots {slots}") as device:
        device.load(toy)
    new = replace(toy, name="new")
    before = slots.read_bytes()
    finished = False
    for cut_after in (*range(1, 8), *range(8, 600, 13)):
        slots.write_bytes(before)
        finished = _load_until_cut(f"exec:{tiny} --slots {slots} --cut-after {cut_after}", new)
        with Device.open(f"exec:{tiny} --slots {slots}") as device:
            if finished:
                break
            assert device.info().model.hash == model_hash(toy)
            device.load(new)
            assert DevicePolicy(device, new).verify() == 20
    assert finished


def test_a_load_interrupted_at_every_piece_goes_on_where_it_stood(tiny: Path, toy: Policy) -> None:
    with process(tiny, "--tcp", "0") as (address, _), Device.open(address) as device:
        stops = range(0, len(image(toy)), 56)
        for _ in stops:
            with suppress(KeyboardInterrupt):
                device.load(toy, progress=_interrupt)
            device.reopen()
            assert not device.model.is_there or device.loading().received == len(image(toy))
        status = device.loading()
        assert status.received == len(image(toy))
        device.load(toy)
        assert DevicePolicy(device, toy).verify() == 20


def _interrupt(done: int, total: int) -> None:
    raise KeyboardInterrupt


def _load_until_cut(address: str, policy: Policy) -> bool:
    with Device.open(address) as device:
        try:
            device.load(policy)
        except DeviceLost:
            return False
    return True


def test_an_image_with_a_wrong_checksum_or_hash_is_refused(device: Device, toy: Policy) -> None:
    other = replace(toy, name="other")
    with pytest.raises(DeviceRefused, match="LOAD_ACTIVATE"):
        device.load(image(other), digest=bytes(32))
    assert device.info().model.hash == model_hash(toy)
    device.load(other)
    assert device.info().model.hash == model_hash(other)


def test_a_firmware_with_its_policy_compiled_in_takes_no_image(compiled: Path, toy: Policy) -> None:
    with Device.open(f"exec:{compiled}") as device, pytest.raises(DeviceRefused, match="LOAD"):
        device.load(toy)


def test_a_policy_on_trial_can_be_given_up(machine: Path, toy: Policy) -> None:
    other = replace(toy, name="other")
    with Device.open(f"exec:{machine}") as device:
        device.load(toy)
        assert device.load(other, good_steps=50, confirm=False).on_trial
        assert device.revert().on_trial is False
        assert device.model.hash == model_hash(toy)
        device.load(other, good_steps=5, confirm=False)
        device.step_many(CODES[:10])
        device.step_many(CODES[:10])
        assert not device.loading().on_trial


# ---- supervision ----


def test_an_armed_device_gives_up_a_host_that_falls_silent(device: Device) -> None:
    assert device.arm().state == 3
    assert device.step(CODES[0]).shape == (1,)
    with pytest.raises(DeviceRefused, match="not while it is armed"):
        device.step_many(CODES[:2])
    with pytest.raises(DeviceRefused, match="not while it is armed"):
        device.self_test()
    time.sleep(0.2)
    assert device.status().state == 5
    assert device.disarm().state in (2, 5)
