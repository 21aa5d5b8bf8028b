"""Sends in random order, to a homeserver that fails at random, by a client that is closed at times.

MATRIX_TEST_SEED repeats what is done, though not the moments at which answers come.
"""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from libmatrix.sending import doubts, lane
from tests.python.test_sending_echoes import echo_of
from tests.support.send_server import DROP, LOSE, TAKE, Deed, Sending, SendServer, limit, refuse
from tests.support.sender import Sender, rows

RUNS, STEPS = 3, 35
# After as many faults in a row a send may be passed by.
FAULTS = lane._MOST_FAULTS


class World:
    """The homeserver, what was asked of it, and what came of that."""

    def __init__(self, server: SendServer, seed: int) -> None:
        self.rng = random.Random(seed)
        # Of the thread of the server.
        self._moods = random.Random(seed + 1)
        self.server = server
        self.is_calm = threading.Event()
        self.rooms = [f"!{number}:x" for number in range(self.rng.choice([1, 2, 40]))]
        self.order: dict[str, list[str]] = {room: [] for room in self.rooms}
        self.answers: dict[str, Any] = {}
        self.outcomes: dict[str, set[tuple[str, str]]] = {}
        # How often it failed at a transaction.
        self.faults: Counter[str] = Counter()
        self._count = self._syncs = self._told = 0
        self._gates: list[threading.Event] = []
        server.deed, server.other = self._deed, self._other

    def calm_down(self) -> None:
        """From now on all is taken."""
        self.is_calm.set()
        for gate in self._gates:
            gate.set()

    def txn_id(self, room_id: str) -> str:
        """Of the next send to a room."""
        self._count += 1
        self.order[room_id].append(f"t{self._count}")
        return f"t{self._count}"

    def event_ids(self) -> dict[str, str]:
        """What it took, by transaction."""
        server = self.server
        taken = server.taken
        place = [(each.token, each.kind, each.room_id, *each.parts) for each in taken]
        return {each.txn_id: server._event_ids[at] for each, at in zip(taken, place, strict=True)}

    def _deed(self, sending: Sending) -> Deed:
        if self.is_calm.is_set():
            return TAKE
        moods = self._moods
        others = [
            limit(moods.choice([5, 20])),
            refuse(403, "M_FORBIDDEN"),
            refuse(500, "M_UNKNOWN"),
            Deed(False, 502, b"<html>"),
        ]
        deeds = [TAKE] * 10 + [DROP, DROP, LOSE, LOSE, Deed(True, 500, {"errcode": "M_UNKNOWN"})]
        deed = moods.choice(deeds + others)
        self.faults[sending.txn_id] += deed.status == 500
        if moods.random() < 0.3:
            gate = threading.Event()
            self._gates.append(gate)
            threading.Timer(moods.random() * 0.05, gate.set).start()
            deed = Deed(deed.takes, deed.status, deed.body, deed.headers, gate)
        return deed

    def _other(self, _method: str, path: str, _token: str) -> tuple[int, Any] | None:
        """A sync brings what was taken since the last one."""
        if not path.endswith("/sync"):
            return None
        event_ids, join = self.event_ids(), {}
        new = self.server.taken[self._told :]
        self._told += len(new)
        self._syncs += 1
        for each in new:
            room = join.setdefault(each.room_id, {"timeline": {"events": []}})
            room["timeline"]["events"].append(echo_of(each, event_ids[each.txn_id]))
        return 200, {"next_batch": f"s{self._syncs}", "rooms": {"join": join}}


class Run:
    """One life of the client."""

    def __init__(self, world: World, sender: Sender) -> None:
        self.world, self.sender = world, sender
        self._asked: dict[int, str] = {}
        sender.subscribe()

    def step(self) -> None:
        """Does something, and looks what came."""
        rng, host, client = self.world.rng, self.sender.host, self.sender.client
        what = rng.random()
        if what < 0.6:
            for _ in range(rng.choice([1, 1, 5, 40])):
                self._send(rng.choice(self.world.rooms))
        elif what < 0.75 and self._asked:
            host.send("cancel", client, rng.choice(list(self._asked)))
        elif what < 0.85:
            host.submit(client, "sync_once")
        elif what < 0.92:
            host.submit(client, "retry_sends")
        else:
            self.world.server.stop()
            self.look(0.02 * rng.random())
            self.world.server.start()
        self.look(0.03 * rng.random())

    def _send(self, room_id: str) -> None:
        host, client, txn_id = self.sender.host, self.sender.client, self.world.txn_id(room_id)
        fields = {"room_id": room_id, "txn_id": txn_id}
        what = self.world.rng.random()
        if what < 0.6:
            request = self.sender.send(txn_id, **fields)
        elif what < 0.8:
            reaction = {"event_id": "$1", "key": txn_id}
            request = host.submit(client, "send_reaction", **fields, **reaction)
        else:
            request = host.submit(client, "redact", **fields, event_id="$x")
        self._asked[request] = txn_id

    def look(self, seconds: float = 0.0) -> None:
        """Takes answers and outcomes that come within a time."""
        host, world = self.sender.host, self.world
        while host.step(seconds):
            pass
        for request in [each for each in host.results if each in self._asked]:
            world.answers[self._asked.pop(request)] = host.results.pop(request)
        for payload in (event.payload for event in host.events if event.payload["kind"] == "send"):
            if payload["state"] in ("sent", "failed"):
                end = payload.get("event_id") or payload["failure"]["code"]
                world.outcomes.setdefault(payload["txn_id"], set()).add((payload["state"], end))
        host.events.clear()

    def end(self) -> None:
        """The homeserver is well again: waits until all is over, and nothing is left."""
        sender = self.sender
        self.world.calm_down()
        sender.call("sync_loop_start", timeout_ms=50)
        sender.until(lambda: not sender.call("sends")["sends"])
        sender.call("sync_loop_stop")
        sender.consume()
        self.look()
        assert not self._asked
        queue = sender.queue
        left = [queue._items, queue._places, queue._lanes, queue.cut_off, queue._untold]
        left += [queue._marked, queue._told, queue.valve._waiting, queue.valve._busy]
        left += [queue.doubts._watched, queue.doubts._held, queue._early]
        assert not any(sender.host.inside(lambda: [bool(each) for each in left]))


def check(world: World, store: Path) -> None:
    """What hosts were told is what the homeserver did."""
    taken = world.event_ids()
    assert len(taken) == len(world.server.taken)
    for txn_id, ends in world.outcomes.items():
        assert len(ends) == 1, (txn_id, ends)
        ((state, end),) = ends
        assert state == "failed" or taken[txn_id] == end
        assert end != "E_CANCELLED" or txn_id not in taken
    for txn_id, answer in world.answers.items():
        assert not answer.is_ok or answer.payload["event_id"] == taken[txn_id]
        # Closed, it goes on; else the answer is the outcome.
        if not answer.is_ok and answer.payload["code"] not in ("E_CANCELLED", "E_SHUTDOWN"):
            assert (txn_id in world.outcomes) and world.outcomes[txn_id] == {
                ("failed", answer.payload["code"])
            }
    for room_id, order in world.order.items():
        told = [each.txn_id for each in world.server.taken if each.room_id == room_id]
        in_order = [txn_id for txn_id in told if world.faults[txn_id] < FAULTS]
        assert in_order == sorted(in_order, key=order.index)
    assert rows(store) == []


def test_any_order_of_things_keeps_the_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = int(os.environ.get("MATRIX_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"MATRIX_TEST_SEED={seed}")
    for name in ("_SHORTEST_MS", "_LONGEST_MS"):
        monkeypatch.setattr(lane, name, 20)
    monkeypatch.setattr(doubts, "PATIENCE_SECONDS", 0.3)
    with SendServer() as server:
        world = World(server, seed)
        for number in range(RUNS):
            with Sender(server, tmp_path) as sender:
                run = Run(world, sender)
                for _ in range(STEPS):
                    run.step()
                if number == RUNS - 1:
                    run.end()
                elif world.rng.random() < 0.5:
                    sender.host.send("close_context")
                    sender.until(lambda: sender.host.has_closed)
                    run.look()
        check(world, tmp_path)
