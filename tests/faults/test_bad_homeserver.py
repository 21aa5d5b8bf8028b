"""The sync loop of a C host against a homeserver that does everything wrong."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support import bad_homeserver as bad
from tests.support import listening
from tests.support.bad_homeserver import BadHomeserver, Deed, answer, error, page
from tests.support.listening import Heard

Run = Callable[..., "subprocess.CompletedProcess[str]"]
DATE = "Sat, 03 Jan 2026 10:00:0{} GMT"
LOOP = {"timeout_ms": 200, "backoff_min_ms": 20, "backoff_max_ms": 60}
CLIENT = {
    "user_id": bad.ME,
    "request_timeout_ms": 10_000,
    "connect_timeout_ms": 5_000,
    "max_response_bytes": 8 << 20,
}


def listen(
    run_host: Run, server: BadHomeserver, messages: int, loop: Any = None, client: Any = None
) -> Heard:
    given = {**CLIENT, **(client or {})}
    return listening.listen(
        run_host, server.url, messages, loop={**LOOP, **(loop or {})}, client=given
    )


def check_steps(server: BadHomeserver, heard: Heard, failures: int) -> None:
    """One request for each step, and never before its pause is over."""
    assert len(heard.pauses) == failures
    gaps = [after - before for before, after in zip(server.syncs, server.syncs[1:], strict=False)]
    for pause, gap in zip(heard.pauses, gaps, strict=False):
        assert gap * 1000 >= pause - 5


FAULTS: dict[str, tuple[Deed, str]] = {
    "stall": (bad.stall, "E_TIMEOUT"),
    "reset mid-body": (bad.half, "E_CONNECTION"),
    "reset mid-head": (bad.half_a_head, "E_CONNECTION"),
    "not http": (bad.not_http, "E_INVALID_RESPONSE"),
    "slow drip": (bad.drip, "E_TIMEOUT"),
    "gzip bomb": (bad.gzip_bomb, "E_TOO_LARGE"),
    "200 MB": (bad.flood, "E_TOO_LARGE"),
    "html 502": (bad.HTML, "E_INVALID_RESPONSE"),
    "captive portal": (bad.PORTAL, "E_INVALID_RESPONSE"),
    "redirect": (answer(b"", 302, Location="http://127.0.0.1:9/"), "E_INVALID_RESPONSE"),
    "truncated json": (answer(b'{"rooms": {"join": {"!a'), "E_INVALID_RESPONSE"),
    "invalid json": (answer(b"\xff\xfe\x00"), "E_INVALID_RESPONSE"),
    "wrong type": (answer(["next_batch"]), "E_INVALID_RESPONSE"),
    "empty": (answer(b""), "E_INVALID_RESPONSE"),
    "500": (error(500, "M_UNKNOWN"), "M_UNKNOWN"),
    "429": (error(429, "M_LIMIT_EXCEEDED"), "M_LIMIT_EXCEEDED"),
    "missing token": (error(401, "M_MISSING_TOKEN"), "M_MISSING_TOKEN"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_goes_on_after(run_host: Run, name: str) -> None:
    """Before, between and after it everything is delivered once; one request for each step."""
    fault, code = FAULTS[name]
    script = [fault, answer(page(1)), fault, fault, answer(page(2))]
    with BadHomeserver(script) as server:
        limit = 1_500 if code == "E_TIMEOUT" else 10_000
        heard = listen(run_host, server, 2, client={"request_timeout_ms": limit})
    assert heard.messages == ["$m1", "$m2"]
    assert {state[2] for state in heard.states if state[0] == "reconnecting"} == {code}
    names = [state[0] for state in heard.states]
    assert names[:5] == ["reconnecting", "syncing", "reconnecting", "reconnecting", "syncing"]
    assert len(heard.pauses) == 3
    # At most the long poll that followed the last message is more than the script has.
    assert len(server.syncs) <= len(script) + 1
    since = [visit.query.get("since") for visit in server.visits if visit.path.endswith("/sync")]
    assert since[:5] == [None, None, "s1", "s1", "s1"]


def test_dropped_connections(run_host: Run) -> None:
    """A kept connection may have been closed unnoticed: one more attempt, on a fresh one."""
    deeds = [bad.drop, bad.drop, answer(page(1)), bad.drop, bad.drop, answer(page(2))]
    with BadHomeserver(deeds) as server:
        heard = listen(run_host, server, 2)
    assert heard.messages == ["$m1", "$m2"]
    names = [state[0] for state in heard.states]
    assert names == ["reconnecting", "syncing", "reconnecting", "syncing", "stopped"]
    assert len(server.syncs) <= 7


@pytest.mark.parametrize(
    "busy",
    [
        error(429, "M_LIMIT_EXCEEDED", retry_after=1),
        error(429, "M_LIMIT_EXCEEDED", retry_after_ms=1000),
        error(503, "M_UNKNOWN", retry_after=1),
        answer(b"<html>", 503, Retry_After="1"),
        # A date, by the homeserver's own clock.
        answer(b"<html>", 503, Date=DATE.format(0), Retry_After=DATE.format(1)),
    ],
)
def test_waits_as_long_as_it_is_asked_to(run_host: Run, busy: Deed) -> None:
    with BadHomeserver([busy, answer(page(1))]) as server:
        heard = listen(run_host, server, 1)
    check_steps(server, heard, 1)
    assert heard.pauses[0] >= 1000


def test_one_request_for_each_step(run_host: Run) -> None:
    """Through a long outage, and starting over after it."""
    script: Sequence[Deed] = [bad.HTML] * 12 + [answer(page(1))] + [bad.half] * 3
    with BadHomeserver([*script, answer(page(2))]) as server:
        heard = listen(run_host, server, 2, {"backoff_min_ms": 10, "backoff_max_ms": 80})
    assert heard.messages == ["$m1", "$m2"]
    assert len(heard.pauses) == 15
    assert max(heard.pauses[:1] + heard.pauses[12:13]) <= 20
    assert max(heard.pauses) <= 80
    gaps = [after - before for before, after in zip(server.syncs, server.syncs[1:], strict=False)]
    for pause, gap in zip(heard.pauses[:12], gaps, strict=False):
        assert gap * 1000 >= pause - 5


@pytest.mark.parametrize("is_soft", [False, True])
def test_ends_with_a_dead_token(run_host: Run, is_soft: bool) -> None:
    dead = error(401, "M_UNKNOWN_TOKEN", soft_logout=is_soft)
    with BadHomeserver([answer(page(1)), *[dead] * 50]) as server:
        heard = listen(run_host, server, 5)
        assert len(server.syncs) == 2
    assert [state[0] for state in heard.states] == ["syncing", "unauthorized", "stopped"]
    assert heard.states[1][2:] == ["M_UNKNOWN_TOKEN", str(int(is_soft))]


def test_server_restart(compile_host: Callable[..., Path]) -> None:
    """The connection is refused for a while; then it goes on where it was."""
    begun = threading.Event()

    async def stall(visit: bad.Visit) -> None:
        begun.set()
        await bad.stall(visit)

    with (
        BadHomeserver([answer(page(1)), stall, answer(page(2))]) as server,
        listening.listening(
            compile_host("syncing"), server.url, 2, loop=LOOP, client=CLIENT
        ) as host,
    ):
        assert begun.wait(60)
        server.stop()
        # The first pause may be that of the connection that ended.
        for _ in range(3):
            host.until("state", "reconnecting")
        server.start()
        heard = host.finish()
    assert heard.messages == ["$m1", "$m2"]
    # While nobody listened: no more attempts than pauses of the shortest kind fit in.
    assert 3 <= len(heard.pauses) <= 30


def test_ipv6(run_host: Run) -> None:
    with BadHomeserver([answer(page(1))], host="::1") as server:
        assert listen(run_host, server, 1).messages == ["$m1"]


def test_malformed_events_do_not_harm_the_rest(run_host: Run) -> None:
    """Over the wire and into a C host: numbers, depth, text and types that no host could take."""
    body = json.dumps(page(1, bad.message(1), "POISON", bad.message(2)))
    poisons = [
        b'{"type":"m.room.message","event_id":"$x","sender":"@a:x","content":{"n":%s}}' % number
        for number in (b"1" * 30, b"[" * 900 + b"]" * 900, b"1e999", b'"\xff"')
    ]
    poisons += [b"null", b"[]", b'{"type": 5}']
    script = [answer(body.encode().replace(b'"POISON"', poison)) for poison in poisons]
    with BadHomeserver(script) as server:
        heard = listen(run_host, server, 2 * len(poisons))
    assert heard.messages == ["$m1", "$m2"] * len(poisons)
    assert [sync[1] for sync in heard.syncs] == ["1"] * len(heard.syncs)
    assert not heard.pauses
