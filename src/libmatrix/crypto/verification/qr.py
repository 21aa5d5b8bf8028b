"""What is in a QR code, and the steps of a verification that one is scanned in."""

from __future__ import annotations

import hmac
import os
import struct
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from libmatrix.crypto.signatures import decode_base64, encode_base64
from libmatrix.crypto.verification import contents
from libmatrix.errors import ArgumentError

if TYPE_CHECKING:
    from libmatrix.crypto.verification.flow import Verification
    from libmatrix.crypto.verification.keys import Keys

# Between two users; between devices of one, shown by the one that trusts the master key, or not.
Mode = Literal[0, 1, 2]

_MAGIC = b"MATRIX\x02"
_SECRET = 16
_KEY = 32
_MOST = 4_096


class Code(NamedTuple):
    """The contents of a QR code. Keys are base64, the secret any bytes."""

    mode: Mode
    verification_id: str
    first_key: str
    second_key: str
    secret: bytes


def encode(code: Code) -> bytes:
    """The bytes to show as a QR code, in one segment of byte mode."""
    name = code.verification_id.encode()
    head = _MAGIC + bytes((code.mode,)) + struct.pack(">H", len(name)) + name
    return head + decode_base64(code.first_key) + decode_base64(code.second_key) + code.secret


def decode(data: bytes) -> Code:
    """The contents of what was scanned; raises ArgumentError for any other QR code."""
    start = len(_MAGIC) + 3
    if not data.startswith(_MAGIC) or not start <= len(data) <= _MOST or data[7] > 2:
        raise ArgumentError("data: is no QR code of a verification")
    end = start + struct.unpack(">H", data[8:10])[0]
    secret = data[end + 2 * _KEY :]
    if not secret:
        raise ArgumentError("data: the QR code is too short")
    try:
        name = data[start:end].decode()
    except UnicodeDecodeError:
        raise ArgumentError("data: is no QR code of a verification") from None
    first, second = data[end : end + _KEY], data[end + _KEY : end + 2 * _KEY]
    mode: Mode = 0 if data[7] == 0 else 1 if data[7] == 1 else 2
    return Code(mode, name, encode_base64(first), encode_base64(second), secret)


class _Ends(NamedTuple):
    """The keys of both sides that a code of one mode speaks of: the shower's first."""

    mine: str | None
    theirs: str | None


def _shown(flow: Verification, mode: Mode) -> _Ends:
    """What this side puts into a code."""
    keys = flow.keys
    if mode == 0:
        return _Ends(keys.master(flow.own.user_id), keys.master(flow.user_id))
    if mode == 1:
        return _Ends(keys.master(flow.own.user_id), _device_key(keys, flow))
    return _Ends(keys.own()["ed25519:" + flow.own.device_id], keys.master(flow.own.user_id))


def _expected(flow: Verification, mode: Mode) -> _Ends:
    """What must be in a code of the other side."""
    keys = flow.keys
    if mode == 0:
        return _Ends(keys.master(flow.user_id), keys.master(flow.own.user_id))
    if mode == 1:
        own = keys.own()["ed25519:" + flow.own.device_id]
        return _Ends(keys.master(flow.own.user_id), own)
    return _Ends(_device_key(keys, flow), keys.master(flow.own.user_id))


def _device_key(keys: Keys, flow: Verification) -> str | None:
    return keys.other(flow.party).get("ed25519:" + flow.party.device_id)


class ShownCode:
    """A code that this side shows."""

    def __init__(self, flow: Verification) -> None:
        """Raises ArgumentError where the keys for it are not known."""
        self._flow = flow
        mode: Mode = 0 if not flow.is_own_user else 1 if flow.keys.trusts_own() else 2
        if mode == 0 and not flow.keys.trusts_own():
            raise ArgumentError("this device does not trust its own user's master key")
        ends = _shown(flow, mode)
        if ends.mine is None or ends.theirs is None:
            raise ArgumentError("there are no cross-signing keys to verify")
        self._secret = os.urandom(_SECRET)
        self.code = Code(mode, flow.id, ends.mine, ends.theirs, self._secret)

    def take_start(self, start: contents.ReciprocateStart) -> bool:
        """Whether who starts has seen the code."""
        try:
            secret = decode_base64(start.secret)
        except ValueError:
            return False
        return hmac.compare_digest(secret, self._secret)

    def verified(self) -> dict[str, str]:
        """What is proven when the host has confirmed that the other side accepted the code."""
        key = self.code.second_key
        if self.code.mode == 1:
            return {"ed25519:" + self._flow.party.device_id: key}
        return {"ed25519:" + key: key}


def check_scanned(flow: Verification, data: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """A code of the other side: the start message that answers it, and the keys that it proves.

    Raises ArgumentError for a code of something else; gives no keys when those in it are wrong.
    """
    code = decode(data)
    if code.verification_id != flow.id:
        raise ArgumentError("data: the QR code is of another verification")
    if (code.mode == 0) is flow.is_own_user:
        raise ArgumentError("data: the QR code is not for this user")
    ends = _expected(flow, code.mode)
    is_right = (code.first_key, code.second_key) == (ends.mine, ends.theirs)
    if code.mode != 1:
        # Otherwise one's own half could be anybody's.
        is_right = is_right and flow.keys.trusts_own()
    own_half = "ed25519:" + (flow.party.device_id if code.mode == 2 else code.first_key)
    start = {
        "from_device": flow.own.device_id,
        "method": contents.RECIPROCATE,
        "secret": encode_base64(code.secret),
    }
    return start, {own_half: code.first_key} if is_right else {}
