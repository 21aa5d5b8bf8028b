"""Contents of m.key.verification.… events, of any origin: read strictly, or not at all."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

REQUEST = "m.key.verification.request"
READY = "m.key.verification.ready"
START = "m.key.verification.start"
ACCEPT = "m.key.verification.accept"
KEY = "m.key.verification.key"
MAC = "m.key.verification.mac"
DONE = "m.key.verification.done"
CANCEL = "m.key.verification.cancel"
TYPES = (REQUEST, READY, START, ACCEPT, KEY, MAC, DONE, CANCEL)

SAS = "m.sas.v1"
SHOW = "m.qr_code.show.v1"
SCAN = "m.qr_code.scan.v1"
RECIPROCATE = "m.reciprocate.v1"

AGREEMENT = "curve25519-hkdf-sha256"
HASH = "sha256"
MAC_METHOD = "hkdf-hmac-sha256.v2"
# Only where the other side knows nothing better: its base64 is broken.
OLD_MAC_METHOD = "hkdf-hmac-sha256"

_REQUEST_BODY = (
    "I would like to verify that we are who we say we are. Your client does not seem to know how; "
    "use one that does."
)

Text = Annotated[str, Meta(min_length=1, max_length=512)]
Words = Annotated[list[Annotated[str, Meta(max_length=255)]], Meta(max_length=64)]


class Party(NamedTuple):
    """One device that takes part."""

    user_id: str
    device_id: str


class Message(NamedTuple):
    """Something to send; `devices`: to which of the other user's, empty in a room."""

    type: str
    content: dict[str, Any]
    devices: tuple[str, ...]


class Request(msgspec.Struct):
    """`timestamp` is that of a to-device message, ms; `to` is that of one in a room."""

    from_device: Text
    methods: Words
    timestamp: int | None = None
    to: Text | None = None


class Ready(msgspec.Struct):
    """The request is accepted."""

    from_device: Text
    methods: Words


class Start(msgspec.Struct):
    """A method begins; more of it in the structs below."""

    from_device: Text
    method: Text


class SasStart(Start):
    """What the side that starts SAS can do."""

    key_agreement_protocols: Words
    hashes: Words
    message_authentication_codes: Words
    short_authentication_string: Words


class ReciprocateStart(Start):
    """The secret of the QR code that was scanned, base64."""

    secret: Text


class Accept(msgspec.Struct):
    """What the other side chose, and the hash of the key that it will send."""

    key_agreement_protocol: Text
    hash: Text
    message_authentication_code: Text
    short_authentication_string: Words
    commitment: Text


class Key(msgspec.Struct):
    """An ephemeral Curve25519 key, base64."""

    key: Text


class Mac(msgspec.Struct):
    """MACs of keys by key id, and of the sorted list of the ids."""

    mac: Annotated[dict[Text, Text], Meta(max_length=64)]
    keys: Text


class Cancel(msgspec.Struct):
    """The end; unknown codes are taken as they are."""

    code: Annotated[str, Meta(max_length=255)] = "m.unknown"
    reason: Annotated[str, Meta(max_length=1024)] = ""


def room_request(own: Party, user_id: str, methods: list[str]) -> dict[str, Any]:
    """The content of a message that asks a user in a room."""
    return {
        "msgtype": REQUEST,
        "body": _REQUEST_BODY,
        "from_device": own.device_id,
        "methods": methods,
        "to": user_id,
    }


T = TypeVar("T")


def read(content: Any, kind: type[T]) -> T | None:
    """A content as a struct; None when it is not what it should be."""
    try:
        return msgspec.convert(content, kind)
    except (msgspec.ValidationError, RecursionError):
        return None
