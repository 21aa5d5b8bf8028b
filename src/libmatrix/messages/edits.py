"""Edits: what may be replaced, by what, and who is to be notified of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from libmatrix.encryption import is_encrypted
from libmatrix.errors import ArgumentError
from libmatrix.events.record import ENCRYPTED, came_encrypted
from libmatrix.messages.content import (
    MENTIONS,
    NEW_CONTENT,
    RELATION,
    mention,
    mentioned,
    set_text,
    text_content,
)
from libmatrix.messages.fetched import bundled, content_of, fetch_original, make_records
from libmatrix.sync.subscriptions import MESSAGE

if TYPE_CHECKING:
    from libmatrix.client import Client
    from libmatrix.table_gen import EditMessageArguments, Event

_TEXTS = ("m.text", "m.notice", "m.emote")
_REPLACE = "m.replace"
# Messages of each client that can be edited without asking the homeserver for them.
_MOST_KEPT = 256


class Original(NamedTuple):
    """What an edit has to know of the message that it replaces."""

    event_id: str
    msgtype: str
    user_ids: frozenset[str]
    room: bool
    # Of what is more than text: all that stays.
    content: dict[str, Any] | None = None


_kept: WeakKeyDictionary[Client, OrderedDict[tuple[str, str], Original]] = WeakKeyDictionary()


def keep(client: Client, room_id: str, event_id: str, content: dict[str, Any]) -> None:
    """Keeps what an edit of a text that was just sent will ask for."""
    user_ids, room = mentioned(content)
    _remember(client, room_id, Original(event_id, content["msgtype"], frozenset(user_ids), room))


def _remember(client: Client, room_id: str, original: Original) -> None:
    kept = _kept.setdefault(client, OrderedDict())
    kept[room_id, original.event_id] = original
    kept.move_to_end((room_id, original.event_id))
    if len(kept) > _MOST_KEPT:
        kept.popitem(last=False)


def forget(client: Client, room_id: str, event_id: str) -> Original | None:
    """Has the next edit of a message ask the homeserver for it; what was kept."""
    return _kept.get(client, OrderedDict()).pop((room_id, event_id), None)


async def find_original(client: Client, room_id: str, event_id: str) -> Original:
    """The message that is to be edited; raises when it cannot be."""
    found = _kept.get(client, OrderedDict()).get((room_id, event_id))
    if found is not None:
        return found
    event = await fetch_original(client, room_id, event_id)
    _require_editable(event)
    content = content_of(event)
    msgtype = event.msgtype or "m.text"
    newest = _newest_content(client, room_id, event) or content
    user_ids, room = mentioned(newest)
    original = Original(event.event_id, msgtype, frozenset(user_ids), room)
    if msgtype in _TEXTS:
        return original
    if not came_encrypted(event) and await is_encrypted(client, room_id):
        # What stays of it would go out as if this user had said it.
        raise ArgumentError("event_id: it is not encrypted, in a room that is")
    return original._replace(content=newest)


def _require_editable(event: Event) -> None:
    if not event.is_own:
        raise ArgumentError("event_id: only the user's own messages can be edited")
    if event.type != MESSAGE or event.state_key is not None:
        raise ArgumentError("event_id: only messages can be edited")
    if event.is_redacted:
        raise ArgumentError("event_id: the message was redacted")


def _newest_content(client: Client, room_id: str, event: Event) -> dict[str, Any] | None:
    """What an edit has already made of a message."""
    raw = bundled(event, _REPLACE)
    if raw is None:
        return None
    for edit in make_records(client, room_id, [raw], event.sender):
        new = content_of(edit).get(NEW_CONTENT)
        if isinstance(new, dict) and is_valid(event, edit):
            return new
    return None


def is_valid(original: Event, edit: Event) -> bool:
    """Whether an edit counts, by the specification's rules."""
    return (
        edit.replaces == original.event_id
        and edit.sender == original.sender
        and edit.type == original.type
        # What is not encrypted, or was not decrypted, may say what the homeserver likes.
        and edit.type != ENCRYPTED
        and (came_encrypted(edit) or not came_encrypted(original))
        and original.state_key is None
        and original.replaces is None
        and NEW_CONTENT in content_of(edit)
    )


def edit_content(original: Original, arguments: EditMessageArguments) -> dict[str, Any]:
    """The content of an edit: the new one, and a text for clients that know no edits."""
    new = _new_content(original, arguments)
    mention(new, arguments.mentions, room=arguments.mentions_room)
    content = {key: value for key, value in new.items() if key not in (RELATION, MENTIONS)}
    content["body"] = f"* {new['body']}"
    if "formatted_body" in new:
        content["formatted_body"] = f"* {new['formatted_body']}"
    # Who was mentioned before was notified before.
    added = [each for each in arguments.mentions or () if each not in original.user_ids]
    mention(content, added, room=arguments.mentions_room and not original.room)
    content[NEW_CONTENT] = new
    content[RELATION] = {"rel_type": _REPLACE, "event_id": original.event_id}
    return content


def _new_content(original: Original, arguments: EditMessageArguments) -> dict[str, Any]:
    text, html, markdown = arguments.body, arguments.html, arguments.markdown
    if original.content is None:
        kind = arguments.kind or original.msgtype.removeprefix("m.")
        return text_content(kind, text, html, markdown=markdown)
    if arguments.kind is not None:
        raise ArgumentError("kind: a picture or a file stays what it is; body is its caption")
    new = dict(original.content)
    new.pop(RELATION, None)
    # Beside a filename, body is the caption; without one it was the name.
    new.setdefault("filename", new.get("body", ""))
    set_text(new, text, html, markdown=markdown)
    return new


@contextmanager
def edited(
    client: Client, room_id: str, original: Original, arguments: EditMessageArguments
) -> Iterator[None]:
    """Keeps what the next edit has to know, unless this one fails in the `with` block."""
    if original.content is not None:
        yield
        return
    kind = f"m.{arguments.kind}" if arguments.kind else original.msgtype
    user_ids = original.user_ids | frozenset(arguments.mentions or ())
    room = original.room or arguments.mentions_room
    kept = Original(original.event_id, kind, user_ids, room)
    _remember(client, room_id, kept)
    try:
        yield
    except BaseException:
        # It has notified nobody; where another edit counts on it, the next one has to ask.
        if forget(client, room_id, kept.event_id) is kept:
            _remember(client, room_id, original)
        raise
