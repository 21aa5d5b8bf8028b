"""The parts of encryption that many clients never need: each is loaded when it is first used."""

from __future__ import annotations

import asyncio
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast

from libmatrix.crypto.verification.contents import TYPES

if TYPE_CHECKING:
    from libmatrix.crypto.backup import Backup
    from libmatrix.crypto.cross_signing import CrossSigning
    from libmatrix.crypto.machine import Crypto
    from libmatrix.crypto.secret_sharing import SecretSharing
    from libmatrix.crypto.secrets import SecretStorage
    from libmatrix.crypto.verification.manager import Verifications
    from libmatrix.events.head import EventHead

# In the type of an event, or the msgtype of a message.
_VERIFICATION = "m.key.verification."
_BACKUP = "backup"


class Parts:
    """What `Crypto` has beside the machine itself."""

    @cached_property
    def cross_signing(self) -> CrossSigning:
        """The account's private keys."""
        from libmatrix.crypto.cross_signing import CrossSigning

        return CrossSigning(cast("Crypto", self))

    @cached_property
    def secrets(self) -> SecretStorage:
        """The account's secret storage."""
        from libmatrix.crypto.secrets import SecretStorage

        return SecretStorage(cast("Crypto", self))

    @cached_property
    def secret_sharing(self) -> SecretSharing:
        """Secrets between the user's own devices."""
        from libmatrix.crypto.secret_sharing import SecretSharing

        return SecretSharing(cast("Crypto", self))

    @cached_property
    def backup(self) -> Backup:
        """The account's key backup."""
        from libmatrix.crypto.backup import Backup

        return Backup(cast("Crypto", self))

    @cached_property
    def verifications(self) -> Verifications:
        """Verifications of devices and users."""
        from libmatrix.crypto.verification.manager import Verifications

        return Verifications(cast("Crypto", self))

    def take_room_event(self, room_id: str, head: EventHead) -> None:
        """Looks at an event of a timeline, in clear by now, that may belong to a verification."""
        is_message = head.type == "m.room.message"
        if head.type.startswith(_VERIFICATION) or (
            is_message and _VERIFICATION.encode() in bytes(head.content)
        ):
            self.verifications.take_room_event(room_id, head)

    def close_parts(self) -> list[asyncio.Task[None]]:
        """Ends what runs in them, which is returned."""
        return self.verifications.close() if "verifications" in self.__dict__ else []

    def begin_parts(self) -> None:
        """Has those loaded that have something to do, and the others when they have."""
        crypto = cast("Crypto", self)
        crypto.on_to_device("m.secret.request", lambda *event: self.secret_sharing.asked(*event))
        crypto.on_to_device("m.secret.send", lambda *event: self.secret_sharing.sent(*event))
        for kind in TYPES:
            crypto.on_to_device(kind, partial(self._verify, kind))
        self.resume_backup()

    def _verify(self, kind: str, *event: Any) -> None:
        self.verifications.take_to_device(kind, *event)

    def resume_backup(self) -> None:
        """Goes on with the backup, if one is in use."""
        if cast("Crypto", self).store.values.get(_BACKUP) is not None:
            self.backup.upload.resume()
