"""A homeserver for encrypted rooms: a device that encrypts for ours, and a thousand that listen."""

from __future__ import annotations

import base64
import json
from typing import Any

from vodozemac import Account, Curve25519PublicKey, GroupSession

from bench.server import BenchServer, render
from libmatrix.crypto.signatures import sign

ME, DEVICE, PEER = "@bench:localhost", "D", "@peer:localhost"
SYNCS, ROOMS, EVENTS = 40, 10, 50
TOTAL = SYNCS * ROOMS * EVENTS
CROWD, CROWD_USERS = 1_000, 100
CROWD_ROOM = "!crowd:localhost"
_COUNT = {"device_one_time_keys_count": {"signed_curve25519": 50}}
_OLM, _MEGOLM = "m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"


class _Device:
    """Somebody's device."""

    def __init__(self, user_id: str, device_id: str) -> None:
        self.account = Account()
        self.user_id, self.device_id = user_id, device_id
        names = {
            f"ed25519:{device_id}": self.account.ed25519_key.to_base64(),
            f"curve25519:{device_id}": self.account.curve25519_key.to_base64(),
        }
        keys = {"user_id": user_id, "device_id": device_id, "algorithms": [_OLM, _MEGOLM]}
        self.keys = self._sign({**keys, "keys": names})
        self.account.generate_one_time_keys(1)
        [(key_id, key)] = self.account.one_time_keys.items()
        made = self._sign({"key": key.to_base64()})
        self.one_time_key = {f"signed_curve25519:{key_id}": made}

    def _sign(self, obj: dict[str, Any]) -> dict[str, Any]:
        return sign(self.account, obj, self.user_id, f"ed25519:{self.device_id}")


def _event(kind: str, content: dict[str, Any], number: int, key: str | None = None) -> Any:
    event = {
        "type": kind,
        "event_id": f"${number:06d}".ljust(44, "e"),
        "sender": PEER,
        "origin_server_ts": 1_700_000_000_000 + number,
        "content": content,
    }
    return event if key is None else {**event, "state_key": key}


class CryptoFixture(BenchServer):
    """`with CryptoFixture() as server:`; serves one client, which must be a new device."""

    def __init__(self) -> None:
        super().__init__()
        self._peer = _Device(PEER, "PEER")
        self._sessions = [GroupSession() for _ in range(ROOMS)]
        self._room_keys = [session.session_key.to_base64() for session in self._sessions]
        # What the floor decrypts: each room's first key and all its ciphertexts.
        self.ciphertexts: list[list[str]] = [[] for _ in range(ROOMS)]
        self._stream = [render(self._page(number)) for number in range(SYNCS)]
        users = [f"@user{number}:localhost" for number in range(CROWD_USERS)]
        self._crowd = [
            _Device(users[number % CROWD_USERS], f"D{number}") for number in range(CROWD)
        ]
        self._first = self._states(users)
        self._uploaded: dict[str, Any] | None = None

    def floor(self) -> list[tuple[str, list[str]]]:
        """Room keys with what they decrypt."""
        return list(zip(self._room_keys, self.ciphertexts, strict=True))

    def _page(self, number: int) -> bytes:
        """A sync, the first without the keys that have to come with it."""
        rooms = {}
        for room in range(ROOMS):
            events = []
            for index in range(EVENTS):
                place = (number * ROOMS + room) * EVENTS + index
                events.append(_event("m.room.encrypted", self._encrypt(room, place), place))
            rooms[f"!room{room}:localhost"] = {"timeline": {"events": events}}
        page = {"next_batch": f"s{number + 2}", "rooms": {"join": rooms}, **_COUNT}
        return json.dumps(page).encode()

    def _encrypt(self, room: int, number: int) -> dict[str, Any]:
        session = self._sessions[room]
        body = f"{number} ".ljust(80, "b")
        inner = {
            "type": "m.room.message",
            "room_id": f"!room{room}:localhost",
            "content": {"msgtype": "m.text", "body": body},
        }
        ciphertext = session.encrypt(json.dumps(inner).encode()).to_base64()
        self.ciphertexts[room].append(ciphertext)
        return {
            "algorithm": _MEGOLM,
            "sender_key": self._peer.account.curve25519_key.to_base64(),
            "device_id": "PEER",
            "session_id": session.session_id,
            "ciphertext": ciphertext,
        }

    def _states(self, users: list[str]) -> dict[str, Any]:
        """All rooms, encrypted; the last one is crowded."""
        rooms = {f"!room{room}:localhost": [ME, PEER] for room in range(ROOMS)}
        rooms[CROWD_ROOM] = [ME, *users]
        found = {}
        for room_id, members in rooms.items():
            states = [_event("m.room.encryption", {"algorithm": _MEGOLM}, 900_000, "")]
            for number, user in enumerate(members):
                join = {"membership": "join"}
                states.append(_event("m.room.member", join, 900_001 + number, user))
            found[room_id] = {"state": {"events": states}, "timeline": {"events": []}}
        return found

    async def respond(self, target: str, body: bytes) -> bytes:
        """What a homeserver would say, as far as clients ask for it here."""
        found = self._reply(target, json.loads(body) if body else {})
        return found if isinstance(found, bytes) else render(json.dumps(found).encode())

    def _reply(self, target: str, body: Any) -> Any:
        path, _, query = target.partition("?")
        if path.endswith("/sync"):
            return self._reply_sync(query)
        if path.endswith("/keys/upload"):
            self._uploaded = self._uploaded or body
            return {"one_time_key_counts": {"signed_curve25519": 50}}
        if path.endswith("/keys/query"):
            wanted = body["device_keys"]
            return {"device_keys": self._of(wanted, lambda device: device.keys), "failures": {}}
        if path.endswith("/keys/claim"):
            wanted = body["one_time_keys"]
            keys = self._of(wanted, lambda device: device.one_time_key)
            return {"one_time_keys": keys, "failures": {}}
        if "/members" in path or path.endswith("/joined_members"):
            users = sorted({device.user_id for device in self._crowd} | {ME})
            join = {"membership": "join"}
            chunk = [_event("m.room.member", join, 1, user) for user in users]
            return {"chunk": chunk, "joined": {user: {} for user in users}}
        if "/sendToDevice/" in path:
            return {}
        if "/send/" in path:
            return {"event_id": "$sent"}
        if path.endswith("/whoami"):
            return {"user_id": ME, "device_id": DEVICE}
        return {"filter_id": "1"}

    def _of(self, users: dict[str, Any], choose: Any) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {user: {} for user in users}
        for device in (self._peer, *self._crowd):
            if device.user_id in users:
                found[device.user_id][device.device_id] = choose(device)
        return found

    def _reply_sync(self, query: str) -> Any:
        _, _, rest = query.partition("since=s")
        since = rest.split("&")[0]
        if not since:
            return {"next_batch": "s0", "rooms": {"join": self._first}, **_COUNT}
        number = int(since)
        if self._uploaded is None or number > SYNCS:
            return {"next_batch": f"s{number}", **_COUNT}
        if number == 0:
            events = self._keys_for(self._uploaded)
            return {"next_batch": "s1", "to_device": {"events": events}, **_COUNT}
        return self._stream[number - 1]

    def _keys_for(self, uploaded: dict[str, Any]) -> list[dict[str, Any]]:
        """The room keys, encrypted for the client."""
        keys = uploaded["device_keys"]["keys"]
        [one_time, *_] = uploaded["one_time_keys"].values()
        account = self._peer.account
        curve25519 = keys[f"curve25519:{DEVICE}"]
        session = account.create_outbound_session(
            Curve25519PublicKey.from_base64(curve25519),
            Curve25519PublicKey.from_base64(one_time["key"]),
        )
        events = []
        for room, key in enumerate(self._room_keys):
            content = {
                "algorithm": _MEGOLM,
                "room_id": f"!room{room}:localhost",
                "session_id": self._sessions[room].session_id,
                "session_key": key,
            }
            inner = {
                "type": "m.room_key",
                "content": content,
                "sender": PEER,
                "sender_device": "PEER",
                "recipient": ME,
                "recipient_keys": {"ed25519": keys[f"ed25519:{DEVICE}"]},
                "keys": {"ed25519": account.ed25519_key.to_base64()},
            }
            kind, body = session.encrypt(json.dumps(inner).encode()).to_parts()
            text = base64.b64encode(body).rstrip(b"=").decode()
            sealed = {
                "algorithm": _OLM,
                "sender_key": account.curve25519_key.to_base64(),
                "ciphertext": {curve25519: {"type": kind, "body": text}},
            }
            events.append({"type": "m.room.encrypted", "sender": PEER, "content": sealed})
        return events
