"""The c backend: what it writes, how it compiles and caches, and its one-call step."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from odd_observations import ODD
from toy_policy import toy_policy

from grsn_edge.backends import backend
from grsn_edge.backends._c import compiler
from grsn_edge.backends._c.emit import emit
from grsn_edge.conformance import random_graph, random_program
from grsn_edge.errors import BackendUnavailable, CompileError, ObservationError
from grsn_edge.policy import Encoder, Policy
from grsn_edge.program import Builder

pytestmark = pytest.mark.skipif(backend("c").unavailable() is not None, reason="no C compiler")

STRICT = [
    "-std=c99",
    "-pedantic",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wconversion",
    "-Wsign-conversion",
]


def code_of(source: str) -> str:
    """The source without tables and comments."""
    return source[source.index("_reset(") :]


def test_the_same_program_gives_the_same_bytes() -> None:
    program = random_program(0, "grsn").program
    assert emit(program) == emit(program)


def test_the_bytes_do_not_depend_on_how_numpy_prints() -> None:
    program = random_program(0, "grsn").program
    plain = emit(program)
    with np.printoptions(formatter={"int": hex}, threshold=3, linewidth=20):
        assert emit(program) == plain


def test_the_header_names_the_program_by_its_hash() -> None:
    one, other = (emit(random_program(seed, "grsn").program).header for seed in (0, 1))
    (first,), (second,) = (re.findall(r"Program ([0-9a-f]{64})\.", text) for text in (one, other))
    assert first != second


def test_generated_code_has_no_heap_float_division_or_global_but_tables() -> None:
    generated = emit(random_program(12, "grsn").program)
    body = code_of(generated.source)
    code = "\n".join(line for line in body.splitlines() if "GRSN_LANES" not in line)
    for word in ("malloc", "float", "double", " / ", "%", "static"):
        assert word not in code, word
    tables = generated.source[: generated.source.index("_reset(")]
    assert tables.count("static const") == tables.count("static")


def test_gate_matrices_on_the_same_spikes_are_one_event_driven_pass() -> None:
    generated = emit(random_program(0, "grsn").program)
    assert "/* layer0.forget, layer0.candidate: event-driven */" in generated.source


def test_a_clip_that_the_proof_makes_idle_costs_nothing() -> None:
    b = Builder()
    x = b.input("x", 4, lo=-100, hi=100)
    b.output("y", (x + 1).clip(-200, 200).clip(0, 200))
    for split in (False, True):
        plain = code_of(emit(b.build(), split_tables=split).source).split("#else")[-1]
        assert "grsn_clip" not in plain
        assert plain.count("grsn_max") == 1


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_sources_compile_without_a_warning(seed: int, split: bool, tmp_path: Path) -> None:
    program = random_program(seed).program if seed % 2 else random_graph(seed)
    generated = emit(program, split_tables=split)
    (tmp_path / "policy.h").write_text(generated.header)
    (tmp_path / "policy.c").write_text(generated.source)
    command = [*compiler.compiler(), *STRICT, f"-I{compiler.headers()}", "-c", "policy.c"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_compiler_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRSN_EDGE_CACHE", str(tmp_path))
    with pytest.raises(CompileError, match="expected"):
        compiler.load({"policy.c": "this is not C\n"})


def test_a_missing_compiler_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    compiler.compiler.cache_clear()
    try:
        reason = backend("c").unavailable()
        assert reason is not None
        assert "install gcc" in reason
        with pytest.raises(BackendUnavailable, match="no-such-compiler"):
            backend("c").load(random_graph(4))
    finally:
        monkeypatch.undo()
        compiler.compiler.cache_clear()


def fused(policy: Policy):
    runner = backend("c").load(policy.program)
    act = runner.fuse(policy)
    assert act is not None
    return runner, act


@pytest.mark.parametrize("on_invalid", ["refuse", "clamp"])
def test_the_one_call_step_is_encode_step_decode(on_invalid: str) -> None:
    plain = toy_policy()
    encoder = Encoder(plain.encoder.offset, plain.encoder.gain, plain.encoder.dtype, on_invalid)
    policy = Policy(**{**vars(plain), "encoder": encoder, "golden": None})
    runner, act = fused(policy)
    reference = backend("numpy").load(policy.program)
    rng = np.random.default_rng(0)
    ties = (np.arange(-3, 3) + 0.5) / float(encoder.gain[0]) + float(encoder.offset[0])
    for i in range(300):
        x = rng.normal(0, 10.0 ** rng.uniform(-3, 3), encoder.n)
        x[0] = ties[i % 6] if i % 3 == 0 else x[0]
        if on_invalid == "clamp" and i % 5 == 0:
            x[i % encoder.n] = (np.nan, np.inf, -np.inf)[i % 3]
        given = x.astype(np.float32) if i % 2 else x
        q = reference.step({"observation": encoder.encode(given)})["action"]
        want, got = policy.decoder.decode(q), act(given if i % 4 else list(given))
        assert np.array_equal(want, got), i
        for name, value in reference.get_state().items():
            assert np.array_equal(value, runner.get_state()[name])


@pytest.mark.parametrize("on_invalid", ["refuse", "clamp"])
@pytest.mark.parametrize("given", ODD, ids=repr)
def test_it_takes_and_refuses_what_the_encoder_does(given, on_invalid: str) -> None:
    plain = toy_policy()
    encoder = Encoder(plain.encoder.offset, plain.encoder.gain, "int8", on_invalid)
    policy = replace(plain, encoder=encoder, golden=None)
    runner, act = fused(policy)
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


@pytest.mark.parametrize("bad", [[np.nan] * 2, [0.0], [[0.0, 0.0]], ["a", "b"], [0.0, np.inf]])
def test_a_bad_observation_is_refused_and_the_state_stays(bad) -> None:
    policy = toy_policy()
    n = policy.encoder.n
    runner, act = fused(policy)
    act(np.full(n, 0.3))
    before = runner.get_state()
    with pytest.raises(ObservationError):
        act([*bad, *[0.0] * (n - 2)] if len(bad) == 2 else bad)
    for name, value in before.items():
        assert np.array_equal(value, runner.get_state()[name])


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("program", [random_graph(7), random_program(0, "grsn").program])
def test_undefined_behaviour_is_not_relied_on(program, split: bool, tmp_path: Path) -> None:
    """UBSan and ASan over random inputs."""
    generated = emit(program, split_tables=split)
    arrays = [f"{n.dtype}_t in{i}[{n.n}]" for i, n in enumerate(program.inputs)]
    arrays += [
        f"{program[v].dtype}_t out{i}[{program[v].n}]"
        for i, v in enumerate(program.outputs.values())
    ]
    fills = "".join(
        f"for (int j = 0; j < {n.n}; j++) {{ seed = seed * 1664525u + 1013904223u; "
        f"in{i}[j] = ({n.dtype}_t)({n.interval.low}ll + (long long)(seed % "
        f"{n.interval.high - n.interval.low + 1}ull)); }}\n"
        for i, n in enumerate(program.inputs)
    )
    names = [f"in{i}" for i in range(len(program.inputs))]
    names += [f"out{i}" for i in range(len(program.outputs))]
    main = (
        '#include "policy.h"\nint main(void) { unsigned long long seed = 1; policy_state_t state;\n'
        + ";\n".join(arrays)
        + ";\npolicy_reset(&state);\nfor (int t = 0; t < 2000; t++) {\n"
        + fills
        + f"policy_step(&state, {', '.join(names)});\n}}\nreturn 0; }}\n"
    )
    files = {"policy.h": generated.header, "policy.c": generated.source, "main.c": main}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    sanitise = ["-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"]
    line = [*compiler.compiler(), "-std=c99", "-O1", *sanitise, f"-I{compiler.headers()}"]
    built = subprocess.run(
        [*line, "policy.c", "main.c", "-o", "fuzz"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        pytest.skip("this compiler has no sanitizers")
    done = subprocess.run(["./fuzz"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
