"""Devices without a network: each a machine of its own, their messages carried by the test."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import Raw

from libmatrix.crypto.key_query import read_device
from libmatrix.crypto.machine import Crypto
from libmatrix.crypto.records import Device
from libmatrix.events.head import read_timeline_event
from libmatrix.events.record import Decrypted
from libmatrix.store.state import Changes, State
from libmatrix.sync.response import SyncResponse

ROOM = "!r:x"
ALICE, BOB, MALLORY = "@alice:x", "@bob:x", "@mallory:x"


class Log:
    """Keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []

    def record(self, level: str, source: str, message: str, code: str | None = None) -> None:
        self.lines.append((level, message, code or ""))

    def wants(self, level: str) -> bool:
        return True


class Api:
    """Answers as the test says: by a part of a path, a value or what a function makes of it."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, Any]] = []

    async def call(
        self, method: str, path: str, *, body: Any = None, query: Any = None, **_: Any
    ) -> bytes:
        text = json.loads(json.dumps(query if body is None else body, default=str))
        self.asked.append((path, text))
        for end, answer in self.answers.items():
            if end in path:
                found = answer(text) if callable(answer) else answer
                return json.dumps(found).encode()
        return b"{}"

    async def post(self, answer: Any, path: str, body: Any) -> Any:
        import msgspec

        return msgspec.json.decode(await self.call("POST", path, body=body), type=answer)


class Party:
    """One device."""

    def __init__(self, user_id: str, device_id: str = "D", state: State | None = None) -> None:
        self.loop = asyncio.new_event_loop()
        # Devices that the to-device events of the last sync were proved to come from, by index.
        self.proved: dict[int, str | None] = {}
        self.state = state or State(None)
        self.log = Log()
        self.api = Api()
        options = SimpleNamespace(store_path=None, send_keys_to="all", show_messages_from="all")
        self.client = SimpleNamespace(
            state=self.state,
            log=self.log,
            api=self.api,
            options=options,
            host=SimpleNamespace(loop=self.loop, outbox=None),
            session=SimpleNamespace(is_logged_in=False),
            subscriptions=SimpleNamespace(of=lambda kind: [], wishes=lambda kind: []),
        )
        from libmatrix.store.seal import Vault

        self.crypto = Crypto(self.client, Vault(None), user_id, device_id)  # type: ignore[arg-type]
        self.user_id = user_id

    def run(self, work: Any) -> Any:
        """Runs a coroutine to its end."""

        async def run() -> Any:
            found = await work
            # What runs beside it has its turn.
            for _ in range(5):
                await asyncio.sleep(0)
            return found

        return self.loop.run_until_complete(run())

    def device(self) -> Device:
        """As others know it."""
        crypto = self.crypto
        found = read_device(crypto.user_id, crypto.device_id, crypto.account.device_keys())
        assert found is not None
        return found

    def knows(self, *others: Party) -> None:
        """Has asked for the others' devices."""
        for other in others:
            self.crypto.devices.put(other.device())
            self.crypto.devices.track([other.user_id])
            self.crypto.devices._mark(other.user_id, is_outdated=False)

    def meet(self, other: Party) -> None:
        """Begins an Olm session with a device by one of its one-time keys."""
        account = other.crypto.account.olm
        account.generate_one_time_keys(1)
        key = next(iter(account.one_time_keys.values())).to_base64()
        account.mark_keys_as_published()
        assert self.crypto.olm.begin(other.device(), key)

    def seal(self, other: Party, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        """A to-device event for another device."""
        sealed = self.crypto.olm.encrypt(other.device(), kind, content)
        return {"type": "m.room.encrypted", "sender": self.user_id, "content": sealed}

    def take(self, *events: Any, token: str = "s1", is_whole: bool = False) -> list[Any]:
        """A sync with these to-device events; what the host would see of them."""
        raws = [
            Raw(each if isinstance(each, bytes) else json.dumps(each).encode()) for each in events
        ]
        response = SyncResponse(next_batch=token)
        response.to_device.events = raws
        changes = Changes()
        changes.next_batch = token

        async def sync() -> list[Raw]:
            shown, self.proved = await self.crypto.take_sync(response, changes, is_whole=is_whole)
            self.state.commit(changes)
            return shown

        return [json.loads(bytes(raw)) for raw in self.run(sync())]

    def room_key(self, session: Any, room_id: str = ROOM) -> dict[str, Any]:
        """The content of m.room_key for an outbound session."""
        return {
            "algorithm": "m.megolm.v1.aes-sha2",
            "room_id": room_id,
            "session_id": session.session_id,
            "session_key": session.session_key.to_base64(),
        }

    def open(self, event: dict[str, Any], room_id: str = ROOM) -> Decrypted | None:
        """A timeline event as the host would get it."""
        raw = json.dumps(event).encode()
        return self.crypto.decryptor.open(room_id, read_timeline_event(raw), Raw(raw))

    def code(self, event: dict[str, Any], room_id: str = ROOM) -> str | None:
        """Why an event cannot be decrypted; None when it can."""
        found = self.open(event, room_id)
        assert found is not None
        code: str | None = json.loads(bytes(found.encryption)).get("code")
        return code


def acquaint(bob: Party, other: Party) -> None:
    """They know each other, and the other can send to Bob."""
    bob.knows(other)
    other.knows(bob)
    other.meet(bob)


def again(party: Party) -> Party:
    """A device after a restart."""
    party.crypto.account.save()
    party.crypto.store.flush()
    return Party(party.user_id, party.crypto.device_id, state=party.state)


def limit(monkeypatch: pytest.MonkeyPatch, module: str, **limits: int) -> None:
    """Sets limits of a module of encryption, of what is made after it."""
    for name, value in limits.items():
        monkeypatch.setattr(f"libmatrix.crypto.{module}._{name}", value)


def megolm_event(
    sender: str,
    session: Any,
    text: str = "hi",
    *,
    number: int = 1,
    room_id: str = ROOM,
    **more: Any,
) -> dict[str, Any]:
    """An encrypted event without anything that is deprecated."""
    inner = {
        "type": "m.room.message",
        "room_id": room_id,
        "content": {"msgtype": "m.text", "body": text},
    }
    sealed = session.encrypt(json.dumps(inner).encode())
    content = {
        "algorithm": "m.megolm.v1.aes-sha2",
        "session_id": session.session_id,
        "ciphertext": sealed.to_base64(),
        **more,
    }
    return {
        "type": "m.room.encrypted",
        "sender": sender,
        "event_id": f"$e{number}",
        "origin_server_ts": number,
        "content": content,
    }


def encryption(party: Party, event: dict[str, Any]) -> dict[str, Any]:
    """What the host is told of how an event was encrypted."""
    found = party.open(event)
    assert found is not None
    said: dict[str, Any] = json.loads(bytes(found.encryption))
    return said


def refresh(party: Party, answer: dict[str, Any]) -> None:
    """Has a device ask for the devices that an answer of the homeserver names."""
    party.api.answers["keys/query"] = answer
    party.run(party.crypto.devices.refresh(answer["device_keys"], force=True))


@pytest.fixture
def alice() -> Party:
    """Has met nobody."""
    return Party(ALICE)


@pytest.fixture
def bob(alice: Party) -> Party:
    """Has met Alice."""
    bob = Party(BOB)
    acquaint(bob, alice)
    return bob


@pytest.fixture
def mallory(bob: Party) -> Party:
    """Is in the same room as both."""
    mallory = Party(MALLORY)
    acquaint(bob, mallory)
    return mallory
