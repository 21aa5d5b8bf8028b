"""Secret storage, and secrets between one's own devices."""

from __future__ import annotations

from libmatrix.client import Client
from libmatrix.errors import HomeserverError
from libmatrix.operations.trust import given_recovery_key
from libmatrix.table_gen import (
    CreateSecretStorageArguments,
    CreateSecretStorageResult,
    GetSecretArguments,
    GetSecretResult,
    ListSecretsArguments,
    ListSecretsResult,
    OpenSecretStorageArguments,
    OpenSecretStorageResult,
    PutSecretArguments,
    PutSecretResult,
    RequestSecretArguments,
    RequestSecretResult,
)


async def create_secret_storage(
    client: Client, arguments: CreateSecretStorageArguments
) -> CreateSecretStorageResult:
    """New secret storage with what there is to keep."""
    from libmatrix.crypto.recovery import secrets_here

    crypto = await client.open_crypto()
    own = secrets_here(crypto)
    recovery_key, key = await crypto.secrets.create(arguments.passphrase, arguments.name, own)
    return CreateSecretStorageResult(
        recovery_key=recovery_key,
        key_id=key.key_id,
        secrets=await crypto.secrets.names(key.key_id),
    )


async def open_secret_storage(
    client: Client, arguments: OpenSecretStorageArguments
) -> OpenSecretStorageResult:
    """Opens the account's secret storage."""
    recovery_key = given_recovery_key(client, arguments.recovery_key, arguments.passphrase)
    crypto = await client.open_crypto()
    return OpenSecretStorageResult(
        key_id=await crypto.secrets.open(recovery_key, arguments.passphrase)
    )


async def put_secret(client: Client, arguments: PutSecretArguments) -> PutSecretResult:
    """Puts a secret into the open secret storage."""
    crypto = await client.open_crypto()
    await crypto.secrets.put(arguments.name, arguments.secret)
    return PutSecretResult()


async def get_secret(client: Client, arguments: GetSecretArguments) -> GetSecretResult:
    """Reads a secret of the open secret storage."""
    crypto = await client.open_crypto()
    secret = await crypto.secrets.get(arguments.name)
    if secret is None:
        raise HomeserverError(f"no secret {arguments.name}", code="M_NOT_FOUND")
    return GetSecretResult(secret=secret)


async def list_secrets(client: Client, arguments: ListSecretsArguments) -> ListSecretsResult:
    """Names what is in the account's secret storage."""
    secrets = (await client.open_crypto()).secrets
    found = await secrets.default_key()
    if found is None:
        return ListSecretsResult(secrets=[], key_id=None, has_passphrase=False, is_open=False)
    key_id, description = found
    return ListSecretsResult(
        secrets=await secrets.names(key_id),
        key_id=key_id,
        has_passphrase=description.passphrase is not None,
        is_open=secrets.is_open,
    )


async def request_secret(client: Client, arguments: RequestSecretArguments) -> RequestSecretResult:
    """Asks one's other devices for a secret."""
    crypto = await client.open_crypto()
    await crypto.ready()
    sharing = crypto.secret_sharing
    secret, device_id = await sharing.request(arguments.name, arguments.timeout_ms)
    return RequestSecretResult(secret=secret, device_id=device_id)
