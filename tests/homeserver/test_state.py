"""What is kept of rooms, and where rooms end, from Lua and Fennel against a real homeserver."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.driver import Driver, driver
from tests.support.homeserver import Account, Homeserver
from tests.support.rooms import V3, post, put_state, shared_room, text

pytestmark = pytest.mark.homeserver

# Nobody listens there, so that nothing but the store can answer.
NOWHERE = "http://127.0.0.1:9"


def furnish(homeserver: Homeserver, alice: Account, bob: Account) -> str:
    """A room of both with state, levels, an unread message and a tag; it is a direct chat."""
    room_id = shared_room(homeserver, alice, bob, name="Tea", topic="leaves")
    levels = {"users": {alice.user_id: 100, bob.user_id: 20}, "kick": 10, "events": {"m.x": 30}}
    if not room_id.count(":"):
        del levels["users"][alice.user_id]
    put_state(homeserver, alice, room_id, "m.room.power_levels", levels)
    put_state(homeserver, alice, room_id, "org.example.state", {"n": 1}, "key")
    homeserver.send(alice, room_id, "m.room.message", text("unread"))
    path = f"{V3}/user/{quote(bob.user_id)}"
    tags = f"{path}/rooms/{quote(room_id)}/tags/m.favourite"
    homeserver.request("PUT", tags, bob.token, {"order": 0.25})
    direct = {alice.user_id: [room_id]}
    homeserver.request("PUT", f"{path}/account_data/m.direct", bob.token, direct)
    return room_id


def check_state(host: Driver, room_id: str, alice: Account) -> None:
    state = "client:state_event(%s, 'org.example.state', { state_key = 'key' })"
    found = host.get(state, room_id)
    assert found["content"] == {"n": 1} and found["event"]["sender"] == alice.user_id
    events = host.get("client:state_events(%s)", room_id)["state"]
    assert {"m.room.create", "m.room.name", "org.example.state"} <= {e["type"] for e in events}
    named = host.get("client:state_events(%s, { type = 'm.room.name' })", room_id)["state"]
    assert [event["content"] for event in named] == [{"name": "Tea"}]


def check_powers(host: Driver, room_id: str, alice: Account) -> None:
    kept = host.get("client:power_levels(%s)", room_id)
    assert (kept["kick"], kept["ban"], kept["own_level"]) == (10, 50, 20)
    kick = "client:may(%s, { action = 'kick', target = %s })"
    assert not host.get(kick, room_id, alice.user_id)["allowed"]
    assert host.get("client:may(%s, { action = 'kick' })", room_id)["allowed"]
    sends = "client:may(%s, { event_type = 'm.x' })"
    answer = host.get(sends, room_id)
    assert (answer["allowed"], answer["required_level"], answer["level"]) == (False, 30, 20)
    fennel = (
        "{ ok = true, may = matrix.fennel().eval('(fn [client room] (. (client:may room "
        "{:action :invite}) :allowed))')(client, %s) }"
    )
    assert host.get(fennel, room_id)["may"] is True


def test_all_is_there_after_a_restart(homeserver: Homeserver, stage: Path, tmp_path: Path) -> None:
    alice, bob = homeserver.account(), homeserver.account()
    room_id = furnish(homeserver, alice, bob)
    with driver(stage, homeserver, bob, tmp_path) as host:
        host.sync()
        assert not host.get("client:room_details(%s)", room_id)["has_all_members"]
        members = host.get("client:members(%s)", room_id)["members"]
        before = host.room(room_id)
    with driver(stage, homeserver, bob, tmp_path, proxy=NOWHERE) as host:
        assert host.do("client:whoami()")["ok"] is False
        assert host.room(room_id) == before
        assert before and (before["name"], before["topic"]) == ("Tea", "leaves")
        assert before["is_direct"] and before["notification_count"] == 1
        assert before["tags"] == {"m.favourite": {"order": 0.25}}
        details = host.get("client:room_details(%s)", room_id)
        assert details["room"] == before and details["creators"] == [alice.user_id]
        assert details["has_all_members"] and details["join_rule"] == "invite"
        assert details["prev_batch"] and details["last_event_id"].startswith("$")
        assert host.get("client:members(%s)", room_id)["members"] == members
        assert [member["user_id"] for member in members] == sorted((alice.user_id, bob.user_id))
        check_state(host, room_id, alice)
        check_powers(host, room_id, alice)
        kept = host.get("client:account_data('m.direct')")["content"]
        assert kept == {alice.user_id: [room_id]}
        assert host.do("client:room_details('!no:where')")["error"]["code"] == "E_UNKNOWN_ROOM"


def test_members_are_loaded_when_asked_for(homeserver: Homeserver, stage: Path) -> None:
    alice, bob = homeserver.account(), homeserver.account()
    silent = [homeserver.account() for _ in range(3)]
    room_id = shared_room(homeserver, alice, *silent, bob)
    for number in range(12):
        homeserver.send(alice, room_id, "m.room.message", text(str(number)))
    for account in (alice, bob):
        path = f"{V3}/profile/{quote(account.user_id)}/displayname"
        homeserver.request("PUT", path, account.token, {"displayname": "Twin"})
    with driver(stage, homeserver, bob) as host:
        host.sync()
        members = host.get("client:members(%s, { membership = 'join' })", room_id)["members"]
        assert len(members) == 5
        twins = [f"Twin ({user_id})" for user_id in sorted((alice.user_id, bob.user_id))]
        load = "client:members(%s, { reload = true })"
        # The homeserver tells the rooms a new name when it comes to it.
        for _ in range(60):
            names = {member["name"] for member in host.get(load, room_id)["members"]}
            if names.issuperset(twins):
                break
            host.sync("{ timeout_ms = 500 }")
        assert names.issuperset(twins)
        assert host.get("client:room_details(%s)", room_id)["has_all_members"]
        post(homeserver, silent[0], room_id, "leave")
        for number in range(40):
            homeserver.send(alice, room_id, "m.room.message", text(str(number)))
        # A gap, in which somebody may have gone: it is asked again.
        host.sync()
        left = host.get("client:members(%s, { membership = 'leave' })", room_id)["members"]
        assert [member["user_id"] for member in left] == [silent[0].user_id]
        again = host.get("client:members(%s, { reload = true })", room_id)["members"]
        assert len(again) == 5


@pytest.mark.parametrize("version", ["10", "11", "12"])
def test_creators_and_levels(homeserver: Homeserver, stage: Path, version: str) -> None:
    alice, bob, carol = (homeserver.account() for _ in range(3))
    fields = {"room_version": version}
    if version == "12":
        fields["creation_content"] = {"additional_creators": [bob.user_id]}
    room_id = shared_room(homeserver, alice, bob, carol, **fields)
    assert (":" in room_id) == (version != "12")
    with driver(stage, homeserver, bob) as host:
        # Not synced: the homeserver is asked. Then from what is kept.
        for is_synced in (False, True):
            if is_synced:
                host.sync()
            levels = host.get("client:power_levels(%s)", room_id)
            can = host.get(
                "client:may(%s, { action = 'ban', target = %s })", room_id, carol.user_id
            )
            own = "client:may(%s, { event_type = 'm.room.tombstone', is_state = true })"
            can_end = host.get(own, room_id)["allowed"]
            other = "client:may(%s, { event_type = 'm.room.message', user_id = %s })"
            assert host.get(other, room_id, carol.user_id)["allowed"]
            assert not host.get(other, room_id, "@nobody:localhost")["allowed"]
            if version == "12":
                assert levels["creators"] == [alice.user_id, bob.user_id]
                assert "own_level" not in levels and can["allowed"] and can_end
            else:
                assert levels["creators"] == [] and levels["own_level"] == 0
                assert not can["allowed"] and not can_end
        above = host.get("client:may(%s, { action = 'kick', target = %s })", room_id, alice.user_id)
        assert not above["allowed"]
        details = host.get("client:room_details(%s)", room_id)
        assert details["room"]["version"] == version and details["creators"][0] == alice.user_id
        if version == "12":
            assert details["creators"] == [alice.user_id, bob.user_id]
        refused = host.do("client:may(%s, {})", room_id)
        assert refused["error"]["code"] == "E_INVALID_ARGUMENT"


def test_rooms_end_where_they_belong(homeserver: Homeserver, stage: Path, tmp_path: Path) -> None:
    alice, bob = homeserver.account(), homeserver.account()
    left, kicked, banned = (shared_room(homeserver, alice, bob, name=n) for n in "lkb")
    revoked = homeserver.create_room(alice, invite=[bob.user_id])
    declined = homeserver.create_room(alice, invite=[bob.user_id])
    rules = {"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}
    doors = [homeserver.create_room(alice, initial_state=[rules]) for _ in range(3)]
    with driver(stage, homeserver, bob, tmp_path) as host:
        for door in doors:
            assert host.get("client:knock_room(%s, { reason = 'hi' })", door)["room_id"] == door
        host.sync()
        expect = {left: "join", kicked: "join", banned: "join", revoked: "invite"}
        expect |= {declined: "invite"} | dict.fromkeys(doors, "knock")
        check(host.get("client:rooms()")["rooms"], expect)

        host.get("client:leave_room(%s, { reason = 'done' })", left)
        post(homeserver, alice, kicked, "kick", user_id=bob.user_id, reason="off")
        post(homeserver, alice, banned, "ban", user_id=bob.user_id)
        post(homeserver, alice, revoked, "kick", user_id=bob.user_id)
        host.get("client:leave_room(%s)", declined)
        post(homeserver, alice, doors[0], "invite", user_id=bob.user_id)
        post(homeserver, alice, doors[1], "kick", user_id=bob.user_id)
        host.sync()
        ends = dict.fromkeys((left, kicked, revoked, declined, doors[1]), "leave")
        ends |= {banned: "ban", doors[0]: "invite", doors[2]: "knock"}
        check(host.get("client:rooms()")["rooms"], ends)
        details = host.get("client:room_details(%s)", kicked)
        told = (details["membership_sender"], details["membership_reason"])
        assert told == (alice.user_id, "off")

        # Back again after a kick; forgotten after leaving.
        post(homeserver, alice, kicked, "invite", user_id=bob.user_id)
        host.get("client:join_room(%s)", kicked)
        host.get("client:forget_room(%s)", left)
        assert host.room(left) is None
        host.sync()
        del ends[left]
        check(host.get("client:rooms()")["rooms"], ends | {kicked: "join"})
    with driver(stage, homeserver, bob, tmp_path, proxy=NOWHERE) as host:
        check(host.get("client:rooms()")["rooms"], ends | {kicked: "join"})


def check(rooms: list[dict[str, str]], expect: dict[str, str]) -> None:
    assert {room["room_id"]: room["membership"] for room in rooms} == expect


@pytest.mark.parametrize(("old", "new"), [("11", "11"), ("11", "12")])
def test_upgraded_rooms_point_to_each_other(
    homeserver: Homeserver, stage: Path, old: str, new: str
) -> None:
    alice: Account = homeserver.account()
    room_id = homeserver.create_room(alice, room_version=old, name="Old")
    with driver(stage, homeserver, alice) as host:
        host.sync()
        host.hear("room")
        upgraded = post(homeserver, alice, room_id, "upgrade", new_version=new)["replacement_room"]
        for _ in range(10):
            host.sync("{ timeout_ms = 1000 }")
            before, after = host.room(room_id), host.room(upgraded)
            if before and after and before.get("successor_room_id"):
                break
        assert before and after
        assert (before["successor_room_id"], before["membership"]) == (upgraded, "join")
        assert (after["predecessor_room_id"], after["version"]) == (room_id, new)
        assert (":" in upgraded) == (new != "12")
        changed = [c["changed"] for c in host.take("room") if c["room_id"] == room_id]
        assert any("successor_room_id" in names for names in changed)
        host.hear("message")
        host.get("client:send_text(%s, 'here now')", upgraded)
        assert host.sync_until("message")[-1]["room_id"] == upgraded
