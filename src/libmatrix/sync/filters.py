"""The filters of a client's syncs: told once, kept by the homeserver, named by id from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from libmatrix.api import make_path
from libmatrix.errors import (
    HomeserverError,
    MatrixError,
    NotLoggedInError,
    UnknownTokenError,
    map_error,
)
from libmatrix.tasks import time_limit

if TYPE_CHECKING:
    from libmatrix.client import Client

# Members are sent when they speak, which makes first syncs several times smaller.
_DEFAULT = '{"room":{"state":{"lazy_load_members":true}}}'
# Beyond that a filter does not fit into a URL everywhere.
_LONGEST_IN_QUERY = 1_500
_MOST_TELLS = 3
_LONGEST_SECONDS = 10.0


class _Kept(msgspec.Struct):
    filter_id: str


class Filters:
    """Which filters the homeserver keeps for a client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        # How often each was told; one that does not stay is told no more.
        self._told: dict[str, int] = {}

    def query(self, wanted: Raw) -> str:
        """What a sync says of its filter: the id if it has one, else all of it."""
        text = _text(wanted)
        return self._client.state.filter_ids.get(text, text)

    async def keep(self, wanted: Raw, *, only_long: bool = False) -> None:
        """Has the homeserver keep a filter, unless it does; its refusal only goes to the log."""
        text = _text(wanted)
        if only_long and len(text) <= _LONGEST_IN_QUERY:
            return
        client = self._client
        told = self._told.get(text, 0)
        if text in client.state.filter_ids or told >= _MOST_TELLS or not text.startswith("{"):
            return
        self._told[text] = told + 1
        try:
            # A long poll is worth more than a short query.
            async with time_limit(_LONGEST_SECONDS):
                filter_id = await upload(client, Raw(text.encode()))
            client.state.keep_filter(text, filter_id)
        except (NotLoggedInError, UnknownTokenError):
            raise
        except (MatrixError, TimeoutError) as error:
            failure = map_error(error)
            text = f"the filter is not kept: {failure.message}"
            client.log.record("warning", "sync", text, failure.code)

    def has_lost(self, wanted: Raw, error: MatrixError) -> bool:
        """Whether a sync failed because the homeserver forgot its filter; it is told again."""
        if not isinstance(error, HomeserverError) or error.http_status not in (400, 404):
            return False
        return self._client.state.forget_filter(_text(wanted))


async def upload(client: Client, wanted: Raw) -> str:
    """Has the homeserver keep a filter; its id."""
    path = make_path("user", await client.syncer.user_id(), "filter")
    return (await client.api.post(_Kept, path, wanted)).filter_id


def _text(wanted: Raw) -> str:
    """The filter given, the id of one or JSON; else ours."""
    if not wanted:
        return _DEFAULT
    text = bytes(wanted)
    return str(msgspec.json.decode(text, type=str)) if text.startswith(b'"') else text.decode()
