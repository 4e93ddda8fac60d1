"""The A/B model store: whatever is cut, a valid policy boots, and the update can be made again."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest
from c_library import FIRMWARE, build, c_compiler
from spec_examples import blocks

OK, REVERTED, CONFIRMED = 0, 1, 2
EMPTY, SIZE, OFFSET, FLASH, DAMAGED, IMAGE, SELFTEST, MEMORY, ORDER, WORN = range(-2, -12, -1)
WORK = 16
PASSES, FAILS = ord("P"), ord("F")
NOTHING, BITS, ALL, UNIT = range(4)
TEARS = {"nothing": NOTHING, "random bits": BITS, "all": ALL, "the whole erase unit": UNIT}
GEOMETRIES = [(256, 1), (256, 8), (256, 32), (512, 2), (1024, 4), (2048, 8), (4096, 8)]


class Store(ctypes.Structure):
    """``grsn_store_t``."""

    _fields_ = (
        ("active", ctypes.c_int8),
        ("target", ctypes.c_int8),
        ("on_trial", ctypes.c_uint8),
        ("size", ctypes.c_uint32),
        ("received", ctypes.c_uint32),
        ("good_left", ctypes.c_uint32),
    )


class Board:
    """An emulated board with two slots and a store, in one library."""

    def __init__(self, folder: Path, erase_size: int, write_size: int) -> None:
        flags = (f"-DERASE_SIZE={erase_size}", f"-DWRITE_SIZE={write_size}")
        sources = [FIRMWARE / "src" / name for name in ("grsn_store.c", "grsn_crc.c")]
        harness = Path(__file__).with_name("store_harness.c")
        name = f"store-{erase_size}-{write_size}"
        self.library = build(folder, name, harness, *sources, flags=flags)
        self.library.the_store.restype = ctypes.POINTER(Store)
        self.library.slot_bytes.restype = ctypes.POINTER(ctypes.c_uint8)
        self.library.grsn_store_strerror.restype = ctypes.c_char_p
        self.piece = max(64, write_size)

    def __getattr__(self, name: str) -> object:
        return getattr(self.library, name)

    @property
    def store(self) -> Store:
        return self.library.the_store().contents

    def fresh(self) -> None:
        """Blank flash, and power."""
        self.library.blank_flash()
        self.restart()

    def restart(self, cut: int = 0, tear: int = NOTHING, seed: int = 0) -> None:
        """Power comes; it goes at the operation ``cut``."""
        self.library.restart(cut, tear, seed)

    def install(self, version: int) -> None:
        """A confirmed policy, booted."""
        assert self.library.update(version, self.piece) == OK
        self.restart()
        assert self.library.boot() == version

    def flip(self, slot: int, offset: int, bit: int) -> None:
        """Damage one bit of a slot."""
        self.library.slot_bytes(slot)[offset] ^= 1 << bit


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def shared(folder: Path) -> Board:
    return Board(folder, 256, 8)


@pytest.fixture
def board(shared: Board) -> Board:
    shared.fresh()
    assert shared.boot() == EMPTY
    return shared


# ---- a policy's life -----------------------------------------------------------------------------


def test_a_blank_board_has_no_policy_and_takes_one(board: Board) -> None:
    assert (board.store.active, board.store.target) == (-1, -1)
    assert board.begin(7, PASSES) == OK
    assert board.send_rest(7, PASSES, 64) == OK
    assert board.activate(0, WORK) == OK
    assert (board.store.active, board.store.on_trial) == (0, 1)
    assert board.confirm() == CONFIRMED
    board.restart()
    assert (board.boot(), board.store.active) == (7, 0)


def test_updates_alternate_between_the_slots(board: Board) -> None:
    for version in range(1, 6):
        board.install(version)
        assert board.store.active == (version - 1) % 2
    assert board.violations_seen() == 0


def test_a_policy_on_trial_is_confirmed_by_its_last_good_step(board: Board) -> None:
    board.install(1)
    board.begin(2, PASSES), board.send_rest(2, PASSES, 64)
    assert board.activate(3, WORK) == OK
    assert [board.count(1) for _ in range(4)] == [OK, OK, CONFIRMED, OK]
    board.restart()
    assert board.boot() == 2


def test_one_bad_step_on_trial_brings_the_old_policy_back(board: Board) -> None:
    board.install(1)
    board.begin(2, PASSES), board.send_rest(2, PASSES, 64)
    assert board.activate(3, WORK) == OK
    assert [board.count(good) for good in (1, 0, 1)] == [OK, REVERTED, OK]
    assert (board.store.active, board.boot()) == (0, 1)
    board.restart()
    assert board.boot() == 1


def test_a_reset_during_the_trial_brings_the_old_policy_back_and_the_new_may_try_again(
    board: Board,
) -> None:
    board.install(1)
    board.begin(2, PASSES), board.send_rest(2, PASSES, 64)
    assert board.activate(3, WORK) == OK
    for _ in range(7):
        board.restart()
        assert board.boot() == 1
        assert board.begin(2, PASSES) == OK
        assert board.store.received == board.store.size  # nothing is sent again
        assert board.activate(0, WORK) == OK
    board.restart(), board.boot(), board.begin(2, PASSES)
    assert board.activate(0, WORK) == WORN
    board.restart()
    assert board.boot() == 1


def test_an_image_that_fails_its_self_test_is_revoked(board: Board) -> None:
    board.install(1)
    assert board.begin(2, FAILS) == OK
    assert board.send_rest(2, FAILS, 64) == OK
    assert board.activate(3, WORK) == SELFTEST
    assert (board.store.active, board.store.on_trial) == (0, 0)
    assert board.activate(3, WORK) == ORDER
    board.restart()
    assert board.boot() == 1


def test_an_image_that_is_not_the_announced_one_is_never_tried(board: Board) -> None:
    board.install(1)
    board.begin(2, PASSES)
    assert board.send_rest(3, PASSES, 64) == OK
    assert board.activate(3, WORK) == DAMAGED
    assert board.begin(2, PASSES) == OK
    assert board.store.received == 0


def test_a_policy_that_needs_more_memory_is_refused_but_kept(board: Board) -> None:
    board.install(1)
    board.begin(2, PASSES), board.send_rest(2, PASSES, 64)
    assert board.activate(3, WORK - 1) == MEMORY
    assert board.activate(3, WORK) == OK


def test_calls_out_of_order_are_refused_and_change_nothing(board: Board) -> None:
    assert board.write_at(1, 0, 64) == ORDER
    assert board.activate(1, WORK) == ORDER
    assert (board.confirm(), board.revert()) == (ORDER, ORDER)
    assert board.count(0) == OK
    board.begin(1, PASSES)
    assert board.activate(1, WORK) == ORDER
    board.send_rest(1, PASSES, 64), board.activate(1, WORK)
    assert board.begin(2, PASSES) == ORDER


def test_pieces_come_in_order_in_whole_write_units_and_may_repeat(board: Board) -> None:
    size = board.image_size()
    board.begin(1, PASSES)
    assert board.write_at(1, 8, 8) == OFFSET
    assert board.write_at(1, 0, 12) == OFFSET
    assert board.write_at(1, 0, 16) == OK
    assert board.write_at(1, 0, 16) == OK
    assert board.write_at(2, 0, 16) == OFFSET  # repeated, but not the same
    assert board.write_at(1, 8, 16) == OFFSET
    assert board.write_at(1, 16, size) == OFFSET
    assert board.write_at(1, 16, size - 16) == OK
    assert board.violations_seen() == 0


def test_a_cut_transfer_goes_on_at_the_last_whole_erase_unit(board: Board) -> None:
    board.install(1)
    board.begin(2, PASSES)
    board.write_at(2, 0, 400)
    board.restart()
    assert board.boot() == 1
    assert board.begin(2, PASSES) == OK
    assert board.store.received == 384  # 128 bytes of header and marks, then two units of 256
    assert board.send_rest(2, PASSES, 64) == OK
    assert board.activate(0, WORK) == OK
    assert board.violations_seen() == 0


def test_a_repeated_announcement_without_a_cut_loses_nothing(board: Board) -> None:
    board.begin(1, PASSES)
    board.write_at(1, 0, 400)
    assert board.begin(1, PASSES) == OK
    assert board.store.received == 400


def test_another_image_starts_anew(board: Board) -> None:
    board.begin(1, PASSES)
    board.write_at(1, 0, 400)
    assert board.begin(2, PASSES) == OK
    assert board.store.received == 0


def test_the_header_and_the_mark_of_the_specification_are_those_in_c(board: Board) -> None:
    (example,) = blocks("slot")
    header, mark = (bytes.fromhex(example[key]) for key in ("header", "mark"))
    announced = (ctypes.c_uint8 * 32)(*range(32))
    size, crc = example["size"], example["crc"]
    assert board.grsn_store_begin(board.the_store(), size, crc, announced) == OK
    assert bytes(board.slot_bytes(0)[:64]) == header
    assert board.boot() == EMPTY
    for i, byte in enumerate(mark):
        board.slot_bytes(0)[64 + i] = byte
    assert board.boot() == DAMAGED  # confirmed, but its image has not come


# ---- damage --------------------------------------------------------------------------------------


def test_a_damaged_policy_gives_way_to_the_one_before(board: Board) -> None:
    board.install(1)
    board.install(2)
    board.flip(1, 300, 4)
    board.restart()
    assert (board.boot(), board.store.active) == (1, 0)
    board.install(3)  # over the damaged one
    assert board.store.active == 1


def test_every_flipped_bit_of_a_header_or_mark_leaves_a_valid_policy(board: Board) -> None:
    board.install(1)
    board.install(2)
    for bit in range(8 * 128):
        board.flip(1, bit // 8, bit % 8)
        board.restart()
        assert board.boot() in (1, 2), bit
        board.flip(1, bit // 8, bit % 8)
    assert board.boot() == 2


def test_the_only_policy_that_boots_is_never_overwritten(board: Board) -> None:
    board.install(1)
    board.install(2)
    board.flip(1, 300, 4)
    board.restart()
    assert board.boot() == 1
    board.flip(1, 300, 4)
    board.begin(3, PASSES)
    assert board.store.target == 1


# ---- power cuts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tear", TEARS)
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_power_may_fail_at_every_write_of_an_update(
    geometry: tuple[int, int], tear: str, folder: Path
) -> None:
    cut_everywhere(Board(folder, *geometry), TEARS[tear], most=60)


@pytest.mark.slow
@pytest.mark.parametrize("tear", TEARS)
@pytest.mark.parametrize("write_size", [1, 2, 4, 8, 16, 32])
@pytest.mark.parametrize("erase_size", [256, 512, 1024, 2048, 4096])
def test_power_may_fail_at_every_write_of_an_update_in_every_geometry(
    erase_size: int, write_size: int, tear: str, folder: Path
) -> None:
    cut_everywhere(Board(folder, erase_size, write_size), TEARS[tear], most=1 << 20)


def cut_everywhere(board: Board, tear: int, most: int) -> None:
    """Cut at each operation; of more than ``most`` of them, at the first and last, and between."""
    board.fresh()
    board.boot()
    board.install(1)
    board.restart()
    assert board.update(2, board.piece) == OK
    total = board.operations_done()
    step = max(1, total // most)
    cuts = sorted({*range(1, total + 1, step), *range(max(1, total - 20), total + 1)})
    for cut in cuts:
        broken = board.cut_update(cut, tear, cut, board.piece)
        assert broken == 0, f"cut at operation {cut} of {total}: promise {broken}"


@pytest.mark.parametrize("tear", TEARS)
def test_power_may_fail_at_every_write_of_the_first_policy(tear: str, shared: Board) -> None:
    shared.fresh(), shared.boot()
    assert shared.update(2, 64) == OK
    for cut in range(1, shared.operations_done() + 1):
        shared.fresh()
        shared.restart(cut, TEARS[tear], cut)
        shared.boot(), shared.update(2, 64)
        shared.restart()
        assert shared.boot() in (EMPTY, 2), cut
        assert shared.update(2, 64) == OK, cut
        shared.restart()
        assert shared.boot() == 2
    assert shared.violations_seen() == 0


@pytest.mark.parametrize("write_size", [8])
def test_power_cuts_are_clean_under_the_sanitizers(write_size: int, folder: Path) -> None:
    own, sources = Path(__file__).parent, FIRMWARE / "src"
    target = folder / f"sanitized-{write_size}"
    line = [
        *c_compiler(),
        "-std=c99",
        "-O1",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
    ]
    line += [f"-I{FIRMWARE / 'include'}", f"-I{sources}", f"-DWRITE_SIZE={write_size}"]
    line += ["-DERASE_SIZE=256", str(own / "store_sanitized.c"), str(own / "store_harness.c")]
    line += [str(sources / "grsn_store.c"), str(sources / "grsn_crc.c"), "-o", str(target)]
    built = subprocess.run(line, capture_output=True, text=True, check=False)
    if built.returncode and ("sanitize" in built.stderr or "asan" in built.stderr):
        pytest.skip("this compiler has no sanitizers")
    assert built.returncode == 0, built.stderr
    done = subprocess.run([target], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---- boards without a store ----------------------------------------------------------------------


def test_a_board_whose_sizes_do_not_fit_has_no_store(folder: Path) -> None:
    board = Board(folder, 256, 64)  # above GRSN_STORE_MAX_WRITE
    assert board.grsn_store_capacity() == 0
    assert board.boot() == -1
    assert board.begin(1, PASSES) == -1


def test_every_status_has_words(board: Board) -> None:
    texts = [board.grsn_store_strerror(status) for status in range(-11, 3)]
    assert len(set(texts)) == 14
    assert board.grsn_store_strerror(-12) == b"unknown status"


def test_the_store_allocates_nothing_and_keeps_no_globals(folder: Path) -> None:
    source = FIRMWARE / "src" / "grsn_store.c"
    target = folder / "store.o"
    line = [*c_compiler(), "-std=c99", "-Os", f"-I{FIRMWARE / 'include'}", f"-I{FIRMWARE / 'src'}"]
    subprocess.run([*line, "-c", str(source), "-o", str(target)], check=True)
    symbols = subprocess.run(["nm", str(target)], capture_output=True, text=True, check=True).stdout
    kinds = {line.split()[-2].upper() for line in symbols.splitlines()}
    assert kinds <= {"T", "R", "U"}, symbols
