"""The homeserver of the tests itself: it must never outlive who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lua.interpreters import environment
from tests.support import client
from tests.support.homeserver import Homeserver

pytestmark = [
    pytest.mark.homeserver,
    pytest.mark.skipif("MATRIX_TEST_HOMESERVER" in os.environ, reason="not our own homeserver"),
]

ROOT = Path(__file__).resolve().parents[2]
USER = """
import signal, sys
from pathlib import Path
from tests.support.homeserver import homeserver
# Who runs the tests in the background may have had it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
with homeserver(Path(sys.argv[1]), tls=False) as server:
    print(server.url, flush=True)
    signal.pause()
"""


def until(condition: Callable[[], bool]) -> None:
    """Waits for what must come soon."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_gone(url: str) -> bool:
    try:
        client.request(url, "GET", "/_matrix/client/versions")
    except OSError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda n: n.name)
def test_server_ends_with_its_user(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", USER, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as user:
        assert user.stdout
        url = user.stdout.readline().strip()
        assert not is_gone(url)
        user.send_signal(number)
        try:
            user.wait(60)
        finally:
            user.kill()
    until(lambda: is_gone(url))


def test_served_homeserver_fits_the_examples(tmp_path: Path, stage: Path) -> None:
    """What it prints, pasted into a shell, is all that the README's program needs."""
    command = [sys.executable, "-m", "tests.support.homeserver", "--no-tls", "--folder", tmp_path]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout
        try:
            printed = "".join(iter(serving.stdout.readline, "# Ctrl-C stops it\n"))
            program = f"{printed}lua5.4 '{ROOT / 'examples' / 'hello.lua'}'"
            env = {name: text for name, text in environment(stage, "5.4").items() if name != "HOME"}
            done = subprocess.run(["sh", "-c", program], env=env, capture_output=True, text=True)
        finally:
            serving.terminate()
    assert (done.stdout, done.stderr) == ("said hello\n", "")


def test_bad_answers_are_errors(homeserver: Homeserver) -> None:
    with pytest.raises(client.HomeserverError) as caught:
        homeserver.request("GET", "/_matrix/client/v3/account/whoami", "no-such-token")
    assert (caught.value.status, caught.value.code) == (401, "M_UNKNOWN_TOKEN")
