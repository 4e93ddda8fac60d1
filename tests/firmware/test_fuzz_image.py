"""Images that mean harm: mutated, their checksum repaired, opened and run under the sanitizers.

The long run, a million mutated images: ``pytest -m slow tests/firmware/test_fuzz_image.py -s``.
"""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from virtual_machine import FIRMWARE, SOURCES, build

from grsn_edge.backends._c.compiler import compiler
from grsn_edge.backends._image import image
from grsn_edge.conformance import random_graph
from grsn_edge.policy import load

SANITIZERS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@cache
def has_sanitizers() -> bool:
    line = [*compiler(), *SANITIZERS, "-x", "c", "-", "-o", os.devnull]
    done = subprocess.run(line, input=b"int main(void){return 0;}", capture_output=True)
    return done.returncode == 0


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not has_sanitizers():
        pytest.skip("the C compiler has no sanitizers")
    target = tmp_path_factory.mktemp("fuzz") / "fuzz_image"
    sources = [FIRMWARE / "fuzz" / "fuzz_image.c", *SOURCES]
    build(sources, target, *SANITIZERS, "-DFUZZ_ALONE", "-DGRSN_VM_FAST=1")
    return target


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Small images that between them have every operation."""
    folder = tmp_path_factory.mktemp("seeds")
    policy = load(FIRMWARE.parent / "models" / "cartpole-p.grsn")
    contents = [image(policy), *(image(random_graph(seed)) for seed in range(40))]
    for i, content in enumerate(contents):
        (folder / f"{i:02}.grsi").write_bytes(content)
    return sorted(folder.iterdir())


def fuzz(fuzzer: Path, count: int, seed: int, seeds: list[Path]) -> tuple[int, int]:
    """``(mutated, opened)``; fails where a sanitizer or an invariant spoke."""
    line = [str(fuzzer), str(count), str(seed), *map(str, seeds)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    mutated, opened = re.findall(r"\d+", done.stdout)
    return int(mutated), int(opened)


def test_mutated_images_are_refused_or_harmless(fuzzer: Path, seeds: list[Path]) -> None:
    mutated, opened = fuzz(fuzzer, 4_100, 1, seeds)
    assert mutated == 4_100
    assert 0 < opened < mutated  # both paths were taken


def test_whole_images_run_under_the_sanitizers(fuzzer: Path, seeds: list[Path]) -> None:
    fuzz(fuzzer, 0, 1, seeds)


@pytest.mark.slow
def test_a_million_mutated_images_are_refused_or_harmless(fuzzer: Path, seeds: list[Path]) -> None:
    mutated = opened = 0
    for seed in range(10):
        done = fuzz(fuzzer, 100_040, 100 + seed, seeds)
        mutated, opened = mutated + done[0], opened + done[1]
    print(f"{mutated} mutated images, {opened} opened, no crash")
    assert mutated >= 10**6
