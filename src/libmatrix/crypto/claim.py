"""One-time keys of other devices, claimed and checked: how Olm sessions begin."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from libmatrix.api import decode, make_path
from libmatrix.crypto.account import OLM, SIGNED
from libmatrix.crypto.records import Device
from libmatrix.crypto.signatures import verify_signature
from libmatrix.errors import MatrixError

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto

_MOST_DEVICES = 250
_MOST_PAUSED = 10_000
_TIMEOUT_MS = 10_000
# A device that has no key to give, or whose homeserver is away, is not asked again so soon.
_PAUSE_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 3_600.0


class _Answer(msgspec.Struct):
    one_time_keys: dict[str, Any] = {}
    failures: dict[str, Any] = {}


class Claims:
    """Makes sessions where there are none."""

    def __init__(self, crypto: Crypto) -> None:
        self._crypto = crypto
        self._turn = asyncio.Lock()
        # By Curve25519 key: when to ask again, and the pause before that.
        self._paused: dict[str, tuple[float, float]] = {}

    async def ensure(self, devices: Iterable[Device], *, renew: bool = False) -> list[Device]:
        """Has a session with each device, if that can be; gives those without one.

        `renew`: a new session also where there is one. A claimed key that the device has not
        signed is refused and counts as none.
        """
        listed = [device for device in devices if OLM in device.algorithms]
        async with self._turn:
            now = self._crypto.client.host.loop.time()
            due = [
                device
                for device in listed
                if (renew or not self._has(device))
                and self._paused.get(device.curve25519, (now, 0.0))[0] <= now
            ]
            for start in range(0, len(due), _MOST_DEVICES):
                await self._claim(due[start : start + _MOST_DEVICES])
        return [device for device in devices if not self._has(device)]

    def forgive(self, curve25519: str) -> None:
        """A device gave a sign of life: it may be asked at once."""
        self._paused.pop(curve25519, None)

    def _has(self, device: Device) -> bool:
        return self._crypto.olm.has_session(device)

    async def _claim(self, devices: list[Device]) -> None:
        wanted: dict[str, dict[str, str]] = {}
        for device in devices:
            wanted.setdefault(device.user_id, {})[device.device_id] = SIGNED
        body = {"timeout": _TIMEOUT_MS, "one_time_keys": wanted}
        path = make_path("keys", "claim")
        try:
            call = self._crypto.client.api.call("POST", path, body=body, wait_ms=_TIMEOUT_MS)
            answer = decode(await call, _Answer)
        except MatrixError as error:
            self._log(f"one-time keys could not be claimed: {error.message}", error.code)
            answer = _Answer()
            if error.code == "M_UNKNOWN_TOKEN":
                raise
        for device in devices:
            key = _key_of(device, answer)
            if key is not None and self._crypto.olm.begin(device, key):
                self.forgive(device.curve25519)
            else:
                self._pause(device)
        self._crypto.store.flush()

    def _pause(self, device: Device) -> None:
        now = self._crypto.client.host.loop.time()
        _, before = self._paused.pop(device.curve25519, (0.0, 0.0))
        pause = min(before * 2 or _PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        self._paused[device.curve25519] = (now + pause, pause)
        while len(self._paused) > _MOST_PAUSED:
            del self._paused[next(iter(self._paused))]
        self._log(f"device {device.device_id} of {device.user_id} gave no valid one-time key")

    def _log(self, text: str, code: str | None = None) -> None:
        self._crypto.client.log.record("warning", "encryption", text, code)


def _key_of(device: Device, answer: _Answer) -> str | None:
    """The one-time key that the answer has of a device, if the device has signed it."""
    users = answer.one_time_keys.get(device.user_id)
    keys = users.get(device.device_id) if isinstance(users, dict) else None
    for name, obj in keys.items() if isinstance(keys, dict) else ():
        if not str(name).startswith(f"{SIGNED}:") or not isinstance(obj, dict):
            continue
        key_id = f"ed25519:{device.device_id}"
        if verify_signature(obj, device.user_id, key_id, device.ed25519):
            key = obj.get("key")
            if isinstance(key, str):
                return key
    return None
