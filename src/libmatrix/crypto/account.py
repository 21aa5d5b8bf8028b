"""The device's own keys: identity, one-time and fallback keys, and their upload."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
from vodozemac import Account as OlmAccount
from vodozemac import PickleException

from libmatrix.api import make_path
from libmatrix.crypto.signatures import sign
from libmatrix.errors import EncryptionError, StoreError

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto

OLM = "m.olm.v1.curve25519-aes-sha2"
MEGOLM = "m.megolm.v1.aes-sha2"
SIGNED = "signed_curve25519"
_NAME = "account"
# The private half of a fallback key that is replaced is kept until the next is made.
_FALLBACK_MS = 3_600_000


class _Kept(msgspec.Struct):
    user_id: str
    device_id: str
    pickle: str
    # The homeserver has the device keys.
    is_published: bool = False
    # One-time keys the homeserver has, as far as is known.
    key_count: int | None = None
    fallback_ms: int = 0


class _Uploaded(msgspec.Struct):
    one_time_key_counts: dict[str, int] = {}


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Kept).decode


class Account:
    """Owns vodozemac's account. Every change is kept before the homeserver hears of it."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._values = crypto.store.values
        kept = self._values.get(_NAME)
        if kept is None:
            self.olm = OlmAccount()
            self._kept = _Kept(crypto.user_id, crypto.device_id, "")
            self.save()
        else:
            self._kept = _decode(kept)
            try:
                self.olm = OlmAccount.from_pickle(self._kept.pickle, crypto.store.key)
            except PickleException:
                raise StoreError("the store's account was sealed with another key") from None
        self.ed25519 = self.olm.ed25519_key.to_base64()
        self.curve25519 = self.olm.curve25519_key.to_base64()
        self._needs_fallback = False
        self._device_keys: dict[str, Any] | None = None

    @property
    def owner(self) -> tuple[str, str]:
        """User and device the keys were made for."""
        return self._kept.user_id, self._kept.device_id

    @property
    def is_published(self) -> bool:
        """Whether the homeserver has the device keys."""
        return self._kept.is_published

    def adopt(self, olm: OlmAccount, is_published: bool) -> bool:
        """Goes on with an account of another program's; whether there is still time for that."""
        if self._kept.is_published:
            return False
        self.olm = olm
        self.ed25519 = olm.ed25519_key.to_base64()
        self.curve25519 = olm.curve25519_key.to_base64()
        self._device_keys = None
        self._kept.is_published = is_published
        self._kept.key_count = None
        self.save()
        return True

    def save(self) -> None:
        """Keeps what changed, with the next write."""
        self._kept.pickle = self.olm.pickle(self._crypto.store.key)
        self._values.put(_NAME, "", _encode(self._kept))

    def device_keys(self) -> dict[str, Any]:
        """The device keys as others see them, signed by the device. Not to be changed."""
        if self._device_keys is None:
            self._device_keys = self._make_device_keys()
        return self._device_keys

    def _make_device_keys(self) -> dict[str, Any]:
        user_id, device_id = self.owner
        keys = {
            "user_id": user_id,
            "device_id": device_id,
            "algorithms": [OLM, MEGOLM],
            "keys": {
                f"curve25519:{device_id}": self.curve25519,
                f"ed25519:{device_id}": self.ed25519,
            },
        }
        return self.sign(keys)

    def sign(self, obj: dict[str, Any]) -> dict[str, Any]:
        """A copy of a JSON object with this device's signature."""
        user_id, device_id = self.owner
        return sign(self.olm, obj, user_id, f"ed25519:{device_id}")

    # -- what the homeserver has --------------------------------------------------------------

    def take_counts(self, counts: dict[str, Any] | None, unused: list[Any] | None) -> None:
        """What a sync says of the keys left; a kind that it does not name has none left."""
        if counts is not None:
            count = counts.get(SIGNED, 0)
            if type(count) is int and count != self._kept.key_count:
                self._kept.key_count = max(count, 0)
                self.save()
        if unused is not None:
            age_ms = _now_ms() - self._kept.fallback_ms
            self._needs_fallback = SIGNED not in unused and not 0 <= age_ms < _FALLBACK_MS

    @property
    def needs_upload(self) -> bool:
        """Whether the homeserver lacks keys."""
        kept = self._kept
        return not kept.is_published or self._needs_fallback or self._missing() > 0

    def _missing(self) -> int:
        count = self._kept.key_count
        most = self.olm.max_number_of_one_time_keys
        if not self._kept.is_published:
            # Whatever the homeserver has counted, it was not these.
            return most
        if count is None:
            # Of an account that was taken over the next sync says how many there are.
            return 0
        return max(most - count, 0)

    async def upload(self) -> None:
        """Gives the homeserver what it lacks; the same again when it is not known to have come."""
        body: dict[str, Any] = {}
        if not self._kept.is_published:
            await self._require_own_name()
            body["device_keys"] = self.device_keys()
            self._needs_fallback = True
        # Those made before and never confirmed are sent again as they are.
        more = self._missing() - len(self.olm.one_time_keys)
        if more > 0:
            self.olm.generate_one_time_keys(more)
        if self._needs_fallback and not self._fallback():
            # Its stub leaves the two out.
            self.olm.generate_fallback_key()  # type: ignore[attr-defined]
        body["one_time_keys"] = self._signed(self.olm.one_time_keys)
        body["fallback_keys"] = self._signed(self._fallback(), fallback=True)
        self.save()
        self._crypto.store.flush()
        path = make_path("keys", "upload")
        answer = await self._crypto.client.api.post(_Uploaded, path, body)
        self._published(answer, has_fallback=bool(body["fallback_keys"]))

    def _published(self, answer: _Uploaded, *, has_fallback: bool) -> None:
        self.olm.mark_keys_as_published()
        self._kept.is_published = True
        self._kept.key_count = answer.one_time_key_counts.get(SIGNED, 0)
        if has_fallback:
            self._needs_fallback = False
            self._kept.fallback_ms = _now_ms()
        self.save()
        self._crypto.store.flush()

    def _fallback(self) -> dict[str, Any]:
        """A fallback key that is not published yet."""
        return dict(self.olm.fallback_key)  # type: ignore[attr-defined]

    def _signed(self, keys: dict[str, Any], *, fallback: bool = False) -> dict[str, Any]:
        mark = {"fallback": True} if fallback else {}
        return {
            f"{SIGNED}:{key_id}": self.sign({"key": key.to_base64(), **mark})
            for key_id, key in keys.items()
        }

    async def _require_own_name(self) -> None:
        """Raises when the device has keys that are not in this store: nobody would trust both."""
        user_id, device_id = self.owner
        found = (await self._crypto.devices.ask(user_id)).get(device_id)
        if found is None:
            return
        keys = found.get("keys") if isinstance(found, dict) else None
        if isinstance(keys, dict) and keys.get(f"ed25519:{device_id}") == self.ed25519:
            return
        raise EncryptionError(
            "this device has keys already, and they are not in this store; log in as a new device"
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
