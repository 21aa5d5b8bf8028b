"""The filters of syncs: kept by the homeserver, remembered, and told again when it forgot them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.runtime_host import RuntimeHost
from tests.support.scripted import Answer, Request, ScriptedServer

ME = "@me:x"
SESSION = {"user_id": ME, "device_id": "D", "access_token": "token"}
FAST = {"timeout_ms": 20, "backoff_min_ms": 5, "backoff_max_ms": 20}
LAZY = '{"room":{"state":{"lazy_load_members":true}}}'
UNKNOWN = Answer({"errcode": "M_INVALID_PARAM", "error": "No such filter"}, 400)


class Server:
    """Keeps filters under numbers, and says no to ids it does not know."""

    def __init__(self, refusal: Answer | None = None) -> None:
        self.kept: dict[str, Any] = {}
        self.told: list[Any] = []
        self.asked: list[str] = []
        self.refusal = refusal

    def __call__(self, request: Request) -> Answer:
        if request.path.endswith("/filter"):
            self.told.append(request.body)
            if self.refusal is not None:
                return self.refusal
            self.kept[str(len(self.told))] = request.body
            return Answer({"filter_id": str(len(self.told))})
        wanted = request.query["filter"]
        self.asked.append(wanted)
        if not wanted.startswith("{") and wanted not in self.kept:
            return UNKNOWN
        return Answer({"next_batch": f"s{len(self.asked)}"})


def loop_until(host: RuntimeHost, client: int, server: Server, count: int, **options: Any) -> None:
    """Runs the loop until so many syncs were asked for."""
    syncs = host.subscribe(client, "sync")
    before = len(server.asked)
    host.call(client, "sync_loop_start", **{**FAST, **options})
    while len(server.asked) - before < count:
        assert host.step(20), host.logs
    host.call(client, "sync_loop_stop")
    host.send("unsubscribe", client, syncs)


def test_upload_filter(host: RuntimeHost) -> None:
    server = Server()
    with ScriptedServer(server) as scripted:
        client = host.client(scripted.url, **SESSION)
        wanted = {"room": {"timeline": {"limit": 1}}}
        assert host.call(client, "upload_filter", filter=wanted) == {"filter_id": "1"}
        assert scripted.requests[0].body == wanted
        assert scripted.requests[0].path == f"/_matrix/client/v3/user/{ME}/filter"


def test_the_loop_has_its_filter_kept(host: RuntimeHost, tmp_path: Path) -> None:
    """Told once, after the first sync; and remembered, also for sync_once."""
    server = Server()
    with ScriptedServer(server) as scripted:
        client = host.client(scripted.url, store_path=str(tmp_path), **SESSION)
        loop_until(host, client, server, 4)
        assert server.asked[:4] == [LAZY, "1", "1", "1"]
        assert server.told == [{"room": {"state": {"lazy_load_members": True}}}]
        host.send("close_client", client)
        client = host.client(scripted.url, store_path=str(tmp_path))
        server.asked.clear()
        host.call(client, "sync_once")
        loop_until(host, client, server, 2)
        assert set(server.asked) == {"1"} and len(server.told) == 1


def test_a_filter_of_ones_own_is_kept_too(host: RuntimeHost) -> None:
    server = Server()
    long = {"room": {"not_rooms": [f"!{number:040}:x" for number in range(60)]}}
    with ScriptedServer(server) as scripted:
        client = host.client(scripted.url, **SESSION)
        loop_until(host, client, server, 3, filter={"presence": {"types": []}})
        assert server.asked[:3] == ['{"presence": {"types": []}}', "1", "1"]
        # One that fits into no URL is told before the first sync.
        server.asked.clear()
        loop_until(host, client, server, 2, filter=long)
        assert server.asked[:2] == ["2", "2"] and server.told[1] == long
        # An id is one already.
        loop_until(host, client, server, 2, filter="1")
        assert len(server.told) == 2


def test_a_forgotten_filter_is_told_again(host: RuntimeHost) -> None:
    server = Server()
    with ScriptedServer(server) as scripted:
        client = host.client(scripted.url, **SESSION)
        states = host.subscribe(client, "sync_state")
        loop_until(host, client, server, 3)
        server.kept.clear()
        server.asked.clear()
        loop_until(host, client, server, 4)
        assert server.asked[:4] == ["1", LAZY, "2", "2"]
        told = [frame.payload["state"] for frame in host.events if frame.target == states]
        assert told == ["syncing", "stopped"] * 2


def test_who_forgets_all_the_time_is_told_no_more(host: RuntimeHost) -> None:
    server = Server()
    with ScriptedServer(server) as scripted:
        client = host.client(scripted.url, **SESSION)
        for _ in range(5):
            loop_until(host, client, server, 4)
            server.kept.clear()
        assert len(server.told) == 3
        server.asked.clear()
        loop_until(host, client, server, 3)
        assert server.asked[-2:] == [LAZY, LAZY]


@pytest.mark.parametrize(
    "refusal", [Answer({"errcode": "M_UNRECOGNIZED", "error": "no"}, 404), Answer([1])]
)
def test_who_keeps_no_filters_is_synced_with_all_the_same(
    host: RuntimeHost, refusal: Answer
) -> None:
    server = Server(refusal)
    with ScriptedServer(server) as scripted:
        client = host.client(scripted.url, **SESSION)
        loop_until(host, client, server, 6)
        assert set(server.asked) == {LAZY} and len(server.told) == 3
        assert any("the filter is not kept" in log["message"] for log in host.logs)


def test_an_id_nobody_knows_is_an_error(host: RuntimeHost) -> None:
    with ScriptedServer(Server()) as scripted:
        client = host.client(scripted.url, **SESSION)
        assert host.refuse(client, "sync_once", filter="9")["code"] == "M_INVALID_PARAM"
