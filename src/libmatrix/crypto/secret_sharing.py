"""Secrets between the user's own devices: asked for, and given to those that are verified.

Specification: client-server API, secrets, sharing.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from libmatrix.crypto.cross_signing import SECRETS, USAGES
from libmatrix.crypto.records import Device
from libmatrix.crypto.secrets import BACKUP, KNOWN
from libmatrix.errors import IdentityMismatchError, MatrixError, MissingSecretError
from libmatrix.tasks import time_limit

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto

_REQUEST, _SEND = "m.secret.request", "m.secret.send"
_MOST_ANSWERED = 1_000
_MOST_LETTERS = 255
_TRIES, _TRY_MS = 3, 20_000


class SecretSharing:
    """Asks for secrets and answers who asks."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        # By the id of the request: the secret's name, and who waits for it and the device.
        self._waiting: dict[str, tuple[str, asyncio.Future[tuple[str, str]]]] = {}
        # Requests are answered once; a homeserver may repeat them.
        self._answered: dict[tuple[str, str], None] = {}

    # -- asking -------------------------------------------------------------------------------

    async def request(self, name: str, timeout_ms: int) -> tuple[str, str]:
        """A secret and the device that sent it. Keys of the account are checked, and kept.

        Raises `MissingSecretError`; `E_TIMEOUT` when no device answers in time.
        """
        crypto = self._crypto
        await crypto.devices.refresh([crypto.user_id])
        devices = [device.device_id for device in self._own_devices()]
        if not devices:
            raise MissingSecretError("another device of this user that is verified")
        request_id = os.urandom(16).hex()
        waiting = self._waiting[request_id] = name, crypto.client.host.loop.create_future()
        body = {"requesting_device_id": crypto.device_id, "request_id": request_id}
        try:
            await self._tell(devices, {"action": "request", "name": name, **body})
            async with time_limit(timeout_ms / 1000):
                secret, device_id = await waiting[1]
        except TimeoutError:
            raise MatrixError(f"no device has sent {name}", code="E_TIMEOUT") from None
        finally:
            del self._waiting[request_id]
            crypto.spawn(self._tell(devices, {"action": "request_cancellation", **body}))
        return secret, device_id

    async def request_missing(self) -> None:
        """After a verification: asks for what this account's devices share, and keeps it."""
        here = {*self._crypto.cross_signing.secrets()}
        wanted = [name for name in SECRETS if name not in here]
        if self._crypto.backup.key is None:
            wanted.append(BACKUP)
        await asyncio.gather(*map(self._request_again, wanted))
        await self._crypto.cross_signing.sign_own_device()

    async def _request_again(self, name: str) -> None:
        """Some times: the others may learn only later that this device is verified."""
        for _ in range(_TRIES):
            try:
                await self.request(name, _TRY_MS)
            except MatrixError as error:
                self._log(f"{name} was not to be had: {error.message}")
                if error.code != "E_TIMEOUT":
                    return
            else:
                return

    async def _tell(self, devices: list[str], content: dict[str, Any]) -> None:
        messages = {self._crypto.user_id: dict.fromkeys(devices, content)}
        await self._crypto.send_to_device(_REQUEST, messages, encrypted=False)

    def sent(self, sender: str, device: Device | None, content: dict[str, Any]) -> None:
        """A secret came; it counts when it was asked for and its sender is a verified device."""
        request_id, secret = content.get("request_id"), content.get("secret")
        if not isinstance(request_id, str) or not isinstance(secret, str):
            return
        waiting = self._waiting.get(request_id)
        if waiting is None or device is None or not self._is_trusted(sender, device):
            self._log("a secret came that nobody asked for, or from a device not verified")
            return
        name, future = waiting
        self._crypto.spawn(self._take(name, secret, device.device_id, future))

    async def _take(
        self, name: str, secret: str, device_id: str, future: asyncio.Future[tuple[str, str]]
    ) -> None:
        crypto, own = self._crypto, self._crypto.trust.own
        try:
            if name in SECRETS and own is not None:
                crypto.cross_signing.take(USAGES[SECRETS.index(name)], secret, own)
            elif name == BACKUP:
                await crypto.backup.adopt(secret)
        except IdentityMismatchError as error:
            self._log(f"device {device_id} sent a wrong secret: {error.message}")
            return
        except MatrixError as error:
            self._log(f"the secret {name} could not be used: {error.message}")
            return
        crypto.store.flush()
        if not future.done():
            future.set_result((secret, device_id))

    # -- answering ----------------------------------------------------------------------------

    def asked(self, sender: str, _: Device | None, content: dict[str, Any]) -> None:
        """A device asks. Who that really is matters only for whom the answer is encrypted."""
        crypto = self._crypto
        fields = [content.get(name) for name in ("requesting_device_id", "request_id", "name")]
        if content.get("action") != "request" or sender != crypto.user_id:
            return
        if not all(isinstance(field, str) and len(field) <= _MOST_LETTERS for field in fields):
            return
        device_id, request_id, name = map(str, fields)
        if device_id == crypto.device_id or (device_id, request_id) in self._answered:
            return
        self._answered[device_id, request_id] = None
        while len(self._answered) > _MOST_ANSWERED:
            del self._answered[next(iter(self._answered))]
        crypto.spawn(self._answer(device_id, request_id, name))

    async def _answer(self, device_id: str, request_id: str, name: str) -> None:
        crypto = self._crypto
        if name not in KNOWN:
            return
        try:
            await crypto.devices.refresh([crypto.user_id])
            device = crypto.devices.get(crypto.user_id, device_id)
            if device is None or not self._is_trusted(device.user_id, device):
                self._log(f"device {device_id} asked for {name} and is not verified: refused")
                return
            secret = self._secret(name)
            if secret is None:
                return
            content = {"request_id": request_id, "secret": secret}
            messages = {crypto.user_id: {device_id: content}}
            await crypto.send_to_device(_SEND, messages, encrypted=True)
        except MatrixError as error:
            self._log(f"{name} could not be sent to device {device_id}: {error.message}")

    def _secret(self, name: str) -> str | None:
        if name == BACKUP:
            return self._crypto.backup.secret()
        return self._crypto.cross_signing.secrets().get(name)

    # -- inside -------------------------------------------------------------------------------

    def _own_devices(self) -> list[Device]:
        crypto = self._crypto
        known = crypto.devices.of(crypto.user_id).values()
        return [device for device in known if self._is_trusted(device.user_id, device)]

    def _is_trusted(self, sender: str, device: Device) -> bool:
        """Another device of this user, and proven to be."""
        crypto = self._crypto
        is_own = sender == device.user_id == crypto.user_id
        if not is_own or device.device_id == crypto.device_id:
            return False
        return crypto.trust.of_device(device) == "verified"

    def _log(self, text: str) -> None:
        self._crypto.client.log.record("info", "encryption", text)
