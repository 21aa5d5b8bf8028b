"""Records what a real homeserver answers to /sync: `python -m tests.support.record_syncs`.

The answers go to tests/python/recorded_syncs.json, where tests spoil them in every place.
"""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.support.homeserver import Account, Homeserver, homeserver

OUT = Path(__file__).resolve().parents[1] / "python" / "recorded_syncs.json"
V3 = "/_matrix/client/v3"
TEXT = {"msgtype": "m.text", "body": "hello"}


def sync(server: Homeserver, account: Account, since: str = "") -> dict[str, Any]:
    query = "timeout=0&use_state_after=true&org.matrix.msc4222.use_state_after=true"
    return server.request("GET", f"{V3}/sync?{query}{since and f'&since={since}'}", account.token)


def _room(server: Homeserver, alice: Account, bob: Account) -> str:
    """A room where everything happens that a sync can tell of."""
    encryption = {"algorithm": "m.megolm.v1.aes-sha2"}
    state = [{"type": "m.room.encryption", "state_key": "", "content": encryption}]
    room_id = server.create_room(
        alice, name="Tea", topic="leaves", invite=[bob.user_id], initial_state=state
    )
    server.join(bob, room_id)
    path = f"{V3}/rooms/{quote(room_id)}"
    said = server.send(alice, room_id, "m.room.message", TEXT)
    relation = {"rel_type": "m.annotation", "event_id": said, "key": "+"}
    server.send(alice, room_id, "m.reaction", {"m.relates_to": relation})
    again = server.send(alice, room_id, "m.room.message", TEXT)
    redact = f"{path}/redact/{quote(again)}/{secrets.token_hex(4)}"
    server.request("PUT", redact, alice.token, {"reason": "no"})
    edit = {"m.new_content": TEXT, "m.relates_to": {"rel_type": "m.replace", "event_id": said}}
    server.send(alice, room_id, "m.room.message", TEXT | edit)
    server.request("PUT", f"{path}/typing/{quote(alice.user_id)}", alice.token, {"typing": True})
    server.request("POST", f"{path}/receipt/m.read/{quote(said)}", alice.token, {})
    user = f"{V3}/user/{quote(bob.user_id)}"
    tags = f"{user}/rooms/{quote(room_id)}/tags/m.favourite"
    server.request("PUT", tags, bob.token, {"order": 0.5})
    direct = {alice.user_id: [room_id]}
    server.request("PUT", f"{user}/account_data/m.direct", bob.token, direct)
    return room_id


def record() -> list[dict[str, Any]]:
    """Of one user: a first sync, one with news, and one after all rooms were left."""
    with homeserver() as server:
        alice, bob = server.register(), server.register()
        rooms = [_room(server, alice, bob), server.create_room(alice, invite=[bob.user_id])]
        message = {"messages": {bob.user_id: {bob.device_id: {"n": 1}}}}
        path = f"{V3}/sendToDevice/org.example/{secrets.token_hex(4)}"
        server.request("PUT", path, alice.token, message)
        first = sync(server, bob)
        rooms.append(_room(server, alice, bob))
        second = sync(server, bob, first["next_batch"])
        for room_id in rooms:
            server.request("POST", f"{V3}/rooms/{quote(room_id)}/leave", bob.token, {})
        return [first, second, sync(server, bob, second["next_batch"])]


if __name__ == "__main__":
    answers = record()
    OUT.write_text("[\n" + ",\n".join(map(json.dumps, answers)) + "\n]\n")
    print(f"{OUT}: {[len(json.dumps(answer)) for answer in answers]} bytes", file=sys.stderr)
