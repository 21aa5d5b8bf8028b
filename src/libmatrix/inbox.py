"""Reads what the hosts have sent."""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

# kind, context, client, target, name, body
Message = tuple[str, int, int, int, str, Raw]

_decode = msgspec.json.Decoder(list[Message]).decode

_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_HEAD = re.compile(rb'\[\s*"(\w+)",\s*(\d+),\s*(\d+),\s*(\d+),\s*"(\w*)",\s*')


def read_messages(batch: bytes) -> list[Message]:
    """The messages of a batch. A body that cannot be read is left to who handles its message.

    Raises when it cannot even be told whose body that is.
    """
    try:
        return _decode(batch)
    except Exception:
        messages = _split(batch)
        if messages is None:
            raise
        return messages


def _split(batch: bytes) -> list[Message] | None:
    """The same by looking at brackets, however deep they are nested; None when they do not fit."""
    messages: list[Message] = []
    depth = start = 0
    for token in _TOKENS.finditer(batch):
        if token[0] in b"[{":
            depth += 1
            if depth == 2:
                start = token.start()
        elif token[0] in b"]}":
            depth -= 1
            if depth == 1:
                head = _HEAD.match(batch, start, token.start())
                if head is None:
                    return None
                body = Raw(batch[head.end() : token.start()])
                kind, context, client, target, name = head.groups()
                numbers = int(context), int(client), int(target)
                messages.append((kind.decode(), *numbers, name.decode(), body))
    return messages if messages and depth == 0 else None
