"""Direct chats: which rooms the user's m.direct lists for whom, and the one to talk in.

Account data can only be written whole, so every change reads what the homeserver has, changes
that, and looks again: another device may have written meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from libmatrix.api import decode, make_path
from libmatrix.errors import BROKEN_JSON, HomeserverError, MatrixError, ResponseError
from libmatrix.rooms.members import fetch_members
from libmatrix.rooms.state_events import fetch_content, is_missing

if TYPE_CHECKING:
    from libmatrix.client import Client

DIRECT = "m.direct"
_ATTEMPTS = 4
# Both have joined, and nobody else is there.
_BEST = 4

# What it says of each user, as it is: what others wrote wrong stays theirs.
Directs = dict[str, Raw]

_encode = msgspec.json.Encoder().encode


class _JoinedRooms(msgspec.Struct):
    joined_rooms: list[str]


async def joined_rooms(client: Client) -> list[str]:
    """The rooms that the user has joined."""
    return (await client.api.get(_JoinedRooms, make_path("joined_rooms"))).joined_rooms


async def fetch_direct(client: Client) -> Directs:
    """What the homeserver has. Raises `ResponseError` for what is no map."""
    try:
        body = await client.api.call("GET", await _path(client))
    except HomeserverError as error:
        if is_missing(error):
            return {}
        raise
    return {user: raw.copy() for user, raw in decode(body, Directs).items()}


def rooms_of(raw: Raw | None) -> list[str]:
    """The rooms listed for a user, each once; what is no room id is passed over."""
    try:
        value: Any = msgspec.json.decode(raw) if raw else None
    except BROKEN_JSON:
        return []
    rooms = value if isinstance(value, list) else []
    return list(dict.fromkeys(r for r in rooms if isinstance(r, str) and r.startswith("!")))


async def add_direct(client: Client, user_ids: Sequence[str], room_id: str) -> None:
    """Lists a room for these users, as the newest."""

    def change(directs: Directs) -> bool:
        lacking = [user for user in user_ids if room_id not in rooms_of(directs.get(user))]
        for user in lacking:
            directs[user] = Raw(_encode([*rooms_of(directs.get(user)), room_id]))
        return bool(lacking)

    await _change(client, change)


async def remove_direct(client: Client, room_id: str) -> None:
    """Takes a room out of all lists; users without a room left go too."""

    def change(directs: Directs) -> bool:
        listed = [user for user, raw in directs.items() if room_id in rooms_of(raw)]
        for user in listed:
            left = [room for room in rooms_of(directs[user]) if room != room_id]
            if left:
                directs[user] = Raw(_encode(left))
            else:
                del directs[user]
        return bool(listed)

    await _change(client, change)


async def _change(client: Client, change: Callable[[Directs], bool]) -> None:
    path = await _path(client)
    async with client.lock(DIRECT):
        for _ in range(_ATTEMPTS):
            directs = await fetch_direct(client)
            if not change(directs):
                return
            await client.api.call("PUT", path, body=directs)
    raise ResponseError("m.direct: the homeserver does not keep what is written there")


async def _path(client: Client) -> str:
    return make_path("user", await client.syncer.user_id(), "account_data", DIRECT)


async def remember(client: Client, user_ids: Sequence[str], room_id: str) -> None:
    """Lists a room that exists by now; that this fails is no reason to say that the room failed."""
    try:
        await add_direct(client, user_ids, room_id)
    except MatrixError as error:
        text = f"{room_id} could not be kept in m.direct: {error.message}"
        client.log.record("warning", "direct", text, error.code)


def direct_inviters(client: Client) -> dict[str, str]:
    """Who has invited the user to direct chats, by room, as far as syncs have told."""
    return {
        room_id: room.membership_sender
        for room_id, room in client.state.rooms.items()
        if room.membership == "invite" and room.is_direct_invite and room.membership_sender
    }


# -- the room to talk in ------------------------------------------------------------------------


async def find_direct(client: Client, user_id: str) -> str | None:
    """The best of the rooms listed for a user: both are in it, and no other room replaced it.

    Rooms without anybody else come first, then those that the other has joined, then the newest.
    """
    listed = rooms_of((await fetch_direct(client)).get(user_id))
    if not listed:
        return None
    joined = set(await joined_rooms(client))
    best: tuple[int, str] | None = None
    for room_id in reversed(listed):
        rank = await _rank(client, room_id, user_id) if room_id in joined else 0
        if rank > (best[0] if best else 0):
            best = rank, room_id
        if rank == _BEST:
            break
    return best[1] if best else None


async def _rank(client: Client, room_id: str, user_id: str) -> int:
    """How good a room is; 0 when it does not do."""
    own_id = await client.syncer.user_id()
    try:
        if await _is_replaced(client, room_id):
            return 0
        members = await fetch_members(client, room_id, not_membership="leave")
    except HomeserverError as error:
        if error.http_status in (403, 404):
            return 0
        raise
    here = {user: m.membership for user, m in members.items() if m.membership in ("join", "invite")}
    if user_id not in here:
        return 0
    is_joined = here[user_id] == "join"
    is_alone = not here.keys() - {own_id, user_id}
    return 1 + int(is_joined) + 2 * int(is_alone)


async def _is_replaced(client: Client, room_id: str) -> bool:
    try:
        await fetch_content(client, room_id, "m.room.tombstone", "")
    except HomeserverError as error:
        if is_missing(error):
            return False
        raise
    return True
