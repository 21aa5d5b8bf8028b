"""Whatever a homeserver answers, no operation ends with an error of our own making."""

from __future__ import annotations

import typing
from typing import Any

import msgspec
import pytest

from libmatrix.table_gen import OPERATIONS
from tests.support.runtime_host import Frame, RuntimeHost
from tests.support.scripted import Answer, Request, ScriptedServer
from tests.support.sync_script import SESSION

DEPTH = 2_000
BODIES = {
    "html": b"<html>",
    "not UTF-8": b'{"a":"\xff"}',
    "a list": b"[]",
    "a deep member": b'{"a":' + b"[" * DEPTH + b"]" * DEPTH + b"}",
}
# What each of them may be about.
GIVEN = {
    "room_id": "!a:x",
    "room_id_or_alias": "!a:x",
    "space_id": "!s:x",
    "event_id": "$e",
    "user_id": "@b:x",
    "user_ids": ["@b:x"],
    "via": ["x"],
    "alias": "#a:x",
    "room_alias": "#a:x",
    "geo_uri": "geo:1,2",
    "url": "mxc://x/y",
    "content": {},
    "answers": ["a", "b"],
    "timeout_ms": 1_000,
}
# It goes on until it is stopped.
ENDLESS = {"sync_loop_start"}
# What is sent is tried again until the homeserver says something that can be understood.
SENDING = {"messages", "polls", "room_settings", "spaces", "state"}


def value_of(name: str, kind: Any) -> Any:
    """Something that an argument may be."""
    if name in GIVEN:
        return GIVEN[name]
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)[0]
    if typing.get_origin(kind) is list:
        return ["a"]
    return {int: 1, float: 1.0, bool: True, msgspec.Raw: {}}.get(kind, "a")


def arguments_of(operation: str) -> dict[str, Any]:
    """What is required, and how long to wait."""
    fields = msgspec.structs.fields(OPERATIONS[operation].arguments)
    wanted = [each for each in fields if each.required or each.name == "timeout_ms"]
    return {each.name: value_of(each.name, each.type) for each in wanted}


@pytest.mark.parametrize("name", BODIES)
def test_no_answer_is_a_defect(name: str) -> None:
    asked: set[str] = set()

    def answer(request: Request) -> Answer:
        asked.add(request.headers["authorization"].removeprefix("Bearer "))
        return Answer(BODIES[name])

    with ScriptedServer(answer) as server, RuntimeHost() as host:
        waiting = {}
        for operation in sorted(set(OPERATIONS) - ENDLESS):
            session = {**SESSION, "access_token": operation}
            client = host.client(server.url, encryption=True, **session)
            request = host.submit(client, operation, **arguments_of(operation))
            if OPERATIONS[operation].area in SENDING:
                waiting[operation] = (client, request)
            else:
                check(host.wait(request), operation)
        for operation, (client, request) in waiting.items():
            host.until(lambda: request in host.results or operation in asked)  # noqa: B023
            host.send("cancel", client, request)
            check(host.wait(request), operation)
        assert not [each for each in host.logs if each.get("code") == "E_INTERNAL"]


@pytest.mark.parametrize("body", [b"<html>Back soon</html>", b"", b"[]", b"null", b' "later"'])
def test_what_is_no_answer_is_neither_success_nor_written_back(body: bytes) -> None:
    """A proxy's page with status 200, while the homeserver is away."""
    operations = {
        "ignore_user": {"user_id": "@b:x"},
        "unignore_user": {"user_id": "@b:x"},
        "ignored_users": {},
        "room_tags": {"room_id": "!a:x"},
        "fully_read": {"room_id": "!a:x"},
        "account_data": {"type": "m.x"},
        "members": {"room_id": "!a:x"},
        "history": {"room_id": "!a:x"},
        "event_context": {"room_id": "!a:x", "event_id": "$e"},
        "set_power_levels": {"room_id": "!a:x", "ban": 60},
        "pin_event": {"room_id": "!a:x", "event_id": "$e"},
        "leave_room": {"room_id": "!a:x"},
        "kick_user": {"room_id": "!a:x", "user_id": "@b:x"},
        "send_receipt": {"room_id": "!a:x", "event_id": "$e"},
        "set_account_data": {"type": "m.x", "content": {}},
        "logout": {},
    }
    with ScriptedServer(lambda _: Answer(body)) as server, RuntimeHost() as host:
        client = host.client(server.url, **SESSION)
        for operation, given in operations.items():
            refused = host.refuse(client, operation, **given)
            assert refused["code"] == "E_INVALID_RESPONSE", operation
        assert host.call(client, "account")["is_logged_in"]
    written = [each.path for each in server.requests if each.method == "PUT"]
    assert [path.rpartition("/")[2] for path in written] == ["m.x"]


def check(frame: Frame, operation: str) -> None:
    assert frame.is_ok or frame.payload["code"] != "E_INTERNAL", (operation, frame.payload)
