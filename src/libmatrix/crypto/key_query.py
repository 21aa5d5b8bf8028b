"""What /keys/query says, checked: device keys and cross-signing keys (specification, e2ee)."""

from __future__ import annotations

from typing import Any

from libmatrix.crypto.records import Device, Identity, encode, public_key
from libmatrix.crypto.signatures import verify_signature

_LONGEST_NAME = 500
_LONGEST_ID = 255
# Of the keys of a device, and of one cross-signing key, which all own devices may have signed.
_MOST_DEVICE_BYTES = 20_000
_MOST_KEY_BYTES = 200_000


def read_device(
    user_id: str, device_id: str, raw: Any, identity: Identity | None = None
) -> Device | None:
    """A device whose keys are whole, its own and signed by itself; else None."""
    if not isinstance(raw, dict):
        return None
    keys, algorithms = raw.get("keys"), raw.get("algorithms")
    if raw.get("user_id") != user_id or raw.get("device_id") != device_id:
        return None
    if not isinstance(keys, dict) or not isinstance(algorithms, list):
        return None
    key_id = f"ed25519:{device_id}"
    ed25519, curve25519 = keys.get(key_id), keys.get(f"curve25519:{device_id}")
    if not isinstance(ed25519, str) or not isinstance(curve25519, str):
        return None
    said = {name: value for name, value in raw.items() if name != "unsigned"}
    if len(device_id) > _LONGEST_ID or len(encode(said)) > _MOST_DEVICE_BYTES:
        return None
    if not verify_signature(raw, user_id, key_id, ed25519):
        return None
    return Device(
        user_id=user_id,
        device_id=device_id,
        ed25519=ed25519,
        curve25519=curve25519,
        algorithms=[name for name in algorithms if isinstance(name, str)],
        display_name=_display_name(raw),
        keys=said,
        is_cross_signed=is_cross_signed(raw, identity),
    )


def is_cross_signed(device: dict[str, Any], identity: Identity | None) -> bool:
    """Whether the owner's self-signing key signed a device object."""
    key = identity.self_signing_key if identity is not None else None
    if identity is None or key is None:
        return False
    return verify_signature(device, identity.user_id, f"ed25519:{key}", key)


def read_identity(
    user_id: str, master: Any, self_signing: Any, user_signing: Any
) -> Identity | None:
    """The cross-signing keys of a user: the master, and those that it signed."""
    if not _is_key(master, user_id, "master"):
        return None
    key = public_key(master)
    if key is None:
        return None

    def signed(obj: Any, usage: str) -> dict[str, Any] | None:
        is_sound = _is_key(obj, user_id, usage) and public_key(obj) is not None
        return obj if is_sound and verify_signature(obj, user_id, f"ed25519:{key}", key) else None

    return Identity(
        user_id=user_id,
        master=master,
        self_signing=signed(self_signing, "self_signing"),
        user_signing=signed(user_signing, "user_signing"),
    )


def _is_key(obj: Any, user_id: str, usage: str) -> bool:
    if not isinstance(obj, dict) or obj.get("user_id") != user_id:
        return False
    usages = obj.get("usage")
    is_sound = isinstance(usages, list) and usage in usages
    return is_sound and len(encode(obj)) <= _MOST_KEY_BYTES


def _display_name(raw: dict[str, Any]) -> str | None:
    unsigned = raw.get("unsigned")
    name = unsigned.get("device_display_name") if isinstance(unsigned, dict) else None
    return name[:_LONGEST_NAME] if isinstance(name, str) else None
