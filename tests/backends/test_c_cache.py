"""Compiled policies: kept, checked before they are loaded, and never in anybody's way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from grsn_edge.backends import backend
from grsn_edge.backends._c import compiler
from grsn_edge.conformance import random_graph

pytestmark = pytest.mark.skipif(backend("c").unavailable() is not None, reason="no C compiler")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("GRSN_EDGE_CACHE", str(folder))
    return folder


def libraries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_library_is_compiled_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend("c").load(random_graph(1))
    (kept,) = libraries(cache)
    monkeypatch.setattr(compiler, "_build", lambda *_: pytest.fail("compiled again"))
    backend("c").load(random_graph(1))
    assert libraries(cache) == [kept]


@pytest.mark.parametrize("damage", ["empty", "half", "one page", "zeros", "one bit"])
def test_a_damaged_library_is_compiled_again_and_never_loaded(cache: Path, damage: str) -> None:
    """In a process of its own: loading half a library would end it with a bus error."""
    backend("c").load(random_graph(1))
    (kept,) = libraries(cache)
    good = kept.read_bytes()
    middle = len(good) // 2
    bad = {
        "empty": b"",
        "half": good[:middle],
        "one page": good[:4096],
        "zeros": good[:4096] + bytes(512) + good[4608:],
        "one bit": good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :],
    }[damage]
    kept.unlink()  # this process has it mapped
    kept.write_bytes(bad)
    script = (
        "from grsn_edge.backends import backend\nfrom grsn_edge.conformance import random_graph\n"
        "backend('c').load(random_graph(1))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert good in [path.read_bytes() for path in libraries(cache)]


def test_another_compiler_or_processor_has_its_own_library(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend("c").load(random_graph(1))
    monkeypatch.setattr(compiler, "_processor", lambda: "another")
    backend("c").load(random_graph(1))
    assert len(libraries(cache)) == 2


def test_a_cache_that_cannot_be_written_does_not_stop_anyone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("GRSN_EDGE_CACHE", str(blocked))
    runner = backend("c").load(random_graph(3))
    assert set(runner.get_state()) == {s.name for s in runner.program.states}


def test_a_disk_that_fills_up_leaves_no_litter(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: str, target: str) -> None:
        if str(target).startswith(str(cache)):
            raise OSError(28, "No space left on device")
        real(source, target)

    real = compiler.os.replace
    monkeypatch.setattr(compiler.os, "replace", full)
    backend("c").load(random_graph(3))
    assert libraries(cache) == []


def test_an_interrupted_build_leaves_no_litter(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(source: str, target: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compiler.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        backend("c").load(random_graph(3))
    assert libraries(cache) == []


def test_processes_that_build_at_once_do_not_disturb_each_other(cache: Path) -> None:
    script = (
        "from grsn_edge.backends import backend\nfrom grsn_edge.conformance import random_graph\n"
        "backend('c').load(random_graph(2)).reset()\n"
    )
    line = [sys.executable, "-c", script]
    running = [subprocess.Popen(line, stderr=subprocess.PIPE) for _ in range(3)]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert len(libraries(cache)) == 1


def test_the_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRSN_EDGE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiler.cache_folder() == tmp_path / "grsn-edge"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert compiler.cache_folder() == tmp_path / "home" / ".cache" / "grsn-edge"


def test_a_cc_that_does_not_run_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(
        compiler.shutil, "which", lambda name: str(broken) if name == "cc" else "/usr/bin/" + name
    )
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    compiler.compiler.cache_clear()
    compiler._identity.cache_clear()
    try:
        assert compiler.compiler() != ("cc",)
    finally:
        monkeypatch.undo()
        compiler.compiler.cache_clear()
        compiler._identity.cache_clear()
