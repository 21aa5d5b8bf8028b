"""The members of a room, where what the homeserver lists comes late or is no list."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.answered import BOB, ME, V3, Place, Scene, member
from tests.support.scripted import Answer, Request

MEMBERS = f"{V3}/rooms/!room/members"
CAROL = "@carol:localhost"
DAVE = "@dave:localhost"
CREATE = {
    "type": "m.room.create",
    "state_key": "",
    "sender": ME,
    "event_id": "$create",
    "content": {"room_version": "11"},
}
TEXT = {"type": "m.room.message", "event_id": "$text", "sender": BOB, "content": {"body": "hi"}}
BOTH = {ME: "join", BOB: "join"}


def event(user_id: str, membership: str = "join") -> dict[str, Any]:
    return member(user_id, membership) | {"event_id": f"${user_id}{membership}"}


def news(*timeline: Any, states: Any = (), **more: Any) -> dict[str, Any]:
    """What a sync says of the room."""
    return {"timeline": {"events": list(timeline), **more}, "state": {"events": list(states)}}


def sync(scene: Scene, answers: dict[Place, Any], token: str, **rooms: Any) -> None:
    said = {name: {"!room": room} for name, room in rooms.items()}
    answers["GET", f"{V3}/sync"] = {"next_batch": token, "rooms": said}
    scene.call("sync_once")


def begin(scene: Scene, answers: dict[Place, Any], *users: str) -> None:
    sync(scene, answers, "s1", join=news(states=[CREATE, *map(event, users)]))


class Lists:
    """A homeserver that says who was there at which token; it answers when it may."""

    def __init__(self, answers: dict[Place, Any], **lists: Any) -> None:
        self._lists = lists
        self.asked: list[str | None] = []
        self.turns = threading.Semaphore(0)
        answers["GET", MEMBERS] = self._answer

    def _answer(self, request: Request) -> Answer:
        at = request.query.get("at")
        self.asked.append(at)
        assert self.turns.acquire(timeout=60)
        return Answer({"chunk": [event(user) for user in self._lists[at or "now"]]})


@contextmanager
def late(scene: Scene, lists: Lists) -> Iterator[None]:
    """The members are asked for, and the answer comes after what is done inside."""
    request = scene.host.submit(scene.client, "members", room_id="!room")
    scene.host.until(lambda: lists.asked)
    yield
    lists.turns.release(100)
    assert scene.host.wait(request).is_ok


def known(scene: Scene) -> dict[str, str]:
    found = scene.call("members", room_id="!room")["members"]
    return {each["user_id"]: each["membership"] for each in found}


def are_all_known(scene: Scene) -> bool:
    return bool(scene.call("room_details", room_id="!room")["has_all_members"])


def consume(scene: Scene) -> None:
    """The host has handled what the last sync gave it."""
    syncer = scene.host.runtime._clients[scene.client].syncer
    scene.host.inside(lambda: syncer.consumed(syncer._mark))


def test_a_late_list_does_not_undo_what_syncs_told(scene: Scene, answers: dict[Place, Any]) -> None:
    begin(scene, answers, ME, BOB)
    lists = Lists(answers, s1=[ME, BOB, DAVE])
    with late(scene, lists):
        sync(scene, answers, "s2", join=news(event(CAROL), event(BOB, "ban")))
        sync(scene, answers, "s3")
    assert known(scene) == {ME: "join", BOB: "ban", CAROL: "join", DAVE: "join"}
    assert lists.asked == ["s1"] and are_all_known(scene)


def test_members_lost_while_the_list_is_on_its_way(scene: Scene, answers: dict[Place, Any]) -> None:
    begin(scene, answers, ME)
    lists = Lists(answers, s1=[ME], s3=[ME, BOB])
    with late(scene, lists):
        sync(scene, answers, "s2", join=news(TEXT, limited=True))
        sync(scene, answers, "s3")
    assert known(scene) == BOTH
    assert lists.asked == ["s1", "s3"] and are_all_known(scene)


def test_members_lost_each_time_are_not_asked_for_without_end(
    scene: Scene, answers: dict[Place, Any]
) -> None:
    begin(scene, answers, ME)
    lists = Lists(answers, s1=[ME], s2=[ME], s3=[ME, BOB], s4=[ME])
    request = scene.host.submit(scene.client, "members", room_id="!room")
    for count in (1, 2, 3):
        scene.host.until(lambda: len(lists.asked) == count)  # noqa: B023
        sync(scene, answers, f"s{count + 1}", join=news(TEXT, limited=True))
        lists.turns.release()
    found = scene.host.wait(request).payload["members"]
    assert [each["user_id"] for each in found] == [BOB, ME]
    assert lists.asked == ["s1", "s2", "s3"] and not are_all_known(scene)


def test_members_of_a_room_whose_sync_the_host_still_handles(
    scene: Scene, answers: dict[Place, Any]
) -> None:
    """A bot greets who lets it in before the sync that says so is in its store."""
    sync(scene, answers, "s1")
    lists = Lists(answers, s2=[ME, BOB])
    lists.turns.release(100)
    scene.host.subscribe(scene.client, "state")
    scene.host.consumes = False
    begun = news(event(ME), states=[CREATE])
    sync(scene, answers, "s2", join=begun)
    assert known(scene) == BOTH
    consume(scene)
    assert known(scene) == BOTH
    assert set(lists.asked) == {"s2"}


@pytest.mark.parametrize("is_invited", [False, True])
def test_who_came_while_the_user_was_away(
    scene: Scene, answers: dict[Place, Any], is_invited: bool
) -> None:
    begin(scene, answers, ME)
    lists = Lists(answers, s1=[ME], s4=[ME, BOB])
    lists.turns.release(100)
    assert known(scene) == {ME: "join"}
    sync(scene, answers, "s2", leave=news(event(ME, "leave")))
    if is_invited:
        sync(scene, answers, "s3", invite={"invite_state": {"events": [event(ME, "invite")]}})
    sync(scene, answers, "s4", join=news(event(ME), states=[CREATE]))
    assert not are_all_known(scene)
    assert known(scene) == BOTH and are_all_known(scene)


@pytest.mark.parametrize("answer", [b"<html>Back soon</html>", {}, {"chunk": {}}])
def test_what_is_no_list_is_not_kept_as_an_empty_one(
    scene: Scene, answers: dict[Place, Any], answer: Any
) -> None:
    begin(scene, answers, ME)
    answers["GET", MEMBERS] = Answer(answer)
    refused = scene.refuse("members", room_id="!room")
    assert refused["code"] == "E_INVALID_RESPONSE" and not are_all_known(scene)
    answers["GET", MEMBERS] = {"chunk": [event(ME), event(BOB)]}
    assert known(scene) == BOTH
