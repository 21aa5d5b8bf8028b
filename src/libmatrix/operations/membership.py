"""Membership: joining, inviting, leaving, removing, and who is in a room."""

from __future__ import annotations

from typing import Any

import msgspec

from libmatrix.api import make_path
from libmatrix.client import Client
from libmatrix.identifiers import check_room, check_user_id
from libmatrix.rooms.direct import direct_inviters, remember
from libmatrix.rooms.direct import joined_rooms as fetch_joined
from libmatrix.rooms.joining import enter
from libmatrix.rooms.members import list_members
from libmatrix.table_gen import (
    BanUserArguments,
    BanUserResult,
    ForgetRoomArguments,
    ForgetRoomResult,
    InviteUserArguments,
    InviteUserResult,
    JoinedMember,
    JoinedMembersArguments,
    JoinedMembersResult,
    JoinedRoomsArguments,
    JoinedRoomsResult,
    JoinRoomArguments,
    JoinRoomResult,
    KickUserArguments,
    KickUserResult,
    KnockRoomArguments,
    KnockRoomResult,
    LeaveRoomArguments,
    LeaveRoomResult,
    MembersArguments,
    MembersResult,
    UnbanUserArguments,
    UnbanUserResult,
)


class _Profile(msgspec.Struct, gc=False):
    display_name: Any = None
    avatar_url: Any = None


class _JoinedMembers(msgspec.Struct, gc=False):
    joined: dict[str, _Profile]


async def join_room(client: Client, arguments: JoinRoomArguments) -> JoinRoomResult:
    """Joins a room; one that the user was invited to as a direct chat is kept as such."""
    room = arguments.room_id_or_alias
    check_room(room)
    # Noted before, as a sync may tell of the join first; and only then is known whose alias it is.
    inviters = direct_inviters(client)
    room_id = await enter(client, "join", room, arguments.via, arguments.reason)
    if room_id in inviters:
        await remember(client, [inviters[room_id]], room_id)
    return JoinRoomResult(room_id=room_id)


async def knock_room(client: Client, arguments: KnockRoomArguments) -> KnockRoomResult:
    """Asks to be invited."""
    room = arguments.room_id_or_alias
    check_room(room)
    room_id = await enter(client, "knock", room, arguments.via, arguments.reason)
    return KnockRoomResult(room_id=room_id)


async def leave_room(client: Client, arguments: LeaveRoomArguments) -> LeaveRoomResult:
    """Leaves a room, or declines an invitation to it."""
    await _act(client, arguments.room_id, "leave", None, arguments.reason)
    return LeaveRoomResult()


async def forget_room(client: Client, arguments: ForgetRoomArguments) -> ForgetRoomResult:
    """Forgets a room that was left, here too."""
    await client.api.call("POST", make_path("rooms", arguments.room_id, "forget"), body={})
    client.state.forget_room(arguments.room_id)
    return ForgetRoomResult()


async def invite_user(client: Client, arguments: InviteUserArguments) -> InviteUserResult:
    """Invites a user."""
    await _act(client, arguments.room_id, "invite", arguments.user_id, arguments.reason)
    return InviteUserResult()


async def kick_user(client: Client, arguments: KickUserArguments) -> KickUserResult:
    """Removes a user."""
    await _act(client, arguments.room_id, "kick", arguments.user_id, arguments.reason)
    return KickUserResult()


async def ban_user(client: Client, arguments: BanUserArguments) -> BanUserResult:
    """Removes a user for good."""
    await _act(client, arguments.room_id, "ban", arguments.user_id, arguments.reason)
    return BanUserResult()


async def unban_user(client: Client, arguments: UnbanUserArguments) -> UnbanUserResult:
    """Lets a banned user in again."""
    await _act(client, arguments.room_id, "unban", arguments.user_id, arguments.reason)
    return UnbanUserResult()


async def _act(
    client: Client, room_id: str, action: str, user_id: str | None, reason: str | None
) -> None:
    body = {}
    if user_id is not None:
        check_user_id(user_id)
        body["user_id"] = user_id
    if reason is not None:
        body["reason"] = reason
    await client.api.call("POST", make_path("rooms", room_id, action), body=body)


async def members(client: Client, arguments: MembersArguments) -> MembersResult:
    """A room's members, all of them."""
    room_id, wanted, unwanted = arguments.room_id, arguments.membership, arguments.not_membership
    found = await list_members(client, room_id, reload=arguments.reload, at=arguments.at)
    return MembersResult(
        members=[
            member
            for member in found
            if (wanted is None or member.membership == wanted) and member.membership != unwanted
        ]
    )


async def joined_members(client: Client, arguments: JoinedMembersArguments) -> JoinedMembersResult:
    """Who has joined a room."""
    path = make_path("rooms", arguments.room_id, "joined_members")
    found = (await client.api.get(_JoinedMembers, path)).joined
    return JoinedMembersResult(
        members=[
            JoinedMember(
                user_id=user_id,
                displayname=_text(profile.display_name),
                avatar_url=_text(profile.avatar_url),
            )
            for user_id, profile in sorted(found.items())
        ]
    )


async def joined_rooms(client: Client, _: JoinedRoomsArguments) -> JoinedRoomsResult:
    """The rooms the user has joined."""
    return JoinedRoomsResult(room_ids=sorted(await fetch_joined(client)))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
