"""The account's identity, and how far users and devices can be trusted."""

from __future__ import annotations

import os
from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Any

from libmatrix.api import make_path
from libmatrix.auth.uia import Ask, authenticate
from libmatrix.client import Client
from libmatrix.errors import ArgumentError, HomeserverError, NoIdentityError
from libmatrix.table_gen import (
    AcceptIdentityArguments,
    AcceptIdentityResult,
    BootstrapCrossSigningArguments,
    BootstrapCrossSigningResult,
    CrossSigningStatusArguments,
    CrossSigningStatusResult,
    DeviceTrustArguments,
    DeviceTrustResult,
    ResetCrossSigningArguments,
    ResetCrossSigningResult,
    SignDeviceArguments,
    SignDeviceResult,
    SignUserArguments,
    SignUserResult,
    UserTrustArguments,
    UserTrustResult,
    VerifyOwnDeviceArguments,
    VerifyOwnDeviceResult,
)

if TYPE_CHECKING:
    from libmatrix.crypto.cross_signing import Upload
    from libmatrix.crypto.machine import Crypto
    from libmatrix.crypto.records import Identity

_PASSWORD = "m.login.password"
_VARIABLE = "MATRIX_RECOVERY_KEY"


# -- making it ------------------------------------------------------------------------------------


async def bootstrap_cross_signing(
    client: Client, arguments: BootstrapCrossSigningArguments
) -> BootstrapCrossSigningResult:
    """Makes the account's identity when it has none."""
    own, is_new = await _make_identity(client, arguments, reset=False)
    return BootstrapCrossSigningResult(master_key=own.master_key, is_new=is_new)


async def reset_cross_signing(
    client: Client, arguments: ResetCrossSigningArguments
) -> ResetCrossSigningResult:
    """Gives the account a new identity."""
    own, _ = await _make_identity(client, arguments, reset=True)
    return ResetCrossSigningResult(master_key=own.master_key)


async def _make_identity(
    client: Client,
    arguments: BootstrapCrossSigningArguments | ResetCrossSigningArguments,
    *,
    reset: bool,
) -> tuple[Identity, bool]:
    """The account's identity, and whether it is new; new keys go where the old are, if open."""
    from libmatrix.crypto.recovery import store_secrets

    upload = _uploader(client, arguments.password, arguments.auth_timeout_ms)
    crypto = await client.open_crypto()
    own, is_new = await crypto.cross_signing.bootstrap(upload, reset=reset)
    await store_secrets(crypto, crypto.cross_signing.secrets())
    return own, is_new


def _uploader(client: Client, password: str | None, timeout_ms: int) -> Upload:
    """Publishes keys, with user-interactive authentication."""
    session, ask = client.require_login(), client.asker()
    own: dict[str, Any] = {}
    if password is not None:
        identifier = {"type": "m.id.user", "user": session.user_id}
        own[_PASSWORD] = {"identifier": identifier, "password": password}
    return partial(_upload, client, ask, own, timeout_ms)


async def _upload(
    client: Client, ask: Ask, own: dict[str, Any], timeout_ms: int, keys: dict[str, Any]
) -> None:
    path = make_path("keys", "device_signing", "upload")

    def send(auth: dict[str, Any] | None) -> Awaitable[bytes]:
        body = keys if auth is None else {**keys, "auth": auth}
        return client.api.call("POST", path, body=body)

    await authenticate(send, ask, own, timeout_ms)


async def cross_signing_status(
    client: Client, arguments: CrossSigningStatusArguments
) -> CrossSigningStatusResult:
    """What there is of the account's identity."""
    crypto = await client.open_crypto()
    own = await crypto.cross_signing.refresh()
    device = crypto.devices.get(crypto.user_id, crypto.device_id)
    keys = crypto.cross_signing
    return CrossSigningStatusResult(
        master_key=own.master_key if own is not None else None,
        is_trusted=crypto.trust.is_own_trusted,
        is_device_signed=device is not None and device.is_cross_signed,
        holds_master_key=keys.key("master") is not None,
        holds_self_signing_key=keys.key("self_signing") is not None,
        holds_user_signing_key=keys.key("user_signing") is not None,
        has_secret_storage=await crypto.secrets.default_key() is not None,
    )


async def verify_own_device(
    client: Client, arguments: VerifyOwnDeviceArguments
) -> VerifyOwnDeviceResult:
    """Makes this device trusted by the keys in secret storage."""
    from libmatrix.crypto.recovery import adopt_secrets, secrets_here

    recovery_key = given_recovery_key(client, arguments.recovery_key, arguments.passphrase)
    crypto = await client.open_crypto()
    await crypto.secrets.open(recovery_key, arguments.passphrase)
    own = await adopt_secrets(crypto)
    in_use = crypto.backup.in_use
    return VerifyOwnDeviceResult(
        master_key=own.master_key,
        secrets=sorted(secrets_here(crypto)),
        backup_version=in_use.version if in_use is not None else None,
    )


def given_recovery_key(
    client: Client, recovery_key: str | None, passphrase: str | None
) -> str | None:
    """The recovery key to use: the call's, the client's, the environment's; or the passphrase."""
    options = client.options
    if recovery_key is not None and passphrase is not None:
        raise ArgumentError("passphrase: either this or recovery_key")
    if recovery_key is not None or passphrase is not None:
        return recovery_key
    found = options.recovery_key
    if found is None and options.use_environment:
        found = os.environ.get(_VARIABLE) or None
    if found is None:
        raise ArgumentError("recovery_key: neither the call nor the client has one")
    return found


# -- vouching for others --------------------------------------------------------------------------


async def sign_user(client: Client, arguments: SignUserArguments) -> SignUserResult:
    """Vouches for another user's identity."""
    crypto = await client.open_crypto()
    await crypto.ready()
    await crypto.cross_signing.sign_user(arguments.user_id, arguments.master_key)
    return SignUserResult()


async def sign_device(client: Client, arguments: SignDeviceArguments) -> SignDeviceResult:
    """Vouches for another device of one's own."""
    crypto = await client.open_crypto()
    await crypto.ready()
    await crypto.cross_signing.sign_device(arguments.device_id, arguments.device_key)
    return SignDeviceResult()


async def user_trust(client: Client, arguments: UserTrustArguments) -> UserTrustResult:
    """How far a user can be trusted."""
    user_id = arguments.user_id
    crypto = await _refreshed(client, user_id, force=arguments.reload)
    identity = crypto.devices.identity(user_id)
    return UserTrustResult(
        trust=crypto.trust.of_user(user_id),
        master_key=identity.master_key if identity is not None else None,
        pinned_master_key=identity.pinned if identity is not None else None,
        was_verified=identity is not None and identity.was_verified,
    )


async def device_trust(client: Client, arguments: DeviceTrustArguments) -> DeviceTrustResult:
    """How far a device can be trusted."""
    user_id, device_id = arguments.user_id, arguments.device_id
    crypto = await _refreshed(client, user_id, force=arguments.reload)
    device = crypto.devices.get(user_id, device_id)
    if device is None:
        raise HomeserverError(f"{user_id} has no device {device_id}", code="M_NOT_FOUND")
    return DeviceTrustResult(
        trust=crypto.trust.of_device(device),
        device_key=device.ed25519,
        is_cross_signed=device.is_cross_signed,
    )


async def accept_identity(
    client: Client, arguments: AcceptIdentityArguments
) -> AcceptIdentityResult:
    """Takes a user's identity as it is now."""
    user_id = arguments.user_id
    crypto = await _refreshed(client, user_id)
    identity = crypto.devices.identity(user_id)
    if identity is None:
        raise NoIdentityError(user_id)
    crypto.trust.accept(identity)
    crypto.store.flush()
    return AcceptIdentityResult(trust=crypto.trust.of_user(user_id))


async def _refreshed(client: Client, user_id: str, *, force: bool = False) -> Crypto:
    """Encryption, with what there is to know of a user."""
    crypto = await client.open_crypto()
    await crypto.devices.refresh([user_id], force=force)
    return crypto
