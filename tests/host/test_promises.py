"""The promises of matrix.h, each a test of its name."""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.homeserver import Homeserver

HERE = Path(__file__).parent
HEADER = HERE.parent.parent / "ffi" / "include" / "matrix" / "matrix.h"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_every_promise_has_a_test() -> None:
    promises = re.findall(r"^ \* {1,2}\d+\. (\w+):", HEADER.read_text(), re.MULTILINE)
    assert len(promises) == 31
    sources = [path for kind in ("py", "c") for path in HERE.parent.rglob(f"*.{kind}")]
    tests = "\n".join(path.read_text() for path in sources)
    untested = [name for name in promises if not re.search(rf"(def test|void) ?_?{name}\(", tests)]
    assert untested == []


def test_refused_call_never_calls_back(run_host: Run) -> None:
    run_host("refused_call_never_calls_back")


def test_accepted_call_calls_back_exactly_once(run_host: Run) -> None:
    run_host("accepted_call_calls_back_exactly_once")


def test_callbacks_only_inside_dispatch(run_host: Run) -> None:
    run_host("callbacks_only_inside_dispatch")


def test_full_queue_never_drops(run_host: Run) -> None:
    run_host("full_queue_never_drops")


def test_one_dispatch_at_a_time(run_host: Run) -> None:
    run_host("one_dispatch_at_a_time")


def test_use_after_free_is_an_error(run_host: Run) -> None:
    run_host("use_after_free_is_an_error")


def test_contexts_are_separate(run_host: Run) -> None:
    run_host("contexts_are_separate")


def test_host_never_waits(run_host: Run) -> None:
    run_host("host_never_waits")


def test_local_host_loads_extensions(run_host: Run, stage: Path) -> None:
    run_host("local_host_loads_extensions", stage / "lib" / "libmatrix.so")


def test_environment_has_no_effect(run_host: Run, stage: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    for name in ("sitecustomize", "usercustomize", "msgspec", "asyncio", "encodings", "libmatrix"):
        (trap / f"{name}.py").write_text("import os\nos._exit(99)\n")
    venv.create(tmp_path / "venv", with_pip=False)
    hostile = {
        "PATH": f"{tmp_path / 'venv' / 'bin'}:{os.environ['PATH']}",
        "PYTHONHOME": "/nonexistent",
        "PYTHONPATH": str(trap),
        "PYTHONSTARTUP": str(trap / "msgspec.py"),
        "PYTHONDEVMODE": "1",
        "PYTHONVERBOSE": "1",
        "VIRTUAL_ENV": str(tmp_path / "venv"),
        "LC_ALL": "C",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "SSL_CERT_FILE": "/nonexistent",
    }
    library = stage / "lib" / "libmatrix.so"
    done = run_host("local_host_loads_extensions", library, env=hostile)
    assert done.stderr == ""


def fake_python(tmp_path: Path, version: str) -> Path:
    """A library that says it is libpython of another version."""
    source = tmp_path / "python.c"
    source.write_text(
        f'const char *Py_GetVersion(void) {{ return "{version}.1 (fake)"; }}\n'
        "int Py_IsInitialized(void) { return 1; }\n"
    )
    library = tmp_path / f"libpython{version}.so.1.0"
    subprocess.run(["cc", "-shared", "-fPIC", source, "-o", library], check=True, timeout=60)
    return library


@pytest.mark.parametrize("scope", ["local", "global"])
def test_other_python_is_a_conflict(run_host: Run, tmp_path: Path, scope: str) -> None:
    run_host("other_python_is_a_conflict", fake_python(tmp_path, "3.8"), scope)


def test_foreign_libraries_do_no_harm(
    compile_host: Callable[..., Path], stage: Path, tmp_path: Path
) -> None:
    foreign = tmp_path / "libsqlite3.so.0"
    command = ["cc", "-shared", "-fPIC", "-Wl,-soname,libsqlite3.so.0"]
    source = HERE / "c" / "foreign_library.c"
    subprocess.run([*command, source, "-o", foreign], check=True, timeout=60)
    for name in ("libssl.so.3", "libcrypto.so.3", "libz.so.1", "libffi.so.8"):
        shutil.copy(foreign, tmp_path / name)
    program = compile_host(
        "foreign_libraries_do_no_harm",
        ["-rdynamic", "-Wl,--no-as-needed", str(foreign), f"-Wl,-rpath,{tmp_path}"],
    )
    for number, environment in enumerate(({}, {"LD_LIBRARY_PATH": str(tmp_path)})):
        done = subprocess.run(
            [program, tmp_path / f"store{number}"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_host_exporting_sqlite_does_no_harm(
    compile_host: Callable[..., Path], tmp_path: Path
) -> None:
    source = str(HERE / "c" / "foreign_library.c")
    program = compile_host("foreign_libraries_do_no_harm", ["-rdynamic", source])
    subprocess.run([program, tmp_path / "store"], check=True, timeout=120)


@pytest.fixture
def closing_server() -> Iterator[str]:
    """A server that closes each connection at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def close_all() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.close()

        thread = threading.Thread(target=close_all, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_process_is_left_alone(run_host: Run, closing_server: str, tmp_path: Path) -> None:
    done = run_host("process_is_left_alone", closing_server, tmp_path / "store")
    assert (done.stdout, done.stderr) == ("", "")


def test_unload_and_reopen_works(run_host: Run, stage: Path) -> None:
    run_host("unload_and_reopen_works", stage / "lib" / "libmatrix.so")


def test_forked_child_gets_an_error(run_host: Run) -> None:
    run_host("forked_child_gets_an_error")


@pytest.mark.homeserver
def test_exit_at_any_moment(compile_host: Callable[..., Path], homeserver: Homeserver) -> None:
    """60 times, from before Python is up to well into requests: no crash, no hang over 2 s."""
    program = compile_host("exit_at_any_moment")
    seed = int(os.environ.get("MATRIX_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"MATRIX_TEST_SEED={seed}")
    moments = random.Random(seed)
    for _ in range(60):
        microseconds = int(moments.choice((2e3, 60e3, 300e3, 900e3)) * moments.random())
        command = [program, homeserver.tls_url, homeserver.ca_file, str(microseconds)]
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            timeout=microseconds / 1e6 + 10,
            check=False,
        )
        assert (done.returncode, done.stderr) == (7, ""), f"after {microseconds} us, seed {seed}"


def test_python_host_works(stage: Path) -> None:
    program = HERE / "python_host.py"
    command = [sys.executable, str(program), str(stage / "lib" / "libmatrix.so")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "same interpreter: True" in done.stdout


def test_bad_input_names_the_argument(run_host: Run) -> None:
    run_host("bad_input_names_the_argument")
