"""Answers to /sync, and a scripted homeserver that gives them one after the other."""

from __future__ import annotations

from typing import Any

from tests.support.runtime_host import RuntimeHost
from tests.support.scripted import Answer, Request

ME = "@me:x"
SESSION = {"user_id": ME, "device_id": "D", "access_token": "token"}


class Homeserver:
    """Gives its answers to /sync one after the other, then the last one without news."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, str]] = []
        self.sent: list[Any] = []
        self.encryption = Answer({"errcode": "M_NOT_FOUND", "error": "none"}, 404)

    def __call__(self, request: Request) -> Answer:
        assert request.headers["authorization"] == "Bearer token"
        assert "access_token" not in request.query
        if request.path.endswith("/sync"):
            self.asked.append(request.query)
            body = self.answers.pop(0) if self.answers else {"next_batch": "end"}
            return body if isinstance(body, Answer) else Answer(body)
        if "/state/m.room.encryption" in request.path:
            return self.encryption
        if "/send/" in request.path:
            self.sent.append(request.body)
            return Answer({"event_id": "$sent"})
        return Answer({"user_id": ME, "device_id": "D"})


def state(kind: str, key: str = "", **content: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "state_key": key,
        "sender": "@a:x",
        "event_id": f"${kind}{key}",
        "origin_server_ts": 1,
        "content": content,
    }


def message(body: Any, sender: str = "@a:x", number: int = 1) -> dict[str, Any]:
    return {
        "type": "m.room.message",
        "sender": sender,
        "event_id": f"$m{number}",
        "origin_server_ts": 5,
        "content": {"msgtype": "m.text", "body": body},
    }


def member(user: str, membership: str = "join", name: str | None = None) -> dict[str, Any]:
    content = {"membership": membership} | ({"displayname": name} if name else {})
    return state("m.room.member", user, **content)


def answer(token: str, **rooms: Any) -> dict[str, Any]:
    """An answer with rooms under join, invite, leave or knock."""
    return {"next_batch": token, "rooms": rooms}


def joined(*timeline: Any, states: Any = (), **more: Any) -> dict[str, Any]:
    return {"timeline": {"events": list(timeline)}, "state": {"events": list(states)}, **more}


def rooms(host: RuntimeHost, client: int) -> dict[str, Any]:
    return {room["room_id"]: room for room in host.call(client, "rooms")["rooms"]}
