"""From the open secret storage to a device that is trusted, and back into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from libmatrix.crypto.secrets import BACKUP, KNOWN
from libmatrix.errors import IdentityMismatchError, RecoveryKeyError

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto
    from libmatrix.crypto.records import Identity


async def adopt_secrets(crypto: Crypto) -> Identity:
    """Takes the account's keys out of the open secret storage; this device is trusted then.

    A backup that cannot be used is no reason to fail: it is logged.
    """
    found = {name: await crypto.secrets.get(name) for name in KNOWN}
    secrets = {name: secret for name, secret in found.items() if secret is not None}
    own = await crypto.cross_signing.adopt(secrets)
    if BACKUP in secrets:
        try:
            await crypto.backup.adopt(secrets[BACKUP])
        except IdentityMismatchError as error:
            crypto.client.log.record("warning", "encryption", error.message, error.code)
    return own


async def store_secrets(crypto: Crypto, secrets: dict[str, str]) -> None:
    """Has the secret storage, if it is open, hold these; a crash may have kept it from that."""
    if not crypto.secrets.is_open:
        return
    for name, secret in secrets.items():
        try:
            is_there = await crypto.secrets.get(name) == secret
        except RecoveryKeyError:
            is_there = False
        if not is_there:
            await crypto.secrets.put(name, secret)


def secrets_here(crypto: Crypto) -> dict[str, str]:
    """The account's secrets that are here, by name."""
    found = crypto.cross_signing.secrets()
    backup = crypto.backup.secret()
    return found if backup is None else {**found, BACKUP: backup}
