"""Configuration and process of a throwaway Synapse: SQLite, loopback, no rate limits."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.support import certificates, client

_LIBC = ctypes.CDLL(None)
ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "build" / "synapse" / "bin" / "python"
HOST = "127.0.0.1"
START_SECONDS = 120.0
_FREE = {"per_second": 1_000_000, "burst_count": 1_000_000}
_LIMITS = {
    "rc_message": _FREE,
    "rc_registration": _FREE,
    "rc_registration_token_validity": _FREE,
    "rc_login": {"address": _FREE, "account": _FREE, "failed_attempts": _FREE},
    "rc_admin_redaction": _FREE,
    "rc_joins": {"local": _FREE, "remote": _FREE},
    "rc_joins_per_room": _FREE,
    "rc_3pid_validation": _FREE,
    "rc_invites": {"per_room": _FREE, "per_user": _FREE, "per_issuer": _FREE},
    "rc_third_party_invite": _FREE,
    "rc_media_create": _FREE,
    "rc_presence": {"per_user": _FREE},
    "rc_key_requests": _FREE,
    "rc_delayed_event_mgmt": _FREE,
    "rc_room_creation": _FREE,
    "rc_reports": _FREE,
    "rc_user_directory": _FREE,
}


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _listener(port: int, tls: bool) -> dict[str, Any]:
    return {
        "port": port,
        "bind_addresses": [HOST],
        "type": "http",
        "tls": tls,
        "resources": [{"names": ["client"], "compress": False}],
    }


def _logging(folder: Path) -> dict[str, Any]:
    level = os.environ.get("MATRIX_TEST_HOMESERVER_LOG", "WARNING")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {
            "file": {
                "class": "logging.FileHandler",
                "filename": str(folder / "homeserver.log"),
                "formatter": "plain",
            }
        },
        "root": {"level": level, "handlers": ["file"]},
    }


def configure(folder: Path, tls: bool) -> dict[str, Any]:
    """Writes the configuration into an empty folder; gives what clients need to know."""
    state = {"port": free_port(), "tls_port": 0, "ca_file": "", "secret": secrets.token_hex(16)}
    config: dict[str, Any] = {
        "server_name": "localhost",
        "pid_file": str(folder / "homeserver.pid"),
        "listeners": [_listener(int(str(state["port"])), tls=False)],
        "database": {"name": "sqlite3", "args": {"database": str(folder / "homeserver.db")}},
        "media_store_path": str(folder / "media"),
        "signing_key_path": str(folder / "signing.key"),
        "log_config": str(folder / "log.yaml"),
        "registration_shared_secret": state["secret"],
        "macaroon_secret_key": secrets.token_hex(16),
        "form_secret": secrets.token_hex(16),
        "enable_registration": True,
        "registration_requires_token": True,
        # Gives a session that exists login tokens, as single sign-on does.
        "login_via_existing_session": {"enabled": True, "require_ui_auth": False},
        "room_list_publication_rules": [{"action": "allow"}],
        "report_stats": False,
        # It never asks another server for anything.
        "trusted_key_servers": [],
        "federation_domain_whitelist": [],
        "max_upload_size": "256M",
        # Passwords protect nothing here; 12 rounds cost 0.2 s for each login.
        "bcrypt_rounds": 4,
        **_LIMITS,
    }
    if tls:
        made = certificates.make(folder / "tls")
        state |= {"tls_port": free_port(), "ca_file": str(made.ca)}
        config["listeners"].append(_listener(int(str(state["tls_port"])), tls=True))
        config["tls_certificate_path"] = str(made.certificate)
        config["tls_private_key_path"] = str(made.key)
    # JSON is YAML.
    (folder / "homeserver.yaml").write_text(json.dumps(config, indent=1))
    (folder / "log.yaml").write_text(json.dumps(_logging(folder), indent=1))
    return state


class Supervisor:
    """Runs one Synapse for as long as anybody holds the folder's `users.lock`.

    It is a process of its own, so that the server ends when its users do, however they end.
    """

    def __init__(self, folder: Path, tls: bool) -> None:
        self._folder = folder
        self._tls = tls
        self._over = threading.Event()

    def run(self) -> int:
        """Starts the server, publishes `state.json`, waits, stops the server."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self._over.set())
        # Held to the end of this process; see is_running.
        server = (self._folder / "server.lock").open("w")
        fcntl.flock(server, fcntl.LOCK_EX)
        users = (self._folder / "users.lock").open("w")
        threading.Thread(target=self._wait_for_users, args=(users,), daemon=True).start()
        try:
            process = self._start()
        except Exception as error:
            self._publish({"error": str(error)})
            return 1
        threading.Thread(target=self._wait_for_exit, args=(process,), daemon=True).start()
        self._over.wait()
        (self._folder / "state.json").unlink(missing_ok=True)
        stop(process)
        return 0

    def _start(self) -> subprocess.Popen[bytes]:
        for _ in range(3):
            state = configure(self._folder, self._tls)
            process = launch(self._folder)
            if self._ready(process, state["port"]):
                self._publish(state | {"pid": process.pid})
                return process
            stop(process)
            # Somebody else took the port between our probe and the server's start.
            if "Address already in use" not in tail(self._folder):
                break
        raise RuntimeError(f"Synapse did not start:\n{tail(self._folder)}")

    def _ready(self, process: subprocess.Popen[bytes], port: int) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline and not self._over.is_set():
            with contextlib.suppress(OSError, client.HomeserverError):
                client.request(f"http://{HOST}:{port}", "GET", "/_matrix/client/versions")
                return True
            self._over.wait(0.05)
        return False

    def _publish(self, state: dict[str, Any]) -> None:
        fresh = self._folder / "state.new"
        fresh.write_text(json.dumps(state))
        fresh.replace(self._folder / "state.json")

    def _wait_for_users(self, users: Any) -> None:
        """Every user holds the lock shared, so getting it for oneself means that all are gone."""
        fcntl.flock(users, fcntl.LOCK_EX)
        self._over.set()

    def _wait_for_exit(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        self._over.set()


def launch(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "output.log").open("ab") as output:
        return subprocess.Popen(
            [PYTHON, "-m", "synapse.app.homeserver", "-c", folder / "homeserver.yaml"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=_end_with_parent,
        )


def _end_with_parent() -> None:
    """Even a killed supervisor leaves no server behind (PR_SET_PDEATHSIG)."""
    _LIBC.prctl(1, signal.SIGKILL)


def stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def tail(folder: Path) -> str:
    """The end of what the server said, for error messages."""
    texts = []
    for name in ("output.log", "homeserver.log"):
        with contextlib.suppress(OSError):
            texts.append((folder / name).read_text(errors="replace")[-3000:])
    return "\n".join(text for text in texts if text) or "(it said nothing)"


def is_running(folder: Path) -> bool:
    """Whether a supervisor has published a server here and is alive."""
    if not (folder / "state.json").exists():
        return False
    with (folder / "server.lock").open("w") as server:
        try:
            fcntl.flock(server, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def empty(folder: Path) -> None:
    """Removes what an earlier server left; the locks stay, others may wait for them."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.suffix == ".lock":
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def spawn_supervisor(folder: Path, tls: bool) -> subprocess.Popen[bytes]:
    """A supervisor in a session of its own: Ctrl-C in the terminal is for the tests."""
    words = [sys.executable, "-m", "tests.support.homeserver", "--supervise", str(folder)]
    with (folder / "output.log").open("ab") as output:
        return subprocess.Popen(
            [*words, "--tls" if tls else "--no-tls"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
