"""The virtual machine in lockstep with the reference, and its states and self-test."""

from __future__ import annotations

import ctypes
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from spec_examples import Example, operations
from toy_policy import toy_policy
from virtual_machine import FIRMWARE, SOURCES, Aligned, Machine, build, forged, save

from grsn_edge.backends._image import crc32c, image
from grsn_edge.conformance import random_graph, random_program, trajectories
from grsn_edge.policy import Policy, load, model_hash
from grsn_edge.program import Builder, Program, step

MODELS = sorted((FIRMWARE.parent / "models").glob("*.grsn"))
SMALL, FAST = ("-Os",), ("-O2", "-DGRSN_VM_FAST=1")
AVX2 = ("-O3", "-mavx2", "-mbmi", "-mlzcnt")
OK, REFUSED_STATE = 0, -9


def has_avx2() -> bool:
    flags = Path("/proc/cpuinfo")
    return flags.exists() and " avx2 " in flags.read_text("utf-8")


def same_integers(program: Program, *flags: str, steps: int = 40, seed: int = 0) -> None:
    """Every output and every state of every step, from fresh states in between."""
    machine, state = Machine(image(program), *flags), program.initial_state()
    for t, (fresh, inputs) in enumerate(trajectories(program, 1, steps, seed)):
        if fresh is not None and t:
            state = {name: value[0] for name, value in fresh.items()}
            assert machine.restore(save(program, state)) == OK
        given = {name: value[0] for name, value in inputs.items()}
        outputs, state = step(program, given, state)
        observation = [x for node in program.inputs for x in given[node.name]]
        action = machine.step(observation)
        assert np.array_equal(action, np.concatenate([outputs[k] for k in program.outputs])), t
        assert machine.saved() == save(program, state), t


@pytest.mark.parametrize("example", operations(), ids=str)
def test_operations_give_the_integers_of_the_spec(example: Example) -> None:
    machine = Machine(image(example.program()))
    operands = [x for value in example.inputs.values() for x in value]
    assert machine.step(operands).tolist() == example.result.tolist()


@pytest.mark.parametrize("flags", [SMALL, FAST], ids=["small", "fast"])
@pytest.mark.parametrize("seed", range(24))
def test_random_programs_keep_every_integer(seed: int, flags: tuple[str, ...]) -> None:
    same_integers(random_graph(seed), *flags, steps=80)


@pytest.mark.parametrize("flags", [SMALL, FAST], ids=["small", "fast"])
@pytest.mark.parametrize("seed", range(8))
def test_random_networks_keep_every_integer(seed: int, flags: tuple[str, ...]) -> None:
    same_integers(random_program(seed).program, *flags)


@pytest.mark.skipif(not has_avx2(), reason="a processor with AVX2")
@pytest.mark.parametrize("seed", range(8))
def test_vectors_keep_every_integer(seed: int) -> None:
    same_integers(random_program(seed).program, *AVX2)
    same_integers(random_graph(seed), *AVX2)


@pytest.mark.parametrize("flags", [SMALL, FAST, AVX2], ids=["small", "fast", "vectors"])
@pytest.mark.parametrize(("rows", "columns"), [(3, 70), (16, 5), (20, 33), (84, 6), (150, 64)])
def test_products_of_every_shape_keep_every_integer(
    rows: int, columns: int, flags: tuple[str, ...]
) -> None:
    if flags == AVX2 and not has_avx2():
        pytest.skip("a processor with AVX2")
    rng = np.random.default_rng(rows)
    b = Builder()
    small, large = b.input("s", columns, lo=-128, hi=127), b.input("l", columns, lo=-999, hi=999)
    spikes = b.input("o", columns, lo=0, hi=1)
    for name, x in (("small", small), ("large", large), ("spikes", spikes)):
        weight, bias = rng.integers(-128, 128, (rows, columns)), rng.integers(-9, 9, rows)
        b.output(name, b.matvec(weight, x, bias).shr(1))
    same_integers(b.build(), *flags, steps=8)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 2000, 100))
def test_many_random_programs_keep_every_integer(first: int) -> None:
    for seed in range(first, first + 100):
        same_integers(random_graph(seed), *FAST)
        same_integers(random_program(seed).program, *SMALL, steps=20)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_shipped_policies_pass_their_self_test_and_keep_every_integer(path: Path) -> None:
    policy = load(path)
    assert Machine(image(policy)).selftest() == -1
    same_integers(policy.program, *FAST, steps=256)


# ---- shapes that networks do not have ------------------------------------------------------------


def test_states_that_swap_take_each_others_old_values() -> None:
    b = Builder()
    x = b.input("x", 3, lo=-9, hi=9)
    s = b.state("s", 3, lo=-9, hi=9, init=1)
    t = b.state("t", 3, lo=-9, hi=9, init=[2, 3, 4])
    r = b.state("r", 3, lo=-9, hi=9)
    b.next(s, t)
    b.next(t, s)
    b.next(r, x)
    b.output("both", b.concat(s, t, r, x))
    same_integers(b.build())


@pytest.mark.parametrize("flags", [SMALL, FAST], ids=["small", "fast"])
def test_sums_of_multiples_keep_every_integer(flags: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    b = Builder()
    x, one = b.input("x", 9, lo=-999, hi=999), b.input("one", 1, lo=-(2**20), hi=2**20)
    o = b.state("o", 9, lo=0, hi=1)
    u = b.state("u", 9, lo=-(2**15), hi=2**15 - 1)
    b.next(u, (u + x * 16).clip(-(2**15), 2**15 - 1))
    b.next(o, u >= x)
    spikes = b.matvec(rng.integers(-128, 128, (9, 9)), o, name="spikes")
    few = b.matvec(rng.integers(-128, 128, (3, 9)), o, name="few")
    b.output("of_both", x * -3 + one * 2047)
    b.output("of_spikes", spikes * 4 + few[0:1] * 64)
    b.output("of_itself", one * 3 + one)
    b.output("and_shifted", x.shr(2) + u * 5)
    same_integers(b.build(), *flags)


def test_the_largest_vectors_run() -> None:
    n = 1 << 16
    b = Builder()
    x = b.input("x", 1, lo=-100, hi=100)
    s = b.state("s", n, lo=-(2**15), hi=2**15 - 1, init=np.arange(n) % 1000)
    value = ((s + x) * 3).shr(2).clip(-(2**15), 2**15 - 1)
    b.next(s, value)
    b.output("last", value[n - 1 : n])
    same_integers(b.build(), steps=3)


def test_bounds_of_each_element_are_carried_where_one_range_proves_nothing() -> None:
    b = Builder()
    x = b.input("x", 2, lo=[0, -(2**30)], hi=[2, 2**30])
    product = x * b.const([2**29, 1])
    b.output("y", product)
    same_integers(b.build(), steps=128)


def test_inputs_outside_their_range_count_as_the_nearer_end() -> None:
    b = Builder()
    x = b.input("x", 2, lo=[-5, 0], hi=[5, 7])
    b.output("y", x + 0)
    machine = Machine(image(b.build()))
    assert machine.step([99, -99]).tolist() == [5, 0]
    assert machine.step([-(2**31), 2**31 - 1]).tolist() == [-5, 7]


# ---- states --------------------------------------------------------------------------------------


def test_a_saved_state_continues_where_it_was() -> None:
    policy = load(MODELS[0])
    codes = np.random.default_rng(0).integers(-127, 128, (20, policy.encoder.n))
    one, other = Machine(image(policy)), Machine(image(policy))
    for code in codes[:10]:
        one.step(code)
    assert other.restore(one.saved()) == OK
    for code in codes[10:]:
        assert np.array_equal(one.step(code), other.step(code))
    assert one.saved() == other.saved()


def test_a_state_outside_its_range_or_of_another_length_changes_nothing() -> None:
    b = Builder()
    s = b.state("s", 2, lo=-5, hi=5, init=[1, 2])
    b.next(s, (s + 1).clip(-5, 5))
    b.output("y", s)
    machine = Machine(image(b.build()))
    before = machine.saved()
    for saved in (bytes([0, 6]), bytes([250, 0]), bytes(1), bytes(3), b""):
        assert machine.restore(saved) == REFUSED_STATE
        assert machine.saved() == before
    assert machine.restore(bytes([251, 5])) == OK


def test_a_reset_gives_the_initial_state_again() -> None:
    policy = toy_policy()
    machine = Machine(image(policy))
    machine.step([100, -100])
    machine.reset()
    assert machine.saved() == save(policy.program, policy.program.initial_state())


# ---- self-test -----------------------------------------------------------------------------------


def test_the_self_test_names_the_first_step_that_differs_or_the_final_state() -> None:
    policy = toy_policy()
    assert policy.golden is not None
    data = image(policy)
    golden = int.from_bytes(data[52:56], "little") + 8  # behind the data, the head of the section
    steps = np.concatenate([policy.golden.code, policy.golden.action], axis=1)
    seventh = golden + 4 * (8 * steps.shape[1] - policy.golden.action.shape[1])
    assert Machine(data).selftest() == -1
    assert Machine(forged(data, seventh, "i", 99)).selftest() == 7
    last = golden + 4 * steps.size
    assert Machine(forged(data, last, "b", data[last] ^ 1)).selftest() == policy.golden.steps


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("return x < hi ? x : hi;", "return x < hi ? x : hi - 1;"),
        ("return x & -spike", "return x + 0 * spike"),
        ("return x > lo ? x : lo;", "return x > lo ? x : lo + 1;"),
    ],
)
def test_a_wrong_primitive_is_caught_by_the_self_test(
    right: str, wrong: str, tmp_path: Path
) -> None:
    shutil.copytree(FIRMWARE / "include", tmp_path / "include")
    shutil.copytree(FIRMWARE / "src", tmp_path / "src")
    if (FIRMWARE / "kernels").is_dir():
        shutil.copytree(FIRMWARE / "kernels", tmp_path / "kernels")
    header = tmp_path / "include" / "grsn_primitives.h"
    text = header.read_text("utf-8")
    assert right in text
    header.write_text(text.replace(right, wrong), "utf-8")
    sources = [tmp_path / "src" / path.name for path in SOURCES]
    build(sources, tmp_path / "vm.so", "-O2", "-fPIC", "-shared", include=tmp_path)
    machine = Machine(image(load(FIRMWARE.parent / "models" / "pendulum-p.grsn")))
    machine.lib = ctypes.CDLL(str(tmp_path / "vm.so"))
    assert machine.selftest() >= 0


# ---- what an image says --------------------------------------------------------------------------


def test_a_model_knows_its_sizes_hash_and_period() -> None:
    policy = toy_policy()
    machine = Machine(image(policy))
    model = machine.model
    assert (model.observation_n, model.action_n, model.golden_steps) == (2, 1, 20)
    assert (model.period_us, model.saved_size) == (20_000, 8)
    found = ctypes.string_at(machine.lib.grsn_model_hash(ctypes.byref(model)), 32)
    assert found.hex() == model_hash(policy)


def test_every_status_has_its_own_words() -> None:
    lib = Machine(image(toy_policy())).lib
    texts = [lib.grsn_strerror(status) for status in range(0, -10, -1)]
    assert len(set(texts)) == 10
    assert {lib.grsn_strerror(status) for status in (1, -10, -(2**31))} == {b"unknown"}


def test_the_checksum_is_crc32c() -> None:
    lib = Machine(image(toy_policy())).lib
    digits = Aligned(b"123456789")
    found = lib.grsn_crc32c(0, ctypes.c_void_p(digits.address), ctypes.c_size_t(9))
    assert found == crc32c(b"123456789") == 0xE3069283


def test_a_policy_without_golden_vectors_has_nothing_to_fail() -> None:
    policy: Policy = replace(toy_policy(), golden=None)
    machine = Machine(image(policy))
    assert (machine.model.golden_steps, machine.selftest()) == (0, -1)
