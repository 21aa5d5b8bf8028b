"""Servers that others can join a room through ("Routing" in the specification's appendices)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from libmatrix.errors import HomeserverError
from libmatrix.events.head import content
from libmatrix.identifiers import server_of
from libmatrix.rooms.members import list_members
from libmatrix.rooms.permissions import Permissions, read_permissions
from libmatrix.rooms.state_events import find_content

if TYPE_CHECKING:
    from libmatrix.client import Client

_MOST = 3
_HIGH = 50
_LARGE = 1_000
_ADDRESS = re.compile(r"\[.*\](:\d+)?|\d+\.\d+\.\d+\.\d+(:\d+)?")


class _ServerAcl(msgspec.Struct, gc=False):
    allow: Any = None
    deny: Any = None


async def via_servers(client: Client, room_id: str) -> list[str]:
    """At most three: that of who stands highest, then those with the most members.

    Of a room that the user is not in: the user's own server, and the one that the id names.
    """
    try:
        joined = await _joined(client, room_id)
        levels = await read_permissions(client, room_id)
        rules = await find_content(client, room_id, "m.room.server_acl", "")
    except HomeserverError as error:
        if error.http_status not in (403, 404):
            raise
        known = (server_of(await client.syncer.user_id()), server_of(room_id))
        return list(dict.fromkeys(server for server in known if server))
    is_good = _checker(content(rules, _ServerAcl) if rules else _ServerAcl())
    counted = Counter(server_of(user_id) or "" for user_id in joined)
    by_count = [server for server, _ in counted.most_common()]
    servers = dict.fromkeys([_highest(joined, levels) or "", *by_count])
    # No more of them are looked at than it takes: the rules of a room may be many.
    return list(islice(filter(is_good, servers), _MOST))


async def _joined(client: Client, room_id: str) -> list[str]:
    """Who has joined; of a large room those that are known, for that is enough."""
    state = client.state
    room = state.rooms.get(room_id)
    if room is not None and room.membership == "join" and room.joined > _LARGE:
        known = {user: member.membership for user, member in state.members(room_id).items()}
    else:
        members = await list_members(client, room_id)
        known = {member.user_id: member.membership for member in members}
    return [user_id for user_id, membership in known.items() if membership == "join"]


def _highest(joined: list[str], levels: Permissions) -> str | None:
    """The server of the member with the highest level, if that is high."""
    found = [(_level(levels, user_id), user_id) for user_id in joined]
    level, user_id = max(found, default=(0.0, ""), key=lambda each: each[0])
    return server_of(user_id) if level >= _HIGH else None


def _level(levels: Permissions, user_id: str) -> float:
    level = levels.level(user_id)
    return float("inf") if level is None else level


def _checker(rules: _ServerAcl) -> Callable[[str], bool]:
    """Whether others may be sent to a server: it has a name, and the room does not keep it out."""
    allowed = _pattern(rules.allow) if isinstance(rules.allow, list) else None
    denied = _pattern(rules.deny) if isinstance(rules.deny, list) else None

    def is_good(server: str) -> bool:
        if not server or _ADDRESS.fullmatch(server):
            return False
        host = re.sub(r":\d+$", "", server)
        if denied is not None and denied.fullmatch(host):
            return False
        return allowed is None or allowed.fullmatch(host) is not None

    return is_good


def _pattern(globs: list[Any]) -> re.Pattern[str]:
    """What matches names that one of the globs does."""
    texts = (_expression(glob) for glob in globs if isinstance(glob, str))
    return re.compile("|".join(texts), re.IGNORECASE | re.DOTALL)


def _expression(glob: str) -> str:
    """A glob as a regular expression that never goes back, whatever a room's admin wrote."""
    parts = [re.escape(part).replace(r"\?", ".") for part in re.split(r"\*+", glob)]
    if len(parts) == 1:
        return parts[0]
    first, *middle, last = parts
    # What is between two stars is taken where it comes first, for good.
    return first + "".join(f"(?>.*?{part})" for part in middle) + ".*" + last
