"""The sync loop of a C host against a certificate that is no good."""

from __future__ import annotations

import itertools
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.support import bad_homeserver as bad
from tests.support import certificates
from tests.support.bad_homeserver import BadHomeserver, answer, page
from tests.support.listening import listen

Run = Callable[..., "subprocess.CompletedProcess[str]"]
LOOP = {"timeout_ms": 200, "backoff_min_ms": 20, "backoff_max_ms": 60}


def test_tls_failure(run_host: Run, tmp_path: Path) -> None:
    """Nothing is said to a server nobody vouches for; it goes on when it is the right one."""
    good, foreign = (certificates.make(tmp_path / name).server() for name in ("good", "foreign"))
    greeted: list[float] = []

    def greet(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        assert name == "localhost"
        greeted.append(time.monotonic())
        if len(greeted) > 3:
            connection.context = good

    foreign.sni_callback = greet
    ca_file = certificates.make(tmp_path / "good").ca
    with BadHomeserver([answer(page(1))], tls=foreign) as server:
        client = {"user_id": bad.ME, "request_timeout_ms": 5_000, "ca_file": str(ca_file)}
        heard = listen(run_host, server.url, 1, loop=LOOP, client=client)
        # The next one may be under way before the host has heard the message and stops.
        assert len(server.syncs) <= 2
    states = heard.states
    assert [state[0] for state in states] == ["reconnecting"] * 3 + ["syncing", "stopped"]
    assert {state[2] for state in states[:3]} == {"E_TLS"}
    gaps = [after - before for before, after in itertools.pairwise(greeted)]
    assert all(gap * 1000 >= pause - 5 for pause, gap in zip(heard.pauses, gaps, strict=False))
