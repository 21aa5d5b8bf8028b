"""Edits of what this client sent: whom they notify, and what ends them."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from tests.support.send_server import ME, TAKE, SendServer, refuse
from tests.support.sender import A, Sender

BOB = "@bob:x"
MENTION = {"user_ids": [BOB]}


def edit(sender: Sender, event_id: str, body: str = "new", **options: Any) -> int:
    arguments = {"room_id": A, "event_id": event_id, "body": body, **options}
    return sender.host.submit(sender.client, "edit_message", **arguments)


def test_an_edit_that_failed_has_notified_nobody(server: SendServer) -> None:
    with Sender(server) as sender:
        event_id = sender.event_id(sender.send("hi"))
        assert sender.code(edit(sender, event_id, "x" * 40_000, mentions=[BOB])) == "E_TOO_LARGE"
        for expected in (MENTION, {}):
            sender.event_id(edit(sender, event_id, mentions=[BOB]))
            assert server.taken[-1].body["m.mentions"] == expected


def test_two_edits_that_failed_have_notified_nobody(server: SendServer) -> None:
    """The second was made while the first was on its way, and counted on it."""
    gate = threading.Event()
    with Sender(server) as sender:
        event_id = sender.event_id(sender.send("hi"))
        server.deed = lambda _: replace(refuse(403, "M_FORBIDDEN"), gate=gate)
        edits = [edit(sender, event_id, mentions=[BOB]) for _ in range(2)]
        sender.until(lambda: len(sender.call("sends")["sends"]) == 2)
        gate.set()
        assert [sender.code(request) for request in edits] == ["M_FORBIDDEN"] * 2
        server.deed = lambda _: TAKE
        answer_with(server, message(event_id, {"msgtype": "m.text", "body": "hi"}))
        sender.event_id(edit(sender, event_id, mentions=[BOB]))
    assert server.taken[-1].body["m.mentions"] == MENTION


def test_what_was_redacted_is_not_edited(server: SendServer) -> None:
    with Sender(server) as sender:
        event_id = sender.event_id(sender.send("hi"))
        sender.event_id(edit(sender, event_id))
        sender.call("redact", room_id=A, event_id=event_id)
        redaction = {"redacted_because": {"type": "m.room.redaction"}}
        answer_with(server, {**message(event_id, {}), "unsigned": redaction})
        assert sender.code(edit(sender, event_id)) == "E_INVALID_ARGUMENT"
    assert len(server.taken) == 3


def message(event_id: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "m.room.message", "event_id": event_id, "sender": ME, "content": content}


def answer_with(server: SendServer, event: dict[str, Any]) -> None:
    """What the homeserver has when it is asked for an event."""
    server.other = lambda _, path, __: (200, event) if "/event/" in path else None
