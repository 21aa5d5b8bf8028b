"""What the store says of attempts: that one was made, and never of a send that was not tried."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from libmatrix.sending.item import now_ms
from libmatrix.sending.lane import MOST_MARKED
from libmatrix.sending.valve import MOST_IN_FLIGHT
from tests.support.send_server import DROP, TAKE, Deed, Sending, SendServer, limit
from tests.support.sender import A, B, Sender, set_back

LONG_MS = 13 * 3_600_000
# More than are kept as tried in one write.
COUNT = 2 * MOST_MARKED + 3


def react(sender: Sender, key: str, room_id: str = A) -> int:
    """Sends what goes in clear in any room: nobody has to be asked."""
    arguments = {"room_id": room_id, "event_id": "$1", "key": key, "txn_id": key}
    return sender.host.submit(sender.client, "send_reaction", **arguments)


def react_at_once(sender: Sender, room_ids: list[str]) -> list[int]:
    """The same for many: all of them come in the same turn of the loop."""
    host = sender.host
    return host.inside(lambda: [react(sender, str(at), room) for at, room in enumerate(room_ids)])


def tried(sender: Sender) -> list[str]:
    """The rooms of those that are kept as tried, in their order."""
    query = "SELECT room_id FROM send WHERE tried_ms IS NOT NULL AND outcome IS NULL ORDER BY 1"
    found = sender.host.inside(lambda: sender.queue.client.state.disk.rows(query))
    return [room_id for (room_id,) in found]


def has_failed(sender: Sender) -> bool:
    return any(event.payload.get("delay_ms") for event in sender.host.events)


def ends(sender: Sender) -> list[str]:
    return [state for _, state in sender.states() if state in ("sent", "failed")]


def test_what_was_never_tried_waits_for_ever(server: SendServer, tmp_path: Path) -> None:
    server.stop()
    with Sender(server, tmp_path) as sender:
        sender.subscribe()
        react_at_once(sender, [A] * COUNT)
        sender.until(lambda: has_failed(sender))
    set_back(tmp_path, LONG_MS)
    server.start()
    with Sender(server, tmp_path) as sender:
        sender.subscribe()
        sender.until(lambda: len(ends(sender)) == COUNT)
        assert set(ends(sender)) == {"sent"}


def test_a_room_that_has_to_wait_has_tried_nothing(server: SendServer, tmp_path: Path) -> None:
    gate = threading.Event()
    server.deed = lambda _: Deed(gate=gate)
    with Sender(server, tmp_path) as sender:
        react_at_once(sender, [f"!{number}:x" for number in range(MOST_IN_FLIGHT + 9)])
        sender.until(lambda: len(server.sendings) == MOST_IN_FLIGHT)
        assert len(tried(sender)) == MOST_IN_FLIGHT
        gate.set()


def test_time_counts_from_the_attempt_on(
    server: SendServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours without a network, and then an attempt that is lost: it is repeated."""
    server.stop()
    lost: list[Sending] = []

    def deed(sending: Sending) -> Deed:
        if sending.txn_id == "1" and len(lost) < 2:
            # HTTP alone repeats it once.
            lost.append(sending)
            return DROP
        return TAKE

    with Sender(server) as sender:
        sender.subscribe()
        requests = react_at_once(sender, [A] * 3)
        sender.until(lambda: has_failed(sender))
        for module in ("item", "lane", "queue"):
            later = f"libmatrix.sending.{module}.now_ms"
            monkeypatch.setattr(later, lambda: now_ms() + LONG_MS)
        server.deed = deed
        server.start()
        sender.call("retry_sends")
        for request in requests:
            sender.event_id(request)
    assert len(lost) == 2


def test_while_all_rooms_wait_nothing_counts_as_tried(server: SendServer, tmp_path: Path) -> None:
    gate = threading.Event()
    server.deed = lambda sending: Deed(gate=gate) if sending.room_id == A else limit(60_000)
    with Sender(server, tmp_path) as sender:
        requests = react_at_once(sender, [A] * COUNT)
        sender.until(lambda: server.sendings)
        # They are on their way, one after the other.
        assert tried(sender) == [A] * MOST_MARKED
        react(sender, "limited", B)
        sender.until(lambda: tried(sender) == [A])
        gate.set()
        # Another room asked to slow down meanwhile, which the one on its way does not mind.
        sender.event_id(requests[0])
        sender.until(lambda: tried(sender) == [])


def test_one_write_tells_of_many_attempts(server: SendServer, tmp_path: Path) -> None:
    gates = [threading.Event() for _ in range(COUNT)]
    server.deed = lambda sending: Deed(gate=gates[sending.number])
    with Sender(server, tmp_path) as sender:
        react_at_once(sender, [A] * COUNT)
        for number, gate in enumerate(gates):
            sender.until(lambda at=number: len(server.sendings) > at)
            left = COUNT - number
            at_most = MOST_MARKED - number % MOST_MARKED
            assert sender.host.inside(lambda: _marked(sender)) == min(left, at_most)
            gate.set()


def _marked(sender: Sender) -> int:
    """How many are not over, and counted as tried."""
    return sum(item.tried_ms is not None for item in sender.queue._items.values())


def test_a_text_behind_encryption_was_not_tried(server: SendServer, tmp_path: Path) -> None:
    """As it would have been in clear, it would be given up now that the room is encrypted."""
    member: dict[str, Any] = {
        "type": "m.room.member",
        "state_key": "@me:x",
        "sender": "@me:x",
        "event_id": "$m",
        "origin_server_ts": 1,
        "content": {"membership": "join"},
    }
    joined = {"rooms": {"join": {A: {"state": {"events": [member]}}}}, "next_batch": "s1"}
    server.other = lambda _method, path, _token: (200, joined) if path.endswith("/sync") else None
    gate = threading.Event()
    server.deed = lambda _: Deed(gate=gate)

    def send(sender: Sender) -> None:
        content = {"algorithm": "m.megolm.v1.aes-sha2"}
        arguments = {"room_id": A, "type": "m.room.encryption", "content": content}
        sender.host.submit(sender.client, "send_state_event", **arguments)
        sender.send("secret")

    with Sender(server, tmp_path, encryption=True) as sender:
        sender.call("sync_once")
        sender.host.inside(lambda: send(sender))
        sender.until(lambda: server.sendings)
        assert tried(sender) == [A]
        gate.set()
