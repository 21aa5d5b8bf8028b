"""Direct chats, as the user's m.direct lists them."""

from __future__ import annotations

from libmatrix.client import Client
from libmatrix.errors import ArgumentError, HomeserverError
from libmatrix.identifiers import check_room_id, check_user_id
from libmatrix.rooms import direct
from libmatrix.rooms.creation import create
from libmatrix.rooms.joining import enter
from libmatrix.table_gen import (
    AddDirectRoomArguments,
    AddDirectRoomResult,
    CreateRoomArguments,
    DirectRoomArguments,
    DirectRoomResult,
    DirectRoomsArguments,
    DirectRoomsResult,
    DirectUser,
    FindDirectRoomArguments,
    FindDirectRoomResult,
    RemoveDirectRoomArguments,
    RemoveDirectRoomResult,
)

# Of one user, as most may be void.
_MOST_INVITES = 10


async def direct_room(client: Client, arguments: DirectRoomArguments) -> DirectRoomResult:
    """Finds or makes the room to talk with a user."""
    user_id = arguments.user_id
    await _check_other(client, user_id)
    # Who asks twice at a time gets one room.
    async with client.lock(f"{direct.DIRECT} {user_id}"):
        found = await direct.find_direct(client, user_id)
        if found is not None:
            return DirectRoomResult(room_id=found, is_new=False)
        found = await _accept_invite(client, user_id)
        is_new = found is None
        if found is None:
            encrypted = arguments.encrypted
            wanted = CreateRoomArguments(
                preset="trusted_private_chat",
                invite=[user_id],
                is_direct=True,
                encrypted=client.options.encryption if encrypted is None else encrypted,
            )
            found = await create(client, wanted)
        await direct.remember(client, [user_id], found)
    return DirectRoomResult(room_id=found, is_new=is_new)


async def _accept_invite(client: Client, user_id: str) -> str | None:
    """Joins a direct chat that the other has begun; None when there is none any more."""
    inviters = direct.direct_inviters(client).items()
    invites = [room_id for room_id, inviter in inviters if inviter == user_id]
    for room_id in invites[:_MOST_INVITES]:
        try:
            return await enter(client, "join", room_id, None, None)
        except HomeserverError as error:
            text = f"{room_id}: an invitation to a direct chat is void: {error.message}"
            client.log.record("info", "direct", text, error.code)
    return None


async def find_direct_room(
    client: Client, arguments: FindDirectRoomArguments
) -> FindDirectRoomResult:
    """The room to talk with a user, if there is one."""
    await _check_other(client, arguments.user_id)
    return FindDirectRoomResult(room_id=await direct.find_direct(client, arguments.user_id))


async def direct_rooms(client: Client, _: DirectRoomsArguments) -> DirectRoomsResult:
    """What m.direct lists."""
    listed = await direct.fetch_direct(client)
    found = [(user_id, direct.rooms_of(raw)) for user_id, raw in sorted(listed.items())]
    return DirectRoomsResult(
        rooms=[DirectUser(user_id=user, room_ids=rooms) for user, rooms in found if rooms]
    )


async def add_direct_room(client: Client, arguments: AddDirectRoomArguments) -> AddDirectRoomResult:
    """Lists a room in m.direct."""
    check_user_id(arguments.user_id)
    check_room_id(arguments.room_id)
    await direct.add_direct(client, [arguments.user_id], arguments.room_id)
    return AddDirectRoomResult()


async def remove_direct_room(
    client: Client, arguments: RemoveDirectRoomArguments
) -> RemoveDirectRoomResult:
    """Takes a room out of m.direct."""
    await direct.remove_direct(client, arguments.room_id)
    return RemoveDirectRoomResult()


async def _check_other(client: Client, user_id: str) -> None:
    check_user_id(user_id)
    client.require_login()
    if user_id == await client.syncer.user_id():
        raise ArgumentError("user_id: is the user's own")
