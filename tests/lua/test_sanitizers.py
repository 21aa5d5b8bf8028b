"""Lua module and core under sanitizers and valgrind; the runtime of tests/c in Python's place."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.test_core import CORE, FLAGS, VALGRIND, YYJSON, stale
from tests.host.test_core import MODES as CORE_MODES
from tests.lua.interpreters import HERE, INTERPRETERS, ROOT, Interpreter

BUILD = ROOT / "build" / "lua-sanitized"
# LeakSanitizer misreads the thread-local storage that glibc gives to loaded libraries on demand.
SHARED = ["-fPIC", "-fvisibility=hidden", "-ftls-model=initial-exec"]

MODES = {**CORE_MODES, "valgrind": CORE_MODES["plain"]}

SPECS = ["values", "tasks", "dispatch"]
STATES = ["again", "threads", "pending", "starve"]

pytestmark = pytest.mark.sanitizer


def compile_into(folder: Path, mode: str, sources: list[Path], more: list[str]) -> None:
    """Compiles what is older than its source or than any header."""
    folder.mkdir(parents=True, exist_ok=True)
    headers = [*(ROOT / "ffi").glob("**/*.h"), *(ROOT / "lua").glob("*.h")]
    changed = [s for s in sources if stale(folder / f"{s.stem}.o", [s, *headers])]
    for source in changed:
        # yyjson goes without instruments, which make it very slow.
        flags = MODES["valgrind" if source.parent == YYJSON else mode]
        command = ["cc", *FLAGS, *flags, *SHARED, *more, "-c", str(source)]
        subprocess.run(command, cwd=folder, check=True, timeout=600)


def embed(folder: Path) -> Path:
    """The Lua half as a C source."""
    chunks = sorted((ROOT / "lua").glob("*.lua"))
    source = folder / "chunks.c"
    if stale(source, chunks):
        script = ROOT / "packaging" / "cmake" / "embed_lua.py"
        subprocess.run([sys.executable, "-B", script, source, *chunks], check=True, timeout=60)
    return source


def build_module(mode: str, abi: str) -> Path:
    """The folder with matrix.so, libmatrix inside it, and states.so; built once for all."""
    folder = BUILD / mode
    folder.mkdir(parents=True, exist_ok=True)
    include = ["-isystem", str(ROOT / "build" / "cache" / "lua" / abi), f"-I{ROOT / 'lua'}"]
    lua = [*(ROOT / "lua").glob("*.c")]
    core = [*CORE.glob("*.c"), YYJSON / "yyjson.c", ROOT / "tests" / "c" / "fake_bridge.c"]
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        compile_into(folder / "core", mode, core, [])
        compile_into(folder / abi, mode, [*lua, embed(folder), HERE / "c" / "states.c"], include)
        names = [source.stem for source in lua]
        objects = [folder / "core" / f"{source.stem}.o" for source in core]
        objects += [folder / abi / f"{name}.o" for name in [*names, "chunks"]]
        states = folder / abi / "states.o"
        for module, parts in (("matrix", objects), ("states", [states])):
            product = folder / abi / f"{module}.so"
            if stale(product, parts):
                command = ["cc", *MODES[mode], "-shared", *map(str, parts), "-o", str(product)]
                subprocess.run([*command, "-pthread", "-ldl"], check=True, timeout=120)
    return folder / abi


def preload(library: str) -> str:
    found = subprocess.run(
        ["cc", f"-print-file-name={library}"], capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


def run(mode: str, lua: Interpreter, *arguments: str | Path) -> None:
    folder = build_module(mode, lua.abi)
    env = {"LUA_CPATH": f"{folder}/?.so"}
    wrapper: tuple[str, ...] = ()
    if mode == "asan":
        env["LD_PRELOAD"] = preload("libasan.so")
        env["ASAN_OPTIONS"] = "detect_leaks=1"
    elif mode == "tsan":
        env["LD_PRELOAD"] = preload("libtsan.so")
    else:
        wrapper = tuple(VALGRIND)
    done = lua.run(ROOT, *arguments, env=env, timeout=300, wrapper=wrapper)
    assert (done.returncode, done.stderr) == (0, ""), f"{done.stdout}\n{done.stderr}"


def cases(modes: dict[str, list[str]], what: list[str]) -> list[pytest.param]:
    return [
        pytest.param(mode, lua, case, id=f"{case}-{lua.name}-{mode}")
        for mode, names in modes.items()
        for lua in INTERPRETERS
        for case in what
        # LuaJIT 2.1 crashes by itself when its allocator fails, without any module.
        if lua.name in names and (lua.name, case) != ("luajit", "starve")
    ]


ALL = [lua.name for lua in INTERPRETERS]


@pytest.mark.parametrize(
    ("mode", "lua", "spec"), cases({"asan": ALL, "valgrind": ["lua5.1", "lua5.4"]}, SPECS)
)
def test_spec(mode: str, lua: Interpreter, spec: str) -> None:
    greedy = ["greedy"] if mode == "asan" else []
    run(mode, lua, HERE / "run.lua", HERE / "spec" / f"{spec}.lua", *greedy)


@pytest.mark.parametrize(
    ("mode", "lua", "case"), cases({"asan": ALL, "valgrind": ["lua5.4"]}, STATES)
)
def test_states(mode: str, lua: Interpreter, case: str) -> None:
    run(mode, lua, HERE / "states" / "states.lua", case, "150")


@pytest.mark.parametrize(
    ("mode", "lua", "case"), cases({"tsan": ["lua5.1", "lua5.4"]}, ["again", "threads", "pending"])
)
def test_states_race_with_nobody(mode: str, lua: Interpreter, case: str) -> None:
    run(mode, lua, HERE / "states" / "states.lua", case)
