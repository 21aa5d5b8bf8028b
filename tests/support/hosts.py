"""Compiles the host programs against the staged library, as any program would be."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
ROOT = TESTS.parent

Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def stage() -> Path:
    """The installed tree under test: `build/stage`, or the one MATRIX_STAGE names."""
    path = Path(os.environ.get("MATRIX_STAGE", ROOT / "build" / "stage")).resolve()
    assert (path / "lib" / "libmatrix.so").exists(), f"{path}: not built; run make stage"
    return path


def compile_source(stage: Path, source: Path, program: Path, extra: Sequence[str] = ()) -> None:
    """Makes a program of C, with the headers that the tests share."""
    command = ["cc", "-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror"]
    folders = (stage / "include", TESTS / "host" / "c", TESTS / "homeserver" / "c")
    command += [*(f"-I{folder}" for folder in folders), str(source), "-o", str(program)]
    command += [f"-L{stage / 'lib'}", *extra, "-lmatrix", f"-Wl,-rpath,{stage / 'lib'}"]
    command += ["-pthread", "-ldl"]
    subprocess.run(command, check=True, timeout=120)


@pytest.fixture(scope="session")
def compile_host(
    stage: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, Sequence[str]], Path]:
    """`compile_host(name, extra)` gives the path of the program made of tests/*/c/<name>.c."""
    folder = tmp_path_factory.mktemp("hosts")

    def compile_one(name: str, extra: Sequence[str] = ()) -> Path:
        [source] = TESTS.glob(f"*/c/{name}.c")
        compile_source(stage, source, folder / name, extra)
        return folder / name

    return compile_one


@pytest.fixture(scope="session")
def run_host(compile_host: Callable[..., Path]) -> Program:
    """`run_host(name, *arguments, env=…, extra=…)` compiles, runs, and wants 0 as the exit code."""
    compiled: dict[str, Path] = {}

    def run_one(
        name: str,
        *arguments: str | Path,
        env: dict[str, str] | None = None,
        extra: Sequence[str] = (),
        expect: int = 0,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        if name not in compiled:
            compiled[name] = compile_host(name, extra)
        done = subprocess.run(
            [str(compiled[name]), *map(str, arguments)],
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == expect, f"{name}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    return run_one


@pytest.fixture(scope="session")
def compile_example(stage: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`compile_example(name)` gives the program made of examples/<name>.c, as a reader makes it."""
    folder = tmp_path_factory.mktemp("examples")

    def compile_one(name: str) -> Path:
        command = ["cc", "-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror"]
        command += [f"-I{stage / 'include'}", str(ROOT / "examples" / f"{name}.c")]
        command += [f"-L{stage / 'lib'}", "-lmatrix", f"-Wl,-rpath,{stage / 'lib'}"]
        subprocess.run([*command, "-o", str(folder / name)], check=True, timeout=120)
        return folder / name

    return compile_one
