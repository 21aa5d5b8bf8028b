"""The core alone, without Python: tests/c plain, under sanitizers and under valgrind."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
CORE = ROOT / "ffi" / "core"
YYJSON = ROOT / "build" / "cache" / "yyjson"
BUILD = ROOT / "build" / "core-tests"

PROGRAMS = sorted(path.stem for path in (ROOT / "tests" / "c").glob("test_*.c"))

FLAGS = [
    "-std=c11",
    "-g",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-D_GNU_SOURCE=",
    "-DMATRIX_TEST_BRIDGE",
    '-DMATRIX_PYTHON_VERSION="3.0.0"',
    '-DMATRIX_PYTHON_LIBRARY="libpython.so"',
    "-Dyyjson_api=",
    f"-I{ROOT / 'ffi' / 'include'}",
    f"-I{CORE}",
    f"-I{ROOT / 'ffi' / 'bridge'}",
    f"-isystem{YYJSON}",
]

MODES = {
    "plain": ["-O2"],
    "asan": [
        "-O1",
        "-fsanitize=address,undefined",
        "-fno-sanitize-recover=all",
        "-fno-omit-frame-pointer",
    ],
    "tsan": ["-O1", "-fsanitize=thread"],
}

SANITIZED = ("asan", "tsan", "valgrind")

VALGRIND = [
    "valgrind",
    # The host spins in some programs; the runtime must get its turn.
    "--fair-sched=yes",
    "-q",
    "--leak-check=full",
    "--errors-for-leak-kinds=definite,indirect,possible",
    "--error-exitcode=99",
]

# What a program is linked with besides.
EXTRA = {"test_memory": ["-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc"]}

# Arguments that make a program do less, for valgrind.
LESS = {"test_stress": ["200"], "test_limits": ["2"]}

# Forked children have one thread: what the others held is no leak.
FORKING = "test_fork_exit"

sanitized = pytest.mark.parametrize(
    "mode",
    ["plain", *(pytest.param(mode, marks=pytest.mark.sanitizer) for mode in SANITIZED)],
)


def stale(product: Path, sources: Sequence[Path]) -> bool:
    """Whether a product is older than any of its sources."""
    made = product.stat().st_mtime if product.exists() else 0
    return any(source.stat().st_mtime >= made for source in sources)


def compile_all(sources: Sequence[Path], mode: str, folder: Path) -> None:
    """Makes object files, two at a time; yyjson without instruments, which it makes very slow."""

    def compile_one(source: Path) -> None:
        flags = MODES["plain" if source.parent == YYJSON else mode]
        command = ["cc", *FLAGS, *flags, "-c", str(source)]
        subprocess.run(command, cwd=folder, check=True, timeout=600)

    with ThreadPoolExecutor(2) as workers:
        list(workers.map(compile_one, sources))


def build_core(mode: str) -> Path:
    """The folder of the core's object files for this mode, built by the first worker to come."""
    folder = BUILD / mode
    folder.mkdir(parents=True, exist_ok=True)
    assert (YYJSON / "yyjson.c").exists(), f"{YYJSON} is missing; run make setup"
    sources = [*CORE.glob("*.c"), YYJSON / "yyjson.c"]
    headers = [*CORE.glob("*.h"), *(ROOT / "ffi").glob("*/*.h"), *(ROOT / "ffi").glob("*/*/*.h")]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        changed = [
            source for source in sources if stale(folder / f"{source.stem}.o", [source, *headers])
        ]
        for leftover in {p.stem for p in folder.glob("*.o")} - {p.stem for p in sources}:
            (folder / f"{leftover}.o").unlink()
        if changed:
            compile_all(changed, mode, folder)
    return folder


def build_program(name: str, mode: str, folder: Path) -> Path:
    """Links one test program against the core's object files."""
    mode = mode if mode in MODES else "plain"
    objects = build_core(mode)
    program = folder / name
    sources = [ROOT / "tests" / "c" / f"{name}.c", ROOT / "tests" / "c" / "fake_bridge.c"]
    command = ["cc", *FLAGS, *MODES[mode], *map(str, sources), "-o", str(program)]
    command += [*map(str, sorted(objects.glob("*.o"))), "-pthread", "-ldl", *EXTRA.get(name, [])]
    subprocess.run(command, check=True, timeout=120)
    return program


def launch(program: Path, mode: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a test program under what its mode asks for."""
    command = [str(program), *arguments]
    environment = dict(os.environ)
    if mode == "valgrind":
        tool = shutil.which("valgrind")
        assert tool, "valgrind is missing; run make setup"
        leaks = ["--leak-check=no"] if program.name == FORKING else []
        command = [*VALGRIND, *leaks, *command]
    elif mode == "asan":
        environment["ASAN_OPTIONS"] = f"detect_leaks={int(program.name != FORKING)}"
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@sanitized
@pytest.mark.parametrize("name", PROGRAMS)
def test_core(name: str, mode: str, tmp_path: Path) -> None:
    program = build_program(name, mode, tmp_path)
    done = launch(program, mode, *(LESS.get(name, []) if mode == "valgrind" else []))
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


@sanitized
def test_exit_from_anywhere(mode: str, tmp_path: Path) -> None:
    """Exit while nothing, everything, a callback, another thread or a shutdown is going on."""
    program = build_program(FORKING, mode, tmp_path)
    for how in ("now", "callback", "thread", "busy", "shutdown"):
        for _ in range(20 if mode == "plain" else 3):
            done = launch(program, mode, how)
            assert (done.returncode, done.stderr) == (7, ""), f"{how}: {done.stderr}"
