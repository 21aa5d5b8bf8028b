"""The sync loop of a C host against a certificate that is no good."""

from __future__ import annotations

import itertools
import json
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support import bad_homeserver as bad
from tests.support import certificates
from tests.support.bad_homeserver import BadHomeserver, answer, page

Run = Callable[..., "subprocess.CompletedProcess[str]"]
LOOP = {"timeout_ms": 200, "backoff_min_ms": 20, "backoff_max_ms": 60}


def listen(
    run_host: Run, server: BadHomeserver, messages: int, env: dict[str, str], **client: Any
) -> list[list[str]]:
    done = run_host(
        "syncing",
        str(messages),
        json.dumps(LOOP),
        json.dumps({"user_id": bad.ME, "request_timeout_ms": 5_000, **client}),
        env={"MATRIX_HOMESERVER": server.url, "MATRIX_TOKEN": "token", **env},
        timeout=60,
    )
    return [line.split(" ") for line in done.stdout.splitlines()]


def serving(made: certificates.Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    return context


def test_tls_failure(run_host: Run, tmp_path: Path) -> None:
    """Nothing is said to a server nobody vouches for; it goes on when it is the right one."""
    good, foreign = (serving(certificates.make(tmp_path / name)) for name in ("good", "foreign"))
    greeted: list[float] = []

    def greet(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        assert name == "localhost"
        greeted.append(time.monotonic())
        if len(greeted) > 3:
            connection.context = good

    foreign.sni_callback = greet
    ca_file = certificates.make(tmp_path / "good").ca
    with BadHomeserver([answer(page(1))], tls=foreign) as server:
        lines = listen(run_host, server, 1, {}, ca_file=str(ca_file))
        assert len(server.syncs) == 1
    states = [line[1:] for line in lines if line[0] == "state"]
    names = [state[0] for state in states]
    assert names == ["reconnecting"] * 3 + ["syncing", "stopped"]
    assert {state[2] for state in states[:3]} == {"E_TLS"}
    gaps = [after - before for before, after in itertools.pairwise(greeted)]
    assert all(gap * 1000 >= int(state[1]) - 5 for state, gap in zip(states, gaps, strict=False))
