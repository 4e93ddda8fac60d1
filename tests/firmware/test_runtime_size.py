"""The whole runtime, from reader and proof to step and self-test, in 4 kB of Thumb-2."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

FIRMWARE = Path(__file__).parents[2] / "firmware"
COMPILER = "arm-none-eabi-gcc"
SMALLEST = ("-Os", "-fno-ivopts", "-fno-schedule-insns2", "-ffunction-sections")


@pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"{COMPILER} is not installed")
@pytest.mark.parametrize("cpu", ["cortex-m3", "cortex-m4"])
def test_the_runtime_in_one_file_takes_at_most_four_kilobytes(cpu: str, tmp_path: Path) -> None:
    made = tmp_path / "runtime.o"
    include = (f"-I{FIRMWARE / 'include'}", f"-I{FIRMWARE / 'src'}")
    source = str(FIRMWARE / "grsn_runtime.c")
    line = [COMPILER, f"-mcpu={cpu}", "-mthumb", "-std=c99", *SMALLEST, *include]
    subprocess.run([*line, "-c", source, "-o", str(made)], check=True)
    with made.open("rb") as file:
        code = [s for s in ELFFile(file).iter_sections() if s.name.startswith((".text", ".rodata"))]
    assert sum(section["sh_size"] for section in code) <= 4096
