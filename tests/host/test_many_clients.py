"""Many clients in one process: what each costs, in file descriptors, memory and TLS."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from bench.idle_fixture import IdleFixture
from libmatrix.http import trust as http_trust
from tests.support import certificates
from tests.support.hosts import ROOT
from tests.support.runtime_host import RuntimeHost

CLIENTS = 100


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> certificates.Certificates:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def many(stage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of the benchmark."""
    program = tmp_path_factory.mktemp("many") / "many"
    command = ["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{stage / 'include'}"]
    command += [str(ROOT / "bench" / "many.c"), "-o", str(program), f"-L{stage / 'lib'}"]
    command += ["-lmatrix", f"-Wl,-rpath,{stage / 'lib'}", "-pthread"]
    subprocess.run(command, check=True, timeout=120)
    return program


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_idle_client_costs_little(
    many: Path, made: certificates.Certificates, tmp_path: Path, scheme: str
) -> None:
    """In a sync loop that waits: a lock and a socket, and less than 300 KiB, TLS included."""
    tls = made.server() if scheme == "https" else None
    with IdleFixture(5, tls) as server:
        words = [server.url, tmp_path, str(CLIENTS), *([made.ca] if tls else [])]
        done = subprocess.run(
            [many, *words], capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stderr
    cost = json.loads(done.stdout)
    assert cost["files"] <= 2
    assert cost["kib"] <= 300


def test_clients_of_one_trust_share_its_context(
    made: certificates.Certificates, tmp_path: Path
) -> None:
    """A TLS context for each set of authorities, whatever else their clients differ in."""
    other = tmp_path / "other.pem"
    other.write_bytes(made.ca.read_bytes())
    http_trust._context.cache_clear()
    with IdleFixture(1, made.server()) as server, RuntimeHost() as host:
        for number in range(12):
            trust = made.ca if number % 2 else other
            session = {"user_id": "@me:x", "device_id": "D", "access_token": "token"}
            client = host.client(
                server.url, ca_file=str(trust), user_agent=f"a{number % 3}", **session
            )
            host.call(client, "sync_once")
    assert http_trust._context.cache_info().currsize == 2
