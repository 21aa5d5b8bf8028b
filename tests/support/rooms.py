"""What users do in rooms, for tests: by plain requests, not by the library."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.support.homeserver import Account, Homeserver

V3 = "/_matrix/client/v3"


def put_state(
    server: Homeserver, account: Account, room_id: str, kind: str, content: Any, key: str = ""
) -> None:
    path = f"{V3}/rooms/{quote(room_id)}/state/{kind}/{quote(key)}"
    server.request("PUT", path, account.token, content)


def post(server: Homeserver, account: Account, room_id: str, what: str, **body: Any) -> Any:
    return server.request("POST", f"{V3}/rooms/{quote(room_id)}/{what}", account.token, body)


def text(body: str, **more: Any) -> dict[str, Any]:
    return {"msgtype": "m.text", "body": body, **more}


def shared_room(server: Homeserver, *accounts: Account, **fields: Any) -> str:
    """A room of the first that the others have joined."""
    others = [account.user_id for account in accounts[1:]]
    room_id = server.create_room(accounts[0], invite=others, **fields)
    for account in accounts[1:]:
        server.join(account, room_id)
    return room_id
