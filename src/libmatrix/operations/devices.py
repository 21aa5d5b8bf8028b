"""Devices: the user's own, and those of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from libmatrix.api import make_path
from libmatrix.auth.uia import Ask, authenticate
from libmatrix.client import Client
from libmatrix.errors import ArgumentError, EncryptionError, ResponseError
from libmatrix.table_gen import (
    DeleteDeviceArguments,
    DeleteDeviceResult,
    DeleteDevicesArguments,
    DeleteDevicesResult,
    DeleteOtherDevicesArguments,
    DeleteOtherDevicesResult,
    Device,
    OwnDeviceArguments,
    OwnDeviceResult,
    OwnDevicesArguments,
    OwnDevicesResult,
    RenameDeviceArguments,
    RenameDeviceResult,
    UserDevice,
    UserDevicesArguments,
    UserDevicesResult,
)

if TYPE_CHECKING:
    from libmatrix.table_gen import DeviceTrustLevel


class _Device(msgspec.Struct):
    device_id: str
    # Servers differ in what they know; what is of the wrong type counts as absent.
    display_name: Any = None
    last_seen_ip: Any = None
    last_seen_ts: Any = None


class _Devices(msgspec.Struct):
    devices: list[_Device]


class _Whoami(msgspec.Struct):
    user_id: str
    device_id: str | None = None


# -- looking --------------------------------------------------------------------------------------


async def own_devices(client: Client, arguments: OwnDevicesArguments) -> OwnDevicesResult:
    """Lists the user's devices."""
    return OwnDevicesResult(devices=await _list(client))


async def own_device(client: Client, arguments: OwnDeviceArguments) -> OwnDeviceResult:
    """Tells about one of the user's devices."""
    own = await _own_id(client)
    device_id = own if arguments.device_id is None else arguments.device_id
    found = await client.api.get(_Device, make_path("devices", device_id))
    return OwnDeviceResult(device=_describe(found, own, await _own_trust(client)))


async def rename_device(client: Client, arguments: RenameDeviceArguments) -> RenameDeviceResult:
    """Gives a device another name."""
    path = make_path("devices", arguments.device_id)
    await client.api.call("PUT", path, body={"display_name": arguments.display_name})
    return RenameDeviceResult()


async def _list(client: Client) -> list[Device]:
    answer = await client.api.get(_Devices, make_path("devices"))
    own = await _own_id(client)
    trust = await _own_trust(client)
    devices = [_describe(device, own, trust) for device in answer.devices]
    return sorted(devices, key=lambda device: device.last_seen_ts or 0, reverse=True)


async def _own_trust(client: Client) -> dict[str, DeviceTrustLevel]:
    """How far the user's devices can be trusted, by device id; those with keys only."""
    if not client.options.encryption:
        return {}
    try:
        crypto = await client.open_crypto()
        await crypto.devices.refresh([crypto.user_id])
    except EncryptionError:
        return {}
    known = crypto.devices.of(crypto.user_id).values()
    return {device.device_id: crypto.trust.of_device(device) for device in known}


async def user_devices(client: Client, arguments: UserDevicesArguments) -> UserDevicesResult:
    """Lists a user's devices that have keys."""
    client.require_login()
    crypto = await client.open_crypto()
    user_id = arguments.user_id
    await crypto.devices.refresh([user_id], force=arguments.reload)
    own = (crypto.user_id, crypto.device_id)
    devices = [
        UserDevice(
            user_id=user_id,
            device_id=device_id,
            display_name=device.display_name,
            ed25519=device.ed25519,
            curve25519=device.curve25519,
            algorithms=device.algorithms,
            trust=crypto.trust.of_device(device),
            is_cross_signed=device.is_cross_signed,
            is_own=(user_id, device_id) == own,
        )
        for device_id, device in sorted(crypto.devices.of(user_id).items())
    ]
    return UserDevicesResult(devices=devices)


def _describe(device: _Device, own: str, trust: Mapping[str, DeviceTrustLevel]) -> Device:
    name, ip, ts = device.display_name, device.last_seen_ip, device.last_seen_ts
    return Device(
        device_id=device.device_id,
        display_name=name if isinstance(name, str) else None,
        last_seen_ts=ts if type(ts) is int else None,
        last_seen_ip=ip if isinstance(ip, str) and ip != "-" else None,
        is_own=device.device_id == own,
        trust=trust.get(device.device_id),
    )


async def _own_id(client: Client) -> str:
    """This client's device; asked for where only an access token was given."""
    device_id = client.require_login().device_id
    if device_id is None:
        answer = await client.api.get(_Whoami, make_path("account", "whoami"))
        client.identified(answer.user_id, answer.device_id)
        device_id = client.require_login().device_id
    if device_id is None:
        raise ResponseError("the access token belongs to no device")
    return device_id


# -- deleting -------------------------------------------------------------------------------------


async def delete_device(client: Client, arguments: DeleteDeviceArguments) -> DeleteDeviceResult:
    """Deletes one device."""
    await _delete(client, [arguments.device_id], client.asker(), arguments)
    return DeleteDeviceResult()


async def delete_devices(client: Client, arguments: DeleteDevicesArguments) -> DeleteDevicesResult:
    """Deletes many devices."""
    if not arguments.device_ids:
        raise ArgumentError("device_ids: names no device")
    await _delete(client, arguments.device_ids, client.asker(), arguments)
    return DeleteDevicesResult()


async def delete_other_devices(
    client: Client, arguments: DeleteOtherDevicesArguments
) -> DeleteOtherDevicesResult:
    """Deletes all devices but this one."""
    ask = client.asker()
    others = [device.device_id for device in await _list(client) if not device.is_own]
    if others:
        await _delete(client, others, ask, arguments)
    return DeleteOtherDevicesResult(device_ids=others)


async def _delete(
    client: Client,
    device_ids: list[str],
    ask: Ask,
    wanted: DeleteDeviceArguments | DeleteDevicesArguments | DeleteOtherDevicesArguments,
) -> None:
    client.require_login()
    if wanted.auth_timeout_ms <= 0:
        raise ArgumentError("auth_timeout_ms: must be above 0")
    own = await _own_id(client)
    stages: dict[str, dict[str, Any]] = {"m.login.dummy": {}}
    if wanted.password is not None:
        user_id = client.require_login().user_id
        identifier = {"type": "m.id.user", "user": user_id}
        stages["m.login.password"] = {"identifier": identifier, "password": wanted.password}

    async def send(auth: dict[str, Any] | None) -> bytes:
        body: dict[str, Any] = {"devices": device_ids}
        if auth is not None:
            body["auth"] = auth
        return await client.api.call("POST", make_path("delete_devices"), body=body)

    await authenticate(send, ask, stages, wanted.auth_timeout_ms)
    if own in device_ids:
        client.logged_out()
        client.log.record("info", "session", "logged out: its device was deleted")
