"""The native backend: the extension's types, its one-call steps, batches, refusals, leaks."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from odd_observations import ODD
from toy_policy import toy_policy

from grsn_edge.backends import ExportOptions, backend, native_backend
from grsn_edge.backends._image import image
from grsn_edge.conformance import compare, random_graph, random_program
from grsn_edge.errors import (
    BackendError,
    BackendUnavailable,
    ObservationError,
    StateError,
    UsageError,
)
from grsn_edge.policy import Channel, Decoder, Encoder, Policy
from grsn_edge.program import Builder

REASON = backend("native").unavailable()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))

if REASON is None:
    from grsn_edge import _native
    from grsn_edge._native import Batch, Model, Stream


def continuous_policy() -> Policy:
    """Three channels, two actions with the decoder ``tanh``."""
    rng = np.random.default_rng(2)
    b = Builder()
    x = b.input("observation", 3, lo=-127, hi=127)
    u = b.state("u", 5, lo=-(2**15), hi=2**15 - 1)
    drive = b.matvec(rng.integers(-127, 128, (5, 3)), x, [0] * 5)
    now = ((u * 30000).shr(15) + drive).clip(-(2**15), 2**15 - 1)
    b.next(u, now)
    b.output("action", b.matvec(rng.integers(-127, 128, (2, 5)), now, [5, -5]).shr(8))
    return Policy(
        name="continuous",
        program=b.build(),
        encoder=Encoder(np.zeros(3, np.float32), np.full(3, 40, np.float32)),
        decoder=Decoder("clip", np.array([0.5, 0], np.float32), np.array([1e-3, 0.1], np.float32)),
        period_s=0.02,
        observations=tuple(Channel(name, "m", -3.0, 3.0) for name in "xyz"),
        actions=tuple(Channel(name, "N", -1.0, 1.0) for name in "ab"),
    )


POLICIES = {"discrete": toy_policy, "continuous": continuous_policy}


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest) -> Policy:
    return POLICIES[request.param]()


@pytest.fixture
def model() -> Model:
    return Model(image(toy_policy()))


def observations(policy: Policy, *shape: int, seed: int = 0) -> np.ndarray:
    scale = 2.0 / policy.encoder.gain * policy.encoder.limit
    drawn = np.random.default_rng(seed).normal(0.0, 1.0, (*shape, policy.encoder.n))
    return (policy.encoder.offset + drawn * scale).astype(np.float32)


def room(policy: Policy, *rows: int) -> np.ndarray:
    """An array that takes actions."""
    if policy.decoder.is_discrete:
        return np.zeros(rows, np.int64)
    return np.zeros((*rows, policy.decoder.n), np.float32)


def expected(policy: Policy, floats: np.ndarray) -> list[np.ndarray]:
    """Actions of the reference from a reset over ``(steps, n)``."""
    runner = backend("numpy").load(policy.program)
    codes = policy.encoder.encode(floats)
    return [policy.decoder.decode(runner.step({"observation": c})["action"]) for c in codes]


# ---- equality ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_it_equals_the_reference_on_random_networks(seed: int) -> None:
    report = compare(random_program(seed).program, ["numpy", "native"], steps=2048, seed=seed)
    assert report.equal, report.difference


@pytest.mark.parametrize("seed", range(8))
def test_it_equals_the_reference_on_random_programs(seed: int) -> None:
    report = compare(random_graph(100 + seed), ["numpy", "native"], steps=512, seed=seed)
    assert report.equal, report.difference


def test_a_single_stream_equals_the_reference() -> None:
    program = random_program(3, "grsn").program
    runners = [backend(name).load(program) for name in ("numpy", "native")]
    rng = np.random.default_rng(0)
    for _ in range(200):
        given = {i.name: rng.integers(i.interval.lo, i.interval.hi + 1) for i in program.inputs}
        want, got = (runner.step(given) | runner.get_state() for runner in runners)
        assert want.keys() == got.keys()
        assert all(np.array_equal(want[name], got[name]) for name in want)


def test_the_compilation_for_every_processor_gives_the_same_actions() -> None:
    code = (
        "import numpy as np\n"
        "from grsn_edge import _native\n"
        "from grsn_edge.conformance import compare, random_program\n"
        "report = compare(random_program(5, 'grsn').program, ['numpy', 'native'], steps=4096)\n"
        "assert report.equal, report.difference\n"
        "print(_native.LOWERING, report.hashes['native'])\n"
    )
    lines = []
    for wish in ("generic", ""):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"GRSN_EDGE_LOWERING": wish},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        lines.append(done.stdout.split())
    assert lines[0][0] == "generic"
    assert lines[1][0] == _native.LOWERING
    assert lines[0][1] == lines[1][1]


# ---- floats in, actions out ----------------------------------------------------------------------


def fused(policy: Policy):
    runner = backend("native").load(policy.program)
    act, into = runner.fuse(policy), runner.fuse_into(policy)
    assert act is not None
    assert into is not None
    return runner, act, into


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_one_call_step_is_encode_step_decode(policy: Policy, dtype) -> None:
    floats = observations(policy, 300).astype(dtype)
    _, act, _ = fused(policy)
    for i, (x, want) in enumerate(zip(floats, expected(policy, floats), strict=True)):
        got = act(x if i % 2 else x.tolist())
        assert np.array_equal(want, got), i


def test_actions_are_fresh_and_typed(policy: Policy) -> None:
    _, act, _ = fused(policy)
    first, second = (act(x) for x in observations(policy, 2))
    if policy.decoder.is_discrete:
        assert type(first) is int
    else:
        assert first.dtype == np.float32
        assert not np.shares_memory(first, second)


def test_a_step_into_an_array_writes_the_same_actions(policy: Policy) -> None:
    floats = observations(policy, 100)
    _, _, into = fused(policy)
    action = room(policy)
    for x, want in zip(floats, expected(policy, floats), strict=True):
        into(x, action)
        assert np.array_equal(action, want)


@pytest.mark.parametrize("on_invalid", ["refuse", "clamp"])
@pytest.mark.parametrize("given", ODD, ids=repr)
def test_it_takes_and_refuses_what_the_encoder_does(given, on_invalid: str) -> None:
    plain = toy_policy()
    encoder = Encoder(plain.encoder.offset, plain.encoder.gain, "int8", on_invalid)
    policy = replace(plain, encoder=encoder, golden=None)
    runner, act, _ = fused(policy)
    reference = backend("numpy").load(policy.program)
    try:
        code = encoder.encode(given)
        refused = code.shape != (encoder.n,)
    except ObservationError:
        refused = True
    if refused:
        with pytest.raises(ObservationError):
            act(given)
    else:
        assert act(given) == policy.decoder.decode(reference.step({"observation": code})["action"])
    for name, value in reference.get_state().items():
        assert np.array_equal(value, runner.get_state()[name])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named_and_the_state_stays(policy: Policy, bad: float) -> None:
    runner, act, into = fused(policy)
    act(observations(policy, 1)[0])
    before = runner.get_state()
    x = np.zeros(policy.encoder.n)
    x[1] = bad
    for call in (act, lambda x: into(x, room(policy))):
        for given in (x, x.tolist(), x.astype(np.float32)):
            with pytest.raises(ObservationError, match="channel 1 is NaN or infinite"):
                call(given)
    assert all(np.array_equal(value, before[name]) for name, value in runner.get_state().items())


@pytest.mark.parametrize(
    "action",
    [
        np.zeros(1, np.float32),
        np.zeros(2, np.int64),
        np.zeros(1, np.int8),
        np.zeros(1, ">i8"),
        np.zeros((2, 2), np.int64)[:, :1],
        np.broadcast_to(np.int64(0), (1,)),
        [0],
        None,
    ],
    ids=repr,
)
def test_an_array_that_cannot_take_the_action_is_refused(action) -> None:
    policy = toy_policy()
    runner, _, into = fused(policy)
    before = runner.get_state()
    with pytest.raises(UsageError, match="action"):
        into([0.5, 0.5], action)
    assert all(np.array_equal(value, before[name]) for name, value in runner.get_state().items())


def test_inputs_out_of_range_are_refused_and_the_state_stays() -> None:
    policy = toy_policy()
    runner = backend("native").load(policy.program)
    runner.step({"observation": [1, 2]})
    before = runner.get_state()
    for bad in ({"observation": [128, 0]}, {"observation": [0]}, {}, {"observation": [0.5, 0]}):
        with pytest.raises(ObservationError):
            runner.step(bad)
    assert all(np.array_equal(value, before[name]) for name, value in runner.get_state().items())


def test_fusing_keeps_the_state(policy: Policy) -> None:
    runner = backend("native").load(policy.program)
    runner.step({"observation": [9] * policy.encoder.n})
    before = runner.get_state()
    runner.fuse(policy)
    assert all(np.array_equal(value, before[name]) for name, value in runner.get_state().items())


# ---- batches -------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3])
def test_a_batch_gives_what_its_streams_would(policy: Policy, threads: int) -> None:
    floats = observations(policy, 20, 7)
    runner = backend("native").load(policy.program, batch=7)
    into = runner.fuse_into(policy, threads)
    found = np.zeros((20, *room(policy, 7).shape), room(policy).dtype)
    for x, actions in zip(floats, found, strict=True):
        into(x, actions)
    runner.close()
    for row in range(7):
        assert np.array_equal(found[:, row], np.array(expected(policy, floats[:, row])))


def test_one_bad_row_advances_no_row(policy: Policy) -> None:
    runner = backend("native").load(policy.program, batch=4)
    into = runner.fuse_into(policy, 2)
    floats = observations(policy, 4)
    into(floats, room(policy, 4))
    before = runner.get_state()
    floats[2, 1] = np.nan
    with pytest.raises(ObservationError, match="channel 1"):
        into(floats, room(policy, 4))
    runner.close()
    assert all(np.array_equal(value, before[name]) for name, value in runner.get_state().items())


def test_more_threads_than_rows_and_no_rows_at_all_are_fine() -> None:
    policy = toy_policy()
    for rows in (0, 1, 2):
        runner = backend("native").load(policy.program, batch=rows)
        into = runner.fuse_into(policy, 4)
        into(observations(policy, rows), room(policy, rows))
        runner.close()


def test_rows_are_reset_one_by_one(model: Model) -> None:
    batch = Batch(model, 3)
    fresh = batch.state_get()
    batch.step(np.full((3, 2), 100, np.int32), np.zeros((3, 1), np.int32))
    batch.reset(1)
    size = model.saved_size
    rows = [batch.state_get()[i * size : (i + 1) * size] for i in range(3)]
    assert [row == fresh[:size] for row in rows] == [False, True, False]
    with pytest.raises(UsageError, match="no row 3"):
        batch.reset(3)


def test_a_batch_takes_all_saved_states_or_none(model: Model) -> None:
    batch = Batch(model, 2)
    batch.step(np.full((2, 2), 100, np.int32), np.zeros((2, 1), np.int32))
    before = batch.state_get()
    with pytest.raises(StateError):
        batch.state_set(before[:-1])
    batch.state_set(bytes(len(before)))
    batch.state_set(before)
    assert batch.state_get() == before


def test_a_batch_refuses_parts_that_it_does_not_have(model: Model) -> None:
    batch = Batch(model, 4, 2)
    given, actions = np.zeros((4, 2), np.int32), np.zeros((4, 1), np.int32)
    batch.step(given, actions, 1)
    for part in (-1, 2):
        with pytest.raises(UsageError, match="part"):
            batch.step(given, actions, part)
    for rows, parts in ((-1, 1), (1, 0)):
        with pytest.raises(UsageError):
            Batch(model, rows, parts)
    with pytest.raises(MemoryError):
        Batch(model, sys.maxsize // 8)


def test_many_threads_on_batches_of_their_own_give_the_same_states(model: Model) -> None:
    given = np.random.default_rng(0).integers(-127, 128, (500, 64, 2)).astype(np.int32)

    def run(_: int) -> bytes:
        batch, actions = Batch(model, 64), np.zeros((64, 1), np.int32)
        for row in given:
            batch.step(row, actions)
        return batch.state_get()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(run, range(8)))) == 1


def test_threads_on_one_part_are_refused_or_take_turns(model: Model) -> None:
    batch = Batch(model, 4096)
    given, actions = np.zeros((4096, 2), np.int32), np.zeros((4096, 1), np.int32)

    def run(_: int) -> str:
        try:
            batch.step(given, actions)
        except UsageError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(run, range(200))) <= {"", "another thread is stepping part 0"}
    batch.step(given, actions)


# ---- the types -----------------------------------------------------------------------------------


def test_a_damaged_image_is_refused_in_words() -> None:
    data = image(toy_policy())
    for bad in (b"", b"GRSI", data[:-1], data[:40] + bytes([data[40] ^ 1]) + data[41:]):
        with pytest.raises(BackendError, match="policy image of"):
            Model(bad)
    with pytest.raises(TypeError):
        Model(bytearray(data))


def test_a_model_says_what_it_needs() -> None:
    policy = toy_policy()
    model = Model(image(policy))
    assert (model.observation_n, model.action_n, model.golden_steps) == (2, 1, 20)
    assert (model.period_us, model.saved_size, model.is_discrete) == (20000, 8, True)
    assert len(model.model_hash) == 32
    assert Model(image(policy.program)).is_discrete is None
    with pytest.raises(AttributeError):
        model.action_n = 3


def test_a_stream_outlives_the_name_of_its_model() -> None:
    stream = Stream(Model(image(toy_policy())))
    gc.collect()
    action = np.zeros(1, np.int32)
    for _ in range(100):
        stream.step(np.array([90, -90], np.int32), action)


def test_golden_vectors_are_replayed_by_the_machine_itself(model: Model) -> None:
    assert Stream(model).selftest() == -1


@pytest.mark.parametrize(
    ("observation", "action", "error"),
    [
        (np.zeros(2, np.int64), np.zeros(1, np.int32), ObservationError),
        (np.zeros(3, np.int32), np.zeros(1, np.int32), ObservationError),
        (np.zeros(4, np.int32)[::2], np.zeros(1, np.int32), ObservationError),
        (np.zeros(2, ">i4"), np.zeros(1, np.int32), ObservationError),
        (np.zeros(2, np.float32), np.zeros(1, np.int32), ObservationError),
        (np.frombuffer(bytes(9), np.uint8)[1:].view(np.int32), np.zeros(1, np.int32), None),
        ([0, 0], np.zeros(1, np.int32), ObservationError),
        (np.zeros(2, np.int32), np.zeros(2, np.int32), UsageError),
        (np.zeros(2, np.int32), np.zeros(1, np.int64), UsageError),
        (np.zeros(2, np.int32), bytes(4), UsageError),
    ],
    ids=repr,
)
def test_buffers_of_another_kind_are_refused(model: Model, observation, action, error) -> None:
    stream = Stream(model)
    before = stream.state_get()
    with pytest.raises(error or ObservationError):
        stream.step(observation, action)
    assert stream.state_get() == before


def test_the_same_buffer_may_be_observation_and_action() -> None:
    b = Builder()
    x = b.input("x", 3, lo=-100, hi=100)
    b.output("y", x + 1)
    stream, both = Stream(Model(image(b.build()))), np.array([1, 2, 3], np.int32)
    stream.step(both, both)
    assert both.tolist() == [2, 3, 4]


def test_a_program_without_encoder_has_no_float_step() -> None:
    stream = Stream(Model(image(toy_policy().program)))
    for call in (lambda: stream.act([0, 0]), lambda: stream.act_into([0, 0], np.zeros(1, int))):
        with pytest.raises(UsageError, match="without encoder"):
            call()
    with pytest.raises(UsageError, match="without encoder"):
        Batch(Model(image(toy_policy().program)), 1).encode(np.zeros((1, 2)))


def test_a_saved_state_that_does_not_fit_changes_nothing(model: Model) -> None:
    stream = Stream(model)
    stream.step(np.array([50, 60], np.int32), np.zeros(1, np.int32))
    before = stream.state_get()
    for bad in (b"", before + b"x"):
        with pytest.raises(StateError, match="state"):
            stream.state_set(bad)
    with pytest.raises(TypeError):
        stream.state_set(bytearray(before))
    assert stream.state_get() == before


def test_copies_and_pickles_are_refused_by_name(model: Model) -> None:
    for thing in (model, Stream(model), Batch(model, 2)):
        for send in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="cannot pickle"):
                send(thing)


def test_wrong_arguments_are_type_errors(model: Model) -> None:
    stream, batch = Stream(model), Batch(model, 1)
    for call in (stream.step, stream.act_into, batch.step, batch.advance):
        with pytest.raises(TypeError, match="takes"):
            call()
    for make in (Stream, Batch):
        with pytest.raises(TypeError):
            make(b"image", 1)
    with pytest.raises((UsageError, BufferError, ValueError)):
        Stream(Model(image(continuous_policy())), None, np.zeros(3, np.float32))


# ---- memory --------------------------------------------------------------------------------------


def test_a_hundred_thousand_steps_leak_nothing(policy: Policy) -> None:
    _, act, into = fused(policy)
    x, action = observations(policy, 1)[0], room(policy)
    bad = x * np.nan
    counts = [sys.getrefcount(thing) for thing in (x, action, act)]
    tracemalloc.start()
    try:
        for steps in (1_000, 100_000):
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(steps):
                act(x)
                into(x, action)
            for _ in range(steps // 100):
                with pytest.raises(ObservationError):
                    act(bad)
            gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 4096
    finally:
        tracemalloc.stop()
    assert [sys.getrefcount(thing) for thing in (x, action, act)] == counts


def test_a_stream_in_a_cycle_is_collected(model: Model) -> None:
    class Convert:
        def __call__(self, observation: object) -> np.ndarray:
            return np.zeros(2, np.float32)

    convert = Convert()
    convert.stream = Stream(model, convert)
    gone = weakref.ref(convert)
    del convert
    gc.collect()
    assert gone() is None


def test_many_objects_come_and_go(model: Model) -> None:
    data = image(toy_policy())
    tracemalloc.start()
    try:
        for rounds in (10, 300):
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(rounds):
                Stream(model), Batch(model, 50, 2), Model(data)
            gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 8192
    finally:
        tracemalloc.stop()


# ---- the backend ---------------------------------------------------------------------------------


def test_the_exported_image_is_what_devices_run() -> None:
    files = backend("native").export(toy_policy(), ExportOptions())
    assert list(files) == ["policy.grsi"]
    assert files == backend("native").export(toy_policy(), ExportOptions())
    assert Stream(Model(files["policy.grsi"])).selftest() == -1
    with pytest.raises(UsageError, match="flavour"):
        backend("native").export(toy_policy(), ExportOptions(flavour="tflm"))


@pytest.mark.parametrize("noted", [True, False])
def test_without_the_extension_the_reason_is_told(noted: bool, tmp_path, monkeypatch) -> None:
    note = tmp_path / "_native.txt"
    if noted:
        note.write_text("no C compiler was found; install gcc\n")
    monkeypatch.setitem(sys.modules, "grsn_edge._native", None)
    monkeypatch.delattr("grsn_edge._native")
    monkeypatch.setattr(native_backend, "_NOTE", note)
    native_backend._extension.cache_clear()
    try:
        reason = backend("native").unavailable()
        assert reason is not None
        assert ("install gcc" in reason) == noted
        assert "take a wheel" in reason
        with pytest.raises(BackendUnavailable):
            backend("native").load(toy_policy().program)
        assert backend("native").export(toy_policy(), ExportOptions())
    finally:
        native_backend._extension.cache_clear()
