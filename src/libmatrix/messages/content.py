"""Content of the events that messages are: text, relations, mentions."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw

from libmatrix.errors import BROKEN_JSON, ArgumentError, MatrixError
from libmatrix.identifiers import check_mxc
from libmatrix.messages.rich_text import clean_html, render_markdown

MENTIONS = "m.mentions"
RELATION = "m.relates_to"
NEW_CONTENT = "m.new_content"
_HTML = "org.matrix.custom.html"

# A whole event has no more bytes, so that longer texts need no look.
_MOST_BYTES = 65_536
_MOST_KEY_BYTES = 255
_USER_ID = re.compile(r"@[^:\0]*:[^\0]+", re.DOTALL)

Content = dict[str, Any]


def text_content(
    kind: str, body: str, html: str | None = None, *, markdown: bool = False
) -> Content:
    """A text, a notice or an emote, without relations and mentions."""
    require_small("body", body)
    content: Content = {"msgtype": f"m.{kind}", "body": body}
    set_text(content, body, html, markdown=markdown)
    return content


def set_text(content: Content, body: str, html: str | None, *, markdown: bool) -> None:
    """Puts a text, and the same in HTML, into a content. Raises `ArgumentError`."""
    if markdown:
        if html is not None:
            raise ArgumentError("html: markdown makes it; only one of them can be given")
        html = render_markdown(body)
    elif html is not None:
        require_small("html", html)
        html = clean_html(html)
    content["body"] = body
    content.pop("format", None)
    content.pop("formatted_body", None)
    if html is not None:
        content["format"] = _HTML
        content["formatted_body"] = html


def require_small(name: str, text: str) -> None:
    """Raises when a text alone is larger than any event."""
    if len(text) > _MOST_BYTES or len(text.encode()) > _MOST_BYTES:
        raise MatrixError(f"{name}: an event has at most {_MOST_BYTES} bytes", code="E_TOO_LARGE")


def mention(content: Content, user_ids: list[str] | None, *, room: bool = False) -> None:
    """Says whom a content mentions, also when it is nobody: then nobody is notified by chance.

    Raises `ArgumentError`.
    """
    mentions: Content = {}
    for user_id in user_ids or ():
        if not _USER_ID.fullmatch(user_id):
            raise ArgumentError("mentions: a user id is like @user:server")
    if user_ids:
        mentions["user_ids"] = list(dict.fromkeys(user_ids))
    if room:
        mentions["room"] = True
    content[MENTIONS] = mentions


def mentioned(content: Content) -> tuple[list[str], bool]:
    """Whom a content mentions: users, and whether the room."""
    mentions = content.get(MENTIONS)
    if not isinstance(mentions, dict):
        return [], False
    user_ids = mentions.get("user_ids")
    found = user_ids if isinstance(user_ids, list) else []
    return [each for each in found if isinstance(each, str)], mentions.get("room") is True


def relate(
    content: Content, thread_id: str | None, reply_to: str | None, newest: str | None = None
) -> None:
    """Puts an event into a thread, makes it a reply, or both.

    `newest` is the newest event of the thread, if it is known.
    """
    relation: Content = {}
    if thread_id is not None:
        # Clients without threads show it as a reply.
        relation = {"rel_type": "m.thread", "event_id": thread_id}
        relation["is_falling_back"] = reply_to is None
    target = reply_to or newest or thread_id
    if target is not None:
        relation["m.in_reply_to"] = {"event_id": target}
        content[RELATION] = relation


def reference(content: Content, event_id: str) -> None:
    """Makes an event speak about another."""
    content[RELATION] = {"rel_type": "m.reference", "event_id": event_id}


def reaction(event_id: str, key: str) -> Content:
    """A reaction to an event. Raises `ArgumentError`."""
    if not 0 < len(key.encode()) <= _MOST_KEY_BYTES:
        raise ArgumentError(f"key: must have 1 to {_MOST_KEY_BYTES} bytes")
    return {RELATION: {"rel_type": "m.annotation", "event_id": event_id, "key": key}}


def location(body: str, geo_uri: str) -> Content:
    """A place on Earth. Raises `ArgumentError`."""
    if not geo_uri.lower().startswith("geo:"):
        raise ArgumentError("geo_uri: must be like geo:51.5008,0.1247")
    require_small("body", body)
    return {"msgtype": "m.location", "body": body, "geo_uri": geo_uri}


def sticker(body: str, url: str, info: Raw) -> Content:
    """A sticker. Raises `ArgumentError`."""
    check_mxc(url, "url")
    require_small("body", body)
    return {"body": body, "url": url, "info": read_map("info", info) if info else {}}


def read_map(name: str, value: Raw) -> Content:
    """JSON that a host gave, which must be a map. Raises `ArgumentError`."""
    try:
        return msgspec.json.decode(value, type=dict[str, Any])
    except BROKEN_JSON:
        raise ArgumentError(f"{name}: must be a map") from None
