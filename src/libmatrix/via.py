"""Servers that others can join a room through ("Routing" in the specification's appendices)."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from libmatrix.errors import HomeserverError
from libmatrix.identifiers import server_of
from libmatrix.members import list_members
from libmatrix.room_state import find_content

if TYPE_CHECKING:
    from libmatrix.client import Client
    from libmatrix.table_gen import RoomMember

_MOST = 3
_HIGH = 50
_ADDRESS = re.compile(r"\[.*\](:\d+)?|\d+\.\d+\.\d+\.\d+(:\d+)?")


class _ServerAcl(msgspec.Struct, gc=False):
    allow: Any = None
    deny: Any = None


async def via_servers(client: Client, room_id: str) -> list[str]:
    """At most three: that of who stands highest, then those with the most members.

    Of a room that the user is not in: the user's own server, and the one that the id names.
    """
    try:
        members = await list_members(client, room_id)
        rules = await find_content(client, room_id, "m.room.server_acl", "")
    except HomeserverError as error:
        if error.http_status not in (403, 404):
            raise
        known = (server_of(await client.syncer.user_id()), server_of(room_id))
        return list(dict.fromkeys(server for server in known if server))
    joined = [member for member in members if member.membership == "join"]
    is_good = _checker(msgspec.json.decode(rules, type=_ServerAcl) if rules else _ServerAcl())
    counted = Counter(filter(is_good, (server_of(member.user_id) or "" for member in joined)))
    by_count = [server for server, _ in sorted(counted.items(), key=lambda each: -each[1])]
    highest = _highest(joined)
    first = [highest] if highest in counted else []
    return list(dict.fromkeys(first + by_count))[:_MOST]


def _highest(joined: list[RoomMember]) -> str | None:
    """The server of the member with the highest level, if that is high."""
    levels = [(_level(member), member.user_id) for member in joined]
    level, user_id = max(levels, default=(0, ""), key=lambda each: each[0])
    return server_of(user_id) if level >= _HIGH else None


def _level(member: RoomMember) -> float:
    return float("inf") if member.power_level is None else member.power_level


def _checker(rules: _ServerAcl) -> Any:
    """Whether others may be sent to a server: it has a name, and the room does not keep it out."""
    allowed = _globs(rules.allow) if isinstance(rules.allow, list) else None
    denied = _globs(rules.deny) if isinstance(rules.deny, list) else []

    def is_good(server: str) -> bool:
        if not server or _ADDRESS.fullmatch(server):
            return False
        host = re.sub(r":\d+$", "", server)
        if any(pattern.fullmatch(host) for pattern in denied):
            return False
        return allowed is None or any(pattern.fullmatch(host) for pattern in allowed)

    return is_good


def _globs(values: list[Any]) -> list[re.Pattern[str]]:
    texts = [value for value in values if isinstance(value, str)]
    made = [re.escape(text).replace(r"\*", ".*").replace(r"\?", ".") for text in texts]
    return [re.compile(text, re.IGNORECASE | re.DOTALL) for text in made]
