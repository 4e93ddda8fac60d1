"""Installing: with a compiler, without one, from wheels, and on a Raspberry Pi (in qemu-user)."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "cartpole-p.grsn"
LINES = "".join(f"[{0.01 * i}, {-0.004 * i}]\n" for i in range(40))
DEBIAN = [
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6"),
    *("libgcc-s1", "libstdc++6", "libexpat1", "zlib1g", "libffi8", "libssl3", "libbz2-1.0"),
    *("liblzma5", "libuuid1"),
]
"""What a Python of Debian's needs."""


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = found
    spec.loader.exec_module(found)
    return found


native = module(ROOT / "firmware" / "python" / "native_build.py")
wheels = module(ROOT / "tools" / "build_wheels.py")


def run(*line: object, **options: object) -> str:
    done = subprocess.run(
        [str(part) for part in line],
        capture_output=True,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


def here(backend: str) -> str:
    """What this checkout answers to the lines."""
    line = [sys.executable, "-m", "grsn_edge", "run", MODEL, "--backend", backend]
    return run(*line, input=LINES, cwd=ROOT)


# ---- the build -----------------------------------------------------------------------------------


def test_no_compiler_is_a_reason_and_not_an_error(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(native.shutil, "which", lambda name: None)
    monkeypatch.setattr(native.importlib.util, "find_spec", lambda name: None)
    reason = native.place(tmp_path)
    assert "install gcc" in reason
    assert native.note_of(tmp_path).read_text() == f"{reason}\n"
    assert not list(tmp_path.glob("*.so"))


def test_missing_headers_are_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(native.sysconfig, "get_path", lambda name: str(tmp_path))
    assert "python3-dev" in native.place(tmp_path)


def test_a_compiler_that_does_not_run_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    assert "no-such-compiler" in native.place(tmp_path)


def test_another_python_is_a_reason(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(native.sys.implementation, "name", "pypy")
    assert "CPython" in native.place(tmp_path)


def test_every_target_has_a_wheel_tag_of_the_stable_abi() -> None:
    for tag, target in native.TARGETS.items():
        assert target.wheel_tag == f"{target.python}-abi3-{tag}"
        assert target.file == ("_native.pyd" if "win" in tag else "_native.abi3.so")


def test_the_extension_compiles_without_a_warning(tmp_path: Path) -> None:
    try:
        cc = native._compiler(native.HOST)
    except native.NotBuilt as error:
        pytest.skip(str(error))
    strict = ["-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wsign-conversion"]
    headers = ["-isystem", native.sysconfig.get_path("include")]
    for name, source, more in native._units(native.HOST):
        flags = [*native.FLAGS, *strict, *more, f"-I{native.INCLUDE}", f"-I{native.OWN}", *headers]
        run(*cc, *flags, "-c", source, "-o", tmp_path / f"{name}.o")


# ---- wheels --------------------------------------------------------------------------------------


def packages(*names: str) -> None:
    for name in names:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")


Built = Callable[..., Path]
"""The wheel whose platform tag has all these parts, built when it is first asked for."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    packages("hatchling", "ziglang")
    out = tmp_path_factory.mktemp("wheels")

    @cache
    def one(*parts: str) -> Path:
        (tag,) = (tag for tag in native.TARGETS if all(part in tag for part in parts))
        return wheels.build_wheel(native.TARGETS[tag], out)

    return one


@pytest.mark.slow
@pytest.mark.parametrize("tag", native.TARGETS)
def test_a_wheel_holds_the_package_the_extension_and_the_firmware(built: Built, tag: str) -> None:
    with zipfile.ZipFile(built(tag)) as archive:
        names = set(archive.namelist())
    assert f"grsn_edge/{native.TARGETS[tag].file}" in names
    for part in ("include", "src", "kernels", "ports"):
        kept = run("git", "ls-files", ROOT / "firmware" / part, cwd=ROOT).splitlines()
        assert {f"grsn_edge/_{file}" for file in kept} <= names
    assert "grsn_edge/_native.pyi" in names
    assert not any(name.startswith(("tests/", "firmware/")) for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("tag", native.TARGETS)
def test_the_same_sources_give_the_same_bytes(built: Built, tag: str, tmp_path: Path) -> None:
    again = wheels.build_wheel(native.TARGETS[tag], tmp_path)
    assert again.read_bytes() == built(tag).read_bytes()


@pytest.mark.slow
def test_a_windows_extension_takes_all_of_python_from_python3_dll(
    built: Built, tmp_path: Path
) -> None:
    if shutil.which("objdump") is None:
        pytest.skip("objdump is not installed")
    with zipfile.ZipFile(built("win_amd64")) as archive:
        archive.extract("grsn_edge/_native.pyd", tmp_path)
    text = run("objdump", "-p", tmp_path / "grsn_edge" / "_native.pyd")
    libraries = {line.split()[-1].lower() for line in text.splitlines() if "DLL Name" in line}
    assert "python3.dll" in libraries
    assert not any(name.startswith("python3") and name != "python3.dll" for name in libraries)


def pythons() -> list[str]:
    """Interpreters from 3.10 on that run here."""
    found = []
    for minor in range(10, 16):
        path = shutil.which(f"python3.{minor}")
        if path and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode:
            path = None
        if path:
            found.append(path)
    return found or [sys.executable]


def answers(python: Path, tmp_path: Path) -> str:
    """What ``grsn-edge run`` of an environment answers, from a folder without the sources."""
    scripts = python.parent
    run(python, "-m", "grsn_edge", "doctor", cwd=tmp_path)
    line = [scripts / "grsn-edge", "run", MODEL, "--backend", "native"]
    return run(*line, input=LINES, cwd=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("python", pythons())
def test_one_wheel_runs_on_every_python(built: Built, python: str, tmp_path: Path) -> None:
    machine = "x86_64" if native.HOST.is_x86_64 else "aarch64"
    run(python, "-m", "venv", tmp_path / "venv")
    own = tmp_path / "venv" / "bin" / "python"
    run(own, "-m", "pip", "install", "--quiet", built("manylinux", machine))
    assert answers(own, tmp_path) == here("numpy")


@pytest.mark.slow
@pytest.mark.parametrize("compiler", [True, False])
def test_pip_install_of_the_sources_works_with_and_without_a_compiler(
    compiler: bool, tmp_path: Path
) -> None:
    environment = {**os.environ, "CC": ""} if compiler else {**os.environ, "CC": "no-compiler"}
    venv.create(tmp_path / "venv", with_pip=True)
    own = tmp_path / "venv" / "bin" / "python"
    run("git", "clone", "--quiet", ROOT, tmp_path / "clone")
    run(own, "-m", "pip", "install", "--quiet", tmp_path / "clone", env=environment)
    if compiler:
        assert answers(own, tmp_path) == here("numpy")
    doctor = json.loads(run(own, "-m", "grsn_edge", "doctor", "--json", cwd=tmp_path))
    reason = doctor["backends"]["native"]["reason"]
    assert (reason is None) == compiler
    assert compiler or "no-compiler" in reason


# ---- the Raspberry Pi's way ----------------------------------------------------------------------


def debian_arm64(folder: Path) -> Path:
    """A folder with Debian's Python for arm64: what a Raspberry Pi's system has."""
    for part in ("lists/partial", "archives/partial", "debs"):
        (folder / part).mkdir(parents=True)
    status = folder / "status"
    status.touch()
    options = {
        "Dir::State::Lists": folder / "lists",
        "Dir::State::status": status,
        "Dir::Cache": folder,
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "",
    }
    flags = [flag for key, value in options.items() for flag in ("-o", f"{key}={value}")]
    run("apt-get", *flags, "update")
    run("apt-get", *flags, "download", *DEBIAN, cwd=folder / "debs")
    for package in sorted((folder / "debs").glob("*.deb")):
        run("dpkg-deb", "-x", package, folder / "root")
    return folder / "root"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="qemu-user is not installed")
def test_on_a_raspberry_pi_from_pip_install_to_a_stream_of_actions(
    built: Built, tmp_path: Path
) -> None:
    """aarch64 in qemu-user: pip, the wheel, ``grsn-edge run``; the actions are those of here."""
    root = debian_arm64(tmp_path)
    python = ["qemu-aarch64", "-L", root, root / "usr" / "bin" / "python3.11"]
    house, site = tmp_path / "wheels", tmp_path / "site"
    platforms = [f"--platform=manylinux_2_{glibc}_aarch64" for glibc in (17, 27, 28)]
    line = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", house]
    run(*line, "--no-deps", "pip")
    run(*line, *platforms, "--python-version=311", "--only-binary=:all:", "numpy", "safetensors")
    (pip,) = house.glob("pip-*.whl")
    install = [f"{pip}/pip", "install", "--no-index", "--no-compile", "--find-links", house]
    run(*python, *install, "--target", site, built("manylinux", "aarch64"))
    environment = {**os.environ, "PYTHONPATH": str(site)}
    line = [*python, "-m", "grsn_edge", "run", MODEL, "--backend", "native"]
    assert run(*line, input=LINES, env=environment, cwd=tmp_path) == here("numpy")
    check = (
        "from grsn_edge import StreamingPolicy; from grsn_edge.conformance import *; import sys;"
        "assert StreamingPolicy.load(sys.argv[1]).backend == 'native';"
        "assert StreamingPolicy.load(sys.argv[1]).verify() > 0;"
        "r = compare(random_program(1, 'grsn').program, ['numpy', 'native'], steps=2048);"
        "print(r.difference)"
    )
    line = [*python, "-c", check, MODEL]
    assert run(*line, env=environment, cwd=tmp_path).strip() == "None"
