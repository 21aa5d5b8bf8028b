"""Sending messages, and what is said about them: edits, reactions, redactions."""

from __future__ import annotations

from typing import Any

from libmatrix.client import Client
from libmatrix.errors import ArgumentError
from libmatrix.identifiers import check_event_id
from libmatrix.messages.content import (
    Content,
    location,
    mention,
    reaction,
    read_map,
    sticker,
    text_content,
)
from libmatrix.messages.edits import edit_content, edited, find_original, forget, keep
from libmatrix.messages.fetched import fetch_original
from libmatrix.messages.related import send_related
from libmatrix.sending import redact as send_redaction
from libmatrix.sending import send_event as send
from libmatrix.sync.subscriptions import MESSAGE, REDACTION
from libmatrix.table_gen import (
    EditMessageArguments,
    EditMessageResult,
    RedactArguments,
    RedactResult,
    SendEmoteArguments,
    SendEmoteResult,
    SendEventArguments,
    SendEventResult,
    SendLocationArguments,
    SendLocationResult,
    SendMarkdownArguments,
    SendMarkdownResult,
    SendNoticeArguments,
    SendNoticeResult,
    SendReactionArguments,
    SendReactionResult,
    SendReplyArguments,
    SendReplyResult,
    SendStickerArguments,
    SendStickerResult,
    SendTextArguments,
    SendTextResult,
)

# What the specification defines as state. Homeservers take some of it as messages, to no effect,
# and fail at the rest.
_STATE = frozenset(
    """m.room.aliases m.room.avatar m.room.canonical_alias m.room.create m.room.encryption
    m.room.guest_access m.room.history_visibility m.room.join_rules m.room.member m.room.name
    m.room.pinned_events m.room.power_levels m.room.server_acl m.room.third_party_invite
    m.room.tombstone m.room.topic m.space.child m.space.parent""".split()
)


async def send_text(client: Client, arguments: SendTextArguments) -> SendTextResult:
    """Sends a text message."""
    content = text_content("text", arguments.body, arguments.html)
    return SendTextResult(event_id=await _send_message(client, arguments, content))


async def send_notice(client: Client, arguments: SendNoticeArguments) -> SendNoticeResult:
    """Sends a notice."""
    content = text_content("notice", arguments.body, arguments.html)
    return SendNoticeResult(event_id=await _send_message(client, arguments, content))


async def send_emote(client: Client, arguments: SendEmoteArguments) -> SendEmoteResult:
    """Sends an emote."""
    content = text_content("emote", arguments.body, arguments.html)
    return SendEmoteResult(event_id=await _send_message(client, arguments, content))


async def send_markdown(client: Client, arguments: SendMarkdownArguments) -> SendMarkdownResult:
    """Sends Markdown."""
    content = text_content(arguments.kind, arguments.body, markdown=True)
    return SendMarkdownResult(event_id=await _send_message(client, arguments, content))


async def send_reply(client: Client, arguments: SendReplyArguments) -> SendReplyResult:
    """Answers an event in its thread."""
    room_id = arguments.room_id
    content = text_content(
        arguments.kind, arguments.body, arguments.html, markdown=arguments.markdown
    )
    # An edit cannot be answered, and is in no thread; its message can.
    answered = await fetch_original(client, room_id, arguments.event_id)
    user_ids = list(arguments.mentions or ())
    if arguments.mention_sender and not answered.is_own:
        user_ids.insert(0, answered.sender)
    mention(content, user_ids, room=arguments.mentions_room)
    sent = await send_related(
        client,
        room_id,
        MESSAGE,
        content,
        thread_id=answered.thread_id,
        reply_to=answered.event_id,
        txn_id=arguments.txn_id,
    )
    keep(client, room_id, sent, content)
    return SendReplyResult(event_id=sent)


async def edit_message(client: Client, arguments: EditMessageArguments) -> EditMessageResult:
    """Replaces the text of a message of the user's own."""
    room_id = arguments.room_id
    original = await find_original(client, room_id, arguments.event_id)
    content = edit_content(original, arguments)
    # Before the first wait, so that the edit that comes after this one knows it.
    with edited(client, room_id, original, arguments):
        event_id = await send(client, room_id, MESSAGE, content, txn_id=arguments.txn_id)
    return EditMessageResult(event_id=event_id)


async def send_reaction(client: Client, arguments: SendReactionArguments) -> SendReactionResult:
    """Reacts to an event."""
    check_event_id(arguments.event_id)
    content = reaction(arguments.event_id, arguments.key)
    room_id, txn_id = arguments.room_id, arguments.txn_id
    event_id = await send(client, room_id, "m.reaction", content, txn_id=txn_id)
    return SendReactionResult(event_id=event_id)


async def redact(client: Client, arguments: RedactArguments) -> RedactResult:
    """Empties an event."""
    # Homeservers take what is no id, and empty nothing.
    check_event_id(arguments.event_id)
    event_id = await send_redaction(
        client,
        arguments.room_id,
        arguments.event_id,
        reason=arguments.reason,
        txn_id=arguments.txn_id,
    )
    forget(client, arguments.room_id, arguments.event_id)
    return RedactResult(event_id=event_id)


async def send_location(client: Client, arguments: SendLocationArguments) -> SendLocationResult:
    """Sends a place."""
    content = location(arguments.body, arguments.geo_uri)
    return SendLocationResult(event_id=await _send_related(client, arguments, MESSAGE, content))


async def send_sticker(client: Client, arguments: SendStickerArguments) -> SendStickerResult:
    """Sends a sticker."""
    content = sticker(arguments.body, arguments.url, arguments.info)
    return SendStickerResult(event_id=await _send_related(client, arguments, "m.sticker", content))


async def send_event(client: Client, arguments: SendEventArguments) -> SendEventResult:
    """Sends an event of any type."""
    if arguments.type in _STATE:
        raise ArgumentError(f"type: {arguments.type} is state, which send_state_event sets")
    if arguments.type == REDACTION:
        raise ArgumentError(f"type: redact sends {REDACTION}")
    if not arguments.type:
        raise ArgumentError("type: must not be empty")
    content = read_map("content", arguments.content)
    event_id = await send(
        client, arguments.room_id, arguments.type, content, txn_id=arguments.txn_id
    )
    return SendEventResult(event_id=event_id)


async def _send_message(client: Client, arguments: Any, content: Content) -> str:
    """Sends a text with the relations and mentions that the arguments ask for."""
    event_id = await _send_related(client, arguments, MESSAGE, content)
    keep(client, arguments.room_id, event_id, content)
    return event_id


async def _send_related(client: Client, arguments: Any, event_type: str, content: Content) -> str:
    mention(content, arguments.mentions, room=arguments.mentions_room)
    return await send_related(
        client,
        arguments.room_id,
        event_type,
        content,
        thread_id=arguments.thread_id,
        reply_to=arguments.reply_to,
        txn_id=arguments.txn_id,
    )
