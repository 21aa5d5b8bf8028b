"""A clock on the wall that is set by years at every look: no pause minds, nothing is lost."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import bad_homeserver as bad
from tests.support.bad_homeserver import BadHomeserver, answer, error, page
from tests.support.runtime_host import RuntimeHost

YEARS = 2 * 365 * 86_400
SESSION = {"user_id": bad.ME, "device_id": "D", "access_token": "token"}
LOOP = {"timeout_ms": 100, "backoff_min_ms": 20, "backoff_max_ms": 60}
# A date by the server's own clock, so that ours does not matter.
LATER = {"Date": "Sat, 03 Jan 2026 10:00:00 GMT", "Retry_After": "Sat, 03 Jan 2026 10:00:01 GMT"}


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The clock jumps; how often it was looked at is in the list."""
    real, real_ns = time.time, time.time_ns
    seen = [0]

    def jump() -> int:
        seen[0] += 1
        return (seen[0] % 3 - 1) * YEARS

    monkeypatch.setattr(time, "time", lambda: real() + jump())
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + jump() * 10**9)
    yield seen


def test_the_loop_waits_as_long_as_it_says(looks: list[int]) -> None:
    busy = answer({"errcode": "M_LIMIT_EXCEEDED", "error": "slower"}, 429, **LATER)
    script = [answer(page(1)), bad.HTML, busy, answer(page(2)), error(500, "M_UNKNOWN")]
    with BadHomeserver([*script, answer(page(3))]) as server, RuntimeHost() as host:
        client = host.client(server.url, **SESSION)
        messages = host.subscribe(client, "message")
        states = host.subscribe(client, "sync_state")
        host.call(client, "sync_loop_start", **LOOP)
        while sum(frame.target == messages for frame in host.events) < 3:
            assert host.step(20), host.logs
        host.call(client, "sync_loop_stop")
    told = [frame.payload for frame in host.events if frame.target == states]
    heard = [frame.payload["event_id"] for frame in host.events if frame.target == messages]
    assert heard == ["$m1", "$m2", "$m3"]
    pauses = [state["delay_ms"] for state in told if state["state"] == "reconnecting"]
    assert len(pauses) == 3
    assert pauses[0] <= 60 and 1000 <= pauses[1] <= 1100 and pauses[2] <= 60
    gaps = [after - before for before, after in itertools.pairwise(server.syncs)]
    for pause, gap in zip(pauses, (gaps[1], gaps[2], gaps[4]), strict=True):
        assert pause - 5 <= gap * 1000 <= pause + 5_000


def test_a_token_that_expires_is_used_on(looks: list[int], tmp_path: Path) -> None:
    """Whatever the clock says of the token's age: asked with it, renewed at most, never dropped."""
    script = [answer(page(number)) for number in range(1, 7)]
    with BadHomeserver(script) as server, RuntimeHost() as host:
        session = {"format": "libmatrix.session", "version": 1, "homeserver": server.url}
        session |= {**SESSION, "refresh_token": "more", "expires_at_ms": 1_800_000_000_000}
        client = host.client(None, session=json.dumps(session), store_path=str(tmp_path))
        for number in range(1, 7):
            assert host.call(client, "sync_once")["next_batch"] == f"s{number}"
            assert host.call(client, "account")["is_logged_in"]
        host.send("close_client", client)
        again = host.client(None, store_path=str(tmp_path))
        assert host.call(again, "account")["next_batch"] == "s6"
    # This homeserver renews nothing.
    assert len([visit for visit in server.visits if visit.path.endswith("/refresh")]) <= 6
    assert looks[0] > 6
