"""Boards: what their folders say, what their firmware computes, and the cable between."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from grsn_edge.device import Device
from grsn_edge.device.boards import Board, board, board_names, firmware_folder
from grsn_edge.device.build import firmware, sizes, toolchains, why_not
from grsn_edge.device.connect import connect
from grsn_edge.device.emulate import emulatable, emulate, emulator_missing, missing
from grsn_edge.device.emulate_wire import Wire
from grsn_edge.device.played import compared, played, reference
from grsn_edge.errors import DeviceError, DeviceLost, UsageError
from grsn_edge.policy import Policy, load
from grsn_edge.tasks import task

ROOT = Path(__file__).resolve().parents[2]
ON_UNICORN = ("m0", "m3", "m4", "m7", "m33", "rv32")


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load(ROOT / "models" / "cartpole-p.grsn")


def needs(name: str, kind: str = "unicorn") -> None:
    """Skip where this emulator, or every compiler for the board, is missing."""
    reason = emulator_missing(board(name), kind) or missing(name)
    if reason:
        pytest.skip(reason)


# ---- folders ----


@pytest.mark.parametrize("name", board_names())
def test_a_board_is_a_folder_of_at_most_200_lines_with_a_page(name: str) -> None:
    chosen = board(name)
    assert (ROOT / chosen.page).is_file()
    assert toolchains(chosen)
    for source in chosen.sources:
        assert (chosen.folder / source).is_file()
    lines = sum(len(path.read_text().splitlines()) for path in chosen.folder.glob("*.[chl]*"))
    assert lines <= 200
    said = f'"{name}", ' in (chosen.folder / "port.c").read_text()
    assert said, "grsn_board.name is the folder's name"


def test_the_template_compiles_without_a_warning(policy: Policy) -> None:
    folder = firmware_folder() / "ports" / "template"
    template = Board(**{**board("m0").__dict__, **read(folder)})
    for tool in toolchains(template):
        if why_not(template, tool) is None:
            assert sizes(firmware(template, tool, policy=policy)).flash > 5000


def read(folder: Path) -> dict[str, object]:
    entries = json.loads((folder / "board.json").read_text())
    return {"name": "template", "folder": folder, "sources": tuple(entries["sources"])}


@pytest.mark.parametrize("name", [name for name in board_names() if board(name).silicon])
def test_the_firmware_of_real_boards_fits_their_flash(name: str) -> None:
    chosen = board(name)
    tool = next((t for t in toolchains(chosen) if why_not(chosen, t) is None), None)
    if tool is None:
        pytest.skip(str(why_not(chosen, toolchains(chosen)[0])))
    held = sizes(firmware(chosen, tool))
    assert 10_000 < held.flash < chosen.memory["flash"].size
    assert held.ram + held.stack < chosen.memory["ram"].size


def test_constants_of_an_esp32s3_lie_where_single_bytes_are_read_and_code_where_none_are() -> None:
    chosen = board("esp32s3")
    if reason := why_not(chosen, "gcc"):
        pytest.skip(reason)
    elffile = pytest.importorskip("elftools.elf.elffile")
    with firmware(chosen).open("rb") as file:
        sections = {s.name: s for s in elffile.ELFFile(file).iter_sections() if s["sh_addr"]}
    code, seen_as_data = sections[".text"], 0x40378000 - 0x3FC88000
    assert code["sh_addr"] >= 0x40378000
    ends = code["sh_addr"] + code["sh_size"] - seen_as_data
    for name in (".stack", ".rodata", ".bss"):
        begins = sections[name]["sh_addr"]
        assert ends <= begins < begins + sections[name]["sh_size"] <= 0x3FCD8000  # the ROM's own


def test_what_was_built_once_is_taken_from_the_cache() -> None:
    needs("m4")
    first = firmware("m4")
    stamp = first.stat().st_mtime_ns
    assert firmware("m4") == first
    assert first.stat().st_mtime_ns == stamp


def test_an_unknown_board_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no board 'm5'; there are .*m4"):
        board("m5")


def test_a_board_without_room_for_the_machine_asks_for_a_policy() -> None:
    if why_not(board("avr"), "gcc"):
        pytest.skip("avr-gcc is missing")
    with pytest.raises(UsageError, match="policy compiled in"):
        firmware("avr")


# ---- what they compute ----


@pytest.mark.parametrize("name", ON_UNICORN)
def test_a_board_on_unicorn_equals_the_reference_at_every_step(name: str, policy: Policy) -> None:
    needs(name)
    with connect(name, policy=policy, emulator="unicorn") as connection:
        assert connection.device.self_test() == -1
        report = compared(connection.device, policy, 100)
        assert report.difference is None
        assert report.steps == 100


def test_episodes_through_a_board_are_those_of_the_reference(policy: Policy) -> None:
    needs("m4")
    chosen = task("cartpole-p")
    wanted = reference(policy, chosen, 1, seed=3)
    with connect("m4", policy=policy) as connection:
        game = played(connection.device, policy, chosen, 1, seed=3)
    assert game.episodes == wanted.episodes
    assert game.digest == wanted.digest
    assert 0 < game.counts_mean <= game.counts_most


@pytest.mark.parametrize(
    ("name", "kind"),
    [("m4", "qemu"), ("m55", "qemu"), ("xtensa", "qemu"), ("avr", "simavr")],
)
def test_a_board_on_another_emulator_equals_the_reference(
    name: str, kind: str, policy: Policy
) -> None:
    needs(name, kind)
    with connect(name, policy=policy, emulator=kind) as connection:
        report = compared(connection.device, policy, 50)
        assert report.difference is None
        assert connection.emulated is not None
        used = connection.emulated.machine.stack_used()
        assert used is not None
        assert 100 < used < 4096


def test_a_compiled_in_policy_takes_fewer_instructions_than_the_machine(policy: Policy) -> None:
    needs("m4")
    counts = {}
    for engine, compiled_in in (("vm", None), ("generated", policy)):
        with emulate("m4", "unicorn", policy=compiled_in) as m4, Device.open(m4.address) as device:
            if compiled_in is None:
                device.load(policy)
            device.use(policy)
            codes = np.zeros((4, device.model.observation_n), np.int64)
            counts[engine] = device.profile(codes, 50).mean
    assert counts["generated"] < counts["vm"]


def test_counted_instructions_are_the_same_in_every_run(policy: Policy) -> None:
    needs("m4")
    found = []
    for _ in range(2):
        with connect("m4", policy=policy, emulator="unicorn") as connection:
            device = connection.device
            codes = np.arange(4 * device.model.observation_n).reshape(4, -1)
            found.append(device.profile(codes, 60))
    assert found[0] == found[1]


def test_unicorn_and_qemu_count_alike_where_no_instruction_is_skipped(policy: Policy) -> None:
    needs("m0", "qemu")
    needs("m0", "unicorn")
    found = []
    for kind in ("unicorn", "qemu"):
        with connect("m0", policy=policy, emulator=kind) as connection:
            device = connection.device
            codes = np.arange(2 * device.model.observation_n).reshape(2, -1)
            found.append(device.profile(codes, 40))
    assert found[0] == found[1]


# ---- the cable ----


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire(terminal=True) as made:
        yield made


def call(wire: Wire) -> socket.socket:
    host, port = wire.address.removeprefix("socket://").split(":")
    line = socket.create_connection((host, int(port)))
    line.settimeout(5)
    wire.wait(1)
    return line


def test_the_newest_caller_has_the_line(wire: Wire) -> None:
    old, new = call(wire), call(wire)
    assert old.recv(1) == b""
    new.sendall(b"x")
    assert wire.wait(1) == (b"x", False)
    wire.send(b"y")
    assert new.recv(1) == b"y"


def test_answers_go_to_the_end_that_spoke_last(wire: Wire) -> None:
    if wire.terminal is None:
        pytest.skip("no pseudo-terminals here")
    caller = call(wire)
    caller.sendall(b"a")
    wire.wait(1)
    terminal = os.open(wire.terminal, os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(terminal, b"b")
        assert wire.wait(1)[0] == b"b"
        wire.send(b"c")
        assert os.read(terminal, 1) == b"c"
    finally:
        os.close(terminal)


def test_what_nobody_hears_is_dropped(wire: Wire) -> None:
    wire.send(b"lost")
    assert call(wire).fileno() >= 0


def test_an_emulator_that_ends_is_a_lost_device(policy: Policy) -> None:
    needs("m4")
    with emulate("m4", "unicorn") as m4:
        device = Device.open(m4.address)
        m4.machine.close()
        m4.machine._wire.close()  # type: ignore[attr-defined]
        with pytest.raises(DeviceLost):
            device.info()


def test_a_firmware_that_faults_says_where(tmp_path: Path) -> None:
    needs("m4")
    source = tmp_path / "fault.c"
    source.write_text("int main(void);\nint main(void) { return *(volatile int *)0x60000000; }\n")
    elf = firmware("m4", application=[source])
    with emulate("m4", "unicorn", elf=elf) as m4:
        for _ in range(100):
            if m4.machine.failure():
                break
            m4.machine._thread.join(0.05)  # type: ignore[attr-defined]
        assert "faulted at 0x" in str(m4.machine.failure())


def test_an_emulator_that_the_board_lacks_is_refused() -> None:
    with pytest.raises(UsageError, match="not emulated by 'qemux', but by unicorn, qemu"):
        emulate("m4", "qemux").__enter__()


def test_a_missing_emulator_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(DeviceError, match=r"qemu-system-arm is missing: run tools/setup"):
        emulate("m55").__enter__()
    assert "m55" in emulatable()
